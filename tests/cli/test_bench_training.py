"""``bench training``: who runs, who cannot, and that all contenders train the same thing."""

import json
import sys

import numpy as np
import pytest

from lava_dyads.cli import main
from lava_dyads.errors import LavaRuntimeError, ValidationError
from lava_dyads.experiments import bench_training as bench


def test_a_race_on_digits_reports_ratios_and_skips_what_is_missing(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Nehalem")
    line = "bench training digits --layers 24 --epochs 2 --batch-size 10 --threads 1 --peers numpy "
    line += f"jax --jax-python {tmp_path}/nowhere --beta 1e-3 --skip-error 0.3 --json"
    line += f" --plot {tmp_path}/race.png"
    assert main(line.split()) == 0
    result = json.loads(capsys.readouterr().out)
    ours, silent, numpy = result["contenders"]
    assert numpy["name"] == "backprop, numpy"
    # Same data, order and initial weights; beta is small: the same run to a few samples.
    np.testing.assert_allclose(ours["test_accuracy"], numpy["test_accuracy"], atol=0.01)
    assert silent["test_accuracy"][-1] > 0.6
    for contender in result["contenders"]:
        rows = result["facts"]["training_rows"]
        assert contender["samples_per_second"] == pytest.approx(
            2 * rows / sum(contender["seconds"])
        )
    turns = zip(numpy["seconds"], ours["seconds"], strict=True)
    expected = np.median([theirs / mine for theirs, mine in turns])
    assert result["ratios"]["dyads"]["backprop, numpy"] == pytest.approx(expected)
    assert "--jax-python" in result["skipped"]["jax"]
    assert result["facts"]["unset"] == ["OPENBLAS_CORETYPE"]
    assert result["facts"]["blas"]["architecture"] != "Nehalem"
    assert (tmp_path / "race.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"optimiser": "momentum"}, "the peers know adam and sgd"),
        ({"activation": "hard-sigmoid"}, "the peers know relu and tanh"),
        ({"threads": 999}, "this process may use"),
        ({"batch_size": 0}, "batch_size: must be at least 1"),
        ({"samples": 5}, "at least a batch, 100"),
    ],
)
def test_a_course_that_peers_cannot_run_is_refused(options, text):
    with pytest.raises(ValidationError, match=text):
        bench.BenchmarkConfig(**options)


def test_a_party_that_ends_early_is_named_with_its_last_words():
    command = [sys.executable, "-c", "raise SystemExit('no more breath')"]
    with pytest.raises(LavaRuntimeError, match="jax ended early: no more breath"):
        bench._Runner("jax", command, 1)
    with pytest.raises(ValidationError, match="peers: unknown name"):
        bench.bench_training(bench.BenchmarkConfig("digits"), peers=("jacks",))
