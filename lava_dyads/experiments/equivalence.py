"""Every supported way to run a network learns the same weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lava_dyads.data import load
from lava_dyads.errors import ValidationError, invalid
from lava_dyads.networks.specification import NetworkSpec, check_on_chip
from lava_dyads.networks.support import BASELINES, Execution, table
from lava_dyads.rules._types import Array
from lava_dyads.rules.arithmetic import Loihi2
from lava_dyads.training import Trainer, TrainingConfig

LIMIT = 1e-9
"""Largest relative distance of all weights and biases that counts as equal (float64)."""

REFERENCE = Execution(runtime="reference")
"""What every other combination in floating point is compared with."""

CHIP_REFERENCE = Execution(precision="loihi2", runtime="reference")
"""What every other combination in the chip's integers is compared with."""

ON_CHIP = TrainingConfig(batch_size=1, optimiser="sgd")
"""How the chip learns, whatever the other combinations do."""


@dataclass(frozen=True)
class Pair:
    """One combination against the reference engine.

    Attributes
    ----------
    execution : Execution
    distance : float
        |w - w_ref| / |w_ref| over all weights, biases and separate feedback weights.
    same_events : bool
        Whether both sent as many events and touched as many weights.
    agrees : bool
        distance <= 1e-9 (integers: 0) and, in steps, the same events: asynchronous neurons may
        have to speak more than once until they have heard everything.
    """

    execution: Execution
    distance: float
    same_events: bool
    agrees: bool


@dataclass(frozen=True)
class EquivalenceCheck:
    """All pairs, and the combinations that are not supported with the reason why."""

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
    if spec.rule in BASELINES:
        invalid("rule", "backprop runs in one way only", spec.rule, "dp-transpose")
    if samples < 1:
        invalid("samples", "must be at least 1", samples)
    config = TrainingConfig(batch_size=batch_size, optimiser=optimiser)
    configs = {"float": config, "loihi2": ON_CHIP}
    references = {"float": _train(spec, config, REFERENCE, samples)}
    no_place = _no_place_on_chip(spec)
    if no_place is None:
        references["loihi2"] = _train(spec, ON_CHIP, CHIP_REFERENCE, samples)
    pairs, unsupported = [], {}
    for execution, _ in table():
        why = spec.why_not(execution)
        if why is None and execution.clock == "async" and spec.timing.repeats:
            why = (
                f"{spec.rule} at alpha {spec.alpha:g} needs more than one sweep, so steps end "
                "before silence does. Try: dp-transpose with alpha 0 or 1"
            )
        if why is None and execution.precision == "loihi2":
            why = no_place
        if why is not None:
            unsupported[execution.label] = why
        elif execution not in (REFERENCE, CHIP_REFERENCE):
            if on_pair:
                on_pair(execution.label)
            precision = execution.precision
            ours = _train(spec, configs[precision], execution, samples)
            pairs.append(_compare(execution, ours, references[precision]))
    return EquivalenceCheck(all(pair.agrees for pair in pairs), pairs, unsupported)


def _no_place_on_chip(spec: NetworkSpec) -> str | None:
    """Return why a network cannot be written in the chip's integers, None if it can."""
    try:
        check_on_chip(spec, Loihi2())
    except ValidationError as error:
        return str(error)
    return None


def _train(
    spec: NetworkSpec, config: TrainingConfig, execution: Execution, samples: int
) -> tuple[Array, tuple[float, float]]:
    with Trainer(spec, load("digits"), config, execution) as trainer:
        metrics = trainer.run(trainer.train_rows[:samples], 1)
        parts = [p.ravel() for part in trainer.parameters() for p in part]
        parts += [b.ravel() for b in trainer.network.feedback() if b is not None]
    return np.concatenate(parts), (metrics.events, metrics.operations)


def _compare(
    execution: Execution,
    ours: tuple[Array, tuple[float, float]],
    reference: tuple[Array, tuple[float, float]],
) -> Pair:
    limit = LIMIT if execution.precision == "float" else 0.0
    distance = float(np.linalg.norm(ours[0] - reference[0]) / np.linalg.norm(reference[0]))
    same = ours[1] == reference[1]
    agrees = distance <= limit and (same or execution.clock == "async")
    return Pair(execution, distance, same, agrees)
