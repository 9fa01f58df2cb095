"""In which order the populations of a network update: the published schedules, by name.

A *schedule* is a generator of the populations that update together; what the others are sent
waits for them. An *order* is a schedule with what comes before it: one step in which data arrive
at the first connections, and, where it is ``informed``, the forward pass, population by
population. L is the number of layers of dyads, the output one included; a head takes part in every
step.

Counts for the adjoint form at alpha 0 and 1, after the forward pass where there is one. The
papers know no message of a head: from zeros they count one round less.

Sources: DP, TT (sweeps, parallel and random updates); DB = Scurria, arXiv 2602.02281 (unit steps).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from lava_dyads.errors import invalid, nearest
from lava_dyads.executors.settle import Schedule
from lava_dyads.executors.step import Network


def parallel(network: Network) -> Iterator[list[str]]:
    """All populations in every step: what synchronous hardware does."""
    while True:
        yield list(network.populations)


def sweep(network: Network) -> Iterator[list[str]]:
    """Bottom-up and top-down, one population after the other: the papers' inference."""
    while True:
        yield from bottom_up_once(network)
        # The output once more: a head needs a step to answer.
        yield from top_down_once(network)


def bottom_up_once(network: Network) -> Iterator[list[str]]:
    """One population after the other, from the input up."""
    yield from ([name] for name in network.populations)


def top_down_once(network: Network) -> Iterator[list[str]]:
    """One population after the other, from the output down."""
    yield from ([name] for name in reversed(network.populations))


def bottom_up(network: Network) -> Iterator[list[str]]:
    """Bottom-up sweeps: an error gets one layer down per sweep."""
    while True:
        yield from bottom_up_once(network)


def odd_even(network: Network) -> Iterator[list[str]]:
    """Every other population, then the rest: neighbours never update together."""
    names = list(network.populations)
    while True:
        yield names[::2]
        yield names[1::2]


def unit_steps(network: Network) -> Iterator[list[str]]:
    """2 L steps of all populations: those of the relaxation whose step size is 1 (DB)."""
    for _ in range(2 * len(network.populations)):
        yield list(network.populations)


def random_layer(seed: int) -> Schedule:
    """One random population at a time: what asynchronous hardware may do."""

    def schedule(network: Network) -> Iterator[list[str]]:
        generator = np.random.default_rng(seed)
        names = list(network.populations)
        while True:
            yield [names[generator.integers(len(names))]]

    return schedule


def random_neuron(seed: int) -> Schedule:
    """One random neuron at a time, in all lanes; all others of its population stand still."""

    def schedule(network: Network) -> Iterator[list[str]]:
        generator = np.random.default_rng(seed)
        populations = list(network.populations.items())
        places = [(name, p, i) for name, p in populations for i in range(p.n)]
        while True:
            name, population, i = places[generator.integers(len(places))]
            population.awake = slice(i, i + 1)
            yield [name]

    return schedule


@dataclass(frozen=True)
class Order:
    """A schedule and what comes before it.

    Attributes
    ----------
    name, summary : str
    make : callable
        Returns the schedule that a seed stands for.
    informed : bool
        Whether a forward pass comes first.
    lazy : bool
        Whether it starts from what the sample before has left, instead of from zeros.
    """

    name: str
    summary: str
    make: Callable[[int], Schedule]
    informed: bool = True
    lazy: bool = False

    def schedule(self, seed: int = 0) -> Schedule:
        """Return the whole schedule: data arrive, the forward pass, what follows it."""

        def whole(network: Network) -> Iterator[list[str]]:
            yield []
            if self.informed:
                yield from bottom_up_once(network)
            yield from self.make(seed)(network)

        return whole


def _always(schedule: Schedule) -> Callable[[int], Schedule]:
    return lambda seed: schedule


ORDERS: dict[str, Order] = {
    order.name: order
    for order in (
        Order("sweep", "top-down and bottom-up until silence", _always(sweep), informed=False),
        Order("one-sweep", "one sweep down, L updates of a layer", _always(top_down_once)),
        Order("bottom-up", "bottom-up sweeps: L of them", _always(bottom_up)),
        Order("layer-parallel", "all layers at once: L rounds", _always(parallel)),
        Order("odd-even", "odd layers, then even ones: about L half rounds", _always(odd_even)),
        Order("parallel", "all layers at once, from zeros: 2 L rounds", _always(parallel), False),
        Order("unit-step", "from zeros, 2 L rounds and no more (DB)", _always(unit_steps), False),
        Order("random-layer", "one random layer at a time, from zeros: about 2 L^2 updates",
              random_layer, False),
        Order("random-neuron", "one random neuron at a time, from zeros: 16 .. 24 network-sized "
              "rounds", random_neuron, False),
        Order("lazy", "sweeps from the state of the sample before", _always(sweep), False, True),
    )
}  # fmt: skip
"""Every order by name, the default first."""


def order(name: str) -> Order:
    """Return the order of that name.

    Raises
    ------
    ValidationError
        If there is none; the message suggests the nearest names.
    """
    if name not in ORDERS:
        invalid("order", "unknown name", name, nearest(name, ORDERS))
    return ORDERS[name]
