"""How a source, a network and a sink are executed; chosen by the runtime and the backend."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from threadpoolctl import threadpool_limits

from lava_dyads.array_types import IntArray
from lava_dyads.elements import Sink, Source
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.errors import invalid
from lava_dyads.executors.backprop import BackpropNetwork
from lava_dyads.executors.step import Network
from lava_dyads.native.thread_pool import thread_team
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import Execution
from lava_dyads.training.jax_backend import JaxBackend
from lava_dyads.training.reference import Backend, Poll, ReferenceBackend, announce, threads_for


class LavaBackend:
    """Three Lava Processes, the network cut by the granularity, on Lava's runtime or ours."""

    def __init__(
        self,
        source: Source,
        network: Network,
        sink: Sink,
        schedule: PresentationSchedule,
        execution: Execution,
        **in_process: Any,
    ) -> None:
        # Imported here so that the reference runtime and --help do not pay for Lava.
        from lava_dyads.processes import Conductor, DatasetSource, DyadNetwork, MetricSink
        from lava_dyads.runtime import DyadRunConfig, InProcessSession, LavaSession, Session

        self._source, self._schedule = source, schedule
        self.source = DatasetSource(element=source, schedule=schedule, name="source")
        self.network = DyadNetwork(network, schedule=schedule)
        self.sink = MetricSink(element=sink, schedule=schedule, name="sink")
        self.source.x_out.connect(self.network.input_in)
        self.source.y_out.connect(self.network.target_in)
        self.source.y_out.connect(self.sink.target_in)
        self.network.output_out.connect(self.sink.output_in)
        self._conducted = execution.clock == "async"
        if self._conducted:
            # A weight carries some messages each way; many times more will never end.
            weights = sum(c.op.n_in * c.op.n_out for c in network.connections.values())
            self.conductor = Conductor(schedule, max_deliveries=max(1_000_000, 50 * weights))
            self.conductor.lead(self.source, self.network, self.sink)
        assert execution.granularity != "auto"
        config = DyadRunConfig(execution.granularity, clock=execution.clock)
        self.session: Session
        self._threads = 0
        if execution.runtime == "in-process":
            self._threads = threads_for(network) if execution.granularity == "network" else 0
            self.session = InProcessSession(self.network, config, **in_process)
        else:
            # On a busy machine the models' kernels take minutes to be compiled.
            self.session = LavaSession(self.network, config, timeout=600.0)

    def run(self, order: IntArray, learn: int, poll: Poll) -> None:
        """Show the rows of ``order`` once."""
        announce(self._source, self._schedule, order, learn, self.session.steps_done)
        presentations = self._schedule.presentations(len(order))
        # A conductor takes one step per presentation, whatever happens in between.
        steps = 1 if self._conducted else self._schedule.steps
        # Products are few and small beside asynchronous messages: threads would wait for the next.
        alone = threadpool_limits(1, "blas") if self._conducted else nullcontext()
        with alone, thread_team(self._threads):
            self.session.run(presentations * steps, poll=poll)

    def state(self) -> dict[str, Any]:
        """Return virtual time and the generators of messages, where they are simulated."""
        return self.session.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Set them."""
        self.session.restore(state)

    def stop(self, kill: bool = False) -> None:
        """End all OS processes of the run."""
        self.session.stop(kill)


def open_backend(
    spec: NetworkSpec,
    execution: Execution,
    source: Source,
    network: Network | BackpropNetwork,
    sink: Sink,
    schedule: PresentationSchedule,
    *,
    skip_error: float = 0.0,
    counting: bool = True,
    **in_process: Any,
) -> Backend:
    """Return the backend of a runtime; further options are those of ``InProcessSession``.

    ``skip_error`` and ``counting`` are for backends that do not find them in the network.

    Raises
    ------
    UnsupportedError
        If the support table refuses the combination.
    """
    execution, _ = spec.choose(execution)
    for name, option in in_process.items():
        if option and execution.runtime != "in-process":
            invalid(name, "needs the in-process runtime", execution.runtime, "in-process")
    if execution.backend == "jax":
        assert isinstance(network, Network)
        options: dict[str, Any] = {"skip_error": skip_error, "counting": counting}
        return JaxBackend(source, network, sink, schedule, **options)
    if execution.runtime == "reference":
        return ReferenceBackend(source, network, sink, schedule)
    assert isinstance(network, Network)
    return LavaBackend(source, network, sink, schedule, execution, **in_process)
