"""Comparisons of series, both runtimes at once, graphs, and what a played Process does wrong."""

import os

import numpy as np
import pytest
from chatter.process import Chatter
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.process import Dense
from lava.proc.lif.process import LIF
from lava.proc.sdn.process import Delta
from speaker.process import Speaker

from lava_dyads.errors import DataError, DifferenceError, ValidationError
from lava_dyads.processes.base import own_logging
from lava_dyads.testing import Played, assert_golden, assert_same, play

pytestmark = pytest.mark.timeout(60)
FIXED, FLOAT = (Loihi2SimCfg(select_tag=tag) for tag in ("fixed_pt", "floating_pt"))
BOTH = pytest.mark.parametrize(
    "runtime", ["in-process", pytest.param("lava", marks=pytest.mark.lava)]
)


def chain():
    """Return a Dense whose weighted sums drive a LIF."""
    with own_logging():
        dense = Dense(weights=np.array([[20, -4], [2, 8]]), num_message_bits=8, name="dense")
        lif = LIF(shape=(2,), vth=10, du=4095, dv=0, name="lif")
    dense.a_out.connect(lif.a_in)
    return dense


@pytest.mark.lava
def test_a_graph_answers_the_same_on_both_runtimes():
    heard = np.array([[1, 0], [0, 1], [1, 1], [0, 0], [3, 2]])
    played = play(
        chain,
        {"s_in": heard},
        outputs=["lif.s_out"],
        watch=["lif.v"],
        run_cfg=FIXED,
        runtime="both",
    )
    # A Dense sends what it heard one step before; with du at its largest u is what arrives.
    arrived = np.vstack([np.zeros((1, 2), int), heard[:-1] @ np.array([[20, 2], [-4, 8]])])
    v, spikes = np.zeros(2, int), []
    for a in arrived:
        v = v + 64 * a
        spikes.append(v > 10 * 64)
        v[v > 10 * 64] = 0
    assert played.outputs["lif.s_out"].tolist() == np.array(spikes, int).tolist()
    assert played.vars["lif.v"].shape == (5, 2)
    assert played.spikes("lif.s_out") == {
        n: [int(t) + 1 for t in np.flatnonzero(np.array(spikes)[:, n])]
        for n in range(2)
        if np.array(spikes)[:, n].any()
    }


@pytest.mark.lava
def test_runtimes_that_differ_are_told_apart_by_step_port_and_entry():
    # It says which OS process it runs in: not the one that asks on Lava's own runtime.
    with pytest.raises(
        DifferenceError, match=r"^out differs first in step 2, entry 1: lava has 0.0, in-process 1"
    ):
        play(lambda: Speaker("whether at home", os.getpid()), outputs=["out"], steps=3,
             runtime="both")  # fmt: skip


def test_both_runtimes_need_something_that_makes_the_process():
    with pytest.raises(ValidationError, match="needs a callable that makes the Process"):
        play(Chatter(), {"inp": np.ones((1, 2))}, runtime="both")


def test_a_process_that_has_run_is_refused():
    chatter = Chatter((1,))
    play(chatter, {"inp": np.ones((1, 2))}, outputs=["out"], runtime="in-process")
    with pytest.raises(ValidationError, match=r"must not have run before \(got 'chatter'\)"):
        play(chatter, {"inp": np.ones((1, 2))}, runtime="in-process")


def test_a_port_that_hears_somebody_already_is_not_played_on():
    with pytest.raises(ValidationError, match=r"lif.a_in: must not be connected .*'dense.a_out'"):
        play(chain(), {"s_in": [[1, 2]], "lif.a_in": [[1, 2]]}, runtime="in-process")


@pytest.mark.parametrize(
    ("name", "text"),
    [("lift.a_in", "must name one Process of the graph .got 'lift'.. Try: lif"),
     ("lif.a_inn", "unknown input port .got 'a_inn'")],
)  # fmt: skip
def test_names_in_a_graph_that_are_not_there_are_refused(name, text):
    with pytest.raises(ValidationError, match=text):
        play(chain(), {name: [[1, 2]]}, runtime="in-process")


