"""Many neurons of their own that are the same automaton, stepped at once."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from numpy.lib.stride_tricks import as_strided

from lava_dyads.array_types import AnyArray, Array
from lava_dyads.elements.base import SILENCE, Inbox, Outbox
from lava_dyads.elements.clock import Clock
from lava_dyads.elements.layout import owner
from lava_dyads.elements.plasticity import Plasticity
from lava_dyads.elements.population import Population

OWN = ("counts", "sends", "residual", "bias_updates")
"""Registers that a population has once, not once per neuron."""


def kind(element: object) -> Hashable:
    """Return what elements have in common that can be stacked; None: nothing.

    A member is a plain population of one neuron, in float64 and without noise, whose messages are
    one number each.
    """
    if type(element) is not Population or vars(element).keys() & {"before", "after"}:
        return None
    numbers = element.arithmetic
    plain = numbers.name == "float" and numbers.dtype == np.float64 and not element.noise
    plain = plain and not element._early
    if not plain or element.n != 1 or element.unit.blocks:
        return None
    parameters = (
        element.lanes,
        element.beta,
        element.thresholds,
        element.first_step,
        tuple(element.awaits.items()),
    )
    listened = frozenset(element.listened)
    optimiser = element.plasticity.optimiser
    return element.unit, *parameters, optimiser, listened, element._spoken


class StackedPopulations(Population):
    """Step populations of one neuron each as one array, with the same result to the bit.

    Every member keeps its registers: they become views on those of the whole, (lanes, n) for
    n members. Each decides for itself whether it has something to do, counts for itself and is
    certified for itself; only the arithmetic is done at once.

    Parameters
    ----------
    members : list of Population
        At least one; all of the same :func:`kind`.

    Raises
    ------
    ValueError
        If registers are views on a larger array in which the members do not stand side by side.
    """

    def __init__(self, members: list[Population]) -> None:
        first = members[0]
        joined = {name: _joined(members, name) for name in first.memory}
        super().__init__(
            first.unit,
            np.zeros(len(members)),
            lanes=first.lanes,
            beta=first.beta,
            thresholds=first.thresholds,
            first_step=first.first_step,
            optimiser=first.plasticity.optimiser,
            arithmetic=first.arithmetic,
        )
        self.members = members
        self.memory.update(joined)
        self.block = None
        self.listened = set(first.listened)
        self._spoken, self.awaits = first._spoken, first.awaits
        for i, member in enumerate(members):
            member.memory.update(
                {n: a[..., i] if n in OWN else a[..., i : i + 1] for n, a in joined.items()}
            )
            member._state, member.block = {}, None

    def leave(self) -> None:
        """Tell the members what they cannot see in their registers."""
        for i, member in enumerate(self.members):
            member._spoken, member._early = self._spoken, {}
            for port, message in self._early.items():
                if message is not None and message[:, i].any():
                    member._early[port] = message[:, i : i + 1].copy()

    def after(self, clock: Clock, inbox: Inbox) -> Outbox:
        """Do what every member would do with its entry of the messages."""
        if self.rests and not (inbox or clock.first or clock.last):
            return SILENCE
        if clock.fresh:
            self.reset()
        elif clock.first:
            self._spoken = False  # the bias may have learnt
        inbox = self.gathered(clock, inbox)
        heard: AnyArray | None = None
        for port, name in (("basal_in", "basal"), ("apical_in", "apical")):
            message = inbox.get(port)
            if message is not None:
                self.memory[name] += message
                there = np.asarray(message.any(axis=0))
                heard = there if heard is None else heard | there
        outbox: Outbox = {}
        if clock.step >= self.first_step and clock.valid:
            if not self.rests:
                self._spoken = True
                outbox = self._update(clock)
            else:
                outbox = self._update_some(clock, heard)
        if clock.last:
            self.finish(clock)
        return outbox

    def _update_some(self, clock: Clock, heard: AnyArray | None) -> Outbox:
        """Update the members that have heard something."""
        if heard is not None and heard.all():
            return self._update(clock)
        if clock.last:
            # What has heard nothing has not moved; the others say so themselves, below.
            self.memory["residual"][0, slice(None) if heard is None else ~heard] = 0.0
        if heard is None or not heard.any():
            return {}
        whole, some = self.memory, np.flatnonzero(heard)
        written = (*self.unit.state, "counts", "residual", *(f"sent_{c}" for c in self.channels))
        used = (*written, "basal", "apical", "bias")
        self.memory, self._state = {name: whole[name][..., some] for name in used}, {}
        try:
            part = self._update(clock)
            for name in written:
                whole[name][..., some] = self.memory[name]
        finally:
            self.memory, self._state = whole, {}
        outbox: Outbox = {}
        for port, message in part.items():
            whole_message = np.zeros((self.lanes, self.n))
            whole_message[:, some] = message
            outbox[port] = whole_message
        return outbox

    def _sent(self, channel: str, message: Array, events: int) -> None:
        """Count for every member."""
        each = np.count_nonzero(message, axis=0)
        self.memory["counts"][self.counted.index(f"messages_{channel}")] += each > 0
        self.memory["counts"][self.counted.index(f"events_{channel}")] += each

    def _compare(self, changes: list[Array]) -> None:
        change = np.array(changes).max(axis=1)
        largest = np.where(np.isfinite(change).all(axis=0), change.max(axis=0), np.inf)
        residual = self.memory["residual"]
        residual[:] = largest, np.maximum(largest, residual[1])

    def finish(self, clock: Clock) -> None:
        """Let every member count its spikes and learn its bias."""
        if clock.valid and self.unit.spiking:
            for member in self.members:
                member.count("spikes", round(member.unit.spikes(member.state)))
                saturated = member.unit.saturated(member.state)[: clock.valid]
                member.count("saturated", int(saturated.sum()))
        if not clock.learn or not clock.valid:
            return
        counts, state = self.memory["counts"], self.state
        counts[self.counted.index("settled")] += clock.valid
        straddling = self.unit.straddling(state)
        if straddling is not None:
            straddle = np.count_nonzero(straddling[: clock.valid], axis=0)
            counts[self.counted.index("straddling")] += straddle
        if clock.frozen:
            return
        errors = self.bias_errors
        updates = self.memory["bias_updates"][0]
        learner = self.plasticity
        if isinstance(learner, Plasticity) and (updates == updates[0]).all():
            # Numpy adds up along the last axis as it does in an array of one column.
            product = np.ascontiguousarray(errors.T).sum(axis=1)
            learner.learn(product, clock.batch)
            return
        for member in self.members:  # somebody has set the counts of updates apart
            member.plasticity.learn_alone(member.bias_errors, clock.batch)


class CommandedPopulations(StackedPopulations):
    """Members that answer messages each for itself, and do together what all are told at once.

    See :class:`~lava_dyads.elements.reactive.Reactive`. Nothing is heard together, so inboxes are
    empty.

    Raises
    ------
    ValueError
        Also if members have something to do without being told.
    """

    def __init__(self, members: list[Population]) -> None:
        if not members[0]._answers_only:
            raise ValueError("members schedule themselves")
        super().__init__(members)

    def reset(self) -> None:
        """Forget the last presentation."""
        super().reset()
        self.leave()

    def after(self, clock: Clock, inbox: Inbox) -> Outbox:
        """Let those speak who have not; learn in the last step."""
        outbox: Outbox = {}
        if clock.valid:
            outbox = self._update_some(clock, np.array([not m._spoken for m in self.members]))
            self._spoken = True
            self.leave()
        if clock.last:
            self.finish(clock)
        return outbox


def _joined(members: list[Population], name: str) -> AnyArray:
    """Return one array with a register of all members side by side on the last axis."""
    arrays = [member.memory[name] for member in members]
    first, n = arrays[0], len(arrays)
    once = name in OWN
    if all(member.alone(name) for member in members):
        return np.stack(arrays, -1) if once else np.concatenate(arrays, -1)
    # Others look at them, too (the layer that was cut up): they have to stay where they are.
    places = [array.__array_interface__["data"][0] for array in arrays]
    step = places[1] - places[0] if n > 1 else first.itemsize
    whole = owner(first)
    beside = all(place == places[0] + i * step for i, place in enumerate(places))
    if not beside or any(owner(array) is not whole for array in arrays):
        raise ValueError(f"{name}: not side by side")
    leading = slice(None) if once else slice(-1)
    shape, strides = (*first.shape[leading], n), (*first.strides[leading], step)
    return as_strided(first, shape, strides)
