"""The support table: which combinations run, and why the others do not.

The command line, the docs and the checks read it. A combination is a granularity, a clock, a
number system and a runtime; ``reason`` returns None where it is supported.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

from lava_dyads.checks import check_fields, checked
from lava_dyads.choices import (
    BACKENDS,
    CLOCKS,
    GRANULARITIES,
    PRECISIONS,
    RUNTIMES,
    Auto,
    Backend,
    Clock,
    Granularity,
    Precision,
    Runtime,
)
from lava_dyads.errors import MissingLavaError, UnsupportedError, message
from lava_dyads.executors.jax_sweep import missing_jax
from lava_dyads.lava_compat import has_lava, missing_lava
from lava_dyads.plan.vertex import Vertex
from lava_dyads.rules.ops import Dense
from lava_dyads.rules.units import Rule
from lava_dyads.rules.units import rule as rule_by_name

AXES: dict[str, tuple[str, ...]] = {
    "granularity": GRANULARITIES,
    "clock": CLOCKS,
    "precision": PRECISIONS,
    "runtime": RUNTIMES,
}
"""Every axis with its choices; of a runtime and a granularity the first that can be is taken."""

AUTO: Auto = "auto"
"""A runtime or a granularity that is left to the request and the machine, see :func:`choose`."""


@dataclass(frozen=True)
class Execution:
    """How a network is run.

    Attributes
    ----------
    granularity : str
        ``network`` (one fused process), ``layer`` (populations and connections) or ``neuron``;
        ``auto``: network, or layer where the clock is asynchronous.
    clock : str
        ``sync`` or ``async``.
    precision : str
        ``float`` or ``loihi2``.
    runtime : str
        ``lava`` (Lava's own, OS processes), ``in-process`` (the same Lava Processes in one OS
        process) or ``reference`` (the numpy engine, no Lava); ``auto``: the first that this
        network and this machine support, see :func:`choose`.
    backend : str
        ``numpy``, or ``jax``: whole presentations compiled by JAX (runtime ``reference``,
        granularity ``network``).
    """

    granularity: Granularity | Auto = AUTO
    clock: Clock = "sync"
    precision: Precision = "float"
    runtime: Runtime | Auto = AUTO
    backend: Backend = BACKENDS[0]

    def __post_init__(self) -> None:
        check_fields(self)

    @checked
    def check(self, rule: str | Rule, neurons: int | None = None) -> None:
        """Raise where this combination, with this rule, does not run.

        Parameters
        ----------
        rule : str or Rule
        neurons : int or None
            Neurons of the network, inputs left out; None: many.

        Raises
        ------
        ValidationError
            If a choice is unknown.
        UnsupportedError
            With the table's reason, or because this machine has no such runtime.
        """
        name = rule_by_name(rule).name
        choose(self, lambda execution: reason(execution, rule, neurons), f"rule {name}")

    @property
    def label(self) -> str:
        """The combination in words."""
        backend = () if self.backend == BACKENDS[0] else (self.backend,)
        return " / ".join((self.granularity, self.clock, self.precision, self.runtime, *backend))


LAVA_NEURONS = 60
"""Neurons that fit on Lava's own runtime as Processes of their own, beside the others."""


def reason(execution: Execution, rule: str | Rule, neurons: int | None = None) -> str | None:
    """Return why a combination is not supported, None if it is; what is left open is no reason."""
    e, rule = execution, rule_by_name(rule)
    why = None if e.backend == BACKENDS[0] else _not_compiled(e, rule)
    why = why or (_not_on_the_chip(e, rule) if e.precision == "loihi2" else None)
    if why:
        return why
    if rule.baseline and e.runtime != "reference":
        return f"{rule.name} is a baseline and has no Lava Process. Try: --runtime reference"
    if e.clock == "async" and e.granularity == "network":
        return "one fused process exchanges no messages, so it has no asynchrony. Try: layer"
    if e.clock == "async" and rule.spiking:
        return "spikes are counted in steps, so they need the clock. Try: --clock sync"
    for choice in (e.granularity, e.clock, e.precision):
        if choice in rule.unsupported:
            return rule.unsupported[choice]
    if e.clock == "async" and e.runtime == "reference":
        return "the reference engine takes steps. Try: check gradient --order async"
    if e.granularity == "neuron" and e.runtime == "lava" and (neurons or 1e9) > LAVA_NEURONS:
        return (
            f"Lava's runtime has an OS process per neuron, so {LAVA_NEURONS} neurons at most. "
            "Try: --runtime in-process"
        )
    if e.runtime == "reference" and e.granularity not in ("network", AUTO):
        return "the reference engine is one numpy object. Try: --granularity network"
    return None


def _not_on_the_chip(e: Execution, rule: Rule) -> str | None:
    """Return why a combination has no integers."""
    if rule.baseline:
        return f"{rule.name} has no place on the chip. Try: --rule dp-transpose"
    if rule.spiking:
        return "spiking dyads have no integer form yet. Try: --rule dp-transpose"
    if e.clock == "async":
        return "the chip's cores step together. Try: --clock sync"
    return None


