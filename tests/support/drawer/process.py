"""Processes that keep what they draw, or hold, in every way in which a model can."""

import random
from random import gauss

import numpy as np
import numpy.random as numpys
import scipy.stats
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from numpy.random import rand

from drawer import dice
from lava_dyads.processes.base import own_logging

ROLL = np.random.RandomState(5)
WAYS = {
    "in a guard": lambda model: np.random.rand(),
    "np.random": lambda model: np.random.rand(),
    "several numbers": lambda model: np.random.random_sample(3).sum(),
    "another name": lambda model: rand(),
    "another name of the module": lambda model: numpys.uniform(),
    "normal numbers, drawn in pairs": lambda model: np.random.standard_normal(),
    "integers": lambda model: np.random.randint(1000),
    "shuffled": lambda model: np.random.permutation(50)[0],
    "chosen": lambda model: np.random.choice(50, size=3)[0],
    "poisson": lambda model: np.random.poisson(20),
    "scipy": lambda model: scipy.stats.norm.rvs(),
    "a function elsewhere": lambda model: dice.throw(),
    "seeded again": lambda model: (np.random.seed(int(model.time_step)), np.random.rand())[1],
    "a state of one's own": lambda model: (
        np.random.set_state(np.random.RandomState(model.time_step).get_state()),
        np.random.standard_normal(),
    )[1],
    "Python's random": lambda model: random.random(),
    "a name of Python's": lambda model: gauss(0, 1),
    "Python's elsewhere": lambda model: dice.throw_pythons(),
    "a generator of the module": lambda model: ROLL.rand(),
    "a generator elsewhere": lambda model: dice.throw_modules(),
    "a generator of the class": lambda model: model.generator.random(),
    "a generator that it was given": lambda model: model.proc_params["generator"].random(),
    "a generator of its own": lambda model: model.own.random(),
    "a list of the class": lambda model: (model.seen.append(1), len(model.seen))[1],
    "a number of the class": lambda model: type(model).count_up(),
    "an array that it was given": lambda model: np.add(
        model.proc_params["data"], 1, out=model.proc_params["data"]
    )[0],
    "deep in what it was given": lambda model: (
        model.proc_params["nested"]["list"][0].append(1),
        len(model.proc_params["nested"]["list"][0]),
    )[1],
}


class Drawer(AbstractProcess):
    """In every step draw a number in one way, and add it up."""

    def __init__(self, way, **given):
        with own_logging():
            super().__init__(way=way, **given)
        self.sum = Var((1,), init=0.0)
        self.first = Var((1,), init=0.0)
        self.out, self.inp = OutPort((1,)), InPort((1,))


@implements(proc=Drawer, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyDrawerModel(PyLoihiProcessModel):
    sum: np.ndarray = LavaPyType(np.ndarray, float)
    first: np.ndarray = LavaPyType(np.ndarray, float)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)

    generator = np.random.default_rng(3)
    seen = []  # noqa: RUF012 (as users write it)
    count = 0

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.own = np.random.default_rng(7)
        self.at_first = WAYS[proc_params["way"]](self) if "seed" not in proc_params["way"] else 0

    @classmethod
    def count_up(cls):
        cls.count += 1
        return cls.count

    def lrn_guard(self):
        return self.proc_params["way"] == "in a guard" and np.random.rand() < 0.5

    def run_lrn(self):
        self.sum += 1

    def run_spk(self):
        self.first[:] = self.at_first
        self.sum += WAYS[self.proc_params["way"]](self)
        self.out.send(self.sum)
        self.inp.recv()


def drawers(times=2):
    """Return Drawers of all ways, in a ring; those of one way are given the same."""
    made = []
    for way in WAYS:
        given = {
            "data": np.zeros(2),
            "nested": {"list": [[]]},
            "generator": np.random.default_rng(1),
        }
        made += [Drawer(way, **given) for _ in range(times)]
    for here, there in zip(made, made[1:] + made[:1], strict=True):
        here.out.connect(there.inp)
    return made
