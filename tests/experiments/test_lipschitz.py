"""The study of Lipschitz numbers: its attacks, Jacobians and penalty by other means."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lava_dyads import NetworkSpec
from lava_dyads.cli import main
from lava_dyads.experiments.papers import STUDIES
from lava_dyads.experiments.papers import hoier_2024_lipschitz as study
from lava_dyads.rules.losses import loss

SPEC = NetworkSpec((4, 5, 3), "tanh", loss="squared-error", rule="backprop", bias_deviation=0.3)
PARAMETERS = SPEC.initial_parameters()


def output(x):
    (w1, w2), (b1, b2) = PARAMETERS
    return np.tanh(x @ w1.T + b1) @ w2.T + b2


def test_jacobians_are_finite_differences():
    x = np.random.default_rng(0).normal(size=(3, 4))
    step = 1e-6
    columns = [(output(x + step * e) - output(x - step * e)) / (2 * step) for e in np.eye(4)]
    made = np.stack(columns, axis=2)
    expected = [np.linalg.svd(one, compute_uv=False)[0] for one in made]
    np.testing.assert_allclose(study.jacobian_norms(SPEC, x, PARAMETERS), expected, rtol=1e-6)


def test_attacks_stay_within_their_radius_and_raise_the_loss():
    generator = np.random.default_rng(1)
    x, y = generator.uniform(size=(40, 4)), np.eye(3)[generator.integers(3, size=40)]
    values = [loss("squared-error").value(output(x), y)]
    for steps in (1, 10):
        moved = study.attacked(SPEC, x, y, PARAMETERS, 0.05, steps)
        assert np.abs(moved - x).max() <= 0.05 + 1e-15
        assert moved.min() >= 0
        assert moved.max() <= 1
        values.append(loss("squared-error").value(output(moved), y))
    clean, fast, slow = values
    assert np.all(fast > clean)
    assert slow.mean() >= fast.mean()
    # One step goes along the sign of the gradient, as far as the border lets it.
    moved = study.attacked(SPEC, x, y, PARAMETERS, 0.05, 1)
    for i, unit in enumerate(np.eye(4)):
        sides = [loss("squared-error").value(output(x + s * unit), y) for s in (1e-6, -1e-6)]
        wanted = np.clip(x[:, i] + 0.05 * np.sign(sides[0] - sides[1]), 0, 1)
        np.testing.assert_allclose(moved[:, i], wanted)


def test_the_penalty_is_the_sum_over_layers():
    generator = np.random.default_rng(2)
    x, y = generator.normal(size=(1, 4)), generator.normal(size=(1, 3))
    (w1, w2), (b1, _) = PARAMETERS
    above = output(x)[0] - y[0]
    below = w2.T @ above
    slope = 1 - np.tanh(w1 @ x[0] + b1) ** 2
    expected = above @ above + below @ (slope * below)
    assert study.penalty(SPEC, x, y, PARAMETERS) == pytest.approx(expected)


def test_plain_dp_descends_the_objective_to_second_order_for_other_seeds():
    for seed in (3, 4):
        cases = study._regulariser(seed)
        assert all(case["settled"] for case in cases)
        for alpha in (0.0, 0.25, 0.75, 1.0):
            left = [c["to_objective"] for c in cases if c["alpha"] == alpha]
            assert left[0] / left[1] == pytest.approx(4, rel=0.15)
            assert left[1] / left[2] == pytest.approx(4, rel=0.15)


def test_a_small_study_is_measured_judged_and_written(tmp_path, monkeypatch, capsys):
    small = replace(study.SHORT, hidden=(6, 6), epochs=1, seeds=1, tested=20)
    monkeypatch.setattr(study, "SHORT", small)
    code = main(["reproduce", "two-tales-lipschitz", "--out", str(tmp_path), "--json"])
    result = json.loads(capsys.readouterr().out)
    assert code == (0 if result["agrees"] else 1)
    assert result["numbers"]["layers"] == [64, 6, 6, 10]
    assert len(result["numbers"]["cases"]) == len(study.TRAININGS)
    assert result["findings"][-1]["agrees"]  # the regulariser needs no training
    assert (tmp_path / "two-tales-lipschitz.png").stat().st_size > 10_000
    rows = STUDIES["two-tales-lipschitz"].rows(result["numbers"])
    assert [row["training"] for row in rows] == [t.label for t in study.TRAININGS]
