"""A Process whose model fails in whatever way is asked for, beside one that waits for it."""

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess

from lava_dyads.processes.base import own_logging


class Failing(AbstractProcess):
    """Pass a number on; fail in one way and in one place, in time step 2."""

    def __init__(self, way="", place="run_spk", name="failing"):
        with own_logging():
            super().__init__(way=way, place=place, name=name)
        self.inp = InPort((1,))
        self.out = OutPort((1,))


def pair(way, place):
    """Return one that fails and one that does not, connected in a ring."""
    failing, partner = Failing(way, place), Failing(name="partner")
    failing.out.connect(partner.inp)
    partner.out.connect(failing.inp)
    return failing
