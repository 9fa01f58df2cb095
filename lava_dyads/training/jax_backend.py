"""Presentations in this process, in jitted JAX."""

from __future__ import annotations

from typing import Any

import numpy as np

from lava_dyads.array_types import IntArray
from lava_dyads.elements import Sink, Source
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.executors.jax_sweep import JaxSweep
from lava_dyads.executors.step import Network
from lava_dyads.rules.targets import OneHot
from lava_dyads.training.reference import Poll, StoredRows, announce, measure


class JaxBackend:
    """Shows rows by a :class:`~lava_dyads.executors.jax_sweep.JaxSweep`.

    The registers of the elements hold what has been learnt and counted between runs, as with
    numpy: so checkpoints, metrics and states are the same.

    Parameters
    ----------
    source, network, sink, schedule
    skip_error, counting
        As for :class:`~lava_dyads.executors.sweep.SweptNetwork`.
    """

    def __init__(
        self,
        source: Source,
        network: Network,
        sink: Sink,
        schedule: PresentationSchedule,
        *,
        skip_error: float,
        counting: bool,
    ) -> None:
        self._source, self._sink, self._schedule = source, sink, schedule
        self._time = 0
        self._stored = StoredRows(source, network.arithmetic.dtype)
        y = source.y.labels if isinstance(source.y, OneHot) else np.asarray(source.y)
        self._sweep = JaxSweep(
            network,
            self._stored.x,
            y,
            batch_size=schedule.batch_size,
            skip_error=skip_error,
            counting=counting,
        )

    def run(self, order: IntArray, learn: int, poll: Poll) -> None:
        """Show the rows of ``order`` once."""
        announce(self._source, self._schedule, order, learn, self._time)
        count = self._schedule.presentations(len(order))
        clocks = [self._schedule.at(self._time + 1 + p) for p in range(count)]
        self._time += count
        _, events = self._stored.extents(order, [clock.start for clock in clocks])
        self._source.count("events_input", events)
        self._source.count("messages_input", count)
        begun = 0
        for _, outputs in self._sweep.run(order, clocks):
            rows = order[begun : begun + len(outputs)]
            measure(self._sink, outputs, self._stored.y[rows], begun)
            begun += len(outputs)
            poll()

    def state(self) -> dict[str, Any]:
        """Nothing: the elements hold everything."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to set."""

    def stop(self, kill: bool = False) -> None:
        """Nothing to release."""
