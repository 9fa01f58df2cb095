"""The in-process runtime against Lava's own: the same Processes, the same numbers."""

import gc
import itertools
import logging
import sys
from itertools import pairwise

import numpy as np
import psutil
import pytest
from faulty.process import ring
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.process import Dense, LearningDense
from lava.proc.io.source import PySendModelFixed, RingBuffer
from lava.proc.learning_rules.stdp_learning_rule import STDPLoihi
from lava.proc.lif.process import LIF
from lava.proc.monitor.process import Monitor
from lava.utils.serialization import load, save
from relay.process import Reader, Store

from lava_dyads import (
    Dyad,
    DyadNetwork,
    DyadRunConfig,
    LavaSession,
    NetworkSpec,
    PresentationSchedule,
)
from lava_dyads.errors import (
    DeadlockError,
    HangError,
    LavaRuntimeError,
    ModelError,
    ValidationError,
)
from lava_dyads.experiments.scaling import Layers
from lava_dyads.networks import describe
from lava_dyads.processes.base import own_logging
from lava_dyads.rules.optimisers import SGD
from lava_dyads.rules.units.dyad import DualPropagationAdjoint
from lava_dyads.runtime.channels import Channel, FanOut
from lava_dyads.runtime.in_process_session import InProcessSession, in_process
from lava_dyads.runtime.scheduler import Scheduler
from lava_dyads.testing import play
from lava_dyads.testing.streams import Player, Recorder

pytestmark = pytest.mark.timeout(60)


def both(build, tag, steps, read):
    """Build and run twice; return what was read on Lava's runtime and in-process."""
    results = []
    for session_class in (LavaSession, InProcessSession):
        with own_logging():
            parts = build()
        # RingBuffer has no model with the tag of LearningDense; otherwise as the tag says.
        known = {RingBuffer: PySendModelFixed} if tag == "bit_approximate_loihi" else None
        config = Loihi2SimCfg(select_tag=tag, exception_proc_model_map=known)
        with session_class(parts[0], config) as session:
            seen = []
            for chunk in steps:
                session.run(chunk)
                seen.append([np.array(value) for value in read(*parts)])
        results.append(seen)
    return results


def assert_bit_equal(results):
    ours, theirs = results
    moved = False
    for a, b in zip(ours, theirs, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)
            moved |= bool(np.any(x))
    assert moved, "nothing happened"


@pytest.mark.lava
@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt"])
def test_lif_dense_lif(tag):
    scale = 64 if tag == "fixed_pt" else 1

    def build():
        w = np.random.default_rng(0).integers(-20, 60, (4, 5)) / (1 if scale == 64 else 64)
        one = LIF(shape=(5,), bias_mant=np.arange(5) * scale / 8, vth=scale, du=0, dv=0)
        dense = Dense(weights=w)
        two = LIF(shape=(4,), vth=scale, du=0, dv=0)
        one.s_out.connect(dense.s_in)
        dense.a_out.connect(two.a_in)
        return one, dense, two

    read = lambda one, _, two: (one.u.get(), one.v.get(), two.u.get(), two.v.get())  # noqa: E731
    assert_bit_equal(both(build, tag, [1] * 20, read))


@pytest.mark.lava
@pytest.mark.parametrize("tag", ["floating_pt", "bit_approximate_loihi"])
def test_learning_dense_with_a_learning_rule(tag):
    def build():
        rule = STDPLoihi(
            learning_rate=1, A_plus=1, A_minus=-1, tau_plus=10, tau_minus=10, t_epoch=4, rng_seed=1
        )
        spikes = (np.random.default_rng(1).random((3, 40)) < 0.4).astype(int)
        pre, post = RingBuffer(data=spikes), RingBuffer(data=spikes[::-1])
        dense = LearningDense(weights=np.full((3, 3), 20), learning_rule=rule)
        pre.s_out.connect(dense.s_in)
        post.s_out.connect(dense.s_in_bap)
        return dense, pre, post

    read = lambda dense, *_: (dense.weights.get() - 20, dense.x1.get(), dense.y1.get())  # noqa: E731
    assert_bit_equal(both(build, tag, [8] * 4, read))


