"""A Process that says or hears something wrongly."""

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess

from lava_dyads.processes.base import own_logging


class Speaker(AbstractProcess):
    """Send numbers in time step 2 that the port's type does not hold, or read too little."""

    def __init__(self, says="", home=0):
        with own_logging():
            super().__init__(says=says, home=home, name="speaker")
        self.inp, self.out, self.whole = InPort((2,)), OutPort((2,)), OutPort((2,))
