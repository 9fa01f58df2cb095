"""A Process with a Var, and one that reads and writes it through a RefPort."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_dyads.processes.base import own_logging


class Store(AbstractProcess):
    """Add one to its value in every step."""

    def __init__(self):
        with own_logging():
            super().__init__(name="store")
        self.value = Var((2,), init=np.array([1.0, 10.0]))


class Reader(AbstractProcess):
    """After every step read the value, and write back its double."""

    def __init__(self):
        with own_logging():
            super().__init__(name="reader")
        self.ref = RefPort((2,))
        self.seen = Var((2,), init=0)


@implements(proc=Store, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyStoreModel(PyLoihiProcessModel):
    value: np.ndarray = LavaPyType(np.ndarray, float)

    def run_spk(self):
        self.value += 1

    def post_guard(self):
        return True


@implements(proc=Reader, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyReaderModel(PyLoihiProcessModel):
    ref: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, float)
    seen: np.ndarray = LavaPyType(np.ndarray, float)

    def post_guard(self):
        return True

    def run_post_mgmt(self):
        self.seen = self.ref.read()
        self.ref.write(2 * self.seen)
        self.ref.wait()