@pytest.mark.lava
@pytest.mark.parametrize("what", ["var", "port"])
def test_a_monitor(what):
    def build():
        lif = LIF(shape=(3,), bias_mant=np.array([0.3, 0.5, 0.9]), vth=1, du=0, dv=0)
        monitor = Monitor()
        monitor.probe(lif.v if what == "var" else lif.s_out, 12)
        return lif, monitor

    def read(lif, monitor):
        return list(monitor.get_data()[lif.name].values())

    assert_bit_equal(both(build, None, [12], read))


@pytest.mark.lava
def test_ref_ports_read_and_write():
    def build():
        store, reader = Store(), Reader()
        reader.ref.connect_var(store.value)
        return store, reader

    read = lambda store, reader: (store.value.get(), reader.seen.get())  # noqa: E731
    assert_bit_equal(both(build, "floating_pt", [1, 1, 3], read))


@pytest.mark.lava
@pytest.mark.parametrize("granularity", ["layer", "network"])
def test_a_hierarchical_process_with_aliases(granularity):
    results = []
    for session_class in (LavaSession, InProcessSession):
        process = DyadNetwork(NetworkSpec((3, 4, 2)).build())
        with session_class(process, DyadRunConfig(granularity)) as session:
            session.run(3)
            first = process.weights_2.get()
            process.biases_1.set(np.array([1.0, 2.0, 3.0, 4.0]))
            session.run(6)
            results.append([[first, process.biases_1.get(), process.read("biases_1")]])
    assert_bit_equal(results)


def test_a_model_that_fails_while_it_starts_is_named():
    first, _ = ring("none", "init")
    with pytest.raises(
        ModelError, match=r"(?s)faulty \(init\) \(PyFaultyModel\).*wrong from the"
    ) as caught:
        InProcessSession(first)
    assert isinstance(caught.value.__cause__, ValueError)


def test_an_exception_arrives_with_the_name_of_the_process_and_its_traceback():
    first, _ = ring("none", "raise")
    with pytest.raises(ModelError) as caught, InProcessSession(first) as session:
        session.run(100)
    assert "faulty (raise) (PyFaultyModel)" in str(caught.value)
    assert 'models.py", line' in str(caught.value)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(LavaRuntimeError, match="has been stopped"):
        session.run(1)


def test_a_deadlock_names_who_waits_for_whom():
    first, _ = ring("wait first", "wait first")
    with pytest.raises(DeadlockError) as caught, InProcessSession(first) as session:
        session.run(1)
    assert str(caught.value).count("waits for faulty (wait first).inp to hear from") == 2


def test_a_receiver_that_never_listens_blocks_its_sender():
    sender, _ = ring("none", "deaf")
    with pytest.raises(DeadlockError, match="has not listened"), InProcessSession(sender) as s:
        s.run(200)


def test_run_after_stop_is_an_error():
    dyad = Dyad((1,))
    session = InProcessSession(dyad)
    session.run(2)
    session.stop()
    assert not session.alive
    with pytest.raises(LavaRuntimeError, match="build the Processes anew"):
        session.run(1)


def test_process_run_can_use_it_in_place_of_lavas():
    dyad = Dyad((2,), bias=[0.5, -1.0])
    with in_process():
        dyad.run(RunSteps(2), DyadRunConfig())
        dyad.run(RunSteps(1))
        np.testing.assert_array_equal(dyad.s_plus.get(), [0.5, 0])
    dyad.stop()
    assert AbstractProcess.create_runtime.__module__.startswith("lava.")


