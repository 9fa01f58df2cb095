"""Asynchronous messages: on Lava's own AsyncProtocol and as a simulation in virtual time."""

import gc
import itertools
import logging
from contextlib import nullcontext

import numpy as np
import psutil
import pytest
from bouncer.process import Bouncer
from faulty.process import Faulty
from halving.process import Halving
from hypothesis import given, settings
from hypothesis import strategies as st
from lava.magma.core.run_conditions import RunContinuous, RunSteps

from lava_dyads import (
    DatasetSource,
    Dyad,
    DyadNetwork,
    DyadRunConfig,
    LavaSession,
    MetricSink,
    NetworkSpec,
    PresentationSchedule,
    Trainer,
    TrainingConfig,
    load,
)
from lava_dyads.errors import (
    DeadlockError,
    ModelError,
    NotSettledError,
    UnsupportedError,
    ValidationError,
)
from lava_dyads.executors.latency import LATENCIES, Latency
from lava_dyads.executors.message_faults import check_bits, flip_bit
from lava_dyads.networks import Execution
from lava_dyads.processes import Conductor
from lava_dyads.processes.base import own_logging
from lava_dyads.rules.optimisers import optimiser
from lava_dyads.rules.units.dyad import DualPropagationAdjoint
from lava_dyads.runtime import Faults, InProcessSession, Trace, Transport, in_process
from lava_dyads.testing import react

pytestmark = pytest.mark.timeout(120)
DIGITS = load("digits")


class Set:
    """A network between a source and a sink, with or without a conductor."""

    def __init__(self, spec, x, y, clock="async", optimise="sgd", cap=1_000_000):
        self.schedule = PresentationSchedule(1, 1, 1)
        self.network = spec.build(lanes=1, optimiser=optimiser(optimise, 0.05))
        before = np.concatenate([p.ravel() for k in self.network.parameters() for p in k])
        self.before = before.copy()
        self.source = DatasetSource(x, y, schedule=self.schedule, name="source")
        self.process = DyadNetwork(self.network, schedule=self.schedule)
        self.sink = MetricSink(
            spec.layers[-1], loss=spec.loss, schedule=self.schedule, capacity=len(x), name="sink"
        )
        self.source.x_out.connect(self.process.input_in)
        self.source.y_out.connect(self.process.target_in)
        self.source.y_out.connect(self.sink.target_in)
        self.process.output_out.connect(self.sink.output_in)
        self.schedule.window[:] = 0, len(x)
        self.samples = len(x)
        self.clock = clock
        if clock == "async":
            self.conductor = Conductor(self.schedule, max_deliveries=cap)
            self.conductor.lead(self.source, self.process, self.sink)

    def run(self, granularity, session=InProcessSession, learn=1, **options):
        self.schedule.learn[0] = learn
        config = DyadRunConfig(granularity, clock=self.clock)
        with session(self.process, config, **options) as opened:
            opened.run(self.samples * (1 if self.clock == "async" else self.schedule.steps))
            self.runtime = getattr(opened, "runtime", None)
            self.trace = opened.trace() if options.get("trace") else None
        return self.weights

    @property
    def weights(self):
        return np.concatenate([p.ravel() for k in self.network.parameters() for p in k])


def distance(ours, reference):
    return np.linalg.norm(ours - reference) / np.linalg.norm(reference)


def regression(spec, seed, samples=20):
    generator = np.random.default_rng(seed)
    shapes = [(samples, n) for n in (spec.layers[0], spec.layers[-1])]
    return [generator.normal(size=shape) for shape in shapes]


@pytest.mark.lava
@pytest.mark.sampled(4)
@pytest.mark.parametrize(("alpha", "seed"), [(seed % 2, seed) for seed in range(10)])
def test_dyads_as_os_processes_on_lavas_async_protocol_learn_what_network_learns(alpha, seed):
    """4-3-2 dyads, one OS process each, AsyncProtocol, Lava's own runtime."""
    spec = NetworkSpec((4, 3, 2), loss="squared-error", alpha=alpha, seed=seed)
    data = regression(spec, seed)
    reference = Set(spec, *data, clock="sync").run("network")
    ours = Set(spec, *data)
    learnt = ours.run("neuron", LavaSession)
    assert distance(learnt, ours.before) > 0.01  # there was something to learn
    assert distance(learnt, reference) <= 1e-9
    assert ours.sink.read("totals")[0] == 20


