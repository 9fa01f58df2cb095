"""Every supported way to run a network learns the same weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.data import Dataset, load
from lava_dyads.errors import DyadsError, FixedPointError, NotSettledError, invalid
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import Execution, table
from lava_dyads.options import label
from lava_dyads.training import Trainer, TrainingConfig

LIMIT = 1e-9
"""Largest relative distance of all weights and biases that counts as equal (float64)."""

REFERENCE = Execution("network", runtime="reference")
"""What every other combination in floating point is compared with."""

CHIP_REFERENCE = Execution("network", precision="loihi2", runtime="reference")
"""What every other combination in the chip's integers is compared with."""

REST = 1e-12
"""Residual, in units of the activity, at which a reference is at rest; its errors are of order
beta, and so is their rounding."""

MOST_REPEATS = 256
"""Round trips until it is given up that a reference comes to rest."""


@dataclass(frozen=True)
class Problem:
    """What is learnt in every supported way.

    Attributes
    ----------
    spec : NetworkSpec
    data : Dataset
    config : TrainingConfig
        In floating point; the chip learns by :meth:`on_chip`.
    samples : int or None
        Samples shown once, the same in the same order; None: a whole training.
    """

    spec: NetworkSpec
    data: Dataset
    config: TrainingConfig
    samples: int | None = None

    def on_chip(self) -> TrainingConfig:
        """Return the way in which the chip learns, whatever the others do: a sample at a time."""
        plain = {"optimiser": "sgd", "learning_rate": None, "weight_decay": 0.0}
        return replace(self.config, batch_size=1, lanes=None, **plain)  # type: ignore[arg-type]

    def train(self, execution: Execution, repeats: int | None = None) -> Outcome:
        """Train in one way, with so many round trips per presentation if they are given."""
        spec = self.spec if repeats is None else replace(self.spec, repeats=repeats)
        config = self.config if execution.precision == "float" else self.on_chip()
        with Trainer(spec, self.data, config, execution) as trainer:
            if self.samples is None:
                epochs = trainer.fit().epochs
                keys = ("train_events", "train_operations")
                counts = tuple(epoch[key] for epoch in epochs for key in keys)
                residual = max(epoch["train_residual"] for epoch in epochs)
            else:
                metrics = trainer.run(trainer.train_rows[: self.samples], 1)
                if not np.isfinite(metrics.loss + metrics.residual):
                    raise NotSettledError(f"the loss is {metrics.loss:g}. Try: a smaller beta")
                counts, residual = (metrics.events, metrics.operations), metrics.residual
            parts = [p.ravel() for part in trainer.parameters() for p in part]
            parts += [b.ravel() for b in trainer.network.feedback() if b is not None]
        return Outcome(np.concatenate(parts), counts, residual)


@dataclass(frozen=True)
class Outcome:
    """All weights, biases and separate feedback weights, the counts, and the largest residual."""

    parameters: Array
    counts: tuple[float, ...]
    residual: float


@dataclass(frozen=True)
class Pair:
    """One combination against the reference engine.

    Attributes
    ----------
    execution : Execution
    distance : float
        ``|w - w_ref| / |w_ref|`` over all weights, biases and separate feedback weights; inf where
        it failed.
    same_events : bool
        Whether both sent as many events and touched as many weights.
    agrees : bool
        distance <= 1e-9 (integers: 0) and, in steps, the same events: asynchronous neurons may
        have to speak more than once until they have heard everything.
    error : str
        Why it failed, though it is supported and the reference did not.
    """

    execution: Execution
    distance: float
    same_events: bool
    agrees: bool
    error: str = ""


@dataclass(frozen=True)
class EquivalenceCheck:
    """All pairs, and the combinations that cannot be compared with the reason why."""

    holds: bool
    pairs: list[Pair]
    unsupported: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


