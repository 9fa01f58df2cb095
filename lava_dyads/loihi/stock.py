"""A dyad network of stock Lava Processes: their neurons, their synapses, their learning engine.

At alpha 1 a dyad is two graded neurons and their difference. In order, layer k of L, everything an
integer and every neuron a level that is sent in every step, so that nothing is held or reset::

    p_0 = 2^P x                                                        RingBuffer
    a_k = floor(sum (2 w) p_(k-1) / 2^(e + 1 + P - F)) + the same of b  LearningDense
    s+_k = max(a_k, 0)              last layer: a_L                    GradedReluVec, GradedVec
    p_k = floor(s+_k / 2^(F - P))                                      Sparse, GradedReluVec
    d_L = beta (y - s+_L)                                              Sparse, GradedVec
    u_k = floor(sum (2 v) d_(k+1) / 2^(e + 1))                         Dense
    s-_k = max(a_k - u_k, 0)                                           GradedReluVec
    d_k = s+_k - s-_k                                                  Sparse, GradedVec
    y1_k = max(floor(d_k / 2^(F - G)), 0)                              Sparse, GradedReluVec
    y2_k = max(floor(-d_k / 2^(F - G)), 0)                             Sparse, GradedReluVec
    every 4 L steps:  w <- w + m 2^-r x1 (y1 - y2)                     LearningDense

=========  =====================================================================
symbol     meaning
=========  =====================================================================
F, P, G    fractional bits of states, of payloads (8 bits) and of y1, y2 (7 bits)
e_k        weights are round(w 2^e), 8 bits; Lava stores 2 w where signs are mixed
v_k        feedback weights of layer k, shape (n_k, n_(k+1)): W^T or random
x1         half a payload, rounded: what the engine keeps of the neuron below
=========  =====================================================================

Source: TT (Hoier, Zach, ICML 2024), with alpha 1 and the squared error.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any

from lava_dyads.lava_compat import require_lava

require_lava(__name__)

import numpy as np
from lava.magma.core.learning.constants import GradedSpikeCfg
from lava.magma.core.learning.learning_rule import Loihi3FLearningRule
from lava.proc.dense.process import Dense, LearningDense
from lava.proc.graded.process import GradedReluVec, GradedVec
from lava.proc.io import sink, source
from lava.proc.sparse.process import Sparse
from lava.utils.weightutils import SignMode
from scipy.sparse import csr_matrix

from lava_dyads.array_types import Array, IntArray
from lava_dyads.errors import invalid
from lava_dyads.loihi.engine import rule_text
from lava_dyads.rules.arithmetic.limits import STATE, TRACE, WEIGHT
from lava_dyads.rules.arithmetic.loihi2 import check_width
from lava_dyads.runtime import DyadRunConfig, InProcessSession

FEEDBACK = ("mirrored", "random")
"""What carries errors down: W^T, copied by the host after every sample, or random weights."""

PAYLOAD_BITS = TRACE.value + 1
"""Of what a neuron sends to a synapse that learns: a trace is half of it."""

_GRADED = 24
"""``num_message_bits`` of synapses between graded neurons: any number but 0 means graded."""


@dataclass(frozen=True)
class StockNumbers:
    """Widths of a network of stock Processes.

    Parameters
    ----------
    fraction : int
        F, fractional bits of states.
    payload : int
        P, fractional bits of what a neuron sends up; a payload has 8 bits.
    error : int
        G, fractional bits of y1 and y2; they have 7 bits.
    weight_exponent : int
        e of all layers.
    mantissa, shift : int
        m and r of the learning rule; see :func:`~lava_dyads.loihi.rule_text`.

    Raises
    ------
    ValidationError
        If a number is out of range, or P > F, G > F, or e + 1 + P < F.
    """

    fraction: int = 10
    payload: int = 5
    error: int = 7
    weight_exponent: int = 6
    mantissa: int = 1
    shift: int = 11

    def __post_init__(self) -> None:
        for name, least, most in (
            ("fraction", 1, 16),
            ("payload", 1, self.fraction),
            ("error", 1, self.fraction),
            ("weight_exponent", max(0, self.fraction - self.payload - 1), 15),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                invalid(f"StockNumbers.{name}", f"must lie in {least} .. {most}", value)
        rule_text(self.mantissa, self.shift)


class StockDyads:
    """A network of stock Lava Processes that settles and, on request, learns; batch 1.

    Nothing in it is of this library but the wiring, and the host: it presents the samples and,
    with mirrored feedback, copies W^T. Use it as a context.

    Parameters
    ----------
    weights, biases : lists of arrays (n_out, n_in), (n_out,)
    numbers : StockNumbers or None
    beta : float
        A power of two, at most 1.
    learn : bool
        Whether the synapses are ``LearningDense``; else they are ``Dense``.
    feedback : str
        See :data:`FEEDBACK`.
    seed : int
        Of random feedback weights.
    strict : bool
        Raise where a settled neuron has left its width.

    Raises
    ------
    ValidationError
        If beta is no power of two or a choice is unknown.
    FixedPointError
        If a weight or bias does not fit into 8 bits.
    """

    def __init__(
        self,
        weights: list[Array],
        biases: list[Array],
        numbers: StockNumbers | None = None,
        *,
        beta: float = 1.0,
        learn: bool = True,
        feedback: str = "mirrored",
        seed: int = 0,
        strict: bool = True,
    ) -> None:
        self.numbers = numbers = numbers or StockNumbers()
        self._beta_shift = round(-np.log2(beta)) if beta > 0 else -1
        if not 0 <= self._beta_shift <= 15 or 2.0**-self._beta_shift != beta:
            invalid("StockDyads.beta", "must be 2^-n, n = 0 .. 15", beta, "1 or 0.5")
        if feedback not in FEEDBACK:
            invalid("StockDyads.feedback", "unknown choice", feedback, " or ".join(FEEDBACK))
        self.feedback, self.learn, self.strict = feedback, learn, strict
        self.depth = len(weights)
        self.steps = 4 * self.depth
        """Steps until a sample has settled, the last one included, in which it is learned."""
        self._up = [self._synapses(w, f"weights_{k}") for k, w in enumerate(weights, 1)]
        self._bias = [self._synapses(b[:, None], f"biases_{k}") for k, b in enumerate(biases, 1)]
        self._down = self._feedback(weights, np.random.default_rng(seed))
        self._wire([w.shape[1] for w in weights] + [len(weights[-1])])
        self._session = InProcessSession(self._input, DyadRunConfig(select_tag="fixed_pt"))

    def __enter__(self) -> StockDyads:
        """Start the Processes."""
        self._session.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the Processes."""
        self._session.__exit__(kind, error, trace)

    def present(self, x: Array, y: Array | None = None) -> Array:
        """Show one sample until it has settled; learn from it where the network learns.

        Parameters
        ----------
        x : array, shape (n_in,)
            0 .. 127 / 2^(P - 1).
        y : array, shape (n_out,), or None
            Target. None: what a network that does not learn needs.

        Returns
        -------
        array, shape (n_out,)
            s+ of the last layer.

        Raises
        ------
        ValidationError
            If an input does not fit into a payload, or a learning network has no target.
        FixedPointError
            In strict mode, if a payload does not fit into 8 bits or a state into 24.
        """
        numbers = self.numbers
        payload = np.rint(np.asarray(x) * 2.0**numbers.payload).astype(int)
        most = 2 * (2**TRACE.value - 1)
        if payload.min() < 0 or payload.max() > most:
            worst = np.asarray(x)[np.argmax(np.abs(payload - most / 2))]
            limit = f"must lie in 0 .. {most / 2**numbers.payload:g}"
            invalid("StockDyads.present.x", limit, worst, "a smaller StockNumbers.payload")
        if y is None and self.learn:
            invalid("StockDyads.present.y", "a network that learns needs a target", y)
        self._input.data.set(payload[:, None])
        target = np.zeros(self._target.data.shape) if y is None else np.asarray(y)[:, None]
        self._target.data.set(np.rint(target * 2.0**numbers.fraction).astype(int))
        self._session.run(self.steps)
        if self.strict:
            self._check()
        if self.learn and self.feedback == "mirrored":
            for up, down in zip(self._up[1:], self._down, strict=True):
                down.weights.set(-np.array(up.weights.get()).T)
        return np.array(self._output.data.get())[:, 0] * 2.0**-numbers.fraction

    def _check(self) -> None:
        """Raise where a neuron has left its width: stock neurons neither saturate nor tell."""
        for name, level in self.levels().items():
            # p is unsigned, so it has a bit more than a signed number of as many bits.
            bits = PAYLOAD_BITS + 1 if name.startswith("p_") else STATE.value
            check_width(name, np.asarray(level, np.int32), bits)

    def parameters(self) -> tuple[list[Array], list[Array]]:
        """Return weights and biases, in multiples of 2^-(e + 1)."""
        unit = 2.0 ** -(self.numbers.weight_exponent + 1)
        weights: list[Array] = [np.array(p.weights.get()) * unit for p in self._up]
        return weights, [np.array(p.weights.get())[:, 0] * unit for p in self._bias]

    def levels(self) -> dict[str, IntArray]:
        """Return the last message of every neuron, by the names of the equations (``s+_1``, ..)."""
        made = {
            name: np.array(probe.data.get())[:, 0].astype(int)
            for name, probe in self._probes.items()
        }
        return made

    def census(self) -> dict[str, int]:
        """Return the number of neurons or synapses of each class of Process."""
        made: dict[str, int] = {}
        for part in self._parts:
            synapses = getattr(part, "weights", None)
            if synapses is None:
                size = part.shape[0]
            else:
                size = getattr(synapses.init, "nnz", synapses.init.size)
            made[type(part).__name__] = made.get(type(part).__name__, 0) + int(size)
        return made

    # ---- how it is put together

    def _synapses(self, value: Array, what: str) -> Any:
        numbers = self.numbers
        stored = np.rint(np.asarray(value, float) * 2.0**numbers.weight_exponent)
        check_width(what, stored, WEIGHT.value, whole=False)
        options: dict[str, Any] = {
            "weights": 2 * stored.astype(int),
            "weight_exp": numbers.fraction - numbers.payload - numbers.weight_exponent - 1,
            "num_message_bits": PAYLOAD_BITS,
            "sign_mode": SignMode.MIXED,
            "name": what,
        }
        if not self.learn:
            return Dense(**options)
        rule = Loihi3FLearningRule(
            dw=rule_text(numbers.mantissa, numbers.shift),
            x1_impulse=0,
            x1_tau=2**30,  # a trace that does not decay; 0 would switch it off
            t_epoch=self.steps,
            rng_seed=1,
        )
        cfg = GradedSpikeCfg.OVERWRITE
        return LearningDense(**options, learning_rule=rule, graded_spike_cfg=cfg)

    def _feedback(self, weights: list[Array], generator: np.random.Generator) -> list[Any]:
        """Return the synapses of -v: what arrives is subtracted."""
        made = []
        for k, w in enumerate(weights[1:], 1):
            v = np.array(self._up[k].weights.init).T
            if self.feedback == "random":
                drawn = generator.normal(0.0, np.asarray(w).std(), w.T.shape)
                limit = 2 ** (WEIGHT.value - 1) - 1
                exponent = 2.0**self.numbers.weight_exponent
                v = 2 * np.clip(np.rint(drawn * exponent), -limit, limit).astype(int)
            made.append(
                Dense(
                    weights=-v,
                    weight_exp=-(self.numbers.weight_exponent + 1),
                    num_message_bits=_GRADED,
                    sign_mode=SignMode.MIXED,
                    name=f"feedback_{k}",
                )
            )
        return made

    def _wire(self, sizes: list[int]) -> None:
        f, p, g = self.numbers.fraction, self.numbers.payload, self.numbers.error
        self._parts: list[Any] = [*self._up, *self._bias, *self._down]
        self._probes: dict[str, Any] = {}
        self._input = source.RingBuffer(data=np.zeros((sizes[0], 1), int))
        self._target = source.RingBuffer(data=np.zeros((sizes[-1], 1), int))
        one = source.RingBuffer(data=np.full((1, 1), 2**p))
        below = self._input.s_out
        differences = []
        minus = []
        for k, (up, bias) in enumerate(zip(self._up, self._bias, strict=True), 1):
            n, last = sizes[k], k == self.depth
            below.connect(up.s_in)
            one.s_out.connect(bias.s_in)
            plus = self._neurons(GradedVec if last else GradedReluVec, n, f"s+_{k}")
            difference = self._neurons(GradedVec, n, f"d_{k}")
            for drive in (up, bias):
                drive.a_out.connect(plus.a_in)
            if last:
                self._pass(plus.s_out, difference.a_in, -1, -self._beta_shift)
                self._pass(self._target.s_out, difference.a_in, 1, -self._beta_shift)
            else:
                other = self._neurons(GradedReluVec, n, f"s-_{k}")
                for drive in (up, bias):
                    drive.a_out.connect(other.a_in)
                self._pass(plus.s_out, difference.a_in, 1, 0)
                self._pass(other.s_out, difference.a_in, -1, 0)
                minus.append(other)
                payload = self._neurons(GradedReluVec, n, f"p_{k}")
                self._pass(plus.s_out, payload.a_in, 1, p - f)
                below = payload.s_out
            differences.append(difference)
            if self.learn:
                for sign, name in ((1, "y1"), (-1, "y2")):
                    trace = self._neurons(GradedReluVec, n, f"{name}_{k}")
                    self._pass(difference.s_out, trace.a_in, sign, g - f)
                    for synapses in (up, bias):
                        trace.s_out.connect(getattr(synapses, f"s_in_{name}"))
            if last:
                self._output = self._probes[f"s+_{k}"]
        for down, difference, other in zip(self._down, differences[1:], minus, strict=True):
            difference.s_out.connect(down.s_in)
            down.a_out.connect(other.a_in)

    def _neurons(self, kind: type, n: int, name: str) -> Any:
        made = kind(shape=(n,), vth=0)
        self._parts.append(made)
        probe = sink.RingBuffer(shape=(n,), buffer=1)
        made.s_out.connect(probe.a_in)
        self._probes[name] = probe
        return made

    def _pass(self, origin: Any, target: Any, sign: int, exponent: int) -> None:
        """Connect one to one: floor(sign value 2^exponent), a step later."""
        ones = csr_matrix(sign * np.eye(origin.shape[0], dtype=np.int32))
        synapses = Sparse(weights=ones, weight_exp=exponent, num_message_bits=_GRADED)
        origin.connect(synapses.s_in)
        synapses.a_out.connect(target)
        self._parts.append(synapses)