@pytest.mark.lava
def test_runs_follow_each_other_on_lavas_async_protocol():
    """Train, evaluate, train again in one session: what `train` does epoch by epoch."""
    spec = NetworkSpec((64, 6, 10), seed=1)
    data, config = load("digits"), TrainingConfig(batch_size=4, optimiser="sgd")
    made = []
    for granularity, clock, runtime in (
        ("layer", "async", "lava"),
        ("network", "sync", "reference"),
    ):
        execution = Execution(granularity=granularity, clock=clock, runtime=runtime)
        with Trainer(spec, data, config, execution) as trainer:
            metrics = [trainer.run(trainer.train_rows[:20], learn=learn) for learn in (1, 0, 1)]
            weights = np.concatenate([p.ravel() for k in trainer.parameters() for p in k])
        made.append((weights, [m.accuracy for m in metrics], [m.samples for m in metrics]))
    assert distance(made[0][0], made[1][0]) <= 1e-9
    assert made[0][1:] == made[1][1:]


COMBINATIONS = list(itertools.product(LATENCIES, (0.0, 1.0), ("sgd", "adam"), ("neuron", "layer")))


def after_twenty_digits(layers, alpha, optimise, granularity, transport, seed=1):
    spec = NetworkSpec(layers, alpha=alpha, seed=seed)
    config = TrainingConfig(batch_size=1, optimiser=optimise)
    clock = "async" if transport else "sync"
    with Trainer(
        spec, DIGITS, config, Execution(granularity, clock, runtime="in-process"), transport
    ) as trainer:
        metrics = trainer.run(trainer.train_rows[:20], 1)
        assert metrics.samples == 20
        assert metrics.residual == 0
        return np.concatenate([p.ravel() for k in trainer.parameters() for p in k])


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("latency", "alpha", "optimise", "granularity"), COMBINATIONS)
def test_twenty_digits_end_with_the_weights_of_network(latency, alpha, optimise, granularity):
    number = COMBINATIONS.index((latency, alpha, optimise, granularity))
    reference = after_twenty_digits((64, 8, 10), alpha, optimise, "network", None)
    transport = Transport(latency, seed=number)
    ours = after_twenty_digits((64, 8, 10), alpha, optimise, granularity, transport)
    assert distance(ours, reference) <= 1e-9


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("latency", "alpha", "optimise", "granularity"), COMBINATIONS)
def test_twenty_seeds_of_latencies_at_full_size(latency, alpha, optimise, granularity):
    reference = after_twenty_digits((64, 32, 10), alpha, optimise, "network", None)
    for seed in range(20):
        transport = Transport(latency, seed=seed)
        ours = after_twenty_digits((64, 32, 10), alpha, optimise, granularity, transport)
        assert distance(ours, reference) <= 1e-9


@settings(max_examples=40, deadline=None)
@given(
    layers=st.lists(st.integers(1, 5), min_size=2, max_size=5),
    activation=st.sampled_from(["relu", "tanh", "hard-sigmoid", "linear"]),
    alpha=st.sampled_from([0.0, 1.0]),
    latency=st.sampled_from(sorted(LATENCIES)),
    granularity=st.sampled_from(["neuron", "layer"]),
    packets=st.sampled_from(["event", "vector"]),
    coding=st.sampled_from(["change", "value"]),
    seed=st.integers(0, 2**31),
)
def test_whatever_the_order_the_learnt_weights_are_the_same(
    layers, activation, alpha, latency, granularity, packets, coding, seed
):
    spec = NetworkSpec(
        tuple(layers), activations=activation, loss="squared-error", alpha=alpha, seed=seed
    )
    data = regression(spec, seed, samples=3)
    reference = Set(spec, *data, clock="sync").run("network")
    transport = Transport(latency, seed, coding, packets)
    ours = Set(spec, *data).run(granularity, transport=transport)
    assert distance(ours, reference) <= 1e-9


