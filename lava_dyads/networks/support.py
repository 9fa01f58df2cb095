"""The support table: which combinations run, and why the others do not.

The command line, the docs and the checks read it. A combination is a granularity, a clock, a
number system and a runtime; ``reason`` returns None where it is supported.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from lava_dyads.checks import check_fields
from lava_dyads.errors import UnsupportedError, invalid, nearest
from lava_dyads.rules.units import RULES

AXES: dict[str, tuple[str, ...]] = {
    "granularity": ("network", "layer", "neuron"),
    "clock": ("sync", "async"),
    "precision": ("float", "loihi2"),
    "runtime": ("lava", "in-process", "reference"),
}
"""Every axis with its choices, the default first."""

BACKPROP, ALIGNMENT = "backprop", "feedback-alignment"
BASELINES = {
    BACKPROP: "the baseline: plain backprop (runtime reference)",
    ALIGNMENT: "backprop with random feedback weights in the place of W^T (runtime reference)",
}
"""What a rule is compared with, behind the same ports, by name."""


@dataclass(frozen=True)
class Execution:
    """How a network is run.

    Attributes
    ----------
    granularity : str
        ``network`` (one fused process), ``layer`` (populations and connections) or ``neuron``.
    clock : str
        ``sync`` or ``async``.
    precision : str
        ``float`` or ``loihi2``.
    runtime : str
        ``lava`` (Lava's own, OS processes), ``in-process`` (the same Lava Processes in one OS
        process) or ``reference`` (the numpy engine, no Lava).
    """

    granularity: str = "network"
    clock: str = "sync"
    precision: str = "float"
    runtime: str = "lava"

    def __post_init__(self) -> None:
        check_fields(self)

    def check(self, rule: str, neurons: int | None = None) -> None:
        """Raise where this combination, with this rule, does not run.

        Parameters
        ----------
        rule : str
        neurons : int or None
            Neurons of the network, inputs left out; None: many.

        Raises
        ------
        ValidationError
            If a choice is unknown.
        UnsupportedError
            With the table's reason.
        """
        for axis, choices in AXES.items():
            choice = getattr(self, axis)
            if choice not in choices:
                invalid(axis, "unknown choice", choice, nearest(choice, choices))
        why = reason(self, rule, neurons)
        if why:
            raise UnsupportedError(f"{self.label} with rule {rule} is not supported: {why}")

    @property
    def label(self) -> str:
        """The combination in words."""
        return f"{self.granularity} / {self.clock} / {self.precision} / {self.runtime}"


LAVA_NEURONS = 60
"""Neurons that fit on Lava's own runtime as Processes of their own, beside the others."""


def reason(execution: Execution, rule: str, neurons: int | None = None) -> str | None:
    """Return why a combination is not supported, None if it is."""
    e = execution
    if rule in BASELINES and e.runtime != "reference":
        return f"{rule} is a baseline and has no Lava Process. Try: --runtime reference"
    if e.clock == "async" and e.granularity == "network":
        return "one fused process exchanges no messages, so it has no asynchrony. Try: layer"
    if e.clock == "async" and rule in RULES and RULES[rule].spiking:
        return "spikes are counted in steps, so they need the clock. Try: --clock sync"
    for choice in (e.granularity, e.clock, e.precision):
        if rule in RULES and choice in RULES[rule].refuses:
            return RULES[rule].refuses[choice]
    if e.precision == "loihi2":
        if rule in BASELINES:
            return f"{rule} has no place on the chip. Try: --rule dp-transpose"
        if rule in RULES and RULES[rule].spiking:
            return "spiking dyads have no integer form yet. Try: --rule dp-transpose"
        if e.clock == "async":
            return "the chip's cores step together. Try: --clock sync"
    if e.clock == "async" and e.runtime == "reference":
        return "the reference engine takes steps. Try: check gradient --order async"
    if e.granularity == "neuron" and e.runtime == "lava" and (neurons or 1e9) > LAVA_NEURONS:
        return (
            f"Lava's runtime has an OS process per neuron, so {LAVA_NEURONS} neurons at most. "
            "Try: --runtime in-process"
        )
    if e.runtime == "reference" and e.granularity != "network":
        return "the reference engine is one numpy object. Try: --granularity network"
    return None


def table(
    rule: str = "dp-transpose", neurons: int | None = None
) -> list[tuple[Execution, str | None]]:
    """Return every combination with the reason why not (None: supported)."""
    every = (Execution(*choices) for choices in product(*AXES.values()))
    return [(e, reason(e, rule, neurons)) for e in every]
