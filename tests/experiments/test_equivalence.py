"""Whatever the support table grants learns the same weights: a sample that every day draws anew.

``LAVA_DYADS_TEST_SEED`` repeats a day; ``lava-dyads check equivalence --thorough`` runs all of it.
"""

import json
import os

import numpy as np
import pytest
from needs import NEEDS_LAVA

from lava_dyads import NetworkSpec, Trainer, TrainingConfig
from lava_dyads.cli import main
from lava_dyads.data import Dataset
from lava_dyads.errors import UnsupportedError, ValidationError
from lava_dyads.executors.events import settle_asynchronously
from lava_dyads.experiments import thorough
from lava_dyads.experiments.equivalence import (
    EquivalenceCheck,
    Outcome,
    Pair,
    Problem,
    check_equivalence,
    compare,
    not_comparable,
)
from lava_dyads.experiments.thorough import Setting, drawn, sample, settings
from lava_dyads.networks import Execution, table
from lava_dyads.rules.units import RULES

SEED = int(os.environ["LAVA_DYADS_TEST_SEED"])
EVERY = [execution for execution, _ in table()]


def check_sample(size, where):
    """Compare so many; of a few drawn networks the numpy engine itself finds no fixed point."""
    compared = 0
    for setting, problem, execution in sample(SEED, 3 * size, where):
        made = compare(problem, [execution])
        if made.pairs:
            assert made.holds, f"seed {SEED}: {setting.label}: {execution.label}: {made}"
            compared += 1
        if compared == size:
            return
    raise AssertionError(f"seed {SEED}: only {compared} of {size} could be compared")


@NEEDS_LAVA
@pytest.mark.timeout(300)
def test_a_sample_of_what_is_granted_learns_the_weights_of_the_numpy_engine():
    check_sample(6, lambda e: e.runtime == "in-process")


@pytest.mark.lava
@pytest.mark.timeout(300)
def test_a_sample_of_what_is_granted_does_so_on_lavas_own_runtime():
    check_sample(1, lambda e: e.runtime == "lava")


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_all_that_is_granted_learns_the_same_weights():
    for setting in settings():
        if not setting.refused():
            for case in thorough.check_setting(setting, SEED):
                made = case.check
                assert all(p.agrees for p in made.pairs), f"seed {SEED}: {setting.label}: {made}"


REFUSED = [
    ({"rule": "dp", "alpha": 0.5}, "needs its whole layer"),
    ({"rule": "dp", "nudge": "linearised-frozen", "alpha": 0.5}, "only steps show"),
    ({"nudge": "linearised-frozen"}, "only steps show"),
    ({"weight_format": "adaste"}, "latent number"),
    ({"rule": "lrrn"}, "blocks of n numbers"),
    ({"compartment_noise": 79.0}, "never fall silent"),
    ({"threshold": 0.1, "anneal": 1.0}, "falls in steps"),
    ({"activations": "tanh"}, "no table on a neuron"),
    ({"threshold": 0.1}, "depends on the order"),
    ({"compartment_noise": 0.1}, "noise of their own"),
]


@NEEDS_LAVA
@pytest.mark.parametrize(("options", "reason"), REFUSED)
def test_what_is_not_supported_is_listed_with_its_reason_and_the_rest_compared(options, reason):
    made = compare(small(**options), [e for e in EVERY if e.runtime != "lava"])
    assert made.holds, made
    assert any(reason in why for why in made.unsupported.values())


def small(**options):
    data = Dataset("small", np.random.default_rng(0).random((12, 3)), np.arange(12) % 2)
    return Problem(NetworkSpec((3, 4, 2), **options), data, TrainingConfig(1, 4, optimiser="sgd"))


@pytest.mark.parametrize("noise", [1e-3, 79.0])
@pytest.mark.parametrize("granularity", ["layer", "neuron"])
@pytest.mark.parametrize("runtime", ["in-process", "lava"])
def test_noise_without_steps_is_refused_at_once(noise, granularity, runtime):
    problem = small(compartment_noise=noise)
    with pytest.raises(UnsupportedError, match=r"never fall silent.*--clock sync"):
        problem.train(Execution(granularity, "async", "float", runtime))
    with pytest.raises(UnsupportedError, match="noise never falls silent"):
        settle_asynchronously(problem.spec.build(), np.ones((1, 3)), None)


@NEEDS_LAVA
def test_a_rule_that_relaxes_is_compared_at_rest_where_there_are_no_steps():
    problem = small(rule="activation-relaxation", rate=0.3, loss="squared-error")
    made = compare(problem, [Execution("layer", "async", "float", "in-process")])
    assert made.holds, made
    # After the round trips of a presentation in steps it is not there yet.
    moved = problem.train(Execution(runtime="reference")).parameters
    rest = problem.train(Execution(runtime="reference"), repeats=64).parameters
    assert np.linalg.norm(moved - rest) > 1e-9 * np.linalg.norm(rest)