def test_the_test_kit_and_vars_work_on_it():
    dyad = Dyad((1,), activation="linear", rule=DualPropagationAdjoint(alpha=0.5))
    series = {"basal_in": [[1.0], [0.0]], "apical_in": [[0.0], [0.2]]}
    played = play(dyad, series, outputs=["difference_out"], watch=["s_plus"], runtime="in-process")
    np.testing.assert_allclose(played.vars["s_plus"].ravel(), [1.0, 1.1])
    np.testing.assert_allclose(played.outputs["difference_out"].ravel(), [0.0, 0.2])


def test_a_process_that_joins_a_running_network_is_refused():
    dyad = Dyad((1,))
    with InProcessSession(dyad) as session:
        session.run(1)
        Dyad((1,), name="stranger")  # not connected: none of our business
        session.run(1)
        late = Dyad((1,), name="latecomer")
        dyad.mean_out.connect(late.basal_in)
        with pytest.raises(LavaRuntimeError, match="latecomer joined the network after"):
            session.run(1)


def test_usage_counts_messages_and_events_as_the_closed_form_says():
    spec = NetworkSpec((4, 3, 2), activations="tanh")
    process = DyadNetwork(spec.build())
    x = np.zeros((12, 4))
    x[[0, 6]] = np.random.default_rng(0).normal(size=(2, 4))  # two presentations of six steps
    process.schedule.window[:] = 0, 2
    player = Player(x)
    player.out.connect(process.input_in)
    with InProcessSession(process, measure=True) as session:
        session.run(12)
        usage = session.usage()
    inside = {c.source for c in usage.channels if not c.source.startswith("player")}
    assert len(inside) == describe(spec, quiet=True).ports
    assert all(c.messages == 12 for c in usage.channels)
    events = {c.source: c.events for c in usage.channels}
    assert events["player.out"] == 2 * 4
    for source, n in (("population_1.mean_out", 3), ("population_2.difference_out", 2)):
        assert events[source] == 2 * n  # tanh: once up and once down per dyad and sample
    assert set(usage.seconds) == {
        f"{n.process.name} ({type(n.model).__name__})" for n in session.runtime.nodes
    }
    assert all(seconds > 0 for seconds in usage.seconds.values())


def test_a_graph_that_cannot_run_is_refused():
    class Orphan(AbstractProcess):
        """A Process without a ProcessModel."""

    with own_logging():
        orphan = Orphan(name="orphan")
    with pytest.raises(ValidationError, match="orphan: no ProcessModel found for Orphan"):
        InProcessSession(orphan)


def test_a_thousand_dyads_as_processes_compute_what_matrices_compute():
    layers, width, fan = 20, 50, 16
    generator = np.random.default_rng(0)
    bias = generator.normal(size=(layers, width))
    schedule = PresentationSchedule()
    grid = [
        [Dyad((1,), activation="linear", bias=bias[k, i], schedule=schedule) for i in range(width)]
        for k in range(layers)
    ]
    adjacency = np.zeros((width, width))
    for i in range(width):
        for j in range(fan):
            adjacency[(i + 7 * j) % width, i] += 1
    for below, above in pairwise(grid):
        for to, source in np.argwhere(adjacency):
            below[source].mean_out.connect(above[to].basal_in)
    expected = np.zeros(width)
    for k in range(layers):
        expected = bias[k] + (adjacency @ expected if k else 0)
    with InProcessSession(grid[0][0]) as session:
        session.run(1)  # no process delays a message here
    found = [dyad.read("s_plus").item() for dyad in grid[-1]]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_many_rounds_leak_no_memory_no_files_and_no_handlers():
    def round_():
        with InProcessSession(ring("none", "none")[0]) as session:
            session.run(3)

    for _ in range(20):
        round_()
    gc.collect()
    process = psutil.Process()
    files, handlers = process.num_fds(), list(logging.getLogger().handlers)
    memory = process.memory_info().rss
    for _ in range(200):
        round_()
    gc.collect()
    assert process.num_fds() == files
    assert logging.getLogger().handlers == handlers
    assert process.memory_info().rss - memory < 200 * 20_000


