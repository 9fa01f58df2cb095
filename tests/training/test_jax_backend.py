"""The backend jax as users meet it: a trainer, its states and histories, and what is refused."""

import importlib.util

import numpy as np
import pytest

from lava_dyads.cli.info import _backends
from lava_dyads.data import load
from lava_dyads.errors import UnsupportedError, ValidationError
from lava_dyads.executors import jax_sweep
from lava_dyads.networks import Execution, NetworkSpec
from lava_dyads.training import Trainer, TrainingConfig

SPEC = NetworkSpec((64, 6, 10), bias_deviation=0.1)
CONFIG = TrainingConfig(epochs=2, batch_size=64, test_share=0.9, learning_rate=0.01)


def trainer(backend):
    return Trainer(SPEC, load("digits"), CONFIG, Execution(backend=backend, runtime="reference"))


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs jax")
def test_a_training_is_that_of_numpy_and_goes_on_from_its_states():
    states = []
    with trainer("numpy") as theirs, trainer("jax") as mine, trainer("jax") as other:
        for each in (theirs, mine):
            each.fit(on_checkpoint=lambda each=each: states.append(each.state()))
        for epoch, expected in zip(mine.history.epochs, theirs.history.epochs, strict=True):
            for name in expected.keys() - {"train_seconds"}:
                assert epoch[name] == pytest.approx(expected[name], rel=1e-9), name
        cost, expected = mine.cost(), theirs.cost()
        assert (cost.events, cost.operations) == (expected.events, expected.operations)
        rows = len(mine.test_rows)
        mine.evaluate(), theirs.evaluate()
        np.testing.assert_array_equal(mine.predictions(rows), theirs.predictions(rows))
        other.restore(states[-2])  # of mine, after an epoch
        other.fit()
        for found, whole in zip(other.parameters()[0], mine.parameters()[0], strict=True):
            np.testing.assert_array_equal(found, whole)


@pytest.mark.parametrize(
    ("options", "execution", "reason"),
    [
        ({}, {"runtime": "lava"}, "no Processes. Try: --runtime reference"),
        ({}, {"granularity": "layer"}, "Try: --granularity network"),
        ({}, {"precision": "loihi2"}, "Try: --precision float"),
        ({"rule": "backprop"}, {}, "backprop is plain numpy"),
        ({"rule": "dp"}, {}, "more than one round trip"),
        ({"rule": "lrrn"}, {}, "step by step"),
        ({"rule": "spiking"}, {}, "backend"),
        ({"threshold": 0.1, "anneal": 5.0}, {}, "backend"),
    ],
)
def test_what_it_cannot_run_is_refused_in_one_line(options, execution, reason):
    spec = NetworkSpec((4, 3, 2), **options)
    with pytest.raises(UnsupportedError, match=reason) as error:
        spec.check(Execution(**execution, backend="jax"))
    assert "\n" not in str(error.value)


def test_an_unknown_backend_is_refused():
    with pytest.raises(ValidationError, match=r"backend: must be numpy or jax .*Try: jax"):
        Execution(backend="jacks")


def test_where_there_is_no_jax_the_line_has_the_command(monkeypatch):
    monkeypatch.setattr(jax_sweep, "find_spec", lambda name: None)
    line = r"JAX is not installed. Try: pip install 'lava_dyads\[jax\]'"
    with pytest.raises(UnsupportedError, match=line):
        SPEC.check(Execution(backend="jax"))
    assert "pip install" in _backends()["backend jax"]
    assert _backends()["backend numpy"] == "available"
    SPEC.check(Execution(runtime="reference"))
