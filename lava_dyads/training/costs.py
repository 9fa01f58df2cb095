"""What training costs: backprop's products, time per ProcessModel, traffic per channel."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lava_dyads.elements.clock import FROZEN
from lava_dyads.executors.backprop import BackpropNetwork, zero_skipping_operations
from lava_dyads.training.metrics import Cost

if TYPE_CHECKING:  # importing the runtime costs a second
    from lava_dyads.runtime.usage import Usage
    from lava_dyads.training.trainer import Trainer

PIECE = 1000
"""Rows that backprop is asked about at a time: all at once would take gigabytes."""

Profile = dict[str, dict[str, str | float]]


def cost_of(trainer: Trainer) -> Cost:
    """Return what training a sample, or a frame of it, costs on the present weights."""
    spec, rows, parameters, total = trainer.spec, trainer.train_rows, trainer.parameters(), 0
    for start in range(0, len(rows), PIECE):
        piece = trainer.schedule.rows(rows[start : start + PIECE])
        x, y = trainer.source.x[piece], trainer.source.y[piece]
        total += zero_skipping_operations(spec.backpropagate(x, y, *parameters))
    dense, skipping = spec.dense_operations, total / (len(rows) * trainer.data.frames)
    if isinstance(trainer.network, BackpropNetwork):
        return Cost(None, None, float(dense), dense, skipping)
    metrics = trainer.run(rows, FROZEN)
    spikes = metrics.spikes if trainer.network.spiking else None
    return Cost(metrics.events, spikes, metrics.operations, dense, skipping)


def profile_of(usage: Usage) -> Profile:
    """Return seconds per ProcessModel class and traffic per kind of channel, largest first.

    Parameters
    ----------
    usage : Usage
        What :meth:`Trainer.usage` has returned.
    """
    seconds: dict[str, float] = {}
    for whose, spent in usage.seconds.items():
        model = whose[whose.rindex("(") + 1 : -1]
        seconds[model] = seconds.get(model, 0.0) + spent
    traffic: dict[str, list[int]] = {}
    for channel in usage.channels:
        # A layer's neurons are one end here: population_1.7.mean_out is population_1.mean_out.
        ends = [re.sub(r"\.\d+\.", ".", end) for end in (channel.source, channel.target)]
        sums = traffic.setdefault(" -> ".join(ends), [0, 0, 0])
        for i, amount in enumerate((channel.messages, channel.events, channel.operations)):
            sums[i] += amount
    names = ("messages", "events", "operations")
    slowest = sorted(seconds, key=lambda model: -seconds[model])
    return {
        "seconds in ProcessModels": {model: seconds[model] for model in slowest},
        "traffic": {
            name: ", ".join(f"{n:,} {word}" for n, word in zip(sums, names, strict=True) if n)
            for name, sums in sorted(traffic.items(), key=lambda item: -item[1][1])
            if any(sums)
        },
    }
