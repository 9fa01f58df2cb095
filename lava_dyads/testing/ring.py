"""A trivial Process, many of which make a ring: what a runtime costs by itself."""

from __future__ import annotations

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_dyads.array_types import AnyArray
from lava_dyads.processes.base import own_logging


class Passer(AbstractProcess):  # type: ignore[misc]
    """Send what was received in the last step, plus one.

    Parameters
    ----------
    size : int
        Numbers per message.
    """

    def __init__(self, size: int = 10, name: str | None = None) -> None:
        with own_logging():
            super().__init__(name=name)
        self.inp, self.out = InPort((size,)), OutPort((size,))
        self.last = Var((size,), init=0)


@implements(proc=Passer, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyPasserModel(PyLoihiProcessModel):  # type: ignore[misc]
    """One message per step."""

    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    last: AnyArray = LavaPyType(np.ndarray, float)

    def run_spk(self) -> None:
        """Send, then receive."""
        self.out.send(self.last)
        self.last = self.inp.recv() + 1


def ring(processes: int, size: int = 10) -> list[Passer]:
    """Return a ring of connected Passers.

    Parameters
    ----------
    processes : int
        At least 1.
    size : int
        Numbers per message.
    """
    members = [Passer(size, name=f"passer {i}") for i in range(processes)]
    for here, there in zip(members, members[1:] + members[:1], strict=True):
        here.out.connect(there.inp)
    return members