def digit(spec=None, cap=1_000_000, rows=slice(0, 1), optimise="sgd"):
    spec = spec or NetworkSpec((64, 32, 10), seed=3)
    y = np.eye(10)[DIGITS.labels[rows]]
    return Set(spec, DIGITS.x[rows], y, optimise=optimise, cap=cap)


def traced(tmp_path, **options):
    network = digit()
    network.run("neuron", transport=Transport(**options), trace=tmp_path / "trace.npz")
    return network, Trace.load(tmp_path / "trace.npz")


def test_seeds_make_other_traces_with_one_fixed_point_and_a_seed_makes_the_same(tmp_path):
    (a, first), (b, second), (c, again) = [traced(tmp_path, seed=s) for s in (1, 2, 1)]
    assert not np.array_equal(first.columns["arrived"], second.columns["arrived"])
    assert all(np.array_equal(first.columns[k], again.columns[k]) for k in first.columns)
    for name in ("population_1", "population_2"):
        for register in ("s_plus", "s_minus"):
            np.testing.assert_allclose(
                a.network.elements[name].memory[register],
                b.network.elements[name].memory[register],
                rtol=1e-12,
                atol=1e-14,
            )
    assert distance(a.weights, b.weights) <= 1e-12
    assert np.array_equal(a.weights, c.weights)


def test_with_a_threshold_other_orders_end_elsewhere_and_every_run_keeps_the_bound():
    theta, ends = 0.2, []
    spec = NetworkSpec((64, 32, 10), activations="linear", threshold=theta, seed=3)
    (w1, w2), (b1, b2) = spec.initial_parameters()
    exact = w2 @ (w1 @ DIGITS.x[0] + b1) + b2
    for seed in range(3):
        run = digit(spec)
        run.run("layer", learn=0, transport=Transport("heavy-tailed", seed))
        ends.append(run.network.elements["population_2"].memory["s_plus"][0])
        # The input's changes are kept back below theta, and so are the hidden neurons' means.
        bound = theta * np.abs(w2) @ (1 + np.abs(w1).sum(axis=1))
        assert (np.abs(ends[-1] - exact) <= bound).all()
    assert not np.allclose(ends[0], ends[1], rtol=0, atol=1e-3)


def test_mean_and_difference_messages_overlap_in_time_and_overtake_each_other(tmp_path):
    _, trace = traced(tmp_path, seed=1)
    ports = np.array([source.rpartition(".")[2] for source, _ in trace.channels])
    port = ports[trace.columns["channel"]]
    sent, arrived = trace.columns["sent"], trace.columns["arrived"]
    assert arrived[port == "mean_out"].max() > sent[port == "difference_out"].min()
    assert (arrived >= sent).all()
    assert (np.diff(arrived) >= 0).all()  # delivered in the order of arrival ...
    assert (np.diff(sent) < 0).any()  # ... which is not that of sending


def test_the_trace_holds_every_change_that_made_up_the_state(tmp_path):
    network, trace = traced(tmp_path, seed=4)
    received = {}
    for channel, index, payload in zip(
        *(trace.columns[k].tolist() for k in ("channel", "index", "payload")), strict=True
    ):
        target = trace.channels[channel][1]
        received.setdefault(target, {}).setdefault(index, []).append(payload)
    held = network.network.elements["connection_2"].memory["held_mean"][0]
    summed = [sum(received["connection_2.mean_in"].get(i, [0.0])) for i in range(32)]
    np.testing.assert_allclose(summed, held, atol=1e-14)
    assert set(trace.columns["presentation"]) == {0}


