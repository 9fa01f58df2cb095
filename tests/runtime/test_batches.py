"""Neurons that take their step together, against the same neurons one by one."""

import re
import time
from itertools import count, pairwise, product

import numpy as np
import pytest
from faulty.process import ring
from lava.magma.core.run_conditions import RunContinuous
from lava.proc.monitor.process import Monitor

from lava_dyads import Dyad, DyadNetwork, DyadRunConfig, NetworkSpec, PresentationSchedule
from lava_dyads.errors import DeadlockError, ModelError
from lava_dyads.processes import DatasetSource
from lava_dyads.processes.virtual import put, take
from lava_dyads.rules.optimisers import Adam
from lava_dyads.rules.units.dyad import DualPropagationAdjoint
from lava_dyads.runtime.in_process_session import InProcessSession
from lava_dyads.testing.ring import Passer
from lava_dyads.testing.streams import Player, Recorder

pytestmark = pytest.mark.timeout(60)

STEPS = 24


def sizes(session):
    scheduler = session.runtime._batch_scheduler
    return sorted(len(batch.nodes) for batch in scheduler.batches) if scheduler else []


def registers(dyads):
    return {(i, name): d.read(name) for i, d in enumerate(dyads) for name in d.registers()}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value, err_msg=str(key))


def mixed():
    """Build three layers with uneven fan-in, learning dyads, and other Processes between them."""
    generator = np.random.default_rng(0)
    schedule = PresentationSchedule(steps=4, batch_size=3)
    layers = [
        [
            Dyad(
                (1,),
                activation="tanh",
                rule=DualPropagationAdjoint(alpha=0.3),
                bias=b,
                optimiser=Adam(0.1),
                schedule=schedule,
            )
            for b in generator.normal(size=9)
        ]
        for _ in range(3)
    ]
    rows = generator.normal(size=(STEPS, 9)) * 10.0 ** generator.integers(-2, 3, (STEPS, 9))
    rows[generator.random(rows.shape) < 0.5] = 0.0
    player = Player(rows, "layer")  # its entries go to neurons
    for i, dyad in enumerate(layers[0]):
        take(player.out, i, dyad.basal_in)
    for k, (below, above) in enumerate(pairwise(layers)):
        for i, dyad in enumerate(above):
            for source in generator.permutation(9)[: 2 + (i + k) % 6]:
                below[source].mean_out.connect(dyad.basal_in)
    single = Player(rows[::-1, :1], "single")
    for dyad in layers[1][2:5]:  # whole messages of another Process, last in the sum
        single.out.connect(dyad.basal_in)
    for dyad in layers[2]:  # across a layer, and by another port
        layers[0][3].difference_out.connect(dyad.apical_in)
        layers[1][5].plus_out.connect(dyad.apical_in)
    recorder = Recorder((9,), STEPS)
    for i, dyad in enumerate(layers[2]):
        put(dyad.mean_out, 8 - i, recorder.inp)
    echo = Recorder((1,), STEPS, "echo")
    layers[1][1].mean_out.connect(echo.inp)
    return [*layers[0], *layers[1], *layers[2]], recorder, echo


def test_a_graph_of_many_kinds_is_bit_equal_to_its_neurons_one_by_one():
    results = []
    for one_by_one in (True, False):
        dyads, *recorders = mixed()
        # Measuring times every model by itself.
        with InProcessSession(dyads[0], measure=one_by_one) as session:
            for steps in (1, 5, 11, STEPS - 17):
                session.run(steps)
            batched = sizes(session)
        heard = {(r.name, 0): r.heard for r in recorders}
        results.append({**registers(dyads), **heard})
    assert sum(batched) > 20, batched
    assert_same(results[1], results[0])
    assert np.count_nonzero(recorders[0].heard) > 50