def _not_compiled(e: Execution, rule: Rule) -> str | None:
    """Return why a combination has no other array library than numpy."""
    limit = f"backend {e.backend} compiles whole presentations of the reference engine"
    if e.runtime not in ("reference", AUTO):
        return f"{limit}, no Processes. Try: --runtime reference"
    if e.granularity not in ("network", AUTO):
        return f"{limit}, nothing smaller. Try: --granularity network"
    if e.precision != "float":
        return f"{limit} in floating point. Try: --precision float, or --backend numpy"
    if rule.baseline:
        return f"{rule.name} is plain numpy. Try: --backend numpy, or bench training"
    return None


def absent(runtime: str, backend: Backend = BACKENDS[0]) -> str | None:
    """Return why this machine does not have a runtime or a backend; None if it has."""
    if runtime == "reference":
        return missing_jax() if backend == "jax" else None
    if not has_lava():
        return missing_lava(f"runtime {runtime}")
    if runtime == "lava" and not hasattr(os, "fork"):
        return "runtime lava: forks OS processes, which this system cannot. Try: in-process"
    return None


def choose(
    request: Execution,
    why_not: Callable[[Execution], str | None],
    what: str,
    within: Sequence[Runtime] = RUNTIMES,
) -> tuple[Execution, str]:
    """Settle what a request leaves open: the first that the table and this machine support.

    Runtimes are tried in the order of the table. Without a clock the in-process runtime comes
    first: there messages travel in virtual time, so that a run can be repeated and resumed.

    Parameters
    ----------
    request : Execution
        Its granularity and its runtime may be ``auto``.
    why_not : callable
        Returns the reason why a combination is not supported, or None: the table, for a network.
    what : str
        What is to be run, in words.
    within : sequence of str
        Runtimes that can do what else is asked for.

    Returns
    -------
    Execution, str
        And what was chosen and why, in a line; empty where the request left nothing open.

    Raises
    ------
    UnsupportedError
        If nothing fits, with the reason.
    """
    granularities, runtimes = _TRIED[request.clock]
    if request.granularity != "auto":
        granularities = (request.granularity,)
    if request.runtime != "auto":
        runtimes = (request.runtime,)
    else:
        runtimes = tuple(r for r in runtimes if r in within)
    reasons: list[str] = []
    missing = ""
    for granularity, runtime in product(granularities, runtimes):
        execution = replace(request, granularity=granularity, runtime=runtime)
        why, lack = why_not(execution), absent(runtime, request.backend)
        if not why and not lack:
            return execution, _said(request, execution, [*reasons, ""][0])
        if lack and not why:
            missing = missing or lack
        reasons.append(why or lack or "")
    if missing and request.backend == "jax" and missing_jax():
        raise UnsupportedError(missing)
    if missing:
        raise (UnsupportedError if has_lava() else MissingLavaError)(missing)
    raise UnsupportedError(
        f"{request.label} with {what} is not supported: {reasons[len(runtimes) - 1]}"
    )


_TRIED: dict[Clock, tuple[tuple[Granularity, ...], tuple[Runtime, ...]]] = {
    "sync": (GRANULARITIES, RUNTIMES),
    "async": (("layer", "neuron", "network"), ("in-process", "lava", "reference")),
}
"""Granularities and runtimes, what is tried first in front."""


def _said(request: Execution, execution: Execution, first: str) -> str:
    """Return the choice and its reason, in a line."""
    axes = [axis for axis in ("granularity", "runtime") if getattr(request, axis) == AUTO]
    if not axes:
        return ""
    chosen = ", ".join(f"{axis} {getattr(execution, axis)}" for axis in axes)
    why = f" ({first.partition('. Try')[0]})" if first else ""
    return f"{chosen}: the first that this request and this machine support{why}"


def table(
    rule: str | Rule = "dp-transpose", neurons: int | None = None
) -> list[tuple[Execution, str | None]]:
    """Return every combination with the reason why not (None: supported)."""
    every = (Execution(*c) for c in product(GRANULARITIES, CLOCKS, PRECISIONS, RUNTIMES))
    return [(e, reason(e, rule, neurons)) for e in every]


def check_chain(vertices: Sequence[Vertex], what: str) -> None:
    """Raise where sizes and activations are not all there is to know about a network.

    Parameters
    ----------
    vertices : sequence of Vertex
        Of the network.
    what : str
        What needs that, for the message.

    Raises
    ------
    UnsupportedError
        Naming the first node that does not stand on dense weights from the one before.
    """
    below = vertices[0]
    for vertex in vertices[1:]:
        last = vertex is vertices[-1]
        plain = isinstance(vertex.op, Dense) and vertex.sources == (below.name,)
        neurons = vertex.activation is not None and (vertex.activation.name == "linear" or not last)
        if not (plain and neurons and bool(vertex.loss) == last):
            limit = "is a chain: neurons on dense weights from the node before, linear in the end"
            got = f"node {vertex.name} from {', '.join(vertex.sources) or 'the data'}"
            hint = "layers, or a graph without skips, branches and images"
            raise UnsupportedError(message(what, limit, got, hint))
        below = vertex