def test_no_storm_at_any_latency():
    """Mean over samples and seeds; the issue allows 3 mean and 5 difference events."""
    for latency in LATENCIES:
        counts = np.zeros(2)
        for seed in range(2):
            network = digit(
                NetworkSpec((64, 32, 10), seed=seed), rows=slice(4 * seed, 4 * seed + 4)
            )
            network.run("neuron", transport=Transport(latency, seed=seed), learn=2)
            parts = [
                part
                for population in network.network.populations.values()
                for part in population.parts
            ]
            counts += [
                sum(part.counts[f"events_{channel}"] for part in parts)
                for channel in ("mean", "difference")
            ]
        mean, difference = counts / (2 * 4 * 42)
        assert mean <= 3
        assert difference <= 5


def test_a_run_that_does_not_settle_ends_at_its_cap():
    def strong(alpha):
        spec = NetworkSpec((64, 32, 32, 10), loss="squared-error", alpha=alpha, beta=0.5, seed=0)
        network = digit(spec, cap=40_000)
        weights, biases = network.network.parameters()
        network.network.set_parameters([2 * w for w in weights], biases)
        network.run("neuron")

    strong(alpha=1.0)  # settles within the cap
    with pytest.raises(NotSettledError, match=r"did not settle.*40000.*alpha 0 or 1"):
        strong(alpha=0.5)


@pytest.mark.lava
def test_a_run_that_does_not_settle_ends_at_its_cap_on_lavas_runtime():
    spec = NetworkSpec((2, 3, 2), activations="linear", loss="squared-error", rule="dp", alpha=0.0,
                       beta=0.9, nudge="linearised", repeats=0, seed=0)  # fmt: skip
    network = Set(spec, np.ones((1, 2)), np.zeros((1, 2)), cap=300)
    weights, biases = network.network.parameters()
    network.network.set_parameters([3 * w for w in weights], biases)
    with pytest.raises(NotSettledError, match=r"did not settle.*300"):
        network.run("layer", LavaSession, idle_timeout=3)


def test_evaluation_changes_nothing_and_measures_what_network_measures():
    rows = slice(0, 5)
    ours = digit(rows=rows)
    ours.run("neuron", learn=0)
    assert np.array_equal(ours.weights, ours.before)
    spec = NetworkSpec((64, 32, 10), seed=3)
    reference = Set(spec, DIGITS.x[rows], np.eye(10)[DIGITS.labels[rows]], clock="sync")
    reference.run("network", learn=0)
    np.testing.assert_allclose(ours.sink.read("totals"), reference.sink.read("totals"), rtol=1e-12)


def test_a_second_run_goes_on_where_the_first_ended():
    spec = NetworkSpec((4, 3, 2), loss="squared-error", seed=5)
    data = regression(spec, 5)
    whole = Set(spec, *data)
    whole.run("neuron")
    parts = Set(spec, *data)
    with InProcessSession(parts.process, DyadRunConfig("neuron", clock="async")) as session:
        for chunk in (7, 1, 12):
            session.run(chunk)
    assert distance(parts.weights, whole.weights) <= 1e-12


# --- event-driven models of one's own, and Lava's


def halving_ring(start=1.0, **options):
    first = Halving((start, 0.0), name="first")
    second = Halving(name="second", **options)
    first.out.connect(second.inp)
    second.out.connect(first.inp)
    return first, second


def test_an_event_driven_model_runs_until_silence():
    first, second = halving_ring()
    with InProcessSession(first, measure=True) as session:
        session.run(1)
        # 1 -> second, 1/2 -> first, .. while more than 1e-3: 2^-9 is the last one sent.
        powers = 0.5 ** np.arange(10)
        np.testing.assert_array_equal(second.total.get(), [powers[::2].sum(), 0])
        np.testing.assert_array_equal(first.total.get(), [powers[1::2].sum(), 0])
        usage = session.usage()
    assert usage.messages == usage.events == 10


@pytest.mark.lava
def test_the_same_model_runs_on_lavas_async_protocol_with_a_conductor():
    first, second = halving_ring()
    Conductor(PresentationSchedule()).lead(first, second)
    with LavaSession(first) as session:
        session.run(1)
        powers = 0.5 ** np.arange(10)
        np.testing.assert_array_equal(second.total.get(), [powers[::2].sum(), 0])


