"""A population: n units of one kind in B lanes, with biases."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lava_dyads.array_types import AnyArray, Array
from lava_dyads.checks import NotNegative, check_fields
from lava_dyads.elements.base import FLOAT, Element, Inbox, Outbox
from lava_dyads.elements.clock import Clock
from lava_dyads.elements.layout import SMALL, layout, owner, thresholds_at
from lava_dyads.elements.plasticity import plasticity
from lava_dyads.errors import UnsupportedError, invalid
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.optimisers import Optimiser
from lava_dyads.rules.send_on_change import Thresholds, send, send_on_change
from lava_dyads.rules.units import State, Unit

_ALL = slice(None)


@dataclass(frozen=True)
class Noise:
    """Analog noise that every update adds to every register of a state.

    Parameters
    ----------
    deviation : float
        Its standard deviation, in units of the activity; 0: there is none.
    seed : tuple of int
    """

    deviation: NotNegative = 0.0
    seed: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        check_fields(self)

    def part(self, i: int) -> Noise:
        """Return the noise of one of several parts."""
        return Noise(self.deviation, (*self.seed, i))


class Population(Element):
    """Integrate drives, step the unit, send what changed, learn the bias.

    In every step, in this order::

        first step of a presentation: drives, state and what was sent <- 0 (not within a stream)
        basal <- basal + message        apical <- apical + message
                   (from 0 in every step, where the unit takes them as impulses)
        state <- unit.step(unit.drive(basal, bias), apical)      once the wave has arrived
        send each channel on change
        last step: residual <- largest change of a channel in this step (in units of the
                   activity; [this presentation, largest so far]); 0 certifies convergence;
                   spikes have no rest, so spiking units leave it at 0
                   bias learns from the difference it has sent

    Parameters
    ----------
    unit : Unit
        The neuron rule.
    bias : array, shape (n,), or (channels,) where neurons share it
    lanes : int
    beta : float
        Nudge strength; scales the threshold of the error channel and the bias gradient.
    thresholds : Thresholds
        Of the activity channel (and of the learning input, if another), and of the others.
    first_step : int
        Step of a presentation in which the forward wave arrives; silent before it.
    optimiser : Optimiser or None
        How the bias learns; None: it does not.
    noise : Noise
    index : int
        Number of the first neuron within the layer it was cut from.
    sharing : int
        Neurons that share an entry of the bias: the pixels of a channel. Then n = channels *
        sharing, laid out channel by channel, and an entry learns from the sum of its pixels.
    place : callable or None
        Where a small population puts its registers at once, e.g. into shared memory.

    Raises
    ------
    ValidationError
        If a parameter is out of range.
    UnsupportedError
        If neurons share a bias in integers.

    Attributes
    ----------
    awake : slice
        Neurons that update; the others hear, and stay as they are. All but where a schedule says
        otherwise.
    restless : bool
        Whether the last update moved a register by more than ``restless_above``.
    block : array or None
        Where all registers lie side by side, of a small population: thousands of neurons that are
        Processes of their own take less memory so, and fewer lines of the cache.
    """

    answers = True
    coalescing = True

    def __init__(
        self,
        unit: Unit,
        bias: Array,
        *,
        lanes: int = 1,
        beta: float = 1.0,
        thresholds: Thresholds = Thresholds(),
        first_step: int = 1,
        optimiser: Optimiser | None = None,
        arithmetic: Arithmetic | None = None,
        noise: Noise = Noise(),
        index: int = 0,
        sharing: int = 1,
        place: Callable[[AnyArray], AnyArray] | None = None,
    ) -> None:
        self.unit = unit
        self._noise, self.thresholds = noise, thresholds
        arithmetic = arithmetic or FLOAT
        bias = np.array(bias, ndmin=1)
        if bias.ndim != 1 or not np.isfinite(bias).all():
            invalid("Population.bias", "must be a finite vector (n,)", bias.shape)
        bias = arithmetic.number(bias, "bias")
        if arithmetic.exact and (noise.deviation or unit.spiking):
            invalid(
                "Population", "integers have neither analog noise nor spikes", unit.process_name
            )
        if not beta > 0:
            invalid("Population.beta", "must be positive", beta, "0.1")
        if sharing < 1:
            invalid("Population.sharing", "must be at least 1", sharing)
        if sharing > 1 and arithmetic.exact:
            raise UnsupportedError(
                f"precision {arithmetic.name}: every neuron of the chip has a bias of its own, "
                f"here {sharing} share one. Try: precision float"
            )
        self.sharing, self.n = sharing, len(bias) * sharing
        learner = optimiser.for_biases if optimiser else None
        slots = max(1, learner.slots if learner else 0)
        shape = lanes, self.n
        same = layout(unit, arithmetic, thresholds, beta, shape, len(bias), slots)
        self._layout, self.channels, self.counted = same, same.channels, same.counted
        super().__init__(lanes, same.inputs, same.outputs, arithmetic)
        self.inputs, self.outputs, self._places = same.inputs, same.outputs, same.places
        self.beta, self.first_step = beta, first_step
        self.awake = _ALL
        self._spoken = self.restless = False
        self._state: dict[str, Array] = {}
        self._scales, self._floors = same.scales, same.floors
        self._thresholds = same.thresholds
        self.anneal = thresholds.anneal
        self._answers_only = not self.anneal and unit.instantaneous
        self.block: AnyArray | None = None
        if arithmetic.dtype == np.float64 and lanes * self.n <= SMALL:
            block = np.zeros(same.size)
            self._lay_out(block if place is None else place(block))
        else:
            zeros = arithmetic.zeros
            shapes = {name: shape for name, shape, *_ in same.registers}
            first = (*unit.state, "basal", "apical", *(f"sent_{c}" for c in self.channels))
            self.memory |= {name: zeros(shapes[name]) for name in first}
            self.memory |= {"bias": bias, "residual": zeros((2,))}
        self.memory["bias"][...] = bias
        self.plasticity = plasticity(
            "bias", self.memory, beta, optimiser, arithmetic, decay=False, index=index
        )

    def _lay_out(self, block: AnyArray) -> None:
        """Let the registers be parts of a block."""
        self.block, memory, counts = block, self.memory, block.view(np.int64)
        row = block.reshape(1, -1)
        for name, shape, counter, place in self._layout.registers:
            if len(shape) == 1:
                memory[name] = (counts if counter else block)[place]
            elif shape[0] == 1:
                memory[name] = row[:, place]
            else:
                memory[name] = block[place].reshape(shape)

    @property
    def noise(self) -> float:
        """Standard deviation of the analog noise, in units of the activity; 0: there is none."""
        return self._noise.deviation

    @property
    def threshold(self) -> float:
        """Send-on-change threshold of the activity."""
        return self.thresholds.threshold

    @property
    def restless_above(self) -> float:
        """The move of a register above which an asynchronous neuron goes on though it was silent.

        Its threshold times the share of the way that a step goes: where it stops, it is within a
        threshold of where it was going, and so is what was sent. Infinite where every move is sent,
        or is the whole way.
        """
        share = self.unit.share
        return share * self.threshold if self.threshold and share < 1.0 else math.inf

    @property
    def error_threshold(self) -> float:
        """Send-on-change threshold of the other channels, in units of their scale."""
        return self.thresholds.of_errors

    @cached_property
    def _generator(self) -> np.random.Generator:
        return np.random.default_rng(self._noise.seed)

    def scale(self, channel: str) -> float:
        """Return the size of a channel, in units of the activity: errors are of order beta."""
        return 1.0 if channel in (self.unit.up, self.unit.learning_input) else self.beta

    def split(
        self, place: Callable[[AnyArray], AnyArray] = lambda array: array
    ) -> list[Population]:
        """Cut the population into single neurons that share its registers.

        What is kept per neuron (state, drives, values last sent, bias and its optimiser) are views
        on this population's arrays; counters and residuals are the neurons' own.

        Parameters
        ----------
        place : callable
            Where the new arrays go, e.g. to shared memory.

        Raises
        ------
        UnsupportedError
            If a neuron cannot be computed without its neighbours.
        """
        if not self.unit.separable:
            raise UnsupportedError(
                "granularity neuron: this output unit needs its whole layer (softmax). "
                "Try: nudge linearised, or granularity layer"
            )
        if self.sharing > 1:
            raise UnsupportedError(
                f"granularity neuron: a bias that {self.sharing} neurons share is no neuron's own. "
                "Try: granularity layer"
            )
        own = {
            name: place(np.zeros((self.n, *self.memory[name].shape), self.memory[name].dtype))
            for name in ("counts", "sends", "residual", "bias_updates")
        }
        optimiser = self.plasticity.optimiser
        for i in range(self.n):
            part = Population(
                self.unit,
                self.arithmetic.real(self.memory["bias"][i : i + 1]),
                lanes=self.lanes,
                beta=self.beta,
                thresholds=self.thresholds,
                first_step=self.first_step,
                optimiser=optimiser,
                arithmetic=self.arithmetic,
                noise=self._noise.part(i),
                index=i,
            )
            part.awaits, part.block = dict(self.awaits), None
            for name, whole in self.memory.items():
                part.memory[name] = own[name][i] if name in own else whole[..., i : i + 1]
            self.parts.append(part)
        return [part for part in self.parts if isinstance(part, Population)]

    def map_memory(self, place: Callable[[AnyArray], AnyArray]) -> None:
        """Replace every register by ``place(register)``; those of a block stay side by side."""
        if self.block is not None and self.beside():
            block = place(self.block)
            if block is not self.block:
                self._lay_out(block)
        else:
            super().map_memory(place)
        self._state = {}

    def beside(self) -> bool:
        """Tell whether all registers lie side by side in the block."""
        if self.block is None:
            return False
        whole = owner(self.block)
        return all(register.base is whole for register in self.memory.values())

    def alone(self, name: str) -> bool:
        """Tell whether nobody else has a register in the array that one of its own lies in."""
        register = self.memory[name]
        if self.block is not None and register.base is owner(self.block):
            return True
        return owner(register).size == register.size

    @property
    def state(self) -> dict[str, Array]:
        """The unit's registers by name."""
        if not self._state:
            self._state = {name: self.memory[name] for name in self.unit.state}
        return self._state

    @property
    def process_name(self) -> str:
        """That of its unit."""
        return self.unit.process_name

    @property
    def bias(self) -> Array:
        """The bias of every neuron, (n,)."""
        bias = self.memory["bias"]
        return bias if self.sharing == 1 else bias.repeat(self.sharing)

    def by_bias(self, signal: Array) -> Array:
        """Return a signal (lanes, n), summed over the neurons that share a bias."""
        if self.sharing == 1:
            return signal
        summed: Array = signal.reshape(len(signal), -1, self.sharing).sum(axis=2)
        return summed

    def reset(self) -> None:
        """Forget the last presentation."""
        super().reset()
        self._spoken = False
        for name in (*self.unit.state, "basal", "apical", *(f"sent_{c}" for c in self.channels)):
            self.memory[name].fill(0)
        self.unit.begin(self.state)

    @property
    def rests(self) -> bool:
        """Whether it does nothing in the midst of a presentation unless it hears something."""
        awake = self.awake == _ALL
        return self._spoken and self._answers_only and awake and not self._early

    def after(self, clock: Clock, inbox: Inbox) -> Outbox:
        """Receive drives, step, send changes; learn in the last step."""
        if self.rests and not (inbox or clock.first or clock.last):
            return {}
        m = self.memory
        if clock.fresh:
            self.reset()
        elif clock.first:
            self._spoken = False  # the bias may have learnt
        inbox = self.gathered(clock, inbox)
        accumulate = self.arithmetic.accumulate
        moved = accumulate(m["basal"], inbox.get("basal_in"), "basal")
        moved |= accumulate(m["apical"], inbox.get("apical_in"), "apical")
        outbox: Outbox = {}
        if clock.step >= self.first_step and clock.valid:
            # The first time also without a message: the bias has something to say.
            if moved or not self.rests:
                self._spoken = True
                outbox = self._update(clock)
            elif clock.last:
                self._certify(0.0)
        if clock.last:
            self.finish(clock)
        return outbox

    def _update(self, clock: Clock) -> Outbox:
        m, unit, state = self.memory, self.unit, self.state
        watched = [unit.up, unit.down] if clock.last and not unit.spiking else []
        old = {c: unit.emit(state, c).copy() for c in watched}
        numbers = self.arithmetic
        apical = numbers.apical(m["apical"]) if clock.learn or unit.mutual else None
        basal = unit.drive(state, numbers.basal(m["basal"]), self.bias)
        most, awake = self.restless_above, self.awake == slice(None)
        kept = {k: v.copy() for k, v in state.items()} if most < math.inf or not awake else {}
        before = {} if awake else kept
        changes = unit.step(state, basal, apical, numbers) or {}
        for name, register in before.items():
            register[:, self.awake] = state[name][:, self.awake]
            state[name][...] = register
        self.restless = any(bool(np.any(np.abs(state[k] - v) > most)) for k, v in kept.items())
        for name in unit.impulses:
            m[name].fill(0)
        for register in state.values() if self.noise else ():
            register += self.noise * self._generator.standard_normal(register.shape)
        if clock.valid < self.lanes:
            for register in (*state.values(), *changes.values()):
                register[clock.valid :] = 0  # lanes without a sample say nothing
        outbox: Outbox = {}
        thresholds = self._thresholds_at(clock.step) if self.anneal else self._thresholds
        for channel in self.channels:
            heard = channel not in unit.extra or f"{channel}_out" in self.listened
            # From the learning error the bias learns in any case.
            if not heard and channel != unit.learning_error:
                continue
            last_sent = m[f"sent_{channel}"]
            if channel in changes:
                message, events = send(changes[channel], last_sent)
            else:
                value, floor = unit.emit(state, channel), self._floors[channel]
                message, events = send_on_change(
                    value, last_sent, thresholds[channel], floor, numbers
                )
            if message is not None and heard:
                outbox[f"{channel}_out"] = message
                self._sent(channel, message, events)
        if old:
            # The error channel is of order beta: compare it on the scale of the activity.
            self._compare([np.abs(unit.emit(state, c) - old[c]) / self._scales[c] for c in watched])
        return outbox

    def _sent(self, channel: str, message: Array, events: int) -> None:
        """Count a message."""
        self.count_sent(channel, events)

    def _compare(self, changes: list[Array]) -> None:
        """Certify the largest of the changes of all channels."""
        change = [np.max(c, initial=0.0) for c in changes]
        self._certify(float(max(change)) if np.all(np.isfinite(change)) else np.inf)

    def _thresholds_at(self, step: int) -> dict[str, float]:
        return thresholds_at(self.unit, self.arithmetic, self.thresholds, self._scales, step)

    def _certify(self, change: float) -> None:
        """Note the change in the last step: [of this presentation, largest so far]."""
        residual = self.memory["residual"]
        if self.arithmetic.exact:
            change = np.ceil(change)
        residual[:] = change, max(change, residual[1])

    def finish(self, clock: Clock) -> None:
        """Count the spikes and learn the bias, at the end of a presentation."""
        state = self.state
        if clock.valid and self.unit.spiking:
            self.count("spikes", round(self.unit.spikes(state)))
            self.count("saturated", int(self.unit.saturated(state)[: clock.valid].sum()))
        if not clock.learn or not clock.valid:
            return
        if clock.valid < self.lanes:
            state = {name: register[: clock.valid] for name, register in state.items()}
        self.count_settled(state, clock.valid)
        if not clock.frozen:
            self.plasticity.learn_alone(self.by_bias(self.bias_errors), clock.batch)

    @property
    def bias_errors(self) -> Array:
        """What every neuron's bias learns from, (lanes, n)."""
        return self.unit.bias_error(self.memory[f"sent_{self.unit.learning_error}"])

    def count_settled(self, state: State, samples: int) -> None:
        """Count the units of so many samples, and those in a state that straddles a kink."""
        straddling = self.unit.straddling(state)
        self.count("settled", samples * self.n)
        if straddling is not None:
            self.count("straddling", int(np.count_nonzero(straddling)))
