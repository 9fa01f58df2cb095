"""The figures of the papers: their laws against independent computations."""

import json

import numpy as np
import pytest

from lava_dyads.cli import main
from lava_dyads.experiments.papers import STUDIES, millidge_2020_ar_variants
from lava_dyads.experiments.papers.hoier_2024_stability import _growth, _settle, _spec
from lava_dyads.experiments.papers.relaxing import closed_form
from lava_dyads.rules.theory import loop_gain


def test_the_closed_form_is_that_of_a_chain_of_numbers():
    rate, depth, steps = 0.3, 4, 25
    chain = np.zeros(depth + 1)
    chain[0] = 1.0
    law = [closed_form(rate, j, steps) for j in range(1, depth + 1)]
    for t in range(steps + 1):
        np.testing.assert_allclose(1 - chain[1:], [values[t] for values in law], atol=1e-12)
        chain[1:] += rate * (chain[:-1] - chain[1:])


def test_growth_is_the_factor_of_a_geometric_sequence():
    for factor in (0.03, 0.9, 1.4):
        assert _growth(factor ** np.arange(30.0)) == pytest.approx(factor)
    assert _growth(np.zeros(5)) == 0.0


@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.08), (1.0, 0.15), (0.8, 0.3)])
def test_growth_is_the_spectral_radius_of_a_sweep(alpha, beta):
    """The map from one sweep's means to the next, made from the equations of DP."""
    spec = _spec("linear", (5, 4, 3, 2), 1.0, beta, "dp", alpha, 3)
    weights, _ = spec.initial_parameters()
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(1, 5)), generator.normal(size=(1, 2))
    _, changes, _ = _settle(spec, x, y, 60)
    # The mean of the layer below the output is a + (2 alpha - 1) u, and so on downwards: what the
    # output's drive is after a sweep is linear in what its difference was before.
    d = (1 + alpha * beta) * (1 - (1 - alpha) * beta)
    product, total = np.eye(2), np.zeros((2, 2))
    for w in weights[:0:-1]:
        product = product @ w
        total += product @ product.T
    sweep = -(2 * alpha - 1) * (beta / d) * total
    radius = np.abs(np.linalg.eigvals(sweep)).max()
    assert _growth(changes) == pytest.approx(radius, rel=0.02)
    assert loop_gain(weights, alpha, beta) == pytest.approx(radius)


def test_activation_relaxation_follows_its_law(capsys):
    assert main(["reproduce", "ar-convergence", "--seed", "5", "--no-save", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["agrees"]
    assert len(result["numbers"]["curves"]) == 8 * 3


def test_verdicts_and_map_agree_and_are_written(tmp_path, capsys):
    assert main(["reproduce", "two-tales-stability", "--out", str(tmp_path)]) == 0
    assert "24 of 24 verdicts" in capsys.readouterr().out
    written = json.loads((tmp_path / "two-tales-stability.json").read_text())
    assert all(finding["agrees"] for finding in written["findings"])
    assert (tmp_path / "two-tales-stability.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["dp-schedules", "pc-convergence"])
def test_other_figures_agree_for_another_seed(name, tmp_path, capsys):
    assert main(["reproduce", name, "--seed", "2", "--out", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["agrees"]
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000


def test_variants_are_trained_and_what_is_not_there_is_named(monkeypatch, tmp_path, capsys):
    """A small network, and a data set that nobody has."""
    shape = (64, 24, 24, 10), 16, 0.02, 3, 1
    monkeypatch.setattr(millidge_2020_ar_variants, "SHORT", (("digits", *shape),))
    monkeypatch.setattr(
        millidge_2020_ar_variants, "FULL", (("digits", *shape), ("absent.npz", *shape))
    )
    main(["reproduce", "ar-variants", "--full", "--out", str(tmp_path), "--json"])
    result = json.loads(capsys.readouterr().out)
    last = {run["variant"]: run["accuracy"][-1] for run in result["numbers"]["runs"]}
    # Errors at rest are backprop's, so every epoch is the same; and all of them learn.
    assert last["exact"] == last["backprop"]
    assert all(accuracy > 0.3 for accuracy in last.values())
    assert "no such file" in result["numbers"]["absent"]["absent.npz"]
    assert (tmp_path / "ar-variants.png").stat().st_size > 10_000
    monkeypatch.setattr(millidge_2020_ar_variants, "FULL", (("absent.npz", *shape),))
    assert main(["reproduce", "ar-variants", "--full", "--no-save"]) == 2
    assert "data set: no such file" in capsys.readouterr().err


def test_figures_are_listed_and_unknown_ones_refused(capsys):
    assert main(["reproduce"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in STUDIES)
    assert main(["reproduce", "ar-convergance"]) == 2
    assert "Try: ar-convergence" in capsys.readouterr().err
    assert main(["reproduce", "ar-convergence", "--seed", "-1"]) == 2


def test_a_folder_that_cannot_be_used_is_refused_before_the_work(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["reproduce", "ar-convergence", "--out", str(tmp_path / "file")]) == 2
    assert "--out: the folder cannot be used" in capsys.readouterr().err