def test_what_a_model_raises_arrives_with_its_traceback_and_its_name():
    first, _ = halving_ring(fault="boom")
    with (
        pytest.raises(ModelError, match=r"(?s)second \(PyHalvingModel\) raised.*in answer.*boom"),
        InProcessSession(first) as session,
    ):
        session.run(1)


def test_unmodified_asynchronous_models_send_receive_and_deadlock():
    bouncer = Bouncer(times=5)
    bouncer.out.connect(bouncer.inp)
    with InProcessSession(bouncer) as session:
        session.run(3)
        session.run(1)
        assert bouncer.heard.get() == [10]
        assert bouncer.runs.get() == [2]
    waiting = Bouncer(times=0)
    waiting.out.connect(waiting.inp)
    with (
        pytest.raises(DeadlockError, match=r"bouncer \(PyBouncerModel\) waits for bouncer.inp"),
        InProcessSession(waiting) as session,
    ):
        session.run(1)


def test_steps_and_events_do_not_mix():
    faulty, halving = Faulty(), Halving()
    faulty.out.connect(halving.inp)
    with pytest.raises(UnsupportedError, match=r"steps or events: .*Faulty.*LoihiProtocol"):
        InProcessSession(faulty)


def test_process_run_works_with_events():
    first, second = halving_ring()
    with in_process():
        first.run(RunSteps(1), DyadRunConfig())
        assert second.total.get()[0] > 1
        first.stop()


def test_data_go_in_and_out_by_external_pipes_while_it_runs():
    halving = Halving(least=0.2)
    halving.inp.flag_external_pipe(buffer_size=4)
    halving.out.flag_external_pipe(buffer_size=4)
    with in_process():
        halving.run(RunContinuous(), DyadRunConfig(clock="async"))
        into, out = (
            halving.inp.external_pipe_csp_send_port,
            halving.out.external_pipe_csp_recv_port,
        )
        for value in (1.0, 0.5, 3.0):
            into.send(np.array([value, 0.0]))
            np.testing.assert_array_equal(out.recv(), [value / 2, 0])
        halving.pause()
        np.testing.assert_array_equal(halving.total.get(), [4.5, 0])
        halving.stop()


@pytest.mark.lava
@pytest.mark.parametrize("ours", [False, True])
def test_an_unmodified_model_waits_for_an_external_pipe_as_on_lavas_runtime(ours):
    """It hears its own message and one from outside in each of its two rounds, in one sum."""
    bouncer = Bouncer(times=2)
    bouncer.out.connect(bouncer.inp)
    bouncer.inp.flag_external_pipe(buffer_size=4)
    with in_process() if ours else nullcontext(), own_logging():
        bouncer.run(RunSteps(1, blocking=False), DyadRunConfig(clock="async"))
        for value in (10.0, 20.0):
            bouncer.inp.external_pipe_csp_send_port.send(np.full(1, value))
        bouncer.wait()
        assert bouncer.heard.get() == [32]
        bouncer.stop()


# --- faults


def outputs(spec, faults=None, coding="change", seed=0, rows=slice(0, 3), **options):
    """Return the settled state of the last sample shown, with nothing learnt."""
    network = digit(spec, rows=rows)
    transport = Transport(seed=seed, coding=coding, faults=faults or Faults(), **options)
    network.run("neuron", transport=transport, learn=2)
    return network.network


SPEC = NetworkSpec((64, 12, 10), seed=2)


def state(network):
    return np.concatenate(
        [network.elements[f"population_{k}"].memory["s_minus"].ravel() for k in (1, 2)]
    )


@pytest.mark.parametrize(
    ("faults", "coding"),
    [
        (Faults(delay=0.5), "change"),
        (Faults(reorder=0.5), "change"),
        (Faults(delay=0.5, reorder=0.3), "value"),
        (Faults(duplicate=0.7), "value"),
        (Faults(noise=1.0, noise_size=0.0), "change"),
        (Faults(seed=3), "change"),
    ],
)
def test_faults_that_change_no_sum_change_no_fixed_point(faults, coding):
    np.testing.assert_allclose(
        state(outputs(SPEC, faults, coding)), state(outputs(SPEC)), rtol=1e-12, atol=1e-14
    )