# --- Messages: what travels, in which form, in which order -------------------------------------


@pytest.mark.lava
@pytest.mark.parametrize("lanes", [1, 3])
def test_neurons_on_both_runtimes_are_bit_equal(lanes):
    # Entries of a layer's message and neurons' places in one, as numbers and in lanes.
    results = []
    for session_class in (LavaSession, InProcessSession):
        network = NetworkSpec((3, 3, 2), activations="tanh").build(lanes=lanes, optimiser=SGD(0.1))
        process = DyadNetwork(network)
        x = np.zeros((24, lanes, 3)).reshape((24, 3) if lanes == 1 else (24, lanes, 3))
        x[::6] = np.random.default_rng(0).normal(size=x[::6].shape)
        target = np.zeros((24, *process.target_in.shape))
        target[::6, ..., 1] = 1
        for values, port in ((x, process.input_in), (target, process.target_in)):
            player = Player(values)
            player.out.connect(port)
        with session_class(process, DyadRunConfig("neuron")) as session:
            session.run(24)
            names = ["weights_1", "weights_2", "biases_1", "biases_2"]
            results.append([[process.read(name) for name in names]])
    assert_bit_equal(results)


def test_a_neuron_hears_its_own_entry_and_no_other():
    events = {}
    for granularity in ("layer", "neuron"):
        process = DyadNetwork(NetworkSpec((4, 3, 2), activations="tanh").build())
        x = np.zeros((6, 4))
        x[0] = 1
        player = Player(x)
        player.out.connect(process.input_in)
        config = DyadRunConfig(granularity)
        with InProcessSession(process, config, measure=True) as session:
            session.run(6)
            found = [c for c in session.usage().channels if c.source.endswith(".basal_out")]
        events[granularity] = sum(channel.events for channel in found)
        assert len(found) == {"layer": 2, "neuron": 3 + 2}[granularity]
    assert events["neuron"] == events["layer"] > 0


@pytest.mark.parametrize("shape", [(1,), (3,)])
def test_many_sources_are_added_in_the_order_of_their_creation(shape):
    # 1e16 + 1 - 1e16 is 0 or 1, whichever comes first. (In Lava the order is that of a set.)
    rows = [1e16, 1.0, -1e16, 3.0, 0.1, -0.0]
    dyad = Dyad(shape, activation="linear")
    for i, row in enumerate(rows):
        Player(np.full((4, *shape), row), name=f"p{i}").out.connect(dyad.basal_in)
    with InProcessSession(dyad) as session:
        session.run(1)
    total = 0.0
    for row in rows:
        total += row
    np.testing.assert_array_equal(dyad.read("basal"), np.full(shape, total))


@pytest.mark.lava
@pytest.mark.parametrize("shape", [(1,), (3,)])
def test_a_message_of_minus_zero_arrives_as_in_lava(shape):
    signs = []
    for session_class in (LavaSession, InProcessSession):
        player, recorder = Player(np.full((2, *shape), -0.0)), Recorder(shape, 2)
        player.out.connect(recorder.inp)
        with session_class(player) as session:
            session.run(2)
        signs.append(np.signbit(recorder.heard))
    np.testing.assert_array_equal(*signs)


@pytest.mark.parametrize("shape", [(1,), (2,)])
def test_messages_wait_in_line_and_belong_to_their_receiver(shape):
    scheduler = Scheduler()
    channels = [Channel(scheduler, "s.out", f"t{i}.inp", shape, float, 4) for i in range(2)]
    for channel in channels:
        channel.buffer.scalar = shape == (1,)
        channel.buffer.shape(shape, float)
    send = FanOut(channels).send
    data = np.zeros(shape)
    for k in range(4):
        data[:] = k
        send(data)  # a copy: what becomes of data later is its own business
    one, other = (c.buffer.number if c.buffer.scalar else c.buffer.single for c in channels)
    for k in range(4):
        message = one()
        np.testing.assert_array_equal(message, np.full(shape, k))
        message[:] = 99
        assert channels[1].peek().max() == k
        np.testing.assert_array_equal(other(), np.full(shape, k))
    assert [len(channel) for channel in channels] == [0, 0]


