"""What a request leaves open is the first that the table and the machine support."""

import itertools
import os

import numpy as np
import pytest

from lava_dyads import Dataset, Execution, NetworkSpec, Trainer, TrainingConfig
from lava_dyads.cli import main
from lava_dyads.errors import MissingLavaError, UnsupportedError, ValidationError
from lava_dyads.networks import AXES, support
from lava_dyads.networks.support import AUTO

SMALL = NetworkSpec((4, 3, 2))
LARGE = NetworkSpec((64, 100, 10))


@pytest.mark.parametrize(
    ("spec", "request_", "granularity", "runtime"),
    [
        (SMALL, Execution(), "network", "lava"),
        (SMALL, Execution("layer"), "layer", "lava"),
        (SMALL, Execution("neuron"), "neuron", "lava"),
        (LARGE, Execution("neuron"), "neuron", "in-process"),
        (SMALL, Execution(clock="async"), "layer", "in-process"),
        (LARGE, Execution(clock="async"), "layer", "in-process"),
        (SMALL, Execution("neuron", "async"), "neuron", "in-process"),
        (SMALL, Execution(clock="async", runtime="lava"), "layer", "lava"),
        (SMALL, Execution(precision="loihi2"), "network", "lava"),
        (NetworkSpec((4, 3, 2), rule="backprop"), Execution(), "network", "reference"),
        (NetworkSpec((4, 3, 2), rule="spiking"), Execution(), "network", "lava"),
    ],
)
def test_the_first_that_fits_is_taken(spec, request_, granularity, runtime):
    pytest.importorskip("lava.magma")
    chosen, said = spec.choose(request_)
    assert (chosen.granularity, chosen.runtime) == (granularity, runtime)
    assert (chosen.clock, chosen.precision) == (request_.clock, request_.precision)
    assert f"granularity {granularity}" in said or request_.granularity != AUTO
    assert f"runtime {runtime}" in said or request_.runtime != AUTO
    assert "\n" not in said


@pytest.mark.parametrize("lava", [True, False])
@pytest.mark.parametrize("rule", ["dp-transpose", "lrrn", "spiking", "backprop"])
def test_a_choice_is_granted_wherever_anything_is_and_refused_where_nothing_is(
    rule, lava, monkeypatch
):
    monkeypatch.setattr(support, "has_lava", lambda: lava)
    spec = NetworkSpec((4, 3, 2), rule=rule)
    axes = [(*AXES["granularity"], AUTO), AXES["clock"], AXES["precision"],
            (*AXES["runtime"], AUTO)]  # fmt: skip
    for request in itertools.starmap(Execution, itertools.product(*axes)):
        every = itertools.starmap(Execution, itertools.product(*AXES.values()))
        fits = [
            e for e in every
            if all(getattr(request, axis) in (getattr(e, axis), AUTO) for axis in AXES)
            and not spec.why_not(e) and (lava or e.runtime == "reference")
        ]  # fmt: skip
        if fits:
            assert spec.choose(request)[0] in fits
        else:
            with pytest.raises(UnsupportedError) as caught:
                spec.choose(request)
            assert "\n" not in str(caught.value)


def test_without_lava_the_reference_runs_and_the_rest_names_the_command(monkeypatch):
    monkeypatch.setattr(support, "has_lava", lambda: False)
    assert SMALL.choose(Execution())[0] == Execution("network", runtime="reference")
    for request in (Execution("layer"), Execution(runtime="lava"), Execution(clock="async"),
                    Execution(runtime="in-process")):  # fmt: skip
        with pytest.raises(MissingLavaError, match=r"needs Lava.*Try: lava-dyads install-lava"):
            SMALL.choose(request)


def test_where_nothing_forks_lavas_own_runtime_is_left_out(monkeypatch):
    monkeypatch.setattr(support, "has_lava", lambda: True)
    monkeypatch.delattr(os, "fork")
    assert SMALL.choose(Execution())[0].runtime == "in-process"
    with pytest.raises(UnsupportedError, match=r"cannot\. Try: in-process"):
        SMALL.check(Execution(runtime="lava"))


@pytest.mark.parametrize("choice", [{"runtime": "loihi"}, {"clock": "auto"}, {"granularity": ""}])
def test_an_unknown_choice_is_refused(choice):
    with pytest.raises(ValidationError, match=f"Execution.{next(iter(choice))}: must be .* or "):
        Execution(**choice)


def test_a_trainer_that_measures_runs_where_that_can_be_done():
    pytest.importorskip("lava.magma")
    x = np.random.default_rng(0).random((20, 4))
    data = Dataset("rows", x, (x[:, 0] > 0.5).astype(int))
    config = TrainingConfig(epochs=1, batch_size=5)
    with Trainer(SMALL, data, config, measure=True) as trainer:
        trainer.fit()
        assert trainer.execution.runtime == "in-process"
        assert trainer.usage().seconds
        assert "runtime in-process" in trainer.chosen


def test_the_command_line_finds_the_runtime_and_says_so_in_one_line(tmp_path, capsys):
    pytest.importorskip("lava.magma")
    words = "train digits --layers 4 --epochs 1 --clock async --lanes 32 --out".split()  # noqa: SIM905
    assert main([*words, str(tmp_path / "run"), "--latency", "uniform"]) == 0
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if line.startswith("granularity layer, runtime in-process: ")]
    again = "train digits --layers 4 --epochs 1 --rule backprop --no-save --json".split()  # noqa: SIM905
    assert main(again) == 0
    out, err = capsys.readouterr()
    assert '"runtime": "reference"' in out
    assert "first that" not in out + err