def test_what_is_dropped_never_arrives():
    network = outputs(SPEC, Faults(drop=1.0))
    bias = SPEC.build().elements["population_1"].memory["bias"]
    np.testing.assert_array_equal(
        network.elements["population_1"].memory["s_minus"][0], np.maximum(bias, 0)
    )
    assert not network.elements["connection_2"].memory["held_mean"].any()


def test_duplicated_changes_count_twice():
    """Everything doubles on the way to a connection and again on the way from it."""
    network = outputs(NetworkSpec((64, 12, 10), seed=2), Faults(duplicate=1.0))
    basal = network.elements["population_1"].memory["basal"][0]
    weights = network.elements["connection_1"].memory["weights"]
    np.testing.assert_allclose(basal, 4 * weights @ DIGITS.x[2], rtol=1e-12)


def test_a_killed_neuron_is_a_neuron_that_is_not_there():
    network = outputs(SPEC, Faults(killed=("population_1.4", "population_1.7")))
    reference = SPEC.build(lanes=1)
    weights, biases = reference.parameters()
    weights[1][:, [4, 7]] = 0
    reference.set_parameters(weights, biases)
    reference.settle(DIGITS.x[2:3], np.eye(10)[DIGITS.labels[2:3]])
    np.testing.assert_allclose(
        network.elements["population_2"].memory["s_plus"],
        reference.elements["population_2"].memory["s_plus"],
        rtol=1e-12,
    )


def test_a_frozen_layer_repeats_what_it_said_first():
    frozen = outputs(SPEC, Faults(frozen=("population_1.*",)))
    first = outputs(SPEC, rows=slice(0, 1))
    np.testing.assert_allclose(
        frozen.elements["connection_2"].memory["held_mean"],
        first.elements["connection_2"].memory["held_mean"],
        rtol=1e-12,
    )


def test_a_flipped_bit_is_one_bit_of_a_24_bit_number():
    for value in (0.0, 0.125, -3.5, 100.0):
        steps = [abs(flip_bit(value, bit) - value) * 2**16 for bit in range(24)]
        assert steps == [2.0**bit for bit in range(24)]


def test_check_bits_tell_any_flipped_bit_and_nearly_all_other_changes():
    values = np.random.default_rng(0).normal(size=300)
    for value in (*values[:20], 0.0, -127.9, 1e6):
        assert all(check_bits(flip_bit(value, b)) != check_bits(value) for b in range(24))
    noisy = values * 1.1
    missed = sum(check_bits(a) == check_bits(b) for a, b in zip(values, noisy, strict=True))
    assert missed < 8  # 1 in 256 is what one expects
    assert flip_bit(1e6, 0) == 128 - 2.0**-15  # the largest payload, with its last bit flipped


def test_faults_are_seeded():
    faults = [Faults(drop=0.3, seed=s) for s in (1, 1, 2)]
    a, b, c = [state(outputs(SPEC, f)) for f in faults]
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Faults(drop=1.5), r"Faults.drop: must lie in \[0, 1\] \(got 1.5\)"),
        (lambda: Faults(flip=-0.1), r"Faults.flip: .*got -0.1"),
        (lambda: Faults(delay_time=-1), r"delay_time: must be at least 0"),
        (lambda: Latency("exponential", -1.0), r"Latency.mean: must be at least 0.*-1.0"),
        (lambda: Transport("exponental"), r"unknown model \(got 'exponental'\). Try: exponential"),
        (
            lambda: Transport(coding="values"),
            r"coding: must be change or .*\(got 'values'\). Try: value$",
        ),
        (lambda: Transport(seed=-1), r"seed: must be at least 0"),
        (lambda: Transport({"x*": "constant"}).latency_of("a -> b"), r"no pattern fits"),
        (
            lambda: Conductor(PresentationSchedule(), max_deliveries=0),
            r"max_deliveries: must be at least 1",
        ),
        (
            lambda: DyadRunConfig(clock="asink"),
            r"clock: must be sync or async \(got 'asink'\). Try",
        ),
    ],
)
def test_bad_input_gets_one_clear_line(make, text):
    with pytest.raises(ValidationError, match=text) as raised:
        make()
    assert "\n" not in str(raised.value)


