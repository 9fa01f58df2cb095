"""What OS processes keep apart is kept apart in one: random states, arguments, class attributes."""

import gc
import multiprocessing
import pickle
import random
import threading
import weakref

import numpy as np
import pytest
from drawer import dice
from drawer.process import ROLL, WAYS, Drawer, PyDrawerModel, drawers
from hypothesis import given, settings
from hypothesis import strategies as st
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg

from lava_dyads import DyadNetwork, DyadRunConfig, InProcessSession, LavaSession, NetworkSpec
from lava_dyads.processes.base import shared
from lava_dyads.runtime import in_process
from lava_dyads.runtime.isolation import own_copy
from lava_dyads.runtime.randomness import SWITCH

pytestmark = pytest.mark.timeout(60)
FLOAT = Loihi2SimCfg(select_tag="floating_pt")


def seed():
    np.random.seed(4)
    np.random.standard_normal()  # the second of the pair is kept
    random.seed(4)
    ROLL.seed(4)
    dice.generator.bit_generator.state = np.random.default_rng(4).bit_generator.state


def program():
    """Return what the program itself draws next, from everything."""
    numpys = [np.random.standard_normal(), np.random.rand(), np.random.randint(10**6)]
    return [*numpys, random.random(), ROLL.rand(), dice.generator.random()]


def pair(way, **given):
    """Return two Drawers that go one way, connected."""
    first, second = Drawer(way, **given), Drawer(way, **given)
    first.out.connect(second.inp)
    second.out.connect(first.inp)
    return first, second


@pytest.mark.lava
def test_whatever_models_draw_and_hold_is_what_it_is_when_each_is_an_os_process():
    ends, afterwards = [], []
    for session in (LavaSession, InProcessSession):
        seed()
        made = drawers()
        with session(made[0], FLOAT) as opened:
            opened.run(3)
            opened.run(2)
            ends.append([[d.sum.get().item(), d.first.get().item()] for d in made])
        afterwards.append(program())
        assert (PyDrawerModel.seen, PyDrawerModel.count) == ([], 0)
        assert made[-1].proc_params["nested"] == {"list": [[]]}
    names = [way for way in WAYS for _ in range(2)]
    for way, lavas, ours in zip(names, *ends, strict=True):
        assert "Python" in way or (way, ours) == (way, lavas)
    assert afterwards[0] == afterwards[1]
    seed()
    assert afterwards[1] == program()  # nobody has drawn from the program's


@pytest.mark.parametrize("way", [way for way in WAYS if "Python" in way])
def test_pythons_random_is_each_models_own_and_follows_the_programs_seed(way):
    """Python seeds it anew in a forked OS process, so there is nothing to compare it with."""
    ends = []
    for _ in range(2):
        seed()
        models = pair(way)
        with InProcessSession(models[0], FLOAT) as session:
            session.run(5)
            ends.append([model.sum.get().item() for model in models])
        after = program()
    assert ends[0] == ends[1]
    assert ends[0][0] != ends[0][1]
    seed()
    assert after == program()


@pytest.mark.parametrize("way", ["np.random", "normal numbers, drawn in pairs", "seeded again"])
def test_a_run_in_a_thread_and_the_program_draw_as_if_each_were_alone(way):
    kinds = [np.random.standard_normal, np.random.rand, lambda: np.random.get_state()[2]]

    def draws():
        return [kinds[i % 3]() for i in range(300)]

    seed()
    alone = draws()
    seed()
    first, _ = pair(way)
    with in_process():
        first.run(RunSteps(150), FLOAT)
        wanted = first.sum.get()
    first.stop()
    for _ in range(2):
        seed()
        first, _ = pair(way)
        with in_process():
            first.run(RunSteps(150, blocking=False), FLOAT)
            assert draws() == alone
            first.wait()
            assert first.sum.get() == wanted
        first.stop()


def test_sessions_in_several_threads_draw_as_if_each_were_alone():
    def run(ends, i, way):
        first, _ = pair(way)
        with InProcessSession(first, FLOAT) as session:
            session.run(100)
            ends[i] = first.sum.get().item()

    ways = [
        "np.random",
        "Python's random",
        "a generator of the module",
        "normal numbers, drawn in pairs",
    ]
    ends, alone = {}, {}
    for way in ways:
        seed()
        run(alone, way, way)
    seed()
    threads = [
        threading.Thread(target=run, args=(ends, (way, i), way)) for way in ways for i in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends == {(way, i): alone[way] for way in ways for i in range(2)}


def test_numpys_generator_is_its_own_again_when_nobody_needs_it_apart():
    gc.collect()  # sessions that the tests before have left behind
    before = np.random.get_bit_generator()
    first, second = pair("np.random"), pair("np.random")
    with InProcessSession(first[0], FLOAT) as a, InProcessSession(second[0], FLOAT) as b:
        assert type(np.random.get_bit_generator()) is not type(before)
        a.run(1)
        b.run(1)
        copied = pickle.loads(pickle.dumps(np.random.get_bit_generator()))
        assert type(copied) is type(before)
    assert type(np.random.get_bit_generator()) is type(before)
    assert not isinstance(np.random.get_bit_generator().lock, type(SWITCH))


def left_as_a_session():
    first, _ = pair("np.random")
    session = InProcessSession(first, FLOAT)
    session.run(1)
    return weakref.ref(session.runtime)


def left_by_process_run():
    first, _ = pair("np.random")
    with in_process():
        first.run(RunSteps(1), FLOAT)
    return weakref.ref(first.runtime)


def left_with_processes_inside():
    process = DyadNetwork(NetworkSpec((3, 2)).build())
    session = InProcessSession(process, DyadRunConfig("layer"))
    session.run(1)
    return weakref.ref(session.runtime)


def left_after_stop():
    process = DyadNetwork(NetworkSpec((3, 2)).build())
    with InProcessSession(process, DyadRunConfig("layer")) as session:
        return weakref.ref(session.runtime)


@pytest.mark.parametrize(
    "leave", [left_as_a_session, left_by_process_run, left_with_processes_inside, left_after_stop]
)
def test_what_nobody_holds_any_more_is_collected_and_numpys_generator_is_its_own(leave):
    left = leave()
    gc.collect()
    assert left() is None


@given(st.integers(0, 2**31), st.lists(st.integers(0, 7), max_size=12))
@settings(max_examples=25, deadline=None)
def test_every_way_to_draw_gives_what_numpy_gives(seed, which):
    ways = [
        lambda r: r.rand(3), lambda r: r.standard_normal(), lambda r: r.randint(0, 99, 4),
        lambda r: r.permutation(7), lambda r: r.multinomial(9, [0.5, 0.5]), lambda r: r.bytes(5),
        lambda r: r.dirichlet([1.0, 2.0]), lambda r: r.seed(3),
    ]  # fmt: skip
    np.random.seed(seed)
    plain = np.random.RandomState(seed)
    SWITCH.open()
    try:
        for i in which:
            assert str(ways[i](np.random)) == str(ways[i](plain))
    finally:
        SWITCH.close()
    assert np.random.rand() == plain.rand()


def test_what_is_shared_on_purpose_stays_shared():
    memory, lock = multiprocessing.RawArray("d", 3), threading.Lock()
    given = {
        "mapped": shared(np.zeros(3)),
        "raw": memory,
        "looks at raw": np.frombuffer(memory),
        "locked": multiprocessing.Array("d", 3),
        "lock": lock,
        "plain": np.zeros(3),
    }
    own = {name: own_copy({"deep": [value]})["deep"][0] for name, value in given.items()}
    assert {name for name in given if own[name] is not given[name]} == {"plain"}
