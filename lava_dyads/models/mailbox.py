"""The mailbox: how an event-driven model hears and speaks, whoever moves the messages.

The same model runs on Lava's own AsyncProtocol, where :class:`LavaMailbox` uses its channels,
and on the in-process runtime, which brings a mailbox of its own.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.elements.reactive import Command
from lava_dyads.errors import NotSettledError, message

LATENCY_SECONDS = 1e-4
"""What a mean latency is on Lava's own runtime: about the time of one of its messages."""


_PATIENCE_SECONDS = 1e-3


class Mailbox(ABC):
    """Wait for any message, gather, answer if something changed.

    Messages are changes: those that come before the next ``drain`` add up, port by port.
    """

    @property
    @abstractmethod
    def pending(self) -> bool:
        """Whether a message waits."""

    @abstractmethod
    def wait(self) -> bool:
        """Wait until a message or a command has come; return False at the end of the run."""

    @abstractmethod
    def sleep(self, duration: float) -> None:
        """Be deaf for a jittered time of that mean, in mean latencies; messages wait."""

    @abstractmethod
    def drain(self) -> dict[str, AnyArray]:
        """Return the sum of the changes that have come per port, in the port's shape."""

    @abstractmethod
    def commands(self) -> list[tuple[int, int]]:
        """Return (command, presentation) of the conductor since the last call."""

    @abstractmethod
    def send(self, port: str, change: AnyArray) -> None:
        """Send the entries of a change that are not zero."""

    @abstractmethod
    def command(self, command: Command, presentation: int) -> None:
        """Give a command to all followers; for conductors."""

    def lead(self, first: int, count: int) -> int:
        """Lead through at most so many presentations, from one on, by other means than commands.

        Returns
        -------
        int
            Through how many; 0: this has to be done by commands.
        """
        return 0

    @abstractmethod
    def await_quiescence(self) -> None:
        """Wait until nothing is on its way and nobody has an answer due; for conductors.

        Raises
        ------
        NotSettledError
            If the messages do not end; the cap is the conductor's.
        """


def not_settled(deliveries: int) -> NotSettledError:
    """Return the error of a relaxation that reached its cap."""
    return NotSettledError(
        message(
            "asynchronous network",
            "did not settle: still talking at its cap of messages",
            deliveries,
            "a rule that settles (dp-transpose at alpha 0 or 1 does), a smaller beta, smaller "
            "weights, or a larger max_deliveries",
        )
    )


class LavaMailbox(Mailbox):
    """A mailbox on the channels of Lava's own runtime.

    Uses what Lava's ports are made of, since its own ``InPort.probe`` is true only if all of
    several sources have sent.

    Parameters
    ----------
    model : PyAsyncProcessModel
    inputs, outputs : list of str
        Ports for data.
    """

    def __init__(self, model: Any, inputs: list[str], outputs: list[str]) -> None:
        self._model = model
        self._inbox: dict[str, AnyArray] = {}
        self._commands: list[tuple[int, int]] = []
        self._channels = [
            (name, getattr(model, name), channel)
            for name in inputs
            for channel in getattr(model, name).csp_ports
        ]
        self._outputs = {name: getattr(model, name) for name in outputs}
        self._orders = list(getattr(getattr(model, "command_in", None), "csp_ports", []))
        self._reports = list(getattr(getattr(model, "report_in", None), "csp_ports", []))
        self._sent = self._received = self._probes = 0
        self._over = False
        self._generator = np.random.default_rng()
        listening = [channel for _, _, channel in self._channels] + self._orders
        # A follower ends with its conductor, which would wait for its report; to listen to the
        # runtime's wish to pause as well would only keep it awake.
        self._listening = listening if self._orders else [*listening, model.service_to_process]
        self._arrival = threading.Event()

    @property
    def pending(self) -> bool:
        """Whether a message waits."""
        return bool(self._inbox)

    def wait(self) -> bool:
        """Wait until a message or a command has come; return False at the end of the run."""
        while True:
            self._collect()
            if self._inbox:
                return True
            if self._commands:
                return True
            for _ in range(self._probes):  # only now: whoever answers is idle
                self._model.report_out.send(np.array([self._sent, self._received], float))
            self._probes = 0
            if self._over:
                self._over = False
                return False
            if not self._orders and self._model.service_to_process.probe():
                return False
            self._await_any()

    def sleep(self, duration: float) -> None:
        """Sleep."""
        time.sleep(duration * LATENCY_SECONDS * self._generator.uniform(0.5, 1.5))

    def drain(self) -> dict[str, AnyArray]:
        """Return the sum of the changes that have come, per port."""
        self._collect()
        inbox, self._inbox = self._inbox, {}
        return inbox

    def commands(self) -> list[tuple[int, int]]:
        """Return the commands since the last call."""
        commands, self._commands = self._commands, []
        return commands

    def send(self, port: str, change: AnyArray) -> None:
        """Send to everybody who listens; listen on while a channel is full."""
        out = self._outputs[port]
        data = change.reshape(out._shape)
        for channel in out.csp_ports:
            while not channel.probe():
                self._collect()
                time.sleep(LATENCY_SECONDS)
            channel.send(data)
            self._sent += 1

    def command(self, command: Command, presentation: int) -> None:
        """Give a command to all followers."""
        self._model.command_out.send(np.array([command, presentation], float))
        self._sent += len(self._model.command_out.csp_ports)

    def await_quiescence(self) -> None:
        """Ask everybody for their counts until two waves agree (see ``Conductor``)."""
        begin = received = -1
        limit = self._model.max_deliveries
        while True:
            self._model.command_out.send(np.array([Command.PROBE, 0], float))
            sums = np.sum([channel.recv() for channel in self._reports], axis=0)
            if self._sent + sums[0] == received:
                return
            received = int(sums[1])
            begin = received if begin < 0 else begin
            if received - begin > limit:
                raise not_settled(limit)
            time.sleep(LATENCY_SECONDS)

    def _await_any(self) -> None:
        # Lava's own selector can sleep through a message: a channel tells nobody if its queue
        # was not empty a moment ago, even if the last message has been taken meanwhile. So look
        # again after a while; ever more rarely, or a deadlock would look like work.
        patience = _PATIENCE_SECONDS
        for channel in self._listening:
            channel.observer = self._arrival.set
        while not any(channel.probe() for channel in self._listening):
            self._arrival.wait(patience)
            self._arrival.clear()
            patience = min(2 * patience, 1.0)
        for channel in self._listening:
            channel.observer = None

    def _collect(self) -> None:
        for name, port, channel in self._channels:
            while channel.probe():
                self._received += 1
                change = port._transformer.transform(channel.recv(), channel)
                if not np.count_nonzero(change):
                    continue  # another neuron of the layer was meant
                held = self._inbox.get(name)
                self._inbox[name] = change.copy() if held is None else held + change
        for channel in self._orders:
            while channel.probe():
                command, presentation = (int(v) for v in channel.recv())
                if command == Command.PROBE:
                    self._probes += 1
                    continue
                self._received += 1  # END as well, or the next run would never fall silent
                if command == Command.END:
                    self._over = True
                else:
                    self._commands.append((command, presentation))