def test_a_trace_that_cannot_be_written_is_refused_before_the_run(tmp_path):
    for path, text in (
        (tmp_path, "is a folder"),
        (tmp_path / "missing" / "trace.npz", "its folder does not exist"),
    ):
        with pytest.raises(ValidationError, match=text):
            digit().run("neuron", trace=path)
    network = Set(SPEC, DIGITS.x[:1], np.eye(10)[DIGITS.labels[:1]], clock="sync")
    with pytest.raises(ValidationError, match="needs asynchronous Processes"):
        network.run("layer", trace=tmp_path / "trace.npz")


def test_usage_counts_what_the_elements_count():
    network = digit(SPEC)
    network.schedule.learn[0] = 2
    with InProcessSession(
        network.process, DyadRunConfig("neuron", clock="async"), measure=True
    ) as session:
        session.run(1)
        usage = session.usage()
    elements = network.network.elements.values()
    counts = [e.counts for e in elements]
    assert usage.operations == sum(c.get("forward", 0) + c.get("backward", 0) for c in counts)
    events = sum(p.counts["events_mean"] for p in network.network.elements["population_1"].parts)
    assert events == sum(
        channel.events for channel in usage.channels if channel.target == "connection_2.mean_in"
    )
    assert all(seconds > 0 for seconds in usage.seconds.values())
    assert len(usage.seconds) == 22 + 2 + 1 + 1 + 3  # dyads, connections, head, relay, outer


def test_what_does_not_settle_leaves_its_trace(tmp_path):
    network, path = digit(cap=100), tmp_path / "trace.npz"
    with pytest.raises(NotSettledError):
        network.run("neuron", trace=path)
    assert len(Trace.load(path)) > 0


def test_a_transport_without_asynchronous_messages_is_refused():
    network = Set(SPEC, DIGITS.x[:1], np.eye(10)[DIGITS.labels[:1]], clock="sync")
    with pytest.raises(ValidationError, match="transport: needs asynchronous Processes"):
        network.run("layer", transport=Transport())
    with pytest.raises(ValidationError, match="transport: needs the in-process runtime"):
        Trainer(SPEC, DIGITS, None, Execution("layer", "async", runtime="lava"), Transport())


def test_latencies_by_channel():
    """A slow nudge makes the run longer; the fixed point stays."""
    slow = {"head.*": Latency("constant", 500.0), "*": "exponential"}
    ours, usual = digit(SPEC), digit(SPEC)
    ours.run("layer", transport=Transport(slow))
    usual.run("layer", transport=Transport())
    assert ours.runtime._engine.now > 500 > usual.runtime._engine.now
    assert distance(ours.weights, usual.weights) <= 1e-12


# --- the test kit


@given(
    basal=st.lists(st.floats(-2, 2), min_size=1, max_size=5),
    apical=st.lists(st.floats(-1, 1), min_size=1, max_size=5),
    alpha=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 100),
)
@settings(max_examples=25, deadline=None)
def test_a_dyad_alone_answers_the_sum_of_what_it_heard(basal, apical, alpha, seed):
    dyad = Dyad((1,), activation="relu", rule=DualPropagationAdjoint(alpha=alpha), bias=0.1)
    reaction = react(
        dyad,
        {"basal_in": np.array(basal)[:, None], "apical_in": np.array(apical)[:, None]},
        outputs=["mean_out", "difference_out"],
        transport=Transport(seed=seed),
    )
    a, u = 0.1 + sum(basal), sum(apical)
    heard = any(basal) or any(apical)  # a dyad that hears nothing waits for its conductor
    plus, minus = (max(a + (1 - alpha) * u, 0), max(a - alpha * u, 0)) if heard else (0, 0)
    assert reaction.outputs["mean_out"] == pytest.approx(
        alpha * plus + (1 - alpha) * minus, abs=1e-12
    )
    assert reaction.outputs["difference_out"] == pytest.approx(plus - minus, abs=1e-12)


