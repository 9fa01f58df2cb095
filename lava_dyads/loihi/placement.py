"""Where a network would go on Loihi 2: cores, memory, axons, messages, and what does not fit.

=========  ==============================================================================
symbol     meaning
=========  ==============================================================================
n_k        neurons of layer k = 0 .. L; layer 0 is the input and has no core
c_k, m_k   cores of layer k, and neurons of its fullest core: m_k = ceil(n_k / c_k)
l          1 for a network that learns on the chip, 0 for one that only infers
=========  ==============================================================================

Every layer is spread evenly over cores of its own. Its fullest core holds::

    compartments      m_k (1 + l)                               the two of a dyad, or one
    synapses          m_k (n_(k-1) + l n_(k+1))                 W_k, and W_(k+1)^T as synapses of
                                                                their own; n_(L+1) means the loss,
                                                                one synapse per neuron
    synapse bytes     synapses                                  8 bits
    registers         m_k (4 + 3 l)                             sigma, act, residue, bias; or s+,
                                                                s-, both drives, what was sent up
                                                                and down, bias
    traces            l (n_(k-1) + 2 m_k)                       bytes: x1 per input; y1, y2
                      + l (2 n_(k+1) + m_k), k < L              of the feedback: the same, mirrored
    input axons       n_(k-1) + l n_(k+1)                       n_(L+1) = m_L: the loss
    output axons      m_k (c_(k+1) + l c_(k-1) [k > 1])         one per core spoken to; c_(L+1) = 1:
                                                                the processor that reads out
    bytes             synapse bytes + 4 registers + traces + 4 (input + output axons)

c_k is the smallest number at which all of that is within the limits of a core, given the others.
In the worst case every neuron and input speaks once per sample, with l once up and once down, and
the loss once per output.

The rule of learning uses neither the tag nor the delay of a synapse, so they take no room.

The limits are those of ``lava_dyads.rules.arithmetic.limits``. Those of a core are not verified,
and what a register or an axon takes there is an assumption: the table is a budget, and no compiler.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lava_dyads.checks import Count, checked
from lava_dyads.errors import invalid
from lava_dyads.rules.arithmetic.limits import (
    CORE_BYTES,
    CORE_INPUT_AXONS,
    CORE_NEURONS,
    CORE_OUTPUT_AXONS,
    CORE_SYNAPSE_BYTES,
    CORES,
    WORD_BYTES,
    Limit,
)

CORE_LIMITS: dict[str, Limit] = {
    "compartments": CORE_NEURONS,
    "synapse_bytes": CORE_SYNAPSE_BYTES,
    "bytes": CORE_BYTES,
    "input_axons": CORE_INPUT_AXONS,
    "output_axons": CORE_OUTPUT_AXONS,
}
"""What a core is limited in."""

_REGISTERS, _DYAD_REGISTERS = 4, 7


@dataclass(frozen=True)
class Load:
    """What the fullest core of a layer holds.

    Attributes
    ----------
    compartments, synapse_bytes, bytes, input_axons, output_axons : int
        See the equations of the module.
    """

    compartments: int
    synapse_bytes: int
    bytes: int
    input_axons: int
    output_axons: int

    def over(self) -> list[str]:
        """Return the limits it breaks."""
        return [what for what, limit in CORE_LIMITS.items() if getattr(self, what) > limit.value]

    @property
    def fullest(self) -> tuple[str, float]:
        """The limit it comes closest to, and the share of it that is used."""
        shares = {what: getattr(self, what) / limit.value for what, limit in CORE_LIMITS.items()}
        worst = max(shares, key=lambda what: shares[what])
        return worst, shares[worst]


@dataclass(frozen=True)
class Layer:
    """A layer on its cores.

    Attributes
    ----------
    name : str
    neurons, cores : int
    compartments, synapses, synapse_bytes, input_axons, output_axons : int
        Of all its cores together.
    messages : int
        Per sample, in the worst case.
    load : Load
        Of its fullest core.
    """

    name: str
    neurons: int
    cores: int
    compartments: int
    synapses: int
    synapse_bytes: int
    input_axons: int
    output_axons: int
    messages: int
    load: Load


@dataclass(frozen=True)
class Violation:
    """A limit that is not kept.

    Attributes
    ----------
    where, what : str
    value, limit : int
    """

    where: str
    what: str
    value: int
    limit: int

    def __str__(self) -> str:
        share = 100 * self.value / self.limit
        return f"{self.where}: {self.what} {self.value:,} of {self.limit:,} ({share:.1f} %)"


@dataclass(frozen=True)
class Placement:
    """A network on chips.

    Attributes
    ----------
    layers : tuple of Layer
        From the first above the input; layer 0 sends ``input_messages``.
    input_messages, loss_messages : int
        Per sample, from the processors beside the cores, in the worst case.
    learning : bool
    chips, chip_cores : int
        What there is.
    violations : tuple of Violation
    """

    layers: tuple[Layer, ...]
    input_messages: int
    loss_messages: int
    learning: bool
    chips: int
    chip_cores: int
    violations: tuple[Violation, ...]

    @property
    def fits(self) -> bool:
        """Whether every limit is kept."""
        return not self.violations

    @property
    def cores(self) -> int:
        """Cores of all layers."""
        return self.total("cores")

    @property
    def chips_needed(self) -> int | None:
        """Chips on which there are cores enough; None where a layer breaks a limit of a core."""
        if any(v.what != "cores" for v in self.violations):
            return None
        return math.ceil(self.cores / self.chip_cores)

    @property
    def cores_per_chip(self) -> tuple[int, ...]:
        """Cores that are used on every chip, filled one after the other, more chips if needed."""
        whole, rest = divmod(self.cores, self.chip_cores)
        used = [self.chip_cores] * whole + [rest] * (rest > 0)
        return tuple(used + [0] * (self.chips - len(used)))

    @property
    def shares(self) -> dict[str, float]:
        """Share of what the chips hold that is used, by what it is."""
        there = self.chips * self.chip_cores
        used = {
            "compartments": CORE_NEURONS,
            "synapse_bytes": CORE_SYNAPSE_BYTES,
            "input_axons": CORE_INPUT_AXONS,
            "output_axons": CORE_OUTPUT_AXONS,
        }
        shares = {name: self.total(name) / (there * limit.value) for name, limit in used.items()}
        return {"cores": self.cores / there, **shares}

    @property
    def messages(self) -> int:
        """Messages per sample in the worst case, inputs included."""
        return self.input_messages + self.loss_messages + self.total("messages")

    def total(self, name: str) -> int:
        """Return the sum of a number over the layers."""
        return sum(getattr(layer, name) for layer in self.layers)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, limits and their sources included."""
        limits = {**CORE_LIMITS, "cores": CORES, "register_bytes": WORD_BYTES}
        names = ("neurons", "cores", "compartments", "synapses", "synapse_bytes")
        return {
            "fits": self.fits,
            "learning": self.learning,
            "chips": self.chips,
            "chip_cores": self.chip_cores,
            "chips_needed": self.chips_needed,
            "cores_per_chip": list(self.cores_per_chip),
            "utilisation": self.shares,
            **{name: self.total(name) for name in (*names, "input_axons", "output_axons")},
            "worst_messages_per_sample": self.messages,
            "layers": [asdict(layer) for layer in self.layers],
            "violations": [{**asdict(v), "text": str(v)} for v in self.violations],
            "limits": {name: asdict(limit) for name, limit in limits.items()},
        }


