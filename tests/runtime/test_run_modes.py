"""Ways to run, to pause and to stop, on both runtimes; external pipes; random numbers."""

import gc
import threading
import time

import numpy as np
import pytest
from asker.process import ring
from faulty.process import ring as faulty_ring
from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.run_conditions import RunContinuous, RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.extractor import Extractor
from lava.proc.io.injector import Injector

from lava_dyads import Dyad, DyadRunConfig, LavaSession
from lava_dyads.errors import HangError, LavaRuntimeError, ModelError, ValidationError
from lava_dyads.processes.base import own_logging
from lava_dyads.runtime import InProcessSession, in_process
from lava_dyads.testing import no_leftovers

pytestmark = pytest.mark.timeout(60)
SESSIONS = [InProcessSession, pytest.param(LavaSession, marks=pytest.mark.lava)]
CONFIG = Loihi2SimCfg(select_tag="floating_pt")


@pytest.fixture
def dyad():
    """A started dyad under ``Process.run`` in-process."""
    dyad = Dyad((2,), bias=[0.5, -1.0])
    with in_process(), no_leftovers():
        dyad.run(RunSteps(1), DyadRunConfig())
        yield dyad
        dyad.stop()


def until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.001)


def test_run_continuous_until_paused_and_again(dyad):
    runtime = dyad.runtime
    for _ in range(3):
        before = runtime.steps_done
        dyad.run(RunContinuous())
        until(lambda before=before: runtime.steps_done > before + 10)
        with pytest.raises(LavaRuntimeError, match="runs already"):
            dyad.run(RunSteps(1))
        with pytest.raises(LavaRuntimeError, match=r"Var.get.*pause\(\)"):
            dyad.s_plus.get()
        dyad.pause()
        done = runtime.steps_done
        time.sleep(0.02)
        assert runtime.steps_done == done  # nothing runs on
        np.testing.assert_array_equal(dyad.s_plus.get(), [0.5, 0])
    dyad.run(RunSteps(7))
    assert runtime.steps_done == done + 7


def test_a_run_that_does_not_block_ends_at_wait(dyad):
    dyad.run(RunSteps(500, blocking=False))
    dyad.wait()
    assert dyad.runtime.steps_done == 501
    dyad.run(RunSteps(20, blocking=False))
    dyad.run(RunSteps(30))  # after the other
    assert dyad.runtime.steps_done == 551


def test_stop_while_it_runs(dyad):
    dyad.run(RunContinuous())
    dyad.stop()
    with pytest.raises(LavaRuntimeError, match="has been stopped"):
        dyad.run(RunSteps(1))


@pytest.mark.parametrize("surface", ["wait", "pause", "stop"])
def test_an_error_in_a_run_that_does_not_block_surfaces_once(surface):
    first, _ = faulty_ring("none", "raise")
    with in_process():
        first.run(RunSteps(1), CONFIG)
        first.run(RunContinuous())
        until(lambda: not first.runtime._is_running)
        with pytest.raises(ModelError, match="one over nothing"):
            getattr(first, surface)()
        first.stop()
        with pytest.raises(LavaRuntimeError, match="has been stopped"):
            first.run(RunSteps(1))


@pytest.mark.parametrize("session_class", SESSIONS)
def test_a_model_that_asks_for_a_pause_ends_the_run_early(session_class):
    # At step 3 the other model asks for learning, which still takes place before the pause.
    first, second = ring({"pause": (3, 7)}, {"learn": (3, 5)})
    with session_class(first, CONFIG) as session:
        assert session.run(100) == 3
        assert session.steps_done == 3
        assert second.count.get() == [3]  # each step adds one to what the other sent
        assert [second.learned.get(), second.managed.get()] == [[3], [3]]
        assert session.run(3) == 3
        assert session.run(100) == 1
        assert (session.steps_done, second.learned.get()) == (7, [8])
        assert session.run(2) == 2


@pytest.mark.parametrize("session_class", SESSIONS)
def test_a_model_that_asks_for_a_stop_ends_the_session(session_class):
    first, _ = ring({}, {"stop": (4,)})
    with session_class(first, CONFIG) as session:
        assert session.run(100) == 4
        assert not session.alive
        with pytest.raises(LavaRuntimeError, match="has been stopped"):
            session.run(1)