def test_react_names_what_does_not_fit():
    with pytest.raises(ValidationError, match=r"unknown input port \(got 'basal'\).*basal_in"):
        react(Dyad((1,)), {"basal": [[1.0]]})
    with pytest.raises(ValidationError, match=r"basal_in: the series must have shape"):
        react(Dyad((2,)), {"basal_in": [[1.0]]})


def test_many_rounds_of_events_leak_nothing():
    def round_of_events():
        first, _ = halving_ring()
        with InProcessSession(first) as session:
            session.run(1)

    def used():
        gc.collect()
        process = psutil.Process()
        return process.memory_info().rss, process.num_fds(), len(logging.getLogger().handlers)

    for _ in range(50):
        round_of_events()
    before = used()
    for _ in range(300):
        round_of_events()
    after = used()
    assert after[0] - before[0] < 3_000_000
    assert after[1:] == before[1:]


def led(lanes, conductor_first):
    """Build learning dyads with uneven fan-in and a conductor, made first or last."""
    generator = np.random.default_rng(3)
    schedule = PresentationSchedule(1, lanes, 2 * lanes)
    conductor = Conductor(schedule) if conductor_first else None
    layers = [
        [
            Dyad((1,), activation="tanh", rule=DualPropagationAdjoint(alpha=0.3), bias=bias,
                 lanes=lanes, optimiser=optimiser("adam", 0.1), schedule=schedule)
            for bias in generator.normal(size=6) * (k < 2)
        ]
        for k in range(4)
    ]  # fmt: skip
    for k, (below, above) in enumerate(itertools.pairwise(layers)):
        for i, dyad in enumerate(above):
            for source in generator.permutation(6)[: 1 + (i + k) % 4]:
                below[source].mean_out.connect(dyad.basal_in)
            below[i].mean_out.connect(dyad.apical_in)
        layers[0][k].difference_out.connect(above[k].apical_in)
    dyads = [dyad for layer in layers for dyad in layer]
    (conductor or Conductor(schedule)).lead(*generator.permutation(dyads))
    return dyads


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("conductor_first", [True, False])
@pytest.mark.parametrize("faults", [Faults(), Faults(drop=0.1, reorder=0.2)])
def test_followers_that_obey_together_send_the_same_messages(lanes, conductor_first, faults):
    results = []
    for together in (True, False):
        dyads = led(lanes, conductor_first)
        config = DyadRunConfig(clock="async")
        transport = Transport("exponential", seed=4, faults=faults)
        # Measuring times every model by itself.
        options = {"measure": not together, "transport": transport, "compiled": False}
        with InProcessSession(dyads[0], config, **options) as session:
            session.runtime.record()
            session.run(1)
            session.run(4)
            dyads[2].bias.set(np.array([0.7]))
            dyads[0].schedule.learn[0] = 0
            session.run(2)
            boxes = session.runtime._engine.boxes
            assert any(box.command_batches for box in boxes) == together
            found = session.trace().columns
        results.append(
            {**found, **{(i, n): d.read(n) for i, d in enumerate(dyads) for n in d.registers()}}
        )
    assert len(results[0]["sent"]) > 100
    assert results[0].keys() == results[1].keys()
    for name, value in results[1].items():
        np.testing.assert_array_equal(results[0][name], value, err_msg=str(name))
    assert all(results[0][i, "bias_updates"] == 2 for i in range(len(dyads)))


def test_a_layer_that_was_cut_up_obeys_together(tmp_path):
    results = []
    for together in (True, False):
        network = digit()
        options = {"measure": not together, "compiled": False}
        network.run("neuron", trace=tmp_path / "trace.npz", **options)
        trace = Trace.load(tmp_path / "trace.npz").columns
        results.append({**trace, "weights": network.weights})
        sizes = [
            len(c.models) for box in network.runtime._engine.boxes for c in box.command_batches
        ]
        assert sorted(sizes) == ([10, 32] if together else [])
    for name, value in results[1].items():
        np.testing.assert_array_equal(results[0][name], value, err_msg=name)
