"""Event-driven neurons that are the same automaton obey a conductor together.

Each answers messages for itself, when they come. But what a conductor says reaches all of its
followers at the same time, in silence: what they do then is one numpy call for all. What they say
leaves in the order of the followers, as if each had obeyed by itself; so runs are the same,
message for message.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from lava_dyads.elements import Outbox
from lava_dyads.elements.reactive import Command, Reactive
from lava_dyads.elements.stacked_populations import CommandedPopulations, kind
from lava_dyads.models.events import ReactiveModel
from lava_dyads.runtime.batching.grouping import SMALLEST, address, home
from lava_dyads.runtime.batching.steps import look_at
from lava_dyads.runtime.virtual_time.mailbox import DrivenTask, EventMailbox


class CommandBatch:
    """Followers of a conductor that obey together.

    Parameters
    ----------
    models : list of ReactiveModel
    stacked : CommandedPopulations
        Their elements.
    """

    def __init__(self, models: list[Any], stacked: CommandedPopulations) -> None:
        self.models, self.stacked = models, stacked
        self.boxes: list[EventMailbox] = [model._mailbox for model in models]
        self._reactive = Reactive(stacked, models[0].schedule)
        for model, element in zip(models, stacked.members, strict=True):
            look_at(model, element.memory)

    def handle(self, command: Command, presentation: int) -> Mapping[EventMailbox, Outbox] | None:
        """Let all obey; return what each has to say, or None if one of them is busy."""
        if not all(box.waiting for box in self.boxes):
            return None
        self._reactive.follow(self.models[0]._reactive)  # which may have obeyed by itself before
        outbox = self._reactive.handle(command, presentation)
        for model in self.models:
            model._reactive.follow(self._reactive)
        said: dict[EventMailbox, Outbox] = {box: {} for box in self.boxes}
        for i, port in enumerate(self.stacked.outputs):
            message = outbox.get(port)
            if message is None or port not in self.stacked.listened:
                continue
            speaks = message.any(axis=0)
            self.stacked.memory["sends"][i] += speaks
            for k in np.flatnonzero(speaks).tolist():
                said[self.boxes[k]][port] = message[:, k : k + 1]
        return said


def batch_commands(nodes: list[Any]) -> None:
    """Let the followers of each conductor obey together that can."""
    driven = {node.model._mailbox: node for node in nodes if _driven(node)}
    for box in [n.model._mailbox for n in nodes if hasattr(n.model, "_mailbox")]:
        groups: dict[tuple[tuple[str, ...], Hashable], list[Any]] = defaultdict(list)
        for node in (driven[f] for f in box.followers if f in driven):
            model, element = node.model, node.model.element
            same = kind(element)
            wired = tuple(filter(model.is_connected, element.outputs))
            if same is not None:
                groups[wired, (same, id(model.schedule), home(element))].append(model)
        for (wired, _), group in groups.items():
            box.command_batches += _command_batches(group, wired)


def _command_batches(models: list[Any], wired: tuple[str, ...]) -> list[CommandBatch]:
    models.sort(key=lambda model: address(model.element))
    if len(models) < SMALLEST:
        return []
    try:
        stacked = CommandedPopulations([model.element for model in models])
    except ValueError:
        return []
    stacked.listened &= set(wired)
    return [CommandBatch(models, stacked)]


def _driven(node: Any) -> bool:
    model = node.model
    handles = isinstance(model, ReactiveModel) and type(model).handle is ReactiveModel.handle
    return handles and isinstance(node.task, DrivenTask)