@checked
def place(
    sizes: Sequence[int],
    *,
    learning: bool = False,
    chips: Count = 1,
    chip_cores: Count = CORES.value,
) -> Placement:
    """Spread a network over cores.

    Parameters
    ----------
    sizes : sequence of int
        n_0 .. n_L.
    learning : bool
        Whether it learns on the chip.
    chips, chip_cores : int
        Chips there are, and cores of each.

    Raises
    ------
    ValidationError
        If a number is below 1.

    Examples
    --------
    >>> [layer.cores for layer in place((784, 512, 512, 10)).layers]
    [4, 2, 1]
    """
    sizes = tuple(sizes)
    if len(sizes) < 2 or min(sizes) < 1:
        invalid("layers", "needs two or more sizes of at least 1", sizes, "784,512,10")
    cores = _cores(sizes, learning, set())
    if any("output_axons" in layer.load.over() for layer in _layers(sizes, cores, learning)):
        # Neighbours drove each other up in vain: more cores of one are more axons of the other.
        cores = _cores(sizes, learning, {"output_axons"})
    layers = _layers(sizes, cores, learning)
    violations = [
        Violation(layer.name, f"{what.replace('_', ' ')} of a core", getattr(layer.load, what),
                  CORE_LIMITS[what].value)
        for layer in layers
        for what in layer.load.over()
    ]  # fmt: skip
    total = sum(cores[1:])
    if total > chips * chip_cores:
        where = "chip" if chips == 1 else f"{chips} chips"
        violations.append(Violation(where, "cores", total, chips * chip_cores))
    loss = sizes[-1] if learning else 0
    return Placement(layers, sizes[0], loss, learning, chips, chip_cores, tuple(violations))


