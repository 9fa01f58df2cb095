"""A Process with its running model, and the turns it takes in each phase of a time step."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lava.magma.compiler.channels.pypychannel import CspSendPort
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_dyads.models.element_model import ElementModel
from lava_dyads.runtime.lava_internals.discovery import ports_of
from lava_dyads.runtime.lava_internals.ports import SendEnd
from lava_dyads.runtime.randomness import swapped
from lava_dyads.runtime.scheduler import Task, Turn


@dataclass(slots=True)
class Node:
    """A Process with its running model.

    Attributes
    ----------
    process, model : the Process and its model instance
    task : Task, or StackTask where it is asynchronous
    """

    process: AbstractProcess
    model: Any
    task: Any

    @property
    def own(self) -> bool:
        """Whether its model was made here, and not by Lava's builder."""
        return "_ways" in vars(self.model)

    def wired(self) -> list[str]:
        """Return the names of the ports with channels: InPorts, then OutPorts, each by name."""
        ways = vars(self.model).get("_ways")
        if ways is not None:
            heard = {*self.model.element.inputs, "command_in"}
            return sorted(ways.channels, key=lambda name: (name not in heard, name))
        ports = [*ports_of(self.process, InPort), *ports_of(self.process, OutPort)]
        return [port.name for port in ports if self.channels(port.name)]

    def channels(self, port: str) -> list[Any]:
        """Return the channels that begin or end at a port."""
        ways = vars(self.model).get("_ways")
        if ways is not None:
            return ways.channels.get(port, [])  # type: ignore[no-any-return]
        return [end.channel for end in getattr(getattr(self.model, port, None), "csp_ports", ())]

    def spikes(self, measuring: bool) -> list[Turn]:
        """Return the turns in a spiking phase.

        Lava's own handler does the same by way of messages; these ask only the guards that a
        model has, which makes a step three times as fast. The phase is set once for many
        steps, by :meth:`enter`.

        An element that speaks before it hears has a turn for each, so that it need not wait in
        between; but only one where it is measured.
        """
        kind, plain = type(self.model), PyLoihiProcessModel
        if kind._spike is not plain._spike:
            return [self._turn(kind._spike)]
        if any(getattr(kind, g) is not getattr(plain, g) for g in _GUARDS):
            return [self._turn(_spike_and_ask)]
        hears = any(self.channels(port.name) for port in ports_of(self.process, InPort))
        two = hears and only_looks(self.model) and not self.model.element.answers
        if two and self.task.swap is None and not measuring:
            return [(self.task, _send, self.model), (Task(self.task.label), _receive, self.model)]
        return [self._turn(_spike)]

    @property
    def foreign_ends(self) -> list[Any]:
        """The ends by which its model sends on channels of Lava's own, as VarWire does."""
        if self.own:
            return []
        values = vars(self.model).values()
        return [v for v in values if isinstance(v, CspSendPort) and not isinstance(v, SendEnd)]

    def step(self) -> None:
        """Take one step of an element's model that waits for nobody."""
        _spike(self.model)

    def handler(self, name: str) -> Turn | None:
        """Return the turn in another phase, with Lava's handler; None if it would do nothing."""
        kind, plain = type(self.model), PyLoihiProcessModel
        idle = all(getattr(kind, n) is getattr(plain, n) for n in (*_GUARDS, *_PHASES))
        return None if idle else self._turn(getattr(kind, name))

    def march(self, steps: int | None, meet: Callable[[], int | None]) -> None:
        """Run time steps beside asynchronous models.

        Parameters
        ----------
        steps : int or None
            None: until the meeting says so.
        meet : callable
            Waits for the others that run in steps; returns the phase that comes next, 0 at the
            end of the time step, None at the end of the run.
        """
        kind, plain = type(self.model), PyLoihiProcessModel
        spike = _spike_and_ask if kind._spike is plain._spike else kind._spike
        for _ in itertools.count() if steps is None else range(steps):
            self.enter()
            spike(self.model)
            while phase := meet():
                getattr(self.model, PHASES[phase])()
            if phase is None:
                break
        self.host()

    @property
    def steps(self) -> bool:
        """Whether it runs in steps, and not by messages."""
        return bool(self.model.implements_protocol is LoihiProtocol)

    def enter(self) -> None:
        """Begin the spiking phase."""
        self.model.phase = PyLoihiProcessModel.Phase.SPK

    def host(self) -> None:
        """Begin the host phase."""
        self.model._host()

    def _turn(self, job: Callable[[Any], None]) -> Turn:
        """Let a job draw from the task's own random state, if it has one."""
        swap = self.task.swap
        if swap is None:
            return self.task, job, self.model

        def owned(model: Any) -> None:
            with swapped(swap):
                job(model)

        return self.task, owned, self.model


def _spike(model: Any) -> None:
    """Take one step of a model without guards."""
    # Straight into the instance: Lava's __setattr__ looks for ports each time.
    state = model.__dict__
    state["time_step"] += 1
    model.run_spk()
    if state["_req_pause"] or state["_req_stop"]:
        model._handle_pause_or_stop_req()


def _send(model: Any) -> None:
    """Begin one step of an element's model."""
    model.__dict__["time_step"] += 1
    model.send()


def _receive(model: Any) -> None:
    """End it."""
    model.receive()
    state = model.__dict__
    if state["_req_pause"] or state["_req_stop"]:
        model._handle_pause_or_stop_req()


def _spike_and_ask(model: Any) -> None:
    """Take one step of a model; ask for the phases that its guards want."""
    state = model.__dict__
    state["time_step"] += 1
    model.run_spk()
    if state["_req_pause"] or state["_req_stop"]:
        model._handle_pause_or_stop_req()
    elif model.lrn_guard() and model.pre_guard():  # as often as Lava asks: a guard may draw
        model.process_to_service.send(_ASK.REQ_PRE_LRN_MGMT)
    elif model.lrn_guard():
        model.process_to_service.send(_ASK.REQ_LEARNING)
    elif model.post_guard():
        model.process_to_service.send(_ASK.REQ_POST_LRN_MGMT)


PHASES = {-4: "_pre_mgmt", -5: "_lrn", -6: "_post_mgmt"}
"""Lava's phases by what a model asks for at the end of one (LoihiProtocol)."""
_GUARDS = ("lrn_guard", "pre_guard", "post_guard")
_PHASES = ("_pre_mgmt", "_lrn", "_post_mgmt")
_ASK = PyLoihiProcessModel.Response


def await_arrival(ends: list[Any], patience: float = 0.25) -> None:
    """Wait until what was sent on channels of Lava's own has arrived: threads carry it."""
    deadline = time.monotonic() + patience
    for end in ends:
        while end._req is not None and end._req.get_value() and time.monotonic() < deadline:
            time.sleep(0.0002)
    if ends:
        time.sleep(0.005)  # from the hands of the thread into the queue


def only_looks(model: Any) -> bool:
    """Tell whether a model leaves messages as they are, sent or received, and keeps none.

    Elements of this library do. They also take part in every step, so that no message is left
    for the next one.
    """
    if not isinstance(model, ElementModel) or type(model).run_spk is not ElementModel.run_spk:
        return False
    element = model.element
    ours = type(element).__module__.startswith("lava_dyads.")
    return ours and not vars(element).keys() & {"before", "after"}