def calls(run):
    """How many functions are called, in Python and out of it."""
    count = 0

    def note(frame, event, function):
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        run()  # stacks that are made now are watched from their first call on
        count = 0
        run()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(("clock", "sizes"), [("sync", (100, 400)), ("async", (100, 200))])
def test_what_a_number_costs_in_calls_does_not_grow_with_the_network(clock, sizes):
    costs = []
    for size in sizes:
        layers = Layers(size, clock)
        steps = 1 if clock == "async" else 20

        def run(layers=layers, steps=steps):
            layers.session.run(steps)

        before = layers.session.deliveries
        total = calls(run)
        delivered = (layers.session.deliveries - before) / 2
        costs.append(total / (delivered if clock == "async" else steps * layers.scalars))
        layers.session.stop()
    assert all(larger < 1.1 * smaller for smaller, larger in itertools.pairwise(costs))
    # One delivery is some calls, not some for every dyad or every message on its way.
    assert max(costs) < 40


def test_a_model_that_exits_does_not_end_the_program():
    first, _ = ring("none", "exit")
    with pytest.raises(ModelError, match=r"faulty \(exit\)"), InProcessSession(first) as session:
        session.run(5)


def test_a_model_that_catches_everything_is_over_time_all_the_same():
    first, _ = ring("none", "stubborn")
    with (
        pytest.raises(HangError, match=r"took more than 0.3 s: faulty \(stubborn\)"),
        InProcessSession(first, timeout=0.3) as session,
    ):
        session.run(5)


def compiled():
    """Return a fresh Process and what Lava's compiler makes of it."""
    with own_logging():
        source, lif = RingBuffer(data=np.arange(6.0)[None]), LIF(shape=(1,), bias_mant=1, vth=9)
    source.s_out.connect(lif.a_in)
    return lif, lif.compile(Loihi2SimCfg(select_tag="floating_pt"))


def test_an_executable_runs_compiled_saved_loaded(tmp_path):
    def spikes_and_potential(lif, executable):
        lif.create_runtime(executable=executable)
        lif.run(RunSteps(2))
        lif.run(RunSteps(3))
        seen = lif.u.get().item(), lif.v.get().item()
        lif.stop()
        return seen

    lif, executable = compiled()
    save(lif, str(tmp_path / "net.pickle"), executable)
    with in_process():
        first = spikes_and_potential(lif, executable)
        again = spikes_and_potential(*load(str(tmp_path / "net.pickle")))
    lif, _ = compiled()
    fresh = [RingBuffer(data=np.arange(6.0)[None]), LIF(shape=(1,), bias_mant=1, vth=9)]
    fresh[0].s_out.connect(fresh[1].a_in)
    with InProcessSession(fresh[1], Loihi2SimCfg(select_tag="floating_pt")) as session:
        session.run(5)
    assert first == again == (fresh[1].u.get().item(), fresh[1].v.get().item())


def test_neither_run_configuration_nor_executable_is_a_named_error():
    with in_process(), pytest.raises(ValidationError, match="needs a run configuration"):
        Store().create_runtime()


def test_the_in_process_blocks_of_several_threads_do_not_end_each_other():
    lavas = AbstractProcess.create_runtime
    inner, outer = in_process(), in_process()
    outer.__enter__()
    inner.__enter__()
    outer.__exit__(None, None, None)
    assert AbstractProcess.create_runtime is not lavas
    inner.__exit__(None, None, None)
    assert AbstractProcess.create_runtime is lavas
