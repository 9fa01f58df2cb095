"""A trained network as sigma-delta neurons: the integers that are exported and run on a chip.

=========  ==============================================================================
symbol     meaning
=========  ==============================================================================
W_k, b_k   weights (n_k, n_(k-1)) and biases of layer k = 1..L, real numbers
e_k        a weight is stored as round(W_k 2^e_k), 8 bits
F_k        a message of layer k stands for 2^-F_k; F_0 is that of the input
A_k        what the messages of a sample add up to, W_k s_(k-1)
=========  ==============================================================================

A sigma-delta neuron of Lava (``lava.proc.sdn``, as lava-dl builds it) always shifts by 6 bits
between what it accumulates and what it sends. So the units of the messages follow from the weights
and are not free::

    F_k = F_(k-1) + e_k - 6

That is no loss for relu and linear layers: they are positively homogeneous, so scaling layer k by
2^(F_k - F_0) changes nothing but the unit. The scaled network has e = 6 and F = F_0 everywhere,
and is one that :class:`~lava_dyads.rules.arithmetic.Loihi2` runs as it is. In integers::

    m_k = max(0, round(A_k, 6) + b_k)         round(v, 6) = (v + 32) >> 6
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np

from lava_dyads.array_types import Array, IntArray
from lava_dyads.checks import Natural, checked, real_array
from lava_dyads.errors import FixedPointError, UnsupportedError, invalid
from lava_dyads.executors.backprop import forward
from lava_dyads.executors.step import Network
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import check_chain
from lava_dyads.rules.activations import activation
from lava_dyads.rules.arithmetic import Loihi2
from lava_dyads.rules.arithmetic.limits import SDN_SHIFT, STATE
from lava_dyads.rules.arithmetic.loihi2 import fitting_exponent

MOST_EXPONENT, MOST_FRACTION, INPUT_BITS = 12, 14, 8
"""Weights and inputs get no more fractional bits than these; below 8 of an input, accuracy pays."""


@dataclass(frozen=True)
class SigmaDelta:
    """A network in the integers of sigma-delta neurons.

    Attributes
    ----------
    spec : NetworkSpec
        Of the inference network: the layers and activations of the trained one.
    numbers : Loihi2
        Its number system: e = 6 in every layer, F = F_0.
    weights, biases : lists of int arrays (n_k, n_(k-1)), (n_k,)
        In units of 2^-e_k and 2^-F_k.
    exponents : tuple of int
        e_k.
    """

    spec: NetworkSpec
    numbers: Loihi2
    weights: list[Array]
    biases: list[Array]
    exponents: tuple[int, ...]

    @property
    def fractions(self) -> tuple[int, ...]:
        """F_0 .. F_L."""
        steps = (e - SDN_SHIFT.value for e in self.exponents)
        return tuple(accumulate(steps, initial=self.numbers.fraction))

    @cached_property
    def parameters(self) -> tuple[list[Array], list[Array]]:
        """Weights and biases of the scaled network, as real numbers: ``spec.build`` takes them."""
        weights = [w * 2.0**-SDN_SHIFT.value for w in self.weights]
        return weights, [b * 2.0**-self.numbers.fraction for b in self.biases]

    def encoded(self, x: Array) -> IntArray:
        """Return inputs (samples, n_0) as the first layer gets them, round(x 2^F_0)."""
        return self.numbers.number(x, "x").astype(np.int64)

    def outputs(self, x: Array) -> IntArray:
        """Return the outputs (samples, n_L) of this library's engine, in units of 2^-F_L.

        Raises
        ------
        FixedPointError
            If a sum does not fit into 24 bits.
        """
        network = self.spec.build(lanes=len(x), arithmetic=self.numbers, parameters=self.parameters)
        assert isinstance(network, Network)
        network.settle(np.asarray(x, float), None)
        last = list(network.populations.values())[-1]
        return np.asarray(last.memory[f"sent_{last.unit.up}"])

    def predictions(self, x: Array) -> IntArray:
        """Return the class of every sample, the largest output."""
        return np.asarray(self.outputs(x).argmax(axis=1))


@checked
def inference_spec(spec: NetworkSpec) -> NetworkSpec:
    """Return the forward network of a specification: same layers and activations.

    A graph may be written down as long as it is a chain of dense layers.

    Raises
    ------
    ValidationError
        If an activation has no place on the chip.
    UnsupportedError
        If the network is made of spikes, or is no chain of dense layers: its sizes are not all
        that there is to know.
    """
    if spec.rule.spiking:
        raise UnsupportedError(
            "rule spiking: its outputs are counts of spikes over a window, which a sigma-delta "
            "network does not compute. Try: a network trained with --rule dp-transpose"
        )
    check_chain(spec.vertices, "a sigma-delta network")
    numbers = Loihi2()
    for name in spec.activations:
        numbers.check(activation(name))
    return NetworkSpec(spec.layers, spec.activations, loss=spec.loss, seed=spec.seed)


@checked
def sigma_delta(
    spec: NetworkSpec, weights: list[Array], biases: list[Array], x: Array, *, headroom: Natural = 1
) -> SigmaDelta:
    """Return the integers in which a trained network fits on this data, and a bit to spare.

    In order::

        e_k = the largest e with |round(w 2^e)| <= 127 for all weights of layer k
        F_0 = 14
        a_k = max |A_k|, |A_k + b_k| over samples and neurons
        for k = 1 .. L, until a_k 2^(F_(k-1) + e_k) <= 2^(23 - headroom):
            F_0 <- F_0 - 1 while F_0 > 8, then 1 less for whichever of F_0, e_1 .. e_k has
            lost least so far (the first of several)

    The output has one bit more to spare, for the offset that :mod:`lava_dyads.loihi.netx` adds.

    Parameters
    ----------
    spec : NetworkSpec
    weights, biases : lists of arrays (n_out, n_in), (n,)
        Of the trained network.
    x : array (samples, n_0)
        Representative inputs.
    headroom : int
        Bits kept free in the accumulators, >= 0.

    Raises
    ------
    ValidationError
        If a part of the network has no place on the chip or there is no data.
    FixedPointError
        If weights do not fit into 8 bits, or nothing would be left of inputs or weights.
    """
    spec = inference_spec(spec)
    spec.check_parameters(weights, biases)
    x = real_array(x, "sigma_delta.x", 2)
    if not len(x) or x.shape[1] != spec.layers[0]:
        limit = f"needs at least 1 row of x, of {spec.layers[0]} numbers"
        invalid("sigma_delta.x", limit, x.shape, "samples of the training part")
    most = [_fitting(w, k) for k, w in enumerate(weights, 1)]
    hidden = [activation(name) for name in spec.activations]
    with np.errstate(over="ignore", invalid="ignore"):
        drives, _ = forward(x, weights, biases, hidden)
    if not all(np.isfinite(a).all() for a in drives):
        raise FixedPointError("sums leave the range of floating point. Try: smaller biases")
    room = [STATE.value - 1 - headroom] * len(weights)
    room[-1] -= 1
    largest = [
        math.ceil(math.log2(max(np.abs(a).max(), np.abs(a - b).max(), 2.0**-STATE.value)))
        for a, b in zip(drives, biases, strict=True)
    ]
    fractions = _shared_out(most, [r - a for r, a in zip(room, largest, strict=True)])
    start, exponents = fractions[0], tuple(fractions[1:])
    numbers = Loihi2(start, (SDN_SHIFT.value,))
    made = SigmaDelta(spec, numbers, [], [], exponents)
    for k, (w, b, e, f) in enumerate(
        zip(weights, biases, exponents, made.fractions[1:], strict=True), 1
    ):
        scaled = w * 2.0 ** (e - SDN_SHIFT.value), b * 2.0 ** (f - start)
        made.weights.append(numbers.weights(scaled[0], f"layer {k} weights"))
        made.biases.append(numbers.number(scaled[1], f"layer {k} bias"))
    return made


def _fitting(weights: Array, layer: int) -> int:
    try:
        return fitting_exponent(weights, MOST_EXPONENT)
    except FixedPointError as error:
        raise FixedPointError(f"layer {layer} {error}") from None


def _shared_out(most: list[int], room: list[int]) -> list[int]:
    """Return F_0, e_1 .. e_L, with F_0 + e_1 + .. + e_k - 6 (k - 1) <= room[k] for all k."""
    bits = [MOST_FRACTION, *most]
    full = [INPUT_BITS, *most]
    for k in range(1, len(bits)):
        while sum(bits[: k + 1]) - SDN_SHIFT.value * (k - 1) > room[k - 1]:
            lost = [f - b for f, b in zip(full, bits[: k + 1], strict=False)]
            bits[lost.index(min(lost))] -= 1
            if bits[0] < 1 or min(bits[1:]) < 0:
                raise FixedPointError(
                    f"layer {k}: its sums leave no bits to inputs or weights. Try: smaller "
                    "weights, inputs of about 0 .. 1, or less headroom"
                )
    return bits