@BOTH
@pytest.mark.parametrize(
    ("says", "text"),
    [
        ("complex", r"speaker\.out: in time step 2 it sends complex128 where its type is float64"),
        ("fraction", r"speaker\.whole: in time step 2 it sends float64 where its type is int32 "
                     r"\(got 0\.5\)"),
        ("too large", r"speaker\.whole: in time step 2 it sends int64 where its type is int32"),
        ("deaf", r"speaker\.inp: at the end, after step 4, it has not read all .*3 unread"),
    ],
)  # fmt: skip
def test_what_a_model_says_or_hears_wrongly_is_one_line_with_step_and_port(runtime, says, text):
    with pytest.raises(ValidationError, match=text) as caught:
        play(Speaker(says), {"inp": np.ones((4, 2))}, outputs=["out", "whole"], runtime=runtime)
    assert "\n" not in str(caught.value)


@BOTH
def test_what_is_not_read_may_be_allowed(runtime):
    played = play(Speaker("deaf"), {"inp": np.ones((4, 2))}, outputs=["out"], runtime=runtime,
                  unread="allow")  # fmt: skip
    assert played.outputs["out"].shape == (4, 2)


def test_fractions_are_not_played_to_a_model_of_integers():
    with own_logging():
        lif = LIF(shape=(2,), vth=3, du=0, dv=0, name="lif")
    with pytest.raises(ValidationError, match=r"lif.a_in: in step 2 .* is no int16 \(got 0.5\)"):
        play(lif, {"a_in": [[1.0, 2.0], [1.0, 0.5]]}, run_cfg=FIXED, runtime="in-process")


@BOTH
def test_a_sigma_delta_is_played_with_integers(runtime):
    with own_logging():
        delta = Delta(shape=(1,), vth=2, spike_exp=0, state_exp=0)
    heard = np.array([[5], [6], [9], [9]])
    played = play(delta, {"a_in": heard}, outputs=["s_out"], run_cfg=FIXED, runtime=runtime)
    # It sends the change since it last did where that exceeds the threshold.
    sent, expected = 0, []
    for value in heard[:, 0]:
        change = int(value) - sent
        expected.append([change if abs(change) > 2 else 0])
        sent += expected[-1][0]
    assert played.outputs["s_out"].tolist() == expected


def test_the_users_run_configuration_is_left_as_it_was():
    config = Loihi2SimCfg(select_tag="floating_pt")
    before = dict(config.exception_proc_model_map)
    play(Chatter((1,)), {"inp": np.ones((1, 2))}, outputs=["out"], run_cfg=config,
         runtime="in-process")  # fmt: skip
    assert config.exception_proc_model_map == before


def test_series_are_the_same_up_to_a_tolerance_and_nan_is_nan():
    a = Played({"x": np.array([[1.0, np.nan]])}, {"v": np.ones((1, 2))})
    b = Played({"x": np.array([[1.0 + 1e-9, np.nan]])}, {"v": np.ones((1, 2))})
    assert_same(a, a)
    assert_same(a, b, atol=1e-8)
    assert_same(a, b, rtol=1e-8)
    with pytest.raises(DifferenceError, match="x differs first in step 1, entry 0"):
        assert_same(a, b)
    with pytest.raises(DifferenceError, match=r"x: the first has shape \(1, 2\), the second \(2,"):
        assert_same(a, Played({"x": np.ones((2, 2))}, a.vars))
    with pytest.raises(DifferenceError, match="v: recorded in one of"):
        assert_same(a, Played(a.outputs, {}))


def test_the_earliest_step_decides_whatever_the_order_of_the_ports():
    a = {"late": np.zeros((4, 1)), "early": np.zeros((4, 1))}
    b = {"late": np.eye(4)[:, 3:], "early": np.eye(4)[:, 1:2]}
    with pytest.raises(DifferenceError, match=r"^early differs first in step 2"):
        assert_same(a, b)


def test_a_golden_file_is_compared_with_and_made_anew_when_asked(tmp_path, monkeypatch):
    path = tmp_path / "golden" / "run.npz"
    path.parent.mkdir()
    first = Played({"out": np.arange(6).reshape(3, 2)}, {"v": np.ones((3, 1))})
    other = Played({"out": np.arange(6).reshape(3, 2) + 1}, {"v": np.ones((3, 1))})
    with pytest.raises(DataError, match="Try: pytest --update"):
        assert_golden(first, path)
    monkeypatch.setenv("LAVA_DYADS_UPDATE_GOLDEN", "1")
    assert_golden(first, path)
    monkeypatch.delenv("LAVA_DYADS_UPDATE_GOLDEN")
    assert_golden(first, path)
    assert Played.load(path).outputs["out"].dtype == first.outputs["out"].dtype
    with pytest.raises(DifferenceError, match="out differs first in step 1, entry 0: now it has"):
        assert_golden(other, path)