def test_process_run_honours_the_pause_a_model_asks_for():
    first, second = ring({"pause": (5,)}, {})
    with in_process():
        first.run(RunContinuous(), CONFIG)
        first.wait()
        assert second.count.get() == [5]
        first.run(RunSteps(2))
        assert second.count.get() == [7]
        first.stop()


@pytest.mark.lava
def test_every_model_draws_from_a_random_state_of_its_own_as_in_lava():
    drawn = []
    for session_class in (LavaSession, InProcessSession):
        np.random.seed(3)
        processes = ring({}, {}, {})
        with session_class(processes[0], CONFIG) as session:
            seen = []
            for steps in (1, 2):
                session.run(steps)
                seen += [process.drawn.get() for process in processes]
        drawn.append(np.array(seen))
        left = np.random.random()
    np.testing.assert_array_equal(*drawn)
    assert np.all(drawn[0][0] == drawn[0][1])  # each its own copy of one state
    np.random.seed(3)
    assert left == np.random.random()  # and the program's own state untouched


def test_a_model_that_never_returns_ends_in_an_error_that_says_where():
    first, _ = faulty_ring("none", "spin")
    with (
        pytest.raises(HangError, match=r"faulty \(spin\) \(PyFaultyModel\) is in misbehave"),
        InProcessSession(first, timeout=0.3) as session,
    ):
        session.run(10)
    with pytest.raises(ValidationError, match="timeout: must be positive"):
        InProcessSession(Dyad((1,)), timeout=0)


def test_a_long_run_of_short_steps_is_no_hang():
    with InProcessSession(Dyad((1,)), timeout=0.2) as session:
        begin = time.monotonic()
        while time.monotonic() - begin < 0.5:
            session.run(3000)


@pytest.fixture
def _injectors_die_here():
    """Lava's injector model has a faulty __del__, which its OS processes never reach."""
    yield
    gc.collect()


def pipeline(buffer_size=4):
    with own_logging():
        injector = Injector(shape=(2,), buffer_size=buffer_size)
        extractor = Extractor(shape=(2,), buffer_size=buffer_size)
    injector.out_port.connect(extractor.in_port)
    return injector, extractor


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("_injectors_die_here")
def test_data_from_outside_and_back():
    injector, extractor = pipeline()
    data = np.random.default_rng(0).normal(size=(50, 2))
    with in_process():
        injector.run(RunSteps(50, blocking=False), Loihi2SimCfg())
        # More than both buffers hold: whoever is ahead has to wait for the other.
        feeder = threading.Thread(target=lambda: [injector.send(row) for row in data])
        feeder.start()
        found = [extractor.receive() for _ in range(50)]
        feeder.join()
        injector.wait()
        np.testing.assert_array_equal(found, data)
        with pytest.raises(AssertionError, match=r"in_port: a message must have shape \(2,\)"):
            injector.send(np.zeros(3))
        injector.stop()
        with pytest.raises(LavaRuntimeError, match="has been stopped"):
            extractor.receive()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("_injectors_die_here")
def test_stop_ends_a_wait_for_data_from_outside():
    injector, _ = pipeline()
    with in_process(), no_leftovers():
        injector.run(RunContinuous(), Loihi2SimCfg())
        until(lambda: injector.runtime._engine.looking_outside)
        injector.stop()
    assert injector.runtime.steps_done == 0


def test_ports_of_unequal_shape_are_refused_with_both_names():
    one, other = Dyad((2,), name="one"), Dyad((3,), name="other")
    with pytest.raises(ValidationError, match=r"one.mean_out -> other.basal_in: .*\(3,\).*\(2,\)"):
        one.mean_out.connect(other.basal_in)
    # The way Lava's reshape() connects: nobody looks at the shapes before the build.
    one.mean_out._connect_forward([other.basal_in], InPort, [None], False)
    with pytest.raises(ValidationError, match=r"one.mean_out -> other.basal_in: .*\(3,\).*\(2,\)"):
        InProcessSession(one)
