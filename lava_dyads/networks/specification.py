"""What a network is, checked when it is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, InitVar, dataclass, fields, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import (
    Natural,
    NotNegative,
    Positive,
    Size,
    check_fields,
    checked,
    real_array,
    taken,
)
from lava_dyads.choices import RUNTIMES, Runtime
from lava_dyads.elements.population import Noise
from lava_dyads.errors import UnsupportedError, invalid
from lava_dyads.executors.backprop import BackpropNetwork, Pass, differentiate, graph_operations
from lava_dyads.executors.build import build
from lava_dyads.executors.step import Network
from lava_dyads.kinds import Limit
from lava_dyads.networks.checks import (
    check_density,
    check_on_chip,
    check_rule,
    check_weight_format,
    feedback_kind,
    hidden_activations,
    sizes_of_graph,
    why_not,
)
from lava_dyads.networks.initial import initial_feedback, initial_parameters
from lava_dyads.networks.lifted_chain import REPEATS as LIFTED_REPEATS
from lava_dyads.networks.lifted_chain import lifted_chain
from lava_dyads.networks.node_graph import Density, Graph, synapses
from lava_dyads.networks.support import Execution, choose
from lava_dyads.options import Becomes, Preset, options, short_form
from lava_dyads.plan.chain import chain_vertices
from lava_dyads.plan.depth import branch_scales, default_beta, longest_way
from lava_dyads.plan.plan import Plan, Settings
from lava_dyads.plan.timing import Timing
from lava_dyads.plan.vertex import Vertex, only_data
from lava_dyads.plan.wire import wire
from lava_dyads.rules.activations import activation
from lava_dyads.rules.arithmetic import Arithmetic, Float, Loihi2
from lava_dyads.rules.binary import BINARY, FLOAT, Latent, binary_weights
from lava_dyads.rules.feedback import TIED, feedback
from lava_dyads.rules.losses import loss
from lava_dyads.rules.ops import Dense, Op, Sparse
from lava_dyads.rules.optimisers import Optimiser
from lava_dyads.rules.send_on_change import Thresholds
from lava_dyads.rules.units import Rule
from lava_dyads.rules.units import rule as rule_by_name

_SIZES = Limit("needs two or more sizes of at least 1", "(64, 128, 10)")


@short_form("rule", rule_by_name)
@dataclass(frozen=True)
class NetworkSpec:
    """A feedforward network of dyads, checked at construction.

    Layers k = 1..L: a_k = W_k mean_{k-1} + b_k, mean_0 the input, output linear; or any directed
    acyclic graph.

    Parameters
    ----------
    layers : tuple of int
        Sizes n_0 .. n_L, input and output included. With a graph they follow from it: the whole
        input, the populations, the whole output.
    activations : str or tuple of str
        Of the hidden layers: one for all, or one each.
    loss : str
        ``squared-error`` or ``cross-entropy``; empty: the rule's own default.
    rule : str or Rule
        With its options, ``DualPropagation(alpha=0.5)``, or the name of one of
        ``rules.units.RULES`` or of a baseline, ``backprop`` or ``feedback-alignment``. Options may
        stand beside its name: ``NetworkSpec(layers, rule="dp", alpha=0.5)``. A beta that nobody
        gives is less in networks of more than eight layers, see
        :func:`~lava_dyads.plan.depth.default_beta`.
    nudge : str
        Output nudge, see ``rules.nudges``; empty: the rule's own default.
    threshold : float
        Send-on-change threshold theta >= 0 of the mean.
    error_threshold : float or None
        Of the difference, in units of beta; None: theta.
    anneal : float
        Time constant, in steps, with which theta falls; 0: it stays.
    repeats : int or None
        Round trips after the first sweep; None: 20 time constants where the threshold is
        annealed, 0 where one sweep is exact, else 8.
    gain : float or None
        Initial weights are normal with deviation gain / sqrt(n_in); None: sqrt(2) for relu and
        hard-sigmoid, 1 else, and less for branches that are added to what goes around them, where
        more than two follow each other, see :func:`~lava_dyads.plan.depth.branch_scales`.
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
    weight_format : str
        ``float``, or binary: ``ste`` or ``adaste``, see ``rules.binary``. Then parameters are the
        latent weights behind them, in [-1, 1].
    seed : int
        Of the initial weights, biases and feedback weights, the synapses, and of the noise.
    graph : Graph or None
        In the place of ``layers``, ``activations`` and ``density``; ``loss`` is that of outputs
        which name none.

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

    layers: Annotated[tuple[int, ...], _SIZES] = ()
    activations: str | tuple[str, ...] = "relu"
    _: KW_ONLY
    loss: str = ""
    if TYPE_CHECKING:  # what is taken, and the short form; and what there is then
        rule: Becomes[str | Mapping[str, Any] | Rule, Rule] = Becomes()
        alpha: InitVar[float] = 1.0
        beta: InitVar[float] = 0.1
        rate: InitVar[float] = 1.0
        window: InitVar[int] = 32
        scale: InitVar[float] = 0.375
        hysteresis: InitVar[int] = 1
        reconstruction: InitVar[float] = 1.0
    else:
        rule: Rule = "dp-transpose"
    nudge: str = ""
    threshold: NotNegative = 0.0
    error_threshold: NotNegative | None = None
    anneal: NotNegative = 0.0
    repeats: Natural | None = None
    gain: Positive | None = None
    bias_deviation: NotNegative = 0.0
    compartment_noise: NotNegative = 0.0
    feedback: str = TIED.name
    density: Density | tuple[Density, ...] = 1.0
    weight_format: str = FLOAT
    seed: Natural = 0
    graph: Graph | None = None

    def __post_init__(self, *_: Any) -> None:
        self._settle(rule=rule_by_name(self.rule, owner="NetworkSpec."))
        check_fields(self)
        self._settle(loss=self.loss or self.rule.losses[0])
        loss(self.loss)
        if self.graph is None:
            self._settle(activations=hidden_activations(self))
            check_density(self)
        else:
            layers, names = sizes_of_graph(self)
            self._settle(layers=layers, activations=names)
        self._nudge_gently()
        self._settle(feedback=feedback_kind(self))
        if not self.rule.baseline:
            self._settle(nudge=self.nudge or self.rule.nudges[0])
            check_rule(self)
        check_weight_format(self)

    def _settle(self, **values: Any) -> None:
        """Set what was left open; the only time at which fields change."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _nudge_gently(self) -> None:
        """Let the default nudge of a deep network be small enough for its depth."""
        chosen = self.rule
        if isinstance(chosen.beta, Preset) and not (chosen.spiking or chosen.lifted):
            depth = longest_way(self.vertices) if self.graph else len(self.layers) - 1
            self._settle(rule=replace(chosen, beta=float(default_beta(chosen.beta, depth))))

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields that make it: a copy works the rest out again."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @cached_property
    def vertices(self) -> list[Vertex]:
        """The graph with everything known about it: shapes, ops, activations, losses."""
        if self.graph is not None:
            return self.graph.vertices(self.loss, self.seed)
        hidden = [activation(name) for name in self.activations]
        return chain_vertices(self._chain_ops(), hidden, loss(self.loss))

    def _chain_ops(self) -> list[Op]:
        made: list[Op] = []
        for k, (below, above) in enumerate(pairwise(self.layers), 1):
            share = self.density[k - 1] if isinstance(self.density, tuple) else self.density
            mask = synapses(above, below, share, (self.seed, 0x5EED, k))
            made.append(Dense(above, below) if mask is None else Sparse(above, below, mask))
        return made

    @property
    def depth(self) -> int:
        """Number of weight matrices, L."""
        return len(self.ops)

    @property
    def ops(self) -> list[Op]:
        """Kind of every connection that has weights."""
        return [v.weighted for v in self.vertices if v.weighted]

    @property
    def parameter_count(self) -> int:
        """Weights and biases."""
        return sum(op.synapses for op in self.ops) + sum(v.biases for v in self.vertices)

    @property
    def dense_operations(self) -> int:
        """Products of one sample of dense backprop, see DESIGN's cost: also where masked."""
        return graph_operations(self.vertices)

    @property
    def timing(self) -> Timing:
        """Steps that a presentation takes."""
        if self.rule.baseline:
            return Timing(self.depth + 1, 2 * self.depth + 1, 2 * self.depth)
        if self.rule.lifted:
            repeats = LIFTED_REPEATS if self.repeats is None else self.repeats
            return Timing(self.depth + 1, 2 * self.depth + 1, 2 * self.depth, repeats)
        return self.plan.timing

    def initial_parameters(self) -> tuple[list[Array], list[Array]]:
        """Return the initial weights and biases; the same for every rule, backprop included."""
        return initial_parameters(self)

    @property
    def separate_feedback(self) -> list[bool]:
        """Whether B is there beside W, of every layer: not where nothing below wants an error."""
        if not feedback(self.feedback).separate:
            return [False] * self.depth
        data = only_data(self.vertices)
        return [not data[v.sources[0]] for v in self.vertices if v.weighted]

    @cached_property
    def branch_scales(self) -> dict[str, float]:
        """The factor on the initial weights of branches, by name of the vertex."""
        return branch_scales(self.vertices)

    def initial_feedback(self) -> list[Array | None]:
        """Return B^T of every layer, drawn like the weights but apart from them; None: tied."""
        return initial_feedback(self)

    @checked
    def why_not(self, execution: Execution) -> str | None:
        """Return why this network cannot be run in a way; None if it can."""
        return why_not(self, execution)

    @checked
    def check(self, execution: Execution) -> None:
        """Raise where this network cannot be run in a way.

        Raises
        ------
        ValidationError
            If a choice is unknown.
        UnsupportedError
            With the reason.
        """
        self.choose(execution)

    @checked
    def choose(
        self, request: Execution, within: Sequence[Runtime] = RUNTIMES
    ) -> tuple[Execution, str]:
        """Settle what a request leaves open, see :func:`lava_dyads.networks.support.choose`."""
        return choose(request, self.why_not, f"rule {self.rule.name}", within)

    @checked
    def check_parameters(
        self,
        weights: Sequence[Any] | None,
        biases: Sequence[Any] | None,
        feedback_weights: Sequence[Any] | None = None,
    ) -> None:
        """Raise where arrays are not parameters of this network; None: there are none to look at.

        Raises
        ------
        ValidationError
            If there are more or fewer, or one is not finite, or has another shape.
        """
        shapes = [op.shape for op in self.ops]
        widths = [(v.biases,) for v in self.vertices if v.activation]
        given = {"weights": weights, "biases": biases, "feedback": feedback_weights}
        for kind, arrays in given.items():
            wanted: list[tuple[int, ...]] = widths if kind == "biases" else shapes  # type: ignore[assignment]
            if arrays is None:
                continue
            if len(arrays) != len(wanted):
                invalid(kind, f"needs {len(wanted)} arrays", len(arrays), f"shapes {wanted}")
            for k, (array, shape) in enumerate(zip(arrays, wanted, strict=True), 1):
                if array is None and kind == "feedback":
                    continue
                if real_array(array, f"{kind}_{k}").shape != shape:
                    invalid(f"{kind}_{k}", f"needs shape {shape}", np.shape(array), f"{shape}")

    def backpropagate(
        self,
        x: Array,
        y: Array,
        weights: list[Array],
        biases: list[Array],
        feedback_weights: list[Array | None] | None = None,
    ) -> Pass:
        """Run plain backprop on this network: the oracle of every comparison.

        Parameters
        ----------
        x, y : arrays (B, n_in), (B, n_out)
        weights, biases
            As :meth:`initial_parameters` returns them.
        feedback_weights : list of arrays or None
            B^T where it is not W: feedback alignment.
        """
        return differentiate(self.vertices, x, y, weights, biases, feedback_weights or ())

    @checked
    def build(
        self,
        *,
        lanes: Size = 1,
        optimiser: Optimiser | None = None,
        arithmetic: Arithmetic | None = None,
        parameters: tuple[list[Array], list[Array]] | None = None,
        feedback_weights: list[Array | None] | None = None,
        executor: str | None = None,
    ) -> Network | BackpropNetwork:
        """Build the network's elements.

        Parameters
        ----------
        lanes : int
            Samples side by side.
        optimiser : Optimiser or None
            None: nothing learns. Of binary weights: ``rules.binary.Latent``, which knows the
            epochs; any other is taken as the inner one, with an epoch per update.
        arithmetic : Arithmetic or None
            Number system; None: float64.
        parameters : tuple of two lists, or None
            Weights (n_out, n_in) and biases (n,); None: the initial ones.
        feedback_weights : list of arrays (n_out, n_in), or None
            Separate feedback weights (the first stands for nothing); None: the initial ones.
        executor : str or None
            Who carries it out, see ``executors.registry``; None: the quickest that can. A sweep
            keeps nothing from one presentation to the next, so streams need ``step``.

        Raises
        ------
        ValidationError
            If the number system has no place for a part of the network.
        """
        if isinstance(arithmetic, Loihi2):
            check_on_chip(self, arithmetic)
        if parameters or feedback_weights:
            given = parameters or (None, None)
            self.check_parameters(given[0], given[1], feedback_weights)
        weights, biases = parameters or self.initial_parameters()
        if self.weight_format != FLOAT and optimiser is None:
            weights = [binary_weights(theta) for theta in weights]
        elif self.weight_format != FLOAT and not isinstance(optimiser, Latent):
            optimiser = Latent(inner=optimiser, kind=BINARY[self.weight_format])
        if self.rule.baseline:
            if optimiser is not None and optimiser.decorrelates:
                limit = "is for networks of neurons, whose inputs it follows"
                invalid(f"optimiser {optimiser.name}", limit, self.rule.name, "dp-transpose")
            numbers = arithmetic or Float()
            return BackpropNetwork(
                self.vertices,
                [numbers.weights(w) for w in weights],
                [numbers.number(b) for b in biases],
                lanes=lanes,
                optimiser=optimiser,
                feedback_weights=feedback_weights or self.initial_feedback(),
            )
        options: dict[str, Any] = {
            "lanes": lanes,
            "optimiser": optimiser,
            "arithmetic": arithmetic,
        }
        if self.rule.lifted:
            if executor not in (None, "step"):
                limit = "an energy relaxes step by step"
                invalid("executor", f"rule {self.rule.name}: {limit}", executor, "step")
            settings, steps = self._settings, self.timing.steps
            return lifted_chain(self.vertices[1:], weights, biases, settings, steps, **options)
        return build(
            wire(self.vertices, self._settings, weights),
            weights,
            biases,
            **options,
            feedback_weights=feedback_weights or self.initial_feedback(),
            executor=executor,
        )

    @property
    def _settings(self) -> Settings:
        return Settings(
            rule=self.rule,
            nudge=self.nudge,
            thresholds=Thresholds(self.threshold, self.error_threshold, self.anneal),
            repeats=self.repeats,
            noise=Noise(self.compartment_noise, (self.seed,)),
            feedback=feedback(self.feedback),
        )

    @cached_property
    def plan(self) -> Plan:
        """The network as data: what stands where, linked how, and when each part speaks.

        Raises
        ------
        UnsupportedError
            For backprop, and for networks that minimise an energy: they have none.
        """
        if self.rule.baseline or self.rule.lifted:
            raise UnsupportedError(
                f"rule {self.rule.name}: there is no plan. Try: rule dp-transpose"
            )
        return wire(self.vertices, self._settings)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, for JSON."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["rule"] = {"name": self.rule.name, **options(self.rule)}
        if self.graph is None:
            del values["graph"]
            return values
        return values | {"graph": self.graph.as_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> NetworkSpec:
        """Return the specification of :meth:`as_dict`.

        Raises
        ------
        ValidationError
            If a field is unknown or a value is out of range.
        """
        values = taken(values, Mapping[str, Any], "NetworkSpec")
        if "layers" not in values and "graph" not in values:
            invalid("NetworkSpec", "needs the field layers, or graph", sorted(values))
        made = dict(values)
        if isinstance(made.get("graph"), Mapping):
            made["graph"] = Graph.from_dict(made["graph"])
        return cls(**made)
