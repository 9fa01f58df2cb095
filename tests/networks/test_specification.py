"""Specifications, descriptions and the support table: checked when they are written down."""

import json

import numpy as np
import pytest

from lava_dyads.errors import UnsupportedError, ValidationError
from lava_dyads.networks import AXES, Execution, NetworkSpec, describe, reason, table
from lava_dyads.rules.units import RULES
from lava_dyads.rules.units.dyad import DualPropagation


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"layers": (3,)}, "layers: needs two or more sizes"),
        ({"layers": (3, 0, 2)}, "layers: needs two or more sizes"),
        ({"layers": (3, 2.5)}, "layers: needs two or more sizes"),
        ({"activations": "rleu"}, "Try: relu"),
        ({"activations": ("relu", "relu")}, "activations: needs one per hidden layer, 1"),
        ({"loss": "crossentropy"}, "Try: cross-entropy"),
        ({"rule": "dp-transposed"}, "Try: dp-transpose"),
        ({"alpha": -0.1}, r"alpha: must lie in \[0, 1\] \(got -0.1\)"),
        ({"alpha": float("nan")}, "alpha: must lie in"),
        ({"beta": 0.0}, "beta: must be positive"),
        ({"rate": 1.5}, "NetworkSpec.rate: neither a field nor an option of rule dp-transpose"),
        ({"rule": "predictive-coding", "rate": 1.5}, "NetworkSpec.rate: must lie in"),
        ({"rule": {"name": "dp", "alpha": 2}}, "NetworkSpec.rule.alpha: must lie in"),
        ({"threshhold": 1}, "Try: threshold"),
        ({"threshold": -1.0}, "threshold: must be at least 0"),
        ({"repeats": -1}, "repeats: must be at least 0"),
        ({"gain": 0.0}, "gain: must be positive"),
        ({"seed": -1}, "seed: must be at least 0"),
        ({"nudge": "proximal"}, "rule dp-transpose supports linearised"),
        (
            {"rule": "dp", "loss": "squared-error", "alpha": 0.0, "beta": 1.0},
            r"\(1 - alpha\) \* beta < 1 \(got 1.0\)",
        ),
    ],
)
def test_a_bad_specification_is_refused_in_one_line(options, text):
    with pytest.raises(ValidationError, match=text) as caught:
        NetworkSpec(**{"layers": (3, 4, 2), **options})
    assert "\n" not in str(caught.value)


def test_a_specification_survives_json():
    rule = DualPropagation(alpha=0.5)
    spec = NetworkSpec((3, 4, 5, 2), activations=("relu", "tanh"), rule=rule, seed=7)
    assert spec == NetworkSpec((3, 4, 5, 2), ("relu", "tanh"), rule="dp", alpha=0.5, seed=7)
    assert NetworkSpec.from_dict(json.loads(json.dumps(spec.as_dict()))) == spec
    with pytest.raises(ValidationError, match="Try: alpha"):
        NetworkSpec.from_dict({"layers": [3, 2], "alhpa": 1})


def test_all_rules_start_from_the_same_weights():
    own = {name: (rule.activations or ("relu",))[0] for name, rule in RULES.items()}
    specs = [
        NetworkSpec((5, 4, 3), activations=own.get(name, "relu"), rule=name, gain=1.0, seed=3)
        for name in (*RULES, "backprop")
    ]
    first = specs[0].build().parameters()
    for spec in specs[1:]:
        for mine, other in zip(first[0], spec.build().parameters()[0], strict=True):
            np.testing.assert_array_equal(mine, other)


def test_initial_weights_have_the_deviation_of_the_gain():
    weights, biases = NetworkSpec((400, 300, 10), gain=1.5, bias_deviation=0.1).initial_parameters()
    assert weights[0].std() == pytest.approx(1.5 / 20, rel=0.02)
    assert biases[0].std() == pytest.approx(0.1, rel=0.2)


@pytest.mark.parametrize(
    ("options", "steps"),
    # L = 2: a sweep is 2 L steps with the loss inside, one more with a head; one certifies;
    # a round trip is 2 L.
    [
        ({}, 6),
        ({"repeats": 2}, 14),
        ({"rule": "dp", "repeats": 0}, 5),
        ({"alpha": 0.5, "repeats": 1}, 10),
    ],
)
def test_the_steps_of_a_presentation(options, steps):
    assert NetworkSpec((3, 4, 2), **options).timing.steps == steps
    assert describe(NetworkSpec((3, 4, 2), **options), quiet=True).steps == steps


def test_the_description_counts_parameters_and_messages(capsys):
    # 4-3-2 with a head: mean and difference of 2 populations, basal of 2 connections, apical of
    # the upper one, drive of the head: 8 ports, 6 steps. Spoken: 2 means, 2 differences, drive.
    description = describe(NetworkSpec((4, 3, 2)))
    assert capsys.readouterr().out == f"{description}\n"
    assert sum(row.parameters for row in description.rows) == 4 * 3 + 3 + 3 * 2 + 2
    assert (description.ports, description.steps, description.port_messages) == (8, 6, 48)
    assert description.spoken_messages == 5
    assert description.dense_operations == 2 * (12 + 6) + 6
    text = str(description)
    for words in ("connection_1", "(3, 4)", "mean_out -> connection_2.mean_in", "48 on 8 ports"):
        assert words in text
    assert (
        describe(NetworkSpec((4, 3, 2), rule="dp", alpha=0.5), quiet=True).spoken_messages is None
    )
    assert describe(NetworkSpec((4, 3, 2), rule="backprop"), quiet=True).rows[0].parameters == 23


def test_the_support_table_has_a_word_for_every_combination():
    rows = table()
    assert len(rows) == len({e for e, _ in rows}) == np.prod([len(c) for c in AXES.values()])
    supported = [e for e, why in rows if why is None]
    assert {(e.granularity, e.runtime) for e in supported} == {
        ("network", "lava"),
        ("layer", "lava"),
        ("network", "in-process"),
        ("layer", "in-process"),
        ("neuron", "in-process"),
        ("network", "reference"),
    }
    for execution, why in rows:
        if why is not None:
            assert "Try" in why
            with pytest.raises(UnsupportedError, match="not supported"):
                execution.check("dp-transpose")


def test_backprop_has_no_process_and_unknown_choices_are_named():
    assert "baseline" in reason(Execution(), "backprop")
    assert reason(Execution(runtime="reference"), "backprop") is None
    with pytest.raises(ValidationError, match="Try: layer"):
        Execution(granularity="layers").check("dp")
