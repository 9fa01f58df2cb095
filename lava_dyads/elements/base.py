"""Elements: the automata a network is made of.

An element keeps registers (``memory``) and answers messages. It knows neither Lava nor its
neighbours: a Lava ProcessModel, the reference engine and a fused network all drive the same
one, by two calls per step, ``before`` (what it sends before it receives) and ``after``.
Populations answer in ``after``; connections and heads send the last step's result in
``before``, which makes every loop of the graph free of deadlock.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from lava_dyads.array_types import AnyArray, Array, IntArray, Signal
from lava_dyads.elements.clock import Clock
from lava_dyads.errors import invalid
from lava_dyads.rules.arithmetic import Arithmetic, Float

Inbox = Mapping[str, Signal]
Outbox = dict[str, Signal]
SILENCE: Outbox = {}
FLOAT = Float()
"""The number system of elements that are told nothing else."""


class Element(ABC):
    """Base of all elements.

    Attributes
    ----------
    inputs, outputs : dict of str to int
        Width n of every port; a message is (lanes, n) or None.
    memory : dict of str to array
        Registers by name. They may be replaced by equal arrays (shared memory), so code looks
        them up instead of keeping references.
        ``sends`` counts what a runtime moved per output port, silent messages included; it is
        up to date at the end of a presentation.
    counted : tuple of str
        Names of the entries of ``memory["counts"]``.
    listened : set of str
        Outputs that somebody listens to; the others need not be computed.
    parts : list of Element
        Elements that do the work in its place, where it has been cut up.
    awaits : dict of str to int
        Where messages of one sweep reach an input port in several steps: the last of them. Before
        it they are gathered, so that the element answers once. Asynchronous elements know no
        steps and wait for nothing.
    arithmetic : Arithmetic
        The number system of its registers and messages.
    """

    counted: tuple[str, ...] = ()
    answers: ClassVar[bool] = False
    """Whether it sends in ``after`` (populations) or in ``before`` (everything else)."""
    coalescing: ClassVar[bool] = False
    """Whether it gathers asynchronous messages for a while before it answers them."""

    def __init__(
        self,
        lanes: int,
        inputs: Mapping[str, int],
        outputs: Mapping[str, int],
        arithmetic: Arithmetic | None = None,
    ) -> None:
        self.lanes = lanes
        self.arithmetic: Arithmetic = arithmetic or FLOAT
        self.inputs = dict(inputs)
        self.outputs = dict(outputs)
        self.listened = set(outputs)
        self.parts: list[Element] = []
        self.awaits: dict[str, int] = {}
        self._early: Outbox = {}
        self._places = {name: i for i, name in enumerate(self.counted)}
        self.memory: dict[str, AnyArray] = {
            "counts": np.zeros(max(1, len(self.counted)), np.int64),
            "sends": np.zeros(max(1, len(self.outputs)), np.int64),
        }

    @property
    def process_name(self) -> str:
        """Name of the Process class that runs it, where it is a part of a network."""
        return ""

    @property
    def buffered(self) -> bool:
        """Tell whether something waits to be sent, or to be answered, in a later step."""
        return bool(self._early)

    @property
    def rests(self) -> bool:
        """Whether it does nothing in the midst of a presentation unless it hears something."""
        return False

    def before(self, clock: Clock) -> Outbox:
        """Return what is sent before this step's messages are received."""
        return SILENCE

    def reset(self) -> None:
        """Forget the last presentation."""
        self._early = {}

    def gathered(self, clock: Clock, inbox: Inbox) -> Inbox:
        """Return the messages to answer in this step: where more are to come, they wait.

        They are added up as they come, in the numbers of the element.
        """
        if not self.awaits:
            return inbox
        ready = dict(inbox)
        for port, last in self.awaits.items():
            message, early = ready.pop(port, None), self._early.pop(port, None)
            if message is not None and early is not None:
                message = early + message
            elif message is None:
                message = early
            if message is None:
                continue
            if clock.step >= last:
                ready[port] = message
            else:  # who sent it may write the next one into the same array
                self._early[port] = message.copy() if early is None else message
        return ready

    @abstractmethod
    def after(self, clock: Clock, inbox: Inbox) -> Outbox:
        """Take this step's messages and return the answer to them."""

    def map_memory(self, place: Callable[[AnyArray], AnyArray]) -> None:
        """Replace every register by ``place(register)``, e.g. to move it to shared memory."""
        self.memory.update({name: place(value) for name, value in self.memory.items()})

    @property
    def counts(self) -> dict[str, int]:
        """Counters by name, since they were last zeroed."""
        values: IntArray = self.memory["counts"]
        return {name: int(values[i]) for i, name in enumerate(self.counted)}

    def count(self, name: str, amount: int) -> None:
        """Add to a counter."""
        counts = self.memory["counts"]
        counts[self._places[name]] += amount

    def count_sent(self, channel: str, events: int) -> None:
        """Count a message on a channel, if there is an event in it, and its events."""
        self.count(f"messages_{channel}", int(events > 0))
        self.count(f"events_{channel}", events)


class Trainable(Element):
    """A whole network: its memory has ``weights_1`` .. and ``biases_1`` .., from the input up.

    There are biases for every population, which in a chain are as many as there are weights. Where
    feedback weights are separate, it has ``feedback_2`` .., too. Parameters go in and out in units
    of the activity, whatever the number system.
    """

    depth: int

    def set_parameters(self, weights: list[Array], biases: list[Array]) -> None:
        """Overwrite all weights (n_out, n_in) and biases (n,) in place."""
        for kind, values in (("weights", weights), ("biases", biases)):
            for k, value in enumerate(values, 1):
                register = self.memory[f"{kind}_{k}"]
                if register.shape != np.shape(value):
                    invalid(f"{kind}_{k}", f"must have shape {register.shape}", np.shape(value))
                numbers = self.arithmetic.at(k, self.depth)
                write = numbers.weights if kind == "weights" else numbers.number
                register[...] = write(value, f"{kind}_{k}")

    def parameters(self) -> tuple[list[Array], list[Array]]:
        """Return copies of all weights and of all biases, from the input up."""
        numbers = self.arithmetic
        weights = self._registers("weights")
        return (
            [numbers.at(k, self.depth).real_weights(w) for k, w in enumerate(weights, 1)],
            [numbers.real(b) for b in self._registers("biases")],
        )

    def _registers(self, kind: str) -> list[AnyArray]:
        """Return the registers of a kind, from the input up."""
        found: list[AnyArray] = []
        while f"{kind}_{len(found) + 1}" in self.memory:
            found.append(self.memory[f"{kind}_{len(found) + 1}"])
        return found

    def feedback(self) -> list[Array | None]:
        """Return copies of the feedback weights, (n_out, n_in); None where they are tied."""
        found = []
        for k in range(1, self.depth + 1):
            numbers = self.arithmetic.at(k, self.depth).backward()
            register = self.memory.get(f"feedback_{k}")
            found.append(None if register is None else numbers.real_weights(register))
        return found
