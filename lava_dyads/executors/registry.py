"""Executors by name. One file each: what is in this folder is imported, so that it can register."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lava_dyads.elements import Element
from lava_dyads.errors import UnsupportedError, invalid, nearest
from lava_dyads.executors.step import Network
from lava_dyads.plan.plan import Plan
from lava_dyads.rules.arithmetic import Arithmetic, Float

STEP = "step"
"""The executor that can carry out whatever there is: the meaning of the others."""


@dataclass(frozen=True)
class Executor:
    """One way to carry a plan out.

    Attributes
    ----------
    name : str
    summary : str
        One line for users.
    rank : int
        Of two that can, the one of the higher rank is taken; that of ``step`` is 0.
    why_not : callable
        From a plan and a number system to the reason why it cannot; None: it can.
    build : callable
        From the elements of the plan, the plan and the number of lanes to the network.
    """

    name: str
    summary: str
    rank: int
    why_not: Callable[[Plan, Arithmetic], str | None]
    build: Callable[[Mapping[str, Element], Plan, int], Network]


EXECUTORS: dict[str, Executor] = {}
"""By name, the preferred ones first."""


def register(executor: Executor) -> Executor:
    """Enter an executor.

    Raises
    ------
    ValidationError
        If there is one of that name.
    """
    if executor.name in EXECUTORS:
        invalid("executor", "two have one name", executor.name, "another name")
    EXECUTORS[executor.name] = executor
    ranked = sorted(EXECUTORS.values(), key=lambda entry: -entry.rank)
    EXECUTORS.clear()
    EXECUTORS.update({entry.name: entry for entry in ranked})
    return executor


def why_steps(plan: Plan, arithmetic: Arithmetic) -> str | None:
    """Return why a presentation is more than one sweep up and one down; None if it is not."""
    settings = plan.settings
    if not settings.rule.settles_in_one_sweep() or plan.timing.repeats:
        return f"{settings.rule.name} needs more than one round trip here"
    if not plan.heads:
        return f"with nudge {settings.nudge} the output's mean moves"
    if settings.thresholds.anneal or settings.noise.deviation:
        return "thresholds that fall and noise need steps"
    if not isinstance(arithmetic, Float):
        return f"precision {arithmetic.name} rounds message by message"
    return None


def choose_executor(plan: Plan, arithmetic: Arithmetic, wanted: str | None = None) -> Executor:
    """Return the executor of a plan: the one that is wanted, or the first that can.

    Raises
    ------
    ValidationError
        If there is no such executor.
    UnsupportedError
        If the one that is wanted cannot; with the reason.
    """
    if wanted is None:
        return next(e for e in EXECUTORS.values() if e.why_not(plan, arithmetic) is None)
    if wanted not in EXECUTORS:
        invalid("executor", "unknown name", wanted, nearest(wanted, EXECUTORS))
    reason = EXECUTORS[wanted].why_not(plan, arithmetic)
    if reason:
        raise UnsupportedError(f"executor {wanted}: {reason}. Try: executor={STEP!r}, or None")
    return EXECUTORS[wanted]


def stepped(elements: Mapping[str, Element], plan: Plan, lanes: int) -> Network:
    """Return the network whose elements take their steps."""
    timing = plan.timing
    return Network(
        elements, plan.links, lanes=lanes, steps=timing.steps, read_step=timing.read_step
    )


register(Executor(STEP, "every element takes its steps", 0, lambda *_: None, stepped))
