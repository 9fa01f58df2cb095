"""Processes of ops for which nobody has written one: made from the smallest op of their kind."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from lava_dyads.elements import Connection, Element, NonlinearConnection
from lava_dyads.processes.base import ElementProcess
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.ops import NonlinearOp, Op
from lava_dyads.rules.ops.kinds import KINDS


def _element(op: Op | NonlinearOp, arithmetic: Arithmetic | None) -> Element:
    if isinstance(op, NonlinearOp):
        return NonlinearConnection(op, arithmetic=arithmetic)
    return Connection(np.zeros(op.shape) if op.shape else None, op=op, arithmetic=arithmetic)


def processes_of_ops(known: Collection[str]) -> tuple[type[ElementProcess], ...]:
    """Return a Process class for every kind of op whose ``process_name`` is not among these."""

    def made(op: Op | NonlinearOp) -> type[ElementProcess]:
        def example(cls: type, arithmetic: Arithmetic | None = None) -> Element:
            """Return the smallest element of this kind."""
            return _element(op, arithmetic)

        members = {"__doc__": f"An element of a network.\n\n{type(op).__doc__}",
                   "__module__": __name__, "example": classmethod(example)}  # fmt: skip
        return type(op.process_name, (ElementProcess,), members)

    ops = [kind.example for kind in KINDS.values() if kind.example]
    return tuple(made(op) for op in ops if op.process_name not in known)
