"""Lava's Processes, ports and Vars, with the types that Lava does not declare.

At run time these are Lava's own classes. Type checkers, which find no types in Lava or no Lava at
all, are told what a user needs: ``lava_declared.pyi``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lava_dyads.lava_declared import (
        AbstractPort,
        AbstractProcess,
        InPort,
        Member,
        OutPort,
        Var,
    )
else:
    from lava.magma.core.process.ports.ports import AbstractPort, InPort, OutPort
    from lava.magma.core.process.process import AbstractProcess
    from lava.magma.core.process.variable import Var

    class Member:
        """A port or a Var of a Process, of the class in brackets."""

        def __class_getitem__(cls, kind: type) -> type:
            return kind


__all__ = ["AbstractPort", "AbstractProcess", "InPort", "Member", "OutPort", "Var"]
