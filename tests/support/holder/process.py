"""Processes with a Var of every kind: numbers, arrays in any order in memory, text, sparse."""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from scipy.sparse import csr_matrix

from lava_dyads.processes.base import own_logging

MATRIX = np.arange(6.0).reshape(2, 3)
SPARSE = csr_matrix(np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0], [0.0, 4.0, 5.0]]))


def in_order(array, order):
    """Return an array of equal values that lies in memory in another way."""
    if order == "fortran":
        return np.asfortranarray(array)
    if order == "strided":
        wide = np.repeat(np.repeat(array, 2, axis=0), 3, axis=1)
        return wide[::2, ::3]
    if order == "backwards":
        return array[::-1, ::-1].copy()[::-1, ::-1]
    if order == "read-only":
        array = array.copy()
        array.flags.writeable = False
    return array


class Holder(AbstractProcess):
    """Hold values; in the first step put the matrix into another order in memory."""

    def __init__(self, order="c", number=3, vector=(2, 3, 4), name="holder"):
        with own_logging():
            super().__init__(order=order, name=name)
        self.matrix = Var((2, 3), init=MATRIX)
        self.vector = Var((3,), init=np.array(vector))
        self.flags = Var((2,), init=np.array([True, False]))
        self.waves = Var((2,), init=np.array([1 + 2j, 3 - 1j]))
        self.number = Var((1,), init=number)
        self.text = Var((1,), init="abc")
        self.sparse = Var((3, 3), init=SPARSE.copy())
        self.updates = Var((1,), init=0)


@implements(proc=Holder, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyHolderModel(PyLoihiProcessModel):
    matrix: np.ndarray = LavaPyType(np.ndarray, float)
    vector: np.ndarray = LavaPyType(np.ndarray, np.int32)
    flags: np.ndarray = LavaPyType(np.ndarray, bool)
    waves: np.ndarray = LavaPyType(np.ndarray, complex)
    number: float = LavaPyType(float, float)
    text: str = LavaPyType(str, str)
    sparse: csr_matrix = LavaPyType(csr_matrix, float)
    updates: int = LavaPyType(int, int)

    def run_spk(self):
        if self.time_step == 1:
            self.matrix = in_order(self.matrix, self.proc_params["order"])

    def on_var_update(self):
        self.updates += 1


class Around(AbstractProcess):
    """A Holder inside; all Vars but ``lost`` are those of the Holder."""

    def __init__(self, order="c"):
        with own_logging():
            super().__init__(order=order, name="around")
        self.matrix = Var((2, 3), init=0)
        self.number = Var((1,), init=0)
        self.lost = Var((1,), init=0)


@implements(proc=Around)
class AroundModel(AbstractSubProcessModel):
    def __init__(self, process):
        self.holder = Holder(process.proc_params["order"], name="inside")
        process.matrix.alias(self.holder.matrix)
        process.number.alias(self.holder.number)
