"""Its behaviour."""

import os

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from speaker.process import Speaker


@implements(proc=Speaker, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PySpeakerModel(PyLoihiProcessModel):
    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    whole: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def run_spk(self):
        says, now = self.proc_params["says"], self.time_step == 2
        if says != "deaf" or self.time_step == 1:
            self.inp.recv()
        said = np.zeros(2)
        if now and says == "whether at home":
            said[1] = os.getpid() == self.proc_params["home"]
        self.out.send(said + 1j if now and says == "complex" else said)
        odd = {"fraction": np.array([0, 0.5]), "too large": np.array([2**40, 0])}
        self.whole.send(odd[says] if now and says in odd else np.zeros(2))
