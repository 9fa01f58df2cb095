"""Their behaviour."""

import contextlib
import os
import time

import numpy as np
from faulty.process import Faulty
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class UnpicklableError(Exception):
    """An exception that cannot be sent to another process."""

    def __init__(self):
        super().__init__("cannot be pickled")
        self.anchor = lambda: None


@implements(proc=Faulty, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyFaultyModel(PyLoihiProcessModel):
    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    last: np.ndarray = LavaPyType(np.ndarray, float)

    def __init__(self, proc_params):
        super().__init__(proc_params)
        if proc_params["fault"] == "init":
            raise ValueError("wrong from the start")
        if proc_params["fault"] == "die at start":
            os._exit(3)
        if proc_params["fault"] == "slow start":
            time.sleep(3600)

    def run_spk(self):
        if self.proc_params["fault"] == "wait first":  # a cycle of these is a deadlock
            self.last[:] = self.inp.recv()
        self.out.send(self.last + 1)
        if self.time_step == self.proc_params["at"]:
            self.misbehave(self.proc_params["fault"])
        if self.proc_params["fault"] not in ("wait first", "deaf"):
            self.last[:] = self.inp.recv()

    def misbehave(self, fault):
        if fault == "raise":
            raise ZeroDivisionError("one over nothing")
        if fault == "unpicklable":
            raise UnpicklableError
        if fault == "die":
            os._exit(7)
        if fault == "exit":
            raise SystemExit(3)
        if fault == "stubborn":
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                with contextlib.suppress(BaseException):
                    sum(range(1000))
        if fault == "spin":
            while True:
                pass
        if fault == "sleep":
            time.sleep(3600)
