"""Models that ask for a pause, a stop, random numbers, or that count where they are."""

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

from lava_dyads.processes.base import own_logging


class Asker(AbstractProcess):
    """Count steps; ask for a pause or a stop at some of them; log phases and random numbers."""

    def __init__(self, pause=(), stop=(), learn=(), name=None):
        with own_logging():
            super().__init__(pause=pause, stop=stop, learn=learn, name=name or "asker")
        self.inp, self.out = InPort((1,)), OutPort((1,))
        self.count = Var((1,), init=0)
        self.learned = Var((1,), init=0)
        self.managed = Var((1,), init=0)
        self.drawn = Var((3,), init=0)


@implements(proc=Asker, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyAskerModel(PyLoihiProcessModel):
    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    count: np.ndarray = LavaPyType(np.ndarray, float)
    learned: np.ndarray = LavaPyType(np.ndarray, float)
    managed: np.ndarray = LavaPyType(np.ndarray, float)
    drawn: np.ndarray = LavaPyType(np.ndarray, float)

    def run_spk(self):
        self.out.send(self.count)
        self.count[:] = self.inp.recv() + 1
        self.drawn[:] = np.random.normal(size=3)
        if self.time_step in self.proc_params["pause"]:
            self._req_pause = True
        if self.time_step in self.proc_params["stop"]:
            self._req_stop = True

    def lrn_guard(self):
        return self.time_step in self.proc_params["learn"]

    def run_lrn(self):
        self.learned += self.time_step

    def post_guard(self):
        return self.time_step in self.proc_params["learn"]

    def run_post_mgmt(self):
        self.managed += self.time_step


def ring(*options):
    """Return Askers connected in a ring."""
    processes = [Asker(**option) for option in options]
    for here, there in zip(processes, processes[1:] + processes[:1], strict=True):
        here.out.connect(there.inp)
    return processes
