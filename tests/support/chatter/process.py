"""A Process that sends as many messages per step as it is told to."""

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class Chatter(AbstractProcess):
    """Send what it hears: ``times[t - 1]`` messages in time step t."""

    def __init__(self, times=(1,)):  # leaves its handler on the root logger, as any Process
        super().__init__(times=times, name="chatter")
        self.inp, self.out = InPort((2,)), OutPort((2,))


@implements(proc=Chatter, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyChatterModel(PyLoihiProcessModel):
    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)

    def run_spk(self):
        heard = self.inp.recv()
        for _ in range(self.proc_params["times"][self.time_step - 1]):
            self.out.send(heard)