def check_equivalence(
    spec: NetworkSpec,
    *,
    samples: int = 50,
    batch_size: int = 10,
    optimiser: str = "adam",
    on_pair: Callable[[str], None] | None = None,
) -> EquivalenceCheck:
    """Train on some digits in every supported way and compare the weights.

    Parameters
    ----------
    spec : NetworkSpec
        64 inputs and 10 outputs; any rule but backprop.
    samples : int
        Digits shown once, the same in the same order.
    batch_size : int
    optimiser : str
    on_pair : callable or None
        Called with the name of what runs next.

    Raises
    ------
    ValidationError
        If an argument is out of range.
    """
    if samples < 1:
        invalid("samples", "must be at least 1", samples)
    config = TrainingConfig(batch_size=batch_size, optimiser=optimiser)
    return compare(Problem(spec, load("digits"), config, samples), on_pair=on_pair)


def compare(
    problem: Problem,
    executions: Iterable[Execution] | None = None,
    on_pair: Callable[[str], None] | None = None,
) -> EquivalenceCheck:
    """Train in every supported way, or in some of them, and compare with the numpy engine.

    Raises
    ------
    ValidationError
        If the rule is a baseline.
    """
    if problem.spec.rule.baseline:
        invalid("rule", "backprop runs in one way only", problem.spec.rule.name, "dp-transpose")
    references = _References(problem)
    pairs, unsupported = [], {}
    for execution in [e for e, _ in table()] if executions is None else executions:
        why = problem.spec.why_not(execution) or not_comparable(problem.spec, execution)
        reference = None if why else references.of(execution)
        if isinstance(reference, str):
            why = f"the numpy engine has no result to compare with: {reference}"
        if why:
            unsupported[execution.label] = why
        elif isinstance(reference, Outcome) and execution not in (REFERENCE, CHIP_REFERENCE):
            if on_pair:
                on_pair(execution.label)
            pairs.append(_pair(problem, execution, reference))
    agree = bool(pairs) and all(pair.agrees for pair in pairs)
    return EquivalenceCheck(agree, pairs, unsupported)


def not_comparable(spec: NetworkSpec, execution: Execution) -> str | None:
    """Return why a combination that is supported need not learn the same weights; None: it has to.

    What is left of a threshold depends on the order of messages, and noise on who draws it.
    """
    if execution.clock == "async" and (spec.threshold or spec.error_threshold):
        return "what a threshold leaves unsaid depends on the order of messages. Try: threshold 0"
    if execution.granularity == "neuron" and spec.compartment_noise:
        return "neurons draw noise of their own. Try: compartment noise 0"
    return None


class _References:
    """What the numpy engine learns; each is trained once, when it is asked for.

    Asynchronous networks end at rest, networks in steps after the round trips they were given. So
    where one sweep is not enough the reference of the former gets as many as it takes.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._known: dict[tuple[str, bool], Outcome | str] = {}

    def of(self, execution: Execution) -> Outcome | str:
        """Return the reference of a combination, or why there is none."""
        relaxing = execution.clock == "async" and self._problem.spec.timing.repeats > 0
        key = execution.precision, relaxing
        if key not in self._known:
            chip = CHIP_REFERENCE if execution.precision == "loihi2" else REFERENCE
            try:
                self._known[key] = self._at_rest() if relaxing else self._problem.train(chip)
            except (NotSettledError, FixedPointError) as error:
                self._known[key] = str(error)
        return self._known[key]

    def _at_rest(self) -> Outcome:
        spec = self._problem.spec
        repeats, rest = spec.timing.repeats, REST * max(1.0, 0.1 / spec.rule.beta)
        while repeats < MOST_REPEATS:
            repeats *= 2
            outcome = self._problem.train(REFERENCE, repeats)
            if outcome.residual <= rest:
                return outcome
        raise NotSettledError(
            f"{label(spec.rule)} is not at rest after {repeats} round trips "
            f"(residual {outcome.residual:.3g})"
        )


def _pair(problem: Problem, execution: Execution, reference: Outcome) -> Pair:
    try:
        ours = problem.train(execution)
    except DyadsError as error:
        return Pair(execution, np.inf, False, False, str(error))
    limit = LIMIT if execution.precision == "float" else 0.0
    apart = np.linalg.norm(ours.parameters - reference.parameters)
    distance = float(apart / np.linalg.norm(reference.parameters))
    same = ours.counts == reference.counts
    agrees = distance <= limit and (same or execution.clock == "async")
    return Pair(execution, distance, same, agrees)
