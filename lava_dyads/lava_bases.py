"""What the classes of :mod:`lava_dyads.lava_declared` derive from, for type checkers alone.

In a file of its own because Pyright does not follow conditions in a stub: there, a class that
derives from the one or the other base has an unknown base.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

MYPY = False

if TYPE_CHECKING:
    if MYPY:  # to which a class that derives from Any has whatever is asked for
        from builtins import object as InPort  # noqa: N812
        from builtins import object as OutPort  # noqa: N812
        from builtins import object as Port  # noqa: N812
        from builtins import object as Process  # noqa: N812
        from builtins import object as Var  # noqa: N812
    else:  # to be accepted where Lava's are
        from lava.magma.core.process.ports.ports import AbstractPort as Port
        from lava.magma.core.process.ports.ports import InPort, OutPort
        from lava.magma.core.process.process import AbstractProcess as Process
        from lava.magma.core.process.variable import Var

    __all__ = ["InPort", "OutPort", "Port", "Process", "Var"]
