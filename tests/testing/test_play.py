"""The test kit: what it plays arrives as it is, and what is wrong does not pass."""

import logging
import subprocess
import sys
import threading

import numpy as np
import pytest
from chatter.process import Chatter
from holder.process import SPARSE, Holder
from hypothesis import given, settings
from hypothesis import strategies as st
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.process import Dense
from lava.proc.lif.process import LIF

from lava_dyads import Dyad
from lava_dyads.errors import DeadlockError, ModelError, ValidationError
from lava_dyads.processes.base import own_logging
from lava_dyads.rules.units.dyad import DualPropagationAdjoint
from lava_dyads.testing import no_leftovers, play, react

pytestmark = pytest.mark.timeout(60)
FIXED, FLOAT = (Loihi2SimCfg(select_tag=tag) for tag in ("fixed_pt", "floating_pt"))
BOTH = pytest.mark.parametrize(
    "runtime", ["in-process", pytest.param("lava", marks=pytest.mark.lava)]
)


@BOTH
def test_a_fixed_point_neuron_spikes_as_its_equations_say(runtime):
    with own_logging():
        lif = LIF(shape=(2,), vth=3, du=0, dv=0)
    heard = np.array([[100, 2], [3, 3], [150, 190], [0, 0]])
    played = play(lif, {"a_in": heard}, outputs=["s_out"], run_cfg=FIXED, runtime=runtime)
    # u += 64 a; v += u; a spike and v = 0 where v exceeds 64 vth.
    u, v, spikes = np.zeros(2, int), np.zeros(2, int), []
    for a in heard:
        u += 64 * a
        v += u
        spikes.append((v > 3 * 64).astype(int))
        v[v > 3 * 64] = 0
    assert played.outputs["s_out"].tolist() == np.array(spikes).tolist()
    assert played.outputs["s_out"].dtype.kind == "i"


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_integers_are_delivered_as_integers_to_a_fixed_point_connection(seed):
    generator = np.random.default_rng(seed)
    weights, heard = 2 * generator.integers(-20, 20, (3, 2)), generator.integers(0, 9, (5, 2))
    with own_logging():
        dense = Dense(weights=weights, num_message_bits=8)
    played = play(dense, {"s_in": heard}, outputs=["a_out"], run_cfg=FIXED, runtime="in-process")
    assert played.outputs["a_out"].tolist() == [[0] * 3, *(heard[:-1] @ weights.T).tolist()]


@pytest.mark.parametrize("kind", [float, np.float32, int, np.uint8, bool, list])
def test_a_floating_point_process_hears_the_same_numbers_in_any_type(kind):
    series = np.array([[1, 0], [0, 1]])
    series = series.tolist() if kind is list else series.astype(kind)
    dyad = Dyad((2,), activation="linear", rule=DualPropagationAdjoint(alpha=0.5))
    played = play(dyad, {"basal_in": series}, outputs=["mean_out"], runtime="in-process")
    assert played.outputs["mean_out"].tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert played.outputs["mean_out"].dtype == float
    changes = react(Dyad((2,), activation="linear"), {"basal_in": series}, outputs=["mean_out"])
    assert changes.outputs["mean_out"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("series", [[["a", "b"]], [[1j, 0]], [[None, 1]]])
@pytest.mark.parametrize("tool", [play, react])
def test_a_series_of_anything_else_is_refused(tool, series):
    with pytest.raises(ValidationError, match="must hold integers or real numbers"):
        tool(Dyad((2,)), {"basal_in": series}, outputs=["mean_out"])


@BOTH
@pytest.mark.parametrize("times", [(1, 2, 1), (2, 1, 1), (1, 1, 2), (1, 1, 3)])
def test_a_port_that_sends_twice_in_a_step_is_an_error(runtime, times):
    with pytest.raises(ValidationError, match=r"chatter\.out: must send one message per time step"):
        play(Chatter(times), {"inp": np.ones((3, 2))}, outputs=["out"], runtime=runtime)


@BOTH
def test_a_port_that_sends_once_is_heard(runtime):
    series = np.arange(6.0).reshape(3, 2)
    played = play(Chatter((1, 1, 1)), {"inp": series}, outputs=["out"], runtime=runtime)
    assert played.outputs["out"].tolist() == series.tolist()


def test_a_port_that_does_not_send_is_a_deadlock():
    with pytest.raises(DeadlockError):
        play(Chatter((1, 0, 1)), {"inp": np.ones((3, 2))}, outputs=["out"], runtime="in-process")


def test_an_error_of_the_process_itself_stays_a_model_error():
    with pytest.raises(ModelError, match="IndexError"):
        play(Chatter((1,)), {"inp": np.ones((3, 2))}, outputs=["out"], runtime="in-process")


def test_vars_of_every_kind_are_watched():
    watch = ["matrix", "vector", "waves", "sparse", "text", "number"]
    played = play(Holder(number=0.5), watch=watch, steps=2, run_cfg=FLOAT, runtime="in-process")
    assert played.vars["vector"].tolist() == [[2, 3, 4]] * 2
    assert played.vars["waves"][1].tolist() == [1 + 2j, 3 - 1j]
    assert played.vars["sparse"][1].tolist() == SPARSE.toarray().tolist()
    assert played.vars["text"].tolist() == ["abc", "abc"]
    assert played.vars["number"].tolist() == [[0.5], [0.5]]


def test_a_process_that_is_made_inside_is_no_leftover():
    with no_leftovers():
        LIF(shape=(1,))
        play(Chatter((1,)), {"inp": np.ones((1, 2))}, outputs=["out"], runtime="in-process")


def test_what_is_left_is_named():
    stop, handler = threading.Event(), logging.StreamHandler()
    thread = threading.Thread(target=stop.wait, name="left over")
    child = None
    try:
        with pytest.raises(AssertionError, match="left over"), no_leftovers(0.1):
            thread.start()
        with pytest.raises(AssertionError, match="root logger"), no_leftovers(0.1):
            logging.getLogger().addHandler(handler)
        with pytest.raises(AssertionError, match="left behind"), no_leftovers(0.1):
            child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    finally:
        stop.set()
        thread.join()
        logging.getLogger().removeHandler(handler)
        if child is not None:
            child.communicate()
