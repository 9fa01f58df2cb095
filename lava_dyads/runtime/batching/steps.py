"""Neurons that are Processes of their own, but the same automaton, take their step together.

Every Process keeps its model, its ports and its registers, which become views on those of an
:class:`~lava_dyads.elements.stacked_populations.StackedPopulations`. What the members of batches
tell each other is gathered in one go; all other Processes are connected as before. Results are the
same to the bit: each sum is taken in the same order.

Within a step each batch hears only those before it, and what it says reaches only those after it.
So where there is nobody but batches, the first one can take several steps before the second one
takes its first: one call gathers the messages of all these steps.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.elements.clock import Clock, PresentationSchedule
from lava_dyads.elements.stacked_populations import StackedPopulations
from lava_dyads.runtime.channels import Channel
from lava_dyads.runtime.scheduler import Scheduler, Task, Turn

add_up = np.add.reduce


GATHERED = 1 << 16
"""Numbers gathered in one go at most, for several steps: they stay in the cache."""
LONGEST = 64
"""Steps in one go at most."""


class BatchScheduler:
    """One task for all batches of a network, one after the other.

    Whom a batch hears of other batches has taken its step before, so none waits for another one.

    Parameters
    ----------
    scheduler : Scheduler
    batches : list of Batch
        In an order in which each can speak once those before it have.
    places : int
        How many numbers batches hear and say in a step, per lane.
    sources : list of Node, or None
        All others in the network, where these are sources that batches alone listen to: they take
        several steps before the batches do. None: there are others, and all go step by step.

    Attributes
    ----------
    time_step : int
        Of the last step that was taken to its end.
    longest : int
        Steps it can take in one go.
    """

    def __init__(
        self, scheduler: Scheduler, batches: list[Batch], places: int, sources: list[Any] | None
    ) -> None:
        self.scheduler, self.batches = scheduler, batches
        self.task = Task(batches[0].task.label)
        groups = groupby(batches, key=lambda batch: batch.schedule)
        self._stages = [(schedule, list(group)) for schedule, group in groups]
        self.time_step = batches[0].nodes[0].model.time_step
        self._places = places
        self._gathered = max(batch.gathered for batch in batches)
        lanes = max(batch.stacked.lanes for batch in batches)
        space = min(GATHERED // max(1, self._gathered), 16 * GATHERED // (places * lanes))
        self.sources = sources
        self.longest = 1 if sources is None else max(1, min(LONGEST, space))
        self._steps = 0
        self._resize(1)

    @property
    def turn(self) -> Turn:
        """What the scheduler runs in a spiking phase."""
        return self.task, BatchScheduler.step, self

    def step(self, steps: int = 1) -> None:
        """Take some steps with all batches."""
        if steps != self._steps:
            self._resize(steps)
        scheduler, time_step = self.scheduler, self.time_step
        silent = self._speak_ahead(steps)
        failed: tuple[Task, Exception] | None = None
        for schedule, batches in self._stages:
            step_range = StepRange(schedule, time_step, steps, silent)
            for batch in batches:
                scheduler.current = batch.task
                try:
                    batch.step(step_range)
                except Exception as error:
                    if not batch.done:
                        raise
                    # Others may fail yet in an earlier step.
                    failed, steps = (batch.task, error), batch.done
                    step_range = StepRange(schedule, time_step, steps, silent)
        self.time_step += steps
        if failed is not None:
            scheduler.current, what = failed
            raise what

    def _speak_ahead(self, steps: int) -> bool:
        """Let the sources take some steps; tell whether they had nothing to say in any of them."""
        sources, first = self.sources or [], self.time_step + 1
        models = [node.model for node in sources]
        if all(model.schedule.inside_presentation(first, steps) for model in models):
            for model in models:  # they speak in the first step of a presentation
                model.__dict__["time_step"] += steps
            return True
        for node in sources:
            self.scheduler.current = node.task
            for _ in range(steps):
                node.step()
        return False

    def leave(self) -> None:
        """Tell the models what they cannot see in their registers, at the end."""
        for batch in self.batches:
            batch.stacked.leave()
            for node in batch.nodes:
                node.model.__dict__["time_step"] = self.time_step

    def _resize(self, steps: int) -> None:
        """Make room for the messages of some steps; nobody says anything so far."""
        self._steps = steps
        space = np.zeros(self._gathered * steps)
        lanes = {batch.stacked.lanes for batch in self.batches}
        values = {n: np.zeros((self._places, steps * n)) for n in lanes}
        for batch in self.batches:
            batch.resize(steps, values[batch.stacked.lanes], space)


class StepRange:
    """Some steps that follow a time step.

    Attributes
    ----------
    steps : int
    silent : bool
        Whether sources have said nothing in them.
    inside_presentation : bool
        Whether no presentation begins or ends in them.
    """

    __slots__ = ("_clocks", "_first", "_schedule", "inside_presentation", "silent", "steps")

    def __init__(
        self, schedule: PresentationSchedule, time_step: int, steps: int, silent: bool = False
    ) -> None:
        self.silent = silent
        self._schedule, self._first, self.steps = schedule, time_step + 1, steps
        self.inside_presentation = schedule.inside_presentation(self._first, steps)
        self._clocks: list[Clock] | None = None

    @property
    def clocks(self) -> list[Clock]:
        """The clock of every step."""
        if self._clocks is None:
            at, first = self._schedule.at, self._first
            self._clocks = [at(time_step) for time_step in range(first, first + self.steps)]
        return self._clocks


class Batch:
    """The nodes of a batch, as one.

    Parameters
    ----------
    nodes : list of Node
    stacked : StackedPopulations
        Their elements.

    Attributes
    ----------
    done : int
        Steps of the present range that it has taken.
    feeds : list of (Channel, slice)
        Messages of other Processes, and their places.
    fed_ahead : bool
        Whether these are sources, which have taken the steps already and may have been silent.
    heard : list of (str, array)
        Per port: which places each member adds up, (sources, members), in the order of the
        sources.
    outputs : list of Output
    """

    def __init__(self, nodes: list[Any], stacked: StackedPopulations) -> None:
        self.nodes, self.stacked = nodes, stacked
        self.schedule = nodes[0].model.schedule
        others = f" and {len(nodes) - 1} more" if len(nodes) > 1 else ""
        self.task = Task(f"{nodes[0].task.label}{others}")
        self.done, self.fed_ahead = 0, False
        self.feeds: list[tuple[Channel, slice]] = []
        self.heard: list[tuple[str, AnyArray]] = []
        self.outputs: list[Output] = []
        self._values: AnyArray = np.zeros(0)
        self._inputs: list[tuple[str, AnyArray, AnyArray]] = []
        for node, element in zip(nodes, stacked.members, strict=True):
            look_at(node.model, element.memory)

    @property
    def gathered(self) -> int:
        """Numbers gathered at once in a step."""
        sizes = [sources.size for _, sources in self.heard]
        return self.stacked.lanes * max(sizes, default=0)

    def resize(self, steps: int, values: AnyArray, space: AnyArray) -> None:
        """Make ready for a number of steps in one go.

        Parameters
        ----------
        steps : int
        values : array, shape (places, steps * lanes)
            What all batches hear and say; shared. Zeros.
        space : array
            Where messages are gathered; others use it as well.
        """
        columns = steps * self.stacked.lanes
        self._values = values
        self._inputs = [
            (port, sources, space[: sources.size * columns].reshape(*sources.shape, columns))
            for port, sources in self.heard
        ]
        for output in self.outputs:
            output.said = False

    def step(self, step_range: StepRange) -> None:
        """Take some steps with all members; see ``ElementModel.run_spk``."""
        values, stacked = self._values, self.stacked
        lanes, self.done = stacked.lanes, 0
        for channel, place in self.feeds:
            if self.fed_ahead and step_range.silent:
                values[place] = 0.0
                continue
            for column in range(0, values.shape[1], lanes):
                told = channel.take().reshape(lanes, -1)
                values[place, column : column + lanes] = told.T
        heard = {}
        for port, sources, space in self._inputs:
            values.take(sources, 0, space, "wrap")
            message = add_up(space, 0, initial=0.0)  # row by row, in order: not the last axis
            if np.count_nonzero(message):
                heard[port] = message[: len(self.nodes)].T
        for output in self.outputs:
            output.clear(values)
        if step_range.inside_presentation and stacked.rests and not heard:
            for output in self.outputs:
                output.send(values, None)
        elif values.shape[1] == lanes:
            self._step(step_range.clocks[0], heard, values)
        else:
            for clock in step_range.clocks:
                # Columns of the step, lane by lane.
                here = slice(self.done * lanes, (self.done + 1) * lanes)
                parts = ((port, message[here]) for port, message in heard.items())
                inbox = {port: part for port, part in parts if np.count_nonzero(part)}
                self._step(clock, inbox, values[:, here])
                self.done += 1

    def _step(self, clock: Clock, inbox: dict[str, AnyArray], values: AnyArray) -> None:
        stacked = self.stacked
        outbox = stacked.after(clock, inbox)
        for output in self.outputs:
            output.send(values, outbox.get(output.port))
            if clock.last:
                stacked.memory["sends"][output.index] += clock.step


class Output:
    """What leaves by one port of all members.

    Parameters
    ----------
    port : str
    index : int
        Number of the port, for ``sends``.
    place : slice
        Where other batches find it.
    shape : tuple
        Of the port of one member.
    whole : list of Channel
        To those who take the message of all members as one.
    single : list of (int, callable)
        A member, and what sends its entry to others.
    """

    __slots__ = ("index", "place", "port", "said", "single", "whole", "zero_message")

    def __init__(
        self,
        port: str,
        index: int,
        place: slice,
        shape: tuple[int, ...],
        whole: list[Channel],
        single: list[Any],
    ) -> None:
        self.port, self.index, self.place = port, index, place
        self.whole, self.single = whole, single
        self.zero_message: AnyArray = np.zeros((*shape[:-1], place.stop - place.start))
        self.said = False

    def clear(self, values: AnyArray) -> None:
        """Take back what was said before."""
        if self.said:
            values[self.place] = 0.0
            self.said = False

    def send(self, values: AnyArray, message: AnyArray | None) -> None:
        """Put the message (lanes, members) in its place, and send it to those outside."""
        told = self.zero_message
        if message is not None:
            values[self.place] = message.T
            told, self.said = message.reshape(told.shape), True
        for channel in self.whole:
            channel.put(told)
        for i, send in self.single:
            send(told[..., i : i + 1])


def look_at(model: Any, memory: dict[str, AnyArray]) -> None:
    """Let the Vars of a model be views on registers that have moved."""
    state = model.__dict__
    model._registers.update(memory)
    for name, register in memory.items():
        if name in state:
            state[name] = register.reshape(state[name].shape)
