"""From a plan and its parameters to a network that an executor carries out."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from lava_dyads import executors
from lava_dyads.array_types import Array
from lava_dyads.elements import Connection, Element, Head, NonlinearConnection, Population
from lava_dyads.errors import invalid
from lava_dyads.executors.registry import STEP, choose_executor
from lava_dyads.executors.step import Network
from lava_dyads.plan.chain import chain_vertices
from lava_dyads.plan.plan import Part, Plan, Settings
from lava_dyads.plan.wire import wire
from lava_dyads.rules.activations import Activation
from lava_dyads.rules.arithmetic import Arithmetic, Float
from lava_dyads.rules.losses import Loss
from lava_dyads.rules.nudges import NUDGES
from lava_dyads.rules.ops import Dense, Op
from lava_dyads.rules.optimisers import Optimiser

for _module in pkgutil.iter_modules(executors.__path__):
    if _module.name != __name__.rpartition(".")[2]:
        importlib.import_module(f"{executors.__name__}.{_module.name}")


def build(
    plan: Plan,
    weights: Sequence[Array],
    biases: Sequence[Array],
    *,
    lanes: int = 1,
    optimiser: Optimiser | None = None,
    arithmetic: Arithmetic | None = None,
    feedback_weights: Sequence[Array | None] = (),
    executor: str | None = None,
) -> Network:
    """Build the network of a plan.

    Parameters
    ----------
    plan : Plan
    weights, biases : sequences of arrays
        Of the vertices that have weights, and of those with a population, in their order.
    lanes : int
        Samples side by side.
    optimiser : Optimiser or None
        Its ``decay`` applies where W and B learn as a pair, and nowhere else.
    arithmetic : Arithmetic or None
        Number system; None: float64.
    feedback_weights : sequence of arrays or None
        Where it is separate, in the shapes of the weights; those above data stand for nothing.
    executor : str or None
        One of ``EXECUTORS``; None: the first that can.

    Raises
    ------
    ValidationError
        If shapes do not fit.
    UnsupportedError
        If the executor cannot carry out the plan.
    """
    numbers = arithmetic or Float()
    if optimiser is not None and optimiser.decorrelates:
        if executor not in (None, STEP):
            limit = "follows the means of its inputs, which only steps of the elements have"
            invalid(f"optimiser {optimiser.name}", limit, f"executor {executor}", STEP)
        executor = STEP
    chosen = choose_executor(plan, numbers, executor)
    maker = _Maker(plan, lanes, optimiser, numbers)
    return chosen.build(maker.elements(weights, biases, feedback_weights), plan, lanes)


class _Maker:
    """Makes the elements of a plan."""

    def __init__(
        self, plan: Plan, lanes: int, optimiser: Optimiser | None, arithmetic: Arithmetic
    ) -> None:
        self._plan, self._arithmetic, self._optimiser = plan, arithmetic, optimiser
        self._undecayed = replace(optimiser, decay=0.0) if optimiser else None
        self._settings = settings = plan.settings
        self._shared: dict[str, Any] = {"lanes": lanes, "beta": settings.rule.beta}
        self._numbers = {name: k for k, name in enumerate(plan.units)}

    def elements(
        self,
        weights: Sequence[Array],
        biases: Sequence[Array],
        feedback_weights: Sequence[Array | None],
    ) -> dict[str, Element]:
        """Return the elements by name."""
        plan, learns = self._plan, self._plan.weighted
        above_data = [not plan.links_from(name, "apical_out") for name in learns]
        _check_feedback(plan.settings, feedback_weights, above_data)
        made: dict[str, Element] = {}
        # Weights and the population on them have one number system, counted from the input.
        level, here, depth = 0, "", len(plan.units)
        back = list(feedback_weights) or [None] * len(learns)
        with_weights = dict(zip(learns, zip(weights, back, above_data, strict=True), strict=True))
        for name, part in plan.parts.items():
            if part.vertex.name != here:
                here, level = part.vertex.name, min(level + 1, depth)
            self._shared["arithmetic"] = self._arithmetic.at(level, depth)
            if name in with_weights:
                made[name] = self._connection(part, *with_weights[name])
            elif part.kind is Connection:
                made[name] = Connection(None, op=part.op, **self._shared)
            elif part.kind is NonlinearConnection:
                made[name] = NonlinearConnection(part.op, **self._shared)
            elif part.kind is Population:
                made[name] = self._population(name, part, biases)
            else:
                made[name] = self._head(name, part)
        if not plan.settings.rule.spiking:  # spikes are counted as they come
            for name, element in made.items():
                element.awaits = plan.awaits(name)
        return made

    def _connection(
        self, part: Part, weights: Array, back: Array | None, above_data: bool
    ) -> Element:
        feedback = self._settings.feedback
        learns = feedback.learns and not above_data
        assert issubclass(part.kind, Connection)
        return part.kind(
            weights,
            op=part.op,
            optimiser=self._optimiser if learns else self._undecayed,
            feedback=back if feedback.separate and not above_data else None,
            feedback_learns=feedback.learns,
            **self._shared,
        )

    def _population(self, name: str, part: Part, biases: Sequence[Array]) -> Population:
        settings, number = self._settings, self._numbers[name]
        return Population(
            self._plan.units[name],
            biases[number],
            sharing=part.vertex.n // part.vertex.biases,
            first_step=self._plan.arrival(name, "basal_in"),
            optimiser=self._optimiser,
            thresholds=settings.thresholds,
            noise=settings.noise.part(number + 1),
            **self._shared,
        )

    def _head(self, name: str, part: Part) -> Head:
        assert part.vertex.loss
        return Head(
            part.vertex.loss,
            part.vertex.n,
            first_step=self._plan.arrival(name, "mean_in"),
            frozen=NUDGES[self._settings.nudge].frozen,
            threshold=self._settings.thresholds.of_errors,
            anneal=self._settings.thresholds.anneal,
            **self._shared,
        )


def _check_feedback(
    settings: Settings, weights: Sequence[Array | None], above_data: list[bool]
) -> None:
    there = [w is not None for w in weights]
    missing = [k for k, (w, data) in enumerate(zip(there, above_data, strict=False), 1)
               if not (w or data)]  # fmt: skip
    feedback = settings.feedback
    if feedback.separate and (len(there) != len(above_data) or missing):
        limit = f"{feedback.name} needs one per layer, {len(above_data)}; of the first, None"
        invalid("feedback_weights", limit, there)


def chain(
    weights: list[Array],
    biases: list[Array],
    *,
    activations: list[Activation],
    loss: Loss,
    ops: Sequence[Op] = (),
    **options: Any,
) -> Network:
    """Build a network of L connections and L populations.

    Parameters
    ----------
    weights : list of L arrays (n_out, n_in)
    biases : list of L arrays (n_out,)
    activations : list of L - 1 activations
        Of the hidden layers; the output is linear.
    loss : Loss
    ops : sequence of L Op, or empty
        Kinds of the connections; empty: dense.
    options
        Those of :class:`~lava_dyads.plan.plan.Settings` and of :func:`build`.

    Returns
    -------
    Network

    Raises
    ------
    ValidationError
        If shapes do not fit or the rule does not support the nudge.
    """
    known = {f.name for f in fields(Settings)}
    settings = Settings(**{name: value for name, value in options.items() if name in known})
    others = {name: value for name, value in options.items() if name not in known}
    ops = ops or [Dense(*w.shape) for w in weights]
    plan = wire(chain_vertices(ops, activations, loss), settings, weights)
    return build(plan, weights, biases, **others)