@pytest.mark.parametrize(("loss", "lanes"), [("cross-entropy", 1), ("squared-error", 9)])
def test_a_network_that_learns_is_bit_equal_to_its_neurons_one_by_one(loss, lanes):
    results = []
    for one_by_one in (True, False):
        network = NetworkSpec((5, 12, 6, 4), activations="tanh", loss=loss).build(
            lanes=lanes, optimiser=Adam(0.1)
        )
        steps = 9  # one less than it takes up and down: the last one still moves something
        process = DyadNetwork(network, schedule=PresentationSchedule(steps, lanes, 2 * lanes))
        x, y = (np.zeros((6 * steps, *p.shape)) for p in (process.input_in, process.target_in))
        x[::steps] = np.random.default_rng(1).normal(size=x[::steps].shape)
        y[::steps, ..., 1] = 1.0
        Player(x).out.connect(process.input_in)
        Player(y, "targets").out.connect(process.target_in)
        config = DyadRunConfig("neuron")
        with InProcessSession(process, config, measure=one_by_one) as session:
            session.run(6 * steps)
            batched = sizes(session)
        parts = [part for e in network.elements.values() for part in e.parts]
        memory = {(i, n): v for i, p in enumerate(parts) for n, v in p.memory.items()}
        names = [f"{kind}_{k}" for kind in ("weights", "biases") for k in (1, 2, 3)]
        results.append({**memory, **{("net", name): process.read(name) for name in names}})
    assert batched == [4, 6, 12]
    assert_same(results[1], results[0])
    assert any("updates" in n and v.any() for (_, n), v in results[1].items())


def test_sums_are_taken_in_the_order_of_the_sources():
    # 1e16 + 1 - 1e16 is 0 or 1, whichever comes first; many terms, since numpy may add in pairs.
    generator = np.random.default_rng(5)
    for width, fan in ((2, 40), (5, 9), (33, 33)):
        values = generator.choice([1e16, 1.0, -1e16, 3.0, 0.1], size=fan)
        schedule = PresentationSchedule()
        below = [Dyad((1,), activation="linear", bias=v, schedule=schedule) for v in values]
        above = [Dyad((1,), activation="linear", schedule=schedule) for _ in range(width)]
        expected = []
        for dyad in above:
            total = 0.0
            order = np.flatnonzero(generator.random(fan) < 0.9)
            for i in order:
                below[i].mean_out.connect(dyad.basal_in)
                total += values[i]
            expected.append(total)
        with InProcessSession(below[0]) as session:
            session.run(1)
            assert sum(sizes(session)) >= fan + width - 3
        np.testing.assert_array_equal([d.read("basal").item() for d in above], expected)


