"""What a network is, checked when it is written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np

from lava_dyads.errors import invalid, nearest
from lava_dyads.networks.support import BACKPROP
from lava_dyads.rules._types import AnyArray, Array
from lava_dyads.rules.activations import ACTIVATIONS, activation
from lava_dyads.rules.arithmetic import Arithmetic, Float, Loihi2
from lava_dyads.rules.backprop import BackpropNetwork
from lava_dyads.rules.chain import Timing, chain, default_repeats
from lava_dyads.rules.coding import check_threshold
from lava_dyads.rules.engine import Network
from lava_dyads.rules.feedback import TIED, feedback
from lava_dyads.rules.losses import loss
from lava_dyads.rules.ops import Dense, Op, Sparse
from lava_dyads.rules.optimisers import Optimiser
from lava_dyads.rules.units import RULES, Rule, RuleParameters, rule


@dataclass(frozen=True)
class NetworkSpec:
    """A feedforward network of dyads, checked at construction.

    Layers k = 1..L: a_k = W_k mean_{k-1} + b_k, mean_0 the input, output linear.

    Parameters
    ----------
    layers : tuple of int
        Sizes n_0 .. n_L, input and output included.
    activations : str or tuple of str
        Of the hidden layers: one for all, or one each.
    loss : str
        ``squared-error`` or ``cross-entropy``; empty: the rule's own default.
    rule : str
        ``dp-transpose``, ``dp``, ``activation-relaxation``, ``spiking``, or ``backprop`` (the
        baseline).
    alpha : float
        Share of the plus compartment in the mean, in [0, 1], dimensionless; by default 1, for
        ``spiking`` 1/2.
    beta : float
        Nudge strength per sample, > 0, dimensionless; by default 0.1, for ``spiking`` 1.
    nudge : str
        Output nudge, ``linearised`` or ``proximal``; empty: the rule's own default.
    rate : float
        Relaxation rate of rules that relax, in (0, 1].
    threshold : float
        Send-on-change threshold theta >= 0 of the mean.
    error_threshold : float or None
        Of the difference, in units of beta; None: theta.
    anneal : float
        Time constant, in steps, with which theta falls; 0: it stays.
    repeats : int or None
        Round trips after the first sweep; None: 20 time constants where the threshold is
        annealed, 0 where one sweep is exact, else 8.
    window : int
        Steps T over which a spiking network counts, >= 1.
    scale : float
        Spikes c per step and unit of activity, > 0; c times every activity has to stay below 1.
    hysteresis : int
        Spikes by which N+ - N- moves before a spiking dyad reports it downward, >= 1.
    gain : float or None
        Initial weights are normal with deviation gain / sqrt(n_in); None: sqrt(2) for relu and
        hard-sigmoid, 1 else.
    bias_deviation : float
        Deviation of the initial biases.
    compartment_noise : float
        Standard deviation of the analog noise that each update adds to each compartment, in
        units of the activity.
    feedback : str
        Feedback weights: ``tied``, ``random`` or ``kolen_pollack``, see ``rules.feedback``.
    density : float or tuple of float
        Share of the neurons below, in (0, 1], that a neuron has a synapse from: one for all
        layers, or one each. Which ones is drawn, as many for every neuron of a layer; feedback
        has the same synapses.
    seed : int
        Of the initial weights, biases and feedback weights, the synapses, and of the noise.

    Raises
    ------
    ValidationError
        With one line: what, the limit, the value received, what to try.

    Examples
    --------
    >>> spec = NetworkSpec((64, 128, 10))
    >>> spec.parameter_count, spec.timing.steps
    (9610, 6)
    """

    layers: tuple[int, ...]
    activations: str | tuple[str, ...] = "relu"
    loss: str = ""
    rule: str = "dp-transpose"
    alpha: float = None  # type: ignore[assignment] # the rule's own, set below
    beta: float = None  # type: ignore[assignment]
    nudge: str = ""
    rate: float = 1.0
    threshold: float = 0.0
    error_threshold: float | None = None
    anneal: float = 0.0
    repeats: int | None = None
    window: int = 32
    scale: float = 0.375
    hysteresis: int = 1
    gain: float | None = None
    bias_deviation: float = 0.0
    compartment_noise: float = 0.0
    feedback: str = TIED.name
    density: float | tuple[float, ...] = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        self._check_layers()
        known = (*RULES, BACKPROP)
        if self.rule not in known:
            invalid("rule", "unknown name", self.rule, nearest(self.rule, known))
        self._complete(RULES.get(self.rule, Rule))
        self._check_numbers()
        self._check_density()
        loss(self.loss)
        if feedback(self.feedback).separate and self.rule == BACKPROP:
            limit = "backprop is the baseline with W^T, by definition"
            invalid("feedback", limit, self.feedback, "tied, or --rule dp-transpose")
        if self.rule != BACKPROP:
            self._check_rule()

    def _complete(self, chosen: Rule | type[Rule]) -> None:
        """Fill in what was left to the rule."""
        own = {"alpha": chosen.defaults.alpha, "beta": chosen.defaults.beta}
        for name, value in {**own, "loss": chosen.losses[0]}.items():
            if getattr(self, name) in (None, ""):
                object.__setattr__(self, name, value)

    def _check_layers(self) -> None:
        sizes = tuple(self.layers)
        whole = all(isinstance(n, int | np.integer) and n >= 1 for n in sizes)
        if len(sizes) < 2 or not whole:
            invalid("layers", "needs two or more sizes of at least 1", self.layers, "(64, 128, 10)")
        object.__setattr__(self, "layers", tuple(int(n) for n in sizes))
        hidden = len(sizes) - 2
        names = self.activations
        names = (names,) * hidden if isinstance(names, str) else tuple(names)
        if len(names) != hidden:
            invalid("activations", f"needs one per hidden layer, {hidden}", names)
        for name in names or (self.activations,):
            if isinstance(name, str):
                activation(name)
        object.__setattr__(self, "activations", names)

    def _check_numbers(self) -> None:
        if not 0 <= self.alpha <= 1:
            invalid("alpha", "must lie in [0, 1]", self.alpha, "0, 0.5 or 1")
        for name in ("beta", "rate"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                invalid(name, "must be positive", value, "0.1")
        if self.rate > 1:
            invalid("rate", "must lie in (0, 1]", self.rate, "1")
        check_threshold("", self.threshold, self.anneal)
        check_threshold("error_", self.error_threshold or 0.0, self.anneal)
        if self.repeats is not None and self.repeats < 0:
            invalid("repeats", "must be at least 0", self.repeats)
        if self.gain is not None and not (np.isfinite(self.gain) and self.gain > 0):
            invalid("gain", "must be positive", self.gain, "1.41")
        for name in ("bias_deviation", "compartment_noise"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                invalid(name, "must be at least 0", value, "0.05")
        if self.seed < 0:
            invalid("seed", "must be at least 0", self.seed)

    def _check_density(self) -> None:
        given = self.density
        if isinstance(given, list):
            object.__setattr__(self, "density", tuple(given))
        shares = tuple(given) if isinstance(given, tuple | list) else (given,) * self.depth
        if len(shares) != self.depth:
            invalid("density", f"needs one per layer of weights, {self.depth}", given)
        for share in shares:
            if not 0 < share <= 1:
                invalid("density", "must lie in (0, 1]", share, "1 (dense) or 0.1")

    def _check_rule(self) -> None:
        chosen = rule(self.rule)
        if not self.nudge:
            object.__setattr__(self, "nudge", chosen.nudges[0])
        self._check_supported("nudge", (self.nudge,), chosen.nudges)
        self._check_supported("loss", (self.loss,), chosen.losses)
        if chosen.activations:
            self._check_supported("activations", tuple(self.activations), chosen.activations)
        coded = self.threshold or self.error_threshold
        if chosen.spiking and (coded or self.anneal):
            invalid("threshold", "spikes are events already", coded, "hysteresis 2")
        if chosen.spiking and self.compartment_noise:
            what = "compartment_noise"
            invalid(what, "the states of a spiking dyad are counts", self.compartment_noise, "0")
        if self.nudge == "proximal":
            chosen.output(loss(self.loss), self.parameters)  # raises where no point exists

    def _check_supported(
        self, what: str, chosen: tuple[str, ...], supported: tuple[str, ...]
    ) -> None:
        for name in chosen:
            if name not in supported:
                words = " or ".join(supported)
                invalid(what, f"rule {self.rule} supports {words}", name, words)

    @property
    def parameters(self) -> RuleParameters:
        """The numbers the rule depends on."""
        numbers = (self.window, self.scale, self.hysteresis)
        return RuleParameters(self.alpha, self.beta, self.rate, *numbers)

    @property
    def depth(self) -> int:
        """Number of weight matrices, L."""
        return len(self.layers) - 1

    @property
    def parameter_count(self) -> int:
        """Weights and biases."""
        return sum(op.synapses for op in self.ops) + sum(self.layers[1:])

    @property
    def timing(self) -> Timing:
        """Steps that a presentation takes."""
        if self.rule == BACKPROP:
            return Timing(self.depth, head=True)
        repeats = self.repeats
        if repeats is None:
            repeats = default_repeats(rule(self.rule), self.parameters, self.depth, self.anneal)
        window = self.window if rule(self.rule).spiking else 0
        return Timing(self.depth, self.nudge == "linearised", repeats, window)

    def initial_parameters(self) -> tuple[list[Array], list[Array]]:
        """Return the initial weights and biases; the same for every rule, backprop included."""
        generator = np.random.default_rng(self.seed)
        weights: list[Array] = []
        biases: list[Array] = []
        for k in range(1, self.depth + 1):
            weights.append(self._random_weights(k, generator))
            biases.append(generator.normal(size=self.layers[k]) * self.bias_deviation)
        return weights, biases

    def _random_weights(self, k: int, generator: np.random.Generator) -> Array:
        """Return weights of layer k, from 1."""
        name = self.activations[k - 1] if k < self.depth else self._last_gain()
        gain = self.gain if self.gain is not None else ACTIVATIONS[name].gain
        below, above = self.layers[k - 1 : k + 1]
        drawn = np.asarray(generator.normal(size=(above, below)) * gain)
        mask = self._mask(k)
        if mask is None:
            return np.asarray(drawn / np.sqrt(below))
        return np.asarray(drawn * mask / np.sqrt(np.count_nonzero(mask[0])))

    @property
    def ops(self) -> list[Op]:
        """Kind of every connection: dense, or sparse with its synapses."""
        made: list[Op] = []
        for k, (below, above) in enumerate(pairwise(self.layers), 1):
            mask = self._mask(k)
            made.append(Dense(above, below) if mask is None else Sparse(above, below, mask))
        return made

    def _mask(self, k: int) -> AnyArray | None:
        share = self.density[k - 1] if isinstance(self.density, tuple) else self.density
        below, above = self.layers[k - 1 : k + 1]
        fan_in = max(1, round(share * below))
        if fan_in == below:
            return None
        order = np.random.default_rng([self.seed, 0x5EED, k]).random((above, below))
        return np.asarray(order.argsort(axis=1).argsort(axis=1) < fan_in)

    def initial_feedback(self) -> list[Array | None]:
        """Return B^T of every layer, drawn like the weights but apart from them; None: tied."""
        if not feedback(self.feedback).separate:
            return [None] * self.depth
        generator = np.random.default_rng([self.seed, 0xFEED])
        return [None, *(self._random_weights(k, generator) for k in range(2, self.depth + 1))]

    def _last_gain(self) -> str:
        """Scale the read-out like the layer below, which is what its input looks like."""
        return self.activations[-1] if self.activations else "linear"

    def build(
        self,
        *,
        lanes: int = 1,
        optimiser: Optimiser | None = None,
        arithmetic: Arithmetic | None = None,
        parameters: tuple[list[Array], list[Array]] | None = None,
        feedback_weights: list[Array | None] | None = None,
    ) -> Network | BackpropNetwork:
        """Build the network's elements.

        Parameters
        ----------
        lanes : int
            Samples side by side.
        optimiser : Optimiser or None
            None: nothing learns.
        arithmetic : Arithmetic or None
            Number system; None: float64.
        parameters : tuple of two lists, or None
            Weights (n_out, n_in) and biases (n,); None: the initial ones.
        feedback_weights : list of arrays (n_out, n_in), or None
            Separate feedback weights (the first stands for nothing); None: the initial ones.

        Raises
        ------
        ValidationError
            If the number system has no place for a part of the network.
        """
        if isinstance(arithmetic, Loihi2):
            check_on_chip(self, arithmetic)
        weights, biases = parameters or self.initial_parameters()
        hidden = [activation(name) for name in self.activations]
        if self.rule == BACKPROP:
            numbers = arithmetic or Float()
            return BackpropNetwork(
                [numbers.weights(w) for w in weights],
                [numbers.number(b) for b in biases],
                activations=hidden,
                loss=loss(self.loss),
                lanes=lanes,
                optimiser=optimiser,
                ops=self.ops,
            )
        return chain(
            weights,
            biases,
            rule=rule(self.rule),
            parameters=self.parameters,
            activations=hidden,
            loss=loss(self.loss),
            nudge=self.nudge,
            lanes=lanes,
            threshold=self.threshold,
            error_threshold=self.error_threshold,
            anneal=self.anneal,
            optimiser=optimiser,
            repeats=self.repeats,
            noise=self.compartment_noise,
            noise_seed=self.seed,
            arithmetic=arithmetic,
            feedback=feedback(self.feedback),
            feedback_weights=feedback_weights or self.initial_feedback(),
            ops=self.ops,
            swept=True,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> NetworkSpec:
        """Return the specification of :meth:`as_dict`.

        Raises
        ------
        ValidationError
            If a field is unknown or a value is out of range.
        """
        known = {f.name for f in fields(cls)}
        for name in values:
            if name not in known:
                invalid("NetworkSpec", "unknown field", name, nearest(name, known))
        if "layers" not in values:
            invalid("NetworkSpec", "needs the field layers", sorted(values))
        made = dict(values)
        for name in ("layers", "activations", "density"):
            if isinstance(made.get(name), list):
                made[name] = tuple(made[name])
        return cls(**made)


def check_on_chip(spec: NetworkSpec, numbers: Loihi2) -> None:
    """Raise where a network has a part without a place in the chip's arithmetic.

    Parameters
    ----------
    spec : NetworkSpec
    numbers : Loihi2

    Raises
    ------
    ValidationError
        Naming the part and what to use instead.
    """
    for name in spec.activations:
        numbers.check(activation(name))
    if spec.nudge == "proximal":
        invalid("nudge", "precision loihi2 cannot divide in a neuron", spec.nudge, "linearised")
    if spec.compartment_noise:
        what = "compartment_noise"
        invalid(what, "integers have no analog noise", spec.compartment_noise, "0")
    if numbers.feedback_exponents and not feedback(spec.feedback).separate:
        limit = "tied feedback has the exponents of the weights"
        invalid("Loihi2.feedback_exponents", limit, numbers.feedback_exponents, "()")
    for what in ("beta", "rate"):
        if not numbers.gain(getattr(spec, what)) > 0:
            limit = "precision loihi2 rounds gains to multiples of 2^-7"
            invalid(what, limit, getattr(spec, what), "0.125 or 1")