def _cores(sizes: Sequence[int], learning: bool, ignored: set[str]) -> list[int]:
    """Return the cores of every layer; layer 0, which has none, counts as 1."""
    cores = [1] * len(sizes)
    moved = True
    while moved:  # ends: it only ever adds cores, at most one per neuron
        moved = False
        for k in range(1, len(sizes)):
            least = math.ceil(sizes[k] / _most(sizes, cores, k, learning, ignored))
            moved |= least > cores[k]
            cores[k] = max(cores[k], least)
    return cores


def _most(
    sizes: Sequence[int], cores: Sequence[int], k: int, learning: bool, ignored: set[str]
) -> int:
    """Return the largest number of neurons on a core that keeps what can be kept."""
    hopeless = ignored | set(_load(sizes, cores, k, 1, learning).over())

    def fits(m: int) -> bool:
        return not set(_load(sizes, cores, k, m, learning).over()) - hopeless

    low, high = 1, sizes[k]
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _load(sizes: Sequence[int], cores: Sequence[int], k: int, m: int, learning: bool) -> Load:
    """Return the resources that m neurons of layer k need on a core."""
    last = k == len(sizes) - 1
    above = (m if last else sizes[k + 1]) if learning else 0
    synapses = m * (sizes[k - 1] + (1 if last and learning else above))
    registers = m * (_DYAD_REGISTERS if learning else _REGISTERS)
    traces = 0
    if learning:
        traces = sizes[k - 1] + 2 * m + (0 if last else 2 * above + m)
    inputs = sizes[k - 1] + above
    outputs = m * (1 if last else cores[k + 1])
    if learning and k > 1:
        outputs += m * cores[k - 1]
    memory = synapses + traces + WORD_BYTES.value * (registers + inputs + outputs)
    return Load(m * (2 if learning else 1), synapses, memory, inputs, outputs)


def _layers(sizes: Sequence[int], cores: Sequence[int], learning: bool) -> tuple[Layer, ...]:
    return tuple(_layer(sizes, cores, k, learning) for k in range(1, len(sizes)))


def _layer(sizes: Sequence[int], cores: Sequence[int], k: int, learning: bool) -> Layer:
    n, c = sizes[k], cores[k]
    small, larger = divmod(n, c)  # `larger` cores have one neuron more
    parts = [(larger, small + 1), (c - larger, small)]
    loads = [(count, _load(sizes, cores, k, m, learning)) for count, m in parts if count]

    def total(name: str) -> int:
        return sum(count * getattr(load, name) for count, load in loads)

    return Layer(
        f"layer {k}",
        n,
        c,
        total("compartments"),
        total("synapse_bytes"),  # a byte each
        total("synapse_bytes"),
        total("input_axons"),
        total("output_axons"),
        n * (2 if learning else 1),
        loads[0][1],
    )