def test_vars_and_monitors_see_each_neuron():
    results = []
    for one_by_one in (True, False):
        schedule = PresentationSchedule()
        below, above = (
            [Dyad((1,), bias=b, schedule=schedule) for b in (0.5, -1.0, 2.0, 0.25, 3.0)]
            for _ in range(2)
        )
        for i, dyad in enumerate(above):
            for source in below[: i + 1]:
                source.mean_out.connect(dyad.basal_in)
        monitor = Monitor()
        monitor.probe(above[3].s_plus, 6)
        with InProcessSession(below[0], measure=one_by_one) as session:
            session.run(2)
            seen = [above[4].s_plus.get(), above[4].basal.get(), below[1].counts.get()]
            below[1].bias.set(np.array([7.0]))
            below[1].basal.set(np.array([-1.0]))  # not heard: it acts with the next message
            above[2].basal.set(np.array([10.0]))
            session.run(4)
            batched = sizes(session)
            data = next(iter(next(iter(monitor.get_data().values())).values()))
        results.append([*seen, data, *registers([*below, *above]).values()])
    assert batched[-1] == 5
    for found, expected in zip(*results, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_who_sends_before_it_hears_may_stand_between_neurons():
    # A dyad, a Passer and back: nobody knows that a Passer speaks first, so these step alone.
    results = []
    for one_by_one in (True, False):
        schedule = PresentationSchedule()
        loop = [Dyad((1,), activation="linear", schedule=schedule) for _ in range(6)]
        after = [Dyad((1,), activation="linear", schedule=schedule) for _ in range(6)]
        for i, dyad in enumerate(loop):
            passer = Passer(1, name=f"passer {i}")
            passer.out.connect(dyad.basal_in)
            loop[i - 1].mean_out.connect(passer.inp)
            dyad.mean_out.connect(after[i].basal_in)
        with InProcessSession(loop[0], measure=one_by_one) as session:
            session.run(10)
            batched = sizes(session)
        results.append(registers([*loop, *after]))
    assert batched == [6]
    assert_same(results[1], results[0])
    assert results[1][0, "s_plus"] > 10


def test_a_deadlock_names_a_neuron_and_who_it_waits_for():
    first, _ = ring("wait first", "wait first")
    schedule = PresentationSchedule()
    dyads = [Dyad((1,), name=f"dyad {i}", schedule=schedule) for i in range(4)]
    for dyad in dyads:
        take(first.out, 0, dyad.basal_in)
    session = InProcessSession(first)
    assert sizes(session) == [4]
    with pytest.raises(DeadlockError) as caught:
        session.run(1)
    assert re.search(
        r"dyad 0 \(\w+\) and 3 more waits for dyad 0.basal_in to hear from faulty",
        str(caught.value),
    )


def test_a_receiver_that_never_listens_blocks_neurons():
    _, deaf = ring("none", "deaf")
    schedule = PresentationSchedule()
    dyads = [Dyad((1,), schedule=schedule) for _ in range(4)]
    recorder = Recorder((1,), 200)
    for i, dyad in enumerate(dyads[:2]):
        put(dyad.mean_out, i, deaf.inp)
    for dyad in dyads[2:]:
        dyad.mean_out.connect(recorder.inp)
    with pytest.raises(DeadlockError, match="has not listened"), InProcessSession(deaf) as s:
        s.run(200)


def nobody_else(lanes):
    """Build dyads alone, which speak in several steps of a presentation and learn."""
    generator = np.random.default_rng(2)
    schedules = [
        PresentationSchedule(steps=7, lanes=lanes, batch_size=2 * lanes),
        PresentationSchedule(lanes=lanes),
    ]
    layers = [
        [
            Dyad(
                (1,),
                activation="tanh",
                rule=DualPropagationAdjoint(alpha=0.3),
                bias=bias,
                lanes=lanes,
                first_step=3 - k % 3,
                optimiser=Adam(0.1),
                schedule=schedules[k == 4],
            )
            for bias in generator.normal(size=8)
        ]
        for k in range(6)
    ]
    for k, (below, above) in enumerate(pairwise(layers)):
        for i, dyad in enumerate(above):
            for source in generator.permutation(8)[: 2 + (i + k) % 5]:
                below[source].mean_out.connect(dyad.basal_in)
            below[i].mean_out.connect(dyad.apical_in)
            layers[0][i].difference_out.connect(dyad.apical_in)
    return [dyad for layer in layers for dyad in layer]


def test_an_odd_neuron_is_a_batch_of_its_own_where_nobody_else_is():
    generator = np.random.default_rng(8)
    values = generator.choice([1e16, 1.0, -1e16, 3.0, 0.1], size=40)
    results = []
    for one_by_one in (True, False):
        schedule = PresentationSchedule(steps=3)
        below = [Dyad((1,), activation="linear", bias=v, schedule=schedule) for v in values]
        odd = Dyad((1,), activation="linear", bias=0.5, optimiser=Adam(0.1), schedule=schedule)
        for dyad in below:
            dyad.mean_out.connect(odd.basal_in)
            dyad.mean_out.connect(odd.apical_in)
        with InProcessSession(odd, measure=one_by_one) as session:
            session.run(1)
            session.run(40)
            batched = sizes(session)
        results.append(registers([*below, odd]))
    assert batched == [1, 40]
    assert_same(results[1], results[0])
    total = 0.0
    for value in values:
        total += value
    assert odd.read("basal") == total


@pytest.mark.parametrize("lanes", [1, 3])
def test_many_steps_in_one_go_are_bit_equal_to_one_after_the_other(lanes):
    results = []
    for one_by_one in (True, False):
        dyads = nobody_else(lanes)
        with InProcessSession(dyads[0], measure=one_by_one) as session:
            seen = []
            for steps in (1, 2, 150, 30, 7, 61):
                session.run(steps)
                seen.append([dyads[k].s_plus.get() for k in (0, 20, 40, 47)])
            dyads[3].bias.set(np.array([2.0]))
            dyads[9].schedule.learn[:] = 0
            session.run(40)
            if not one_by_one:
                assert session.runtime._batch_scheduler.longest == 64
                assert len(session.runtime._batch_scheduler.batches) > 5
            assert session.steps_done == 291
        results.append({**registers(dyads), ("seen", 0): np.array(seen)})
    assert_same(results[1], results[0])
    final = results[1]
    assert final[35, "bias_updates"] == 0 < final[47, "bias_updates"]
    assert len({a.tobytes() for a in final["seen", 0]}) > 4  # something has happened


def test_a_pause_finds_all_neurons_in_the_same_step():
    paused = nobody_else(1)
    with InProcessSession(paused[0]) as session:
        session.runtime.start(RunContinuous())
        while session.steps_done < 100:
            time.sleep(0.001)
        session.runtime.pause()
        steps = session.steps_done
    one_by_one = nobody_else(1)
    with InProcessSession(one_by_one[0], measure=True) as session:
        session.run(steps)
    assert_same(registers(paused), registers(one_by_one))


def fails(after, step, text):
    """Return an element's ``after`` that fails when it is called the n-th time."""
    calls = count(1)

    def failing(clock, inbox):
        if next(calls) == step:
            raise ZeroDivisionError(text)
        return after(clock, inbox)

    return failing


@pytest.mark.parametrize(("first", "second"), [(9, 5), (5, 9), (5, 5), (1, 9), (9, 1)])
def test_who_fails_in_the_earlier_step_has_failed(first, second):
    dyads = nobody_else(1)
    session = InProcessSession(dyads[0])
    session.run(3)
    batches = session.runtime._batch_scheduler.batches[1::2]
    for k, step in enumerate((first, second)):
        stacked = batches[k].stacked
        stacked.after = fails(stacked.after, step, f"batch {k}")
    loser = int(second < first)
    with pytest.raises(ModelError, match=f"batch {loser}") as caught:
        session.run(20)
    assert str(caught.value).startswith(batches[loser].task.label)
    assert session.steps_done == 3 + min(first, second) - 1


@pytest.mark.parametrize("steps", [0, 7, 90])
def test_neurons_behind_a_source_take_many_steps_at_once_with_the_same_result(steps):
    def registers(measure):
        schedule, generator = PresentationSchedule(steps=steps), np.random.default_rng(3)
        rows = generator.normal(size=(40, 6)), np.eye(2)[generator.integers(2, size=40)]
        source = DatasetSource(*rows, schedule=schedule)
        layers = [
            [Dyad((1,), bias=b, schedule=schedule) for b in generator.normal(size=6)]
            for _ in range(3)
        ]
        for i, dyad in enumerate(layers[0]):
            take(source.x_out, i, dyad.basal_in)
        for below, above in pairwise(layers):
            for first, second in product(below, above):
                first.mean_out.connect(second.basal_in)
        seen = []
        with InProcessSession(source, measure=measure) as session:
            for count in (1, 2, 100, 64, 33):
                session.run(count)
                seen.append([d.read(name) for layer in layers for d in layer for name in SEEN])
        return seen

    for ours, theirs in zip(registers(False), registers(True), strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)


SEEN = ("s_plus", "s_minus", "basal", "sent_mean", "counts", "sends", "residual")
