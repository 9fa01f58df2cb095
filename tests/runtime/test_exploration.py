"""Conductor and engines explored: whatever is done in whatever order, both engines do the same."""

import contextlib

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lava_dyads.choices import CODINGS
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.errors import NotSettledError
from lava_dyads.executors.latency import LATENCIES
from lava_dyads.executors.transport import SHARES, Faults, Transport
from lava_dyads.experiments.settled import verifier
from lava_dyads.networks import NetworkSpec
from lava_dyads.processes import Conductor, DatasetSource, DyadNetwork, MetricSink
from lava_dyads.rules.optimisers import optimiser
from lava_dyads.runtime import DyadRunConfig, InProcessSession

pytest.importorskip("numba")
SAMPLES = 9


class Twin:
    """One network on one engine."""

    def __init__(self, spec, seed, lanes, granularity, transport, compiled, ledger=None):
        generator = np.random.default_rng(seed)
        x = generator.normal(size=(SAMPLES, spec.layers[0]))
        y = np.eye(spec.layers[-1])[generator.integers(spec.layers[-1], size=SAMPLES)]
        self.lanes, self.schedule = lanes, PresentationSchedule(1, lanes, 2 * lanes)
        self.network = spec.build(lanes=lanes, optimiser=optimiser("momentum", 0.05))
        source = DatasetSource(x, y, lanes=lanes, schedule=self.schedule, name="source")
        self.process = DyadNetwork(self.network, schedule=self.schedule)
        self.sink = MetricSink(y.shape[1], loss=spec.loss, lanes=lanes, schedule=self.schedule,
                               capacity=SAMPLES, name="sink")  # fmt: skip
        source.x_out.connect(self.process.input_in)
        source.y_out.connect(self.process.target_in)
        source.y_out.connect(self.sink.target_in)
        self.process.output_out.connect(self.sink.output_in)
        Conductor(self.schedule).lead(source, self.process, self.sink)
        self.session = InProcessSession(
            self.process, DyadRunConfig(granularity, clock="async"), transport=transport,
            compiled=compiled, ledger=ledger,
        )  # fmt: skip

    def show(self, mode, samples, pieces):
        """Show some samples in one or more runs; tell whether it settled."""
        begun = self.session.steps_done
        self.schedule.learn[0], self.schedule.window[:] = mode, (begun, samples)
        left = self.schedule.presentations(samples)
        while left:
            steps = max(1, left // pieces)
            try:
                self.session.run(steps)
            except NotSettledError:
                return False
            left, pieces = left - steps, max(1, pieces - 1)
        return True

    def all(self):
        """Everything that is left of what it did."""
        kept = [self.sink.read("totals"), self.sink.read("predicted")]
        kept += [p for kind in self.network.parameters() for p in kind]
        for element in self.network.elements.values():
            kept += [v for n, v in element.memory.items() if n not in ("counts", "sends")]
        return [np.array(k, float).ravel() for k in kept]


class Exploration(RuleBasedStateMachine):
    """Runs, pauses, evaluations, weights from outside and checkpoints in any order."""

    twins: tuple[Twin, ...] = ()
    stuck = False

    @initialize(
        sizes=st.lists(st.integers(1, 6), min_size=2, max_size=4).map(tuple),
        seed=st.integers(0, 10**6),
        lanes=st.sampled_from([1, 3]),
        granularity=st.sampled_from(["neuron", "layer"]),
        latency=st.sampled_from(list(LATENCIES)),
        coding=st.sampled_from(CODINGS),
        faults=st.fixed_dictionaries({s: st.sampled_from([0.0, 0.0, 0.05]) for s in SHARES}),
        cap=st.sampled_from([None, None, 400]),
    )
    def begin(self, sizes, seed, lanes, granularity, latency, coding, faults, cap):
        transport = Transport(latency, seed, coding, faults=Faults(**faults), max_deliveries=cap)
        spec = NetworkSpec(sizes, seed=seed, bias_deviation=0.1)
        self.twins = tuple(
            Twin(spec, seed, lanes, granularity, transport, compiled) for compiled in (None, False)
        )
        self.stuck = False

    @precondition(lambda self: self.twins and not self.stuck)
    @rule(mode=st.sampled_from([1, 1, 0, 2]), samples=st.integers(1, SAMPLES),
          pieces=st.integers(1, 3))  # fmt: skip
    def show(self, mode, samples, pieces):
        settled = [twin.show(mode, samples, pieces) for twin in self.twins]
        assert settled[0] == settled[1]
        self.stuck = not settled[0]

    @precondition(lambda self: self.twins and not self.stuck)
    @rule(seed=st.integers(0, 99))
    def set_weights(self, seed):
        for twin in self.twins:
            value = np.random.default_rng(seed).normal(size=twin.process.weights_1.shape)
            twin.process.weights_1.set(0.3 * value)

    @precondition(lambda self: self.twins and not self.stuck)
    @rule()
    def go_on_from_a_checkpoint(self):
        """What no Process holds is written down and read again."""
        states = [twin.session.state() for twin in self.twins]
        assert states[0]["presentation"] == states[1]["presentation"]
        for twin, state in zip(self.twins, states, strict=True):
            twin.session.restore(state)

    @invariant()
    def both_are_the_same(self):
        if self.twins and not self.stuck:
            for ours, theirs in zip(*(twin.all() for twin in self.twins), strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)
            deliveries = {twin.session.deliveries for twin in self.twins}
            assert len(deliveries) == 1

    def teardown(self):
        for twin in self.twins:
            with contextlib.suppress(Exception):
                twin.session.stop()


TestExploration = Exploration.TestCase
TestExploration.settings = settings(max_examples=4, stateful_step_count=6, deadline=None)
TestExploration = pytest.mark.timeout(300)(TestExploration)


@pytest.mark.parametrize("coding", ["change", "robust"])
def test_what_was_explored_had_settled(tmp_path, coding):
    """Runs of all modes, in pieces: the ledger of all of it holds."""
    spec, path = NetworkSpec((5, 4, 3), seed=4, bias_deviation=0.1), tmp_path / "l.npz"
    faults = Faults(drop=0.05, duplicate=0.05) if coding == "robust" else Faults()
    twin = Twin(spec, 4, 2, "neuron", Transport(coding=coding, faults=faults), None, path)
    for mode, samples, pieces in ((1, 9, 3), (0, 4, 1), (2, 5, 2), (1, 8, 1)):
        assert twin.show(mode, samples, pieces)
    twin.session.stop()
    assert list(verifier(path).faults()) == []
