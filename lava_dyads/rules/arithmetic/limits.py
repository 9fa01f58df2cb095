"""What Loihi 2 can hold: every limit once, with its source and whether it is verified.

Nobody here has had the chip: a limit is *verified* where a public ProcessModel of Lava 0.10 or a
published paper computes with it, and unverified where the text is second-hand. Change a number
here and everything (arithmetic, quantisation, learning rule) follows.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """A number of the chip.

    Attributes
    ----------
    value : int
    what : str
        What it limits, with the unit.
    source : str
    verified : bool
        Whether a public model or paper computes with it.
    """

    value: int
    what: str
    source: str
    verified: bool


WEIGHT = Limit(
    8,
    "bits of a synaptic weight, sign included; a layer shares one exponent",
    "lava.proc.dense.models, lava.utils.weightutils: mixed signs are even numbers of -256..254",
    True,
)
STATE = Limit(
    24,
    "bits of a neuron's state variable, sign included",
    "lava.proc.lif.models: u wraps, v saturates at 2^23 - 1",
    True,
)
PAYLOAD = Limit(
    24,
    "bits of a graded spike, sign included",
    "lava.proc.sdn and lava.proc.graded use 24; 32 on the chip according to open-neuromorphic.org",
    True,
)
TRACE = Limit(7, "bits of a learning trace, unsigned", "lava.magma.core.learning.constants", True)
MANTISSA = Limit(
    4,
    "bits of the factor of a product in a learning rule, sign included",
    "lava.magma.core.learning.constants",
    True,
)
EXPONENT_MIN = Limit(
    -7,
    "smallest exponent of a product in a learning rule",
    "lava.magma.core.learning: parser",
    True,
)
EXPONENT_MAX = Limit(
    8,
    "largest exponent of a product in a learning rule",
    "lava.magma.core.learning: parser",
    True,
)
DECIMATION = Limit(
    9,
    "largest k of a factor u<k>, which makes a product apply in every 2^k-th epoch only",
    "lava.magma.core.learning.learning_rule reads one digit",
    True,
)
EPOCH = Limit(6, "bits of the learning epoch, steps", "lava.magma.core.learning.constants", True)
SDN_SHIFT = Limit(
    6,
    "bits by which a sigma-delta neuron shifts between what it accumulates and what it sends",
    "lava.lib.dl.netx.hdf5: state_exp",
    True,
)
CORES = Limit(
    128,
    "neuro cores of a chip",
    "Intel's technology brief on Loihi 2 and arXiv 2601.10035, as quoted; papers: 120 usable",
    False,
)
CORE_NEURONS = Limit(
    8192, "compartments of a core", "Intel's technology brief on Loihi 2, as quoted", False
)
CORE_SYNAPSE_BYTES = Limit(
    128 * 1024,
    "bytes of a core for synapses",
    "Intel's technology brief on Loihi 2, as quoted: up to 128 KB of the 192 KB",
    False,
)
CORE_BYTES = Limit(
    192 * 1024,
    "bytes of a core for everything: synapses, states, axons",
    "Intel's technology brief on Loihi 2, as quoted: the parts share 192 KB",
    False,
)
CORE_INPUT_AXONS = Limit(
    4096,
    "input axons of a core",
    "nengo-loihi, for Loihi 1; for Loihi 2 none is published",
    False,
)
CORE_OUTPUT_AXONS = Limit(
    4096,
    "output axons of a core, one per neuron, channel and core it speaks to",
    "nengo-loihi, for Loihi 1; for Loihi 2 none is published",
    False,
)
WORD_BYTES = Limit(
    4, "bytes of a 24-bit register or of an axon's entry", "an assumption of this library", False
)

LIMITS: dict[str, Limit] = {
    name: value for name, value in list(globals().items()) if isinstance(value, Limit)
}
"""Every limit by its name."""

GAIN_FRACTION = 7
"""Gains (beta, relaxation rates) are multiples of 2^-7: a choice of this library."""