def test_settings_are_all_that_is_registered_and_a_seed_draws_the_same_again():
    every = list(settings())
    nudges = {name: set(rule.nudges) for name, rule in RULES.items()}
    assert {s.rule: set() for s in every}.keys() == nudges.keys()
    for name, expected in nudges.items():
        assert {s.nudge for s in every if s.rule == name} == expected
    assert Setting("lrrn", "linearised", "random", "float").refused()
    plain = Setting("dp-transpose", "linearised", "tied", "float")
    assert not plain.refused()
    one, other = drawn(plain, 3), drawn(plain, 3)
    assert one.spec == other.spec
    assert one.spec != drawn(plain, 4).spec
    np.testing.assert_array_equal(one.data.x, other.data.x)


def fits(spec, execution):
    return not (spec.why_not(execution) or not_comparable(spec, execution))


@pytest.mark.parametrize("rule", ["derivative-free-relaxation", "predictive-coding-free", "dp"])
def test_networks_of_a_setting_are_drawn_until_they_have_been_wherever_one_is_granted(
    rule, monkeypatch
):
    def all_agree(problem, executions, on_pair):
        pairs = [Pair(e, 0.0, True, True) for e in executions if fits(problem.spec, e)]
        return EquivalenceCheck(True, pairs, {})

    monkeypatch.setattr(thorough, "compare", all_agree)
    setting = next(
        s
        for s in settings()
        if s.rule == rule and (s.weight_format, s.feedback) == ("float", "tied")
    )
    cases = thorough.check_setting(setting, SEED)
    been = [pair.execution for case in cases for pair in case.check.pairs]
    assert len(been) == len(set(been))
    for seed in range(60):
        spec = drawn(setting, 1000 + seed).spec
        for execution in EVERY:
            if execution.runtime != "reference" and fits(spec, execution):
                assert execution in been


@NEEDS_LAVA
def test_the_command_checks_every_setting_and_says_what_it_leaves_out(monkeypatch, capsys):
    some = [
        Setting("dp", "linearised", "tied", "float"),
        Setting("lrrn", "linearised", "random", "float"),
    ]
    monkeypatch.setattr(thorough, "settings", lambda: iter(some))
    ways = [(e, why) for e, why in table() if e.runtime != "lava" and e.clock == "sync"]
    monkeypatch.setattr(thorough, "table", lambda: ways)
    assert main(["check", "equivalence", "--thorough", "--seed", str(SEED)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "not compared: " in said
    assert f"no such network: {some[1].label}: " in said
    assert said.endswith("holds: yes")
    assert main(["check", "equivalence", "--thorough", "--layers", "3"]) == 2
    assert "--layers: --thorough draws its networks itself" in capsys.readouterr().err


@NEEDS_LAVA
@pytest.mark.parametrize("line", ["--rule dp", "--nudge linearised-frozen"])
def test_rules_that_some_ways_cannot_run_are_checked_where_they_run(line, capsys, monkeypatch):
    ways = [(e, why) for e, why in table() if e.runtime != "lava"]
    monkeypatch.setattr("lava_dyads.experiments.equivalence.table", lambda: ways)
    assert main(f"check equivalence {line} --layers 3 --samples 4 --json".split()) == 0
    assert json.loads(capsys.readouterr().out)["unsupported"]


@NEEDS_LAVA
def test_a_disagreement_and_an_error_in_one_way_are_no(monkeypatch):
    problem, way = small(), Execution("layer", "sync", "float", "in-process")
    original = Trainer.parameters
    monkeypatch.setattr(
        Trainer,
        "parameters",
        lambda t: [[p * (1 + (t.execution == way) * 1e-6) for p in ps] for ps in original(t)],
    )
    made = compare(problem, [way])
    assert not made.holds
    assert 1e-7 < made.pairs[0].distance < 1e-5

    def fails(*_, **__):
        raise UnsupportedError("not today")

    monkeypatch.setattr("lava_dyads.training.trainer.open_backend", fails)
    monkeypatch.setattr(
        "lava_dyads.experiments.equivalence._References.of", lambda *_: Outcome(np.ones(1), (), 0)
    )
    made = compare(problem, [way])
    assert not made.holds
    assert made.pairs[0].error == "not today"


def test_data_that_does_not_fit_is_an_error_and_not_a_check_that_holds():
    with pytest.raises(ValidationError, match="64 features"):
        check_equivalence(NetworkSpec((3, 2)))
