"""Test one event-driven Process: send it changes, see what its answers add up to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lava.magma.core.process.process import AbstractProcess
from numpy.typing import ArrayLike

from lava_dyads.array_types import AnyArray
from lava_dyads.checks import checked
from lava_dyads.runtime import DyadRunConfig, InProcessSession, Transport
from lava_dyads.runtime.lava_internals.discovery import discover
from lava_dyads.testing.play import check_series, member_of, numbers
from lava_dyads.testing.streams import Player, Recorder


@dataclass(frozen=True)
class Reaction:
    """What a Process answered until it fell silent.

    Attributes
    ----------
    outputs : dict of str to array
        Sum of the changes that each output port sent: the value its listeners hold.
    time : float
        Virtual time of the last event, in mean latencies.
    deliveries : int
        Messages and timers, those of the test's own ends included.
    """

    outputs: dict[str, AnyArray]
    time: float
    deliveries: int


@checked
def react(
    process: AbstractProcess,
    inputs: Mapping[str, ArrayLike],
    *,
    outputs: Iterable[str] = (),
    run_cfg: Any = None,
    transport: Transport | None = None,
) -> Reaction:
    """Send an event-driven Process some changes and wait until it is silent.

    The messages overtake each other as the transport's latencies will have it; try several
    seeds: the outputs of a Process that only adds up changes do not depend on them.

    Parameters
    ----------
    process : AbstractProcess
        With a model of Lava's AsyncProtocol, freshly made and not connected.
    inputs : mapping of port name to series
        Changes of shape (messages, shape of the port), all sent at once.
    outputs : iterable of port names
        What to add up.
    run_cfg : RunConfig or None
        None: ``DyadRunConfig(clock="async")``.
    transport : Transport or None
        Latencies, seed, faults.

    Returns
    -------
    Reaction

    Raises
    ------
    ValidationError
        If a port is unknown or a series has the wrong shape.
    ModelError, DeadlockError
        See :class:`~lava_dyads.runtime.InProcessSession`.

    Examples
    --------
    >>> from lava_dyads import Dyad
    >>> dyad = Dyad((1,), activation="relu")
    >>> reaction = react(dyad, {"basal_in": [[2.0], [-0.5]], "apical_in": [[0.2]]},
    ...                  outputs=["mean_out", "difference_out"])
    >>> reaction.outputs["mean_out"], reaction.outputs["difference_out"].round(12)
    (array([1.5]), array([0.2]))
    """
    series = {port: values.astype(float) for port, values in numbers(process, inputs).items()}
    graph = discover(process)
    played = {name: member_of(process, graph, "input port", name) for name in series}
    recorded = {name: member_of(process, graph, "output port", name) for name in outputs}
    check_series(process, played, series)
    config = DyadRunConfig(clock="async") if run_cfg is None else run_cfg
    for port, values in series.items():
        player = Player(values, name=f"player of {port}")
        player.out.connect(played[port])
    recorders = {}
    for port, own in recorded.items():
        recorders[port] = Recorder(own.shape, 2, name=f"recorder of {port}")
        own.connect(recorders[port].inp)
    with InProcessSession(process, config, transport=transport) as session:
        session.run(1)
        time, deliveries = session.virtual_time, session.deliveries
    heard = {port: recorder.heard[0].copy() for port, recorder in recorders.items()}
    return Reaction(heard, time, deliveries)
