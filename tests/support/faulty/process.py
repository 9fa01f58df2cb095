"""Processes that misbehave. They live alone: Lava executes every file beside a Process."""

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var

from lava_dyads.processes.base import own_logging


class Faulty(AbstractProcess):
    """Relay a number; misbehave in the way and at the step asked for."""

    def __init__(self, fault="none", at=3, name=None):
        with own_logging():
            super().__init__(fault=fault, at=at, name=name or f"faulty ({fault})")
        self.inp = InPort((2,))
        self.out = OutPort((2,))
        self.last = Var((2,), init=0)


def ring(*faults):
    """Return Faulty processes connected in a ring."""
    processes = [Faulty(fault) for fault in faults]
    for here, there in zip(processes, processes[1:] + processes[:1], strict=True):
        here.out.connect(there.inp)
    return processes
