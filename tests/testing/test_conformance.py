"""The checks for local learning rules find what cheats, and nothing in what does not."""

import cheats
import numpy as np
import pytest
from cheats import CHEATS

from lava_dyads import DyadDense
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.errors import ConformanceError, ValidationError
from lava_dyads.rules.optimisers import SGD
from lava_dyads.testing.conformance import ProcessRule, check_rule, from_function

TWO = {"pre": "pre", "post": "post"}


def product(weights, pre, post):
    return np.outer(post, pre)


def test_twelve_cheats_are_planted():
    assert len(CHEATS) == 12


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize(
    ("cheat", "found"), CHEATS.items(), ids=lambda v: getattr(v, "__name__", v)
)
def test_a_cheat_is_found(cheat, found, seed):
    report = check_rule(cheat, TWO, seed=seed)
    assert report[found].verdict == "fails", str(report)
    assert report[found].detail
    with pytest.raises(ConformanceError, match=found):
        report.assert_holds()


@pytest.mark.parametrize(
    ("rule", "ports"),
    [
        (cheats.Hebb, TWO),
        (cheats.Oja, TWO),
        (cheats.EqProp, {**TWO, "pre_free": "pre", "post_free": "post"}),
        (cheats.EligibilityTraces, {**TWO, "signal": "post"}),
        (cheats.EligibilityTraces, {**TWO, "signal": "broadcast"}),
        (from_function(lambda weights, pre, post: weights - 0.1 * np.outer(post, pre)), TWO),
        (from_function(lambda weights, gate: 0.9 * weights + gate), {"gate": "synapse"}),
    ],
    ids=["hebb", "oja", "eqprop", "traces", "traces, third factor", "function", "synapse"],
)  # fmt: skip
def test_what_is_local_holds(rule, ports):
    if rule is cheats.EligibilityTraces and ports["signal"] == "post":
        rule = type("ByNeuron", (cheats.EligibilityTraces,), {"update": _by_neuron})
    report = check_rule(rule, ports, shape=(3, 5))
    assert not report.failures, str(report)
    assert "holds" in str(report)


def _by_neuron(self, pre, post, signal):
    cheats.EligibilityTraces.update(self, pre, post, signal[:, None])


def test_a_gradient_is_told_by_direction_and_size():
    exact = check_rule(cheats.Hebb, TWO, expected=product)["gradient"]
    assert exact.verdict == "holds"
    assert "0.1 times its size" in exact.detail
    # Feedback alignment: the error comes by other weights than those of the gradient.
    mixing = np.random.default_rng(0).normal(size=(4, 4))
    aligned = check_rule(
        cheats.Hebb, TWO, expected=lambda weights, pre, post: np.outer(mixing @ post, pre)
    )
    assert aligned["gradient"].verdict == "fails"
    assert "cosine" in aligned["gradient"].detail
    assert aligned["locality"].verdict == "holds"


def test_lanes_integers_inputs_resume_and_order():
    assert check_rule(cheats.Batched, TWO, lanes=True)["lanes"].detail.startswith("the mean")
    assert check_rule(cheats.Mixing, TWO, lanes=True)["lanes"].verdict == "fails"
    assert check_rule(cheats.IntegerHebb, TWO, bits=8)["integers"].verdict == "holds"
    assert check_rule(cheats.Oja, TWO, bits=8)["integers"].verdict == "fails"
    assert check_rule(cheats.Overwriting, TWO)["inputs kept"].verdict == "fails"
    assert check_rule(cheats.Forgetful, TWO)["resume"].verdict == "fails"
    assert check_rule(cheats.Hebb, TWO)["order"].verdict == "holds"
    assert check_rule(cheats.Oja, TWO)["order"].verdict == "differs"


def test_a_rate_that_the_code_names_is_declared():
    rate = 0.1

    def learns(weights, pre, post):
        return weights + rate * np.outer(post, pre)

    assert "learns: rate" in check_rule(from_function(learns), TWO)["hidden values"].detail
    declared = check_rule(from_function(learns), TWO, constants=["rate"])
    assert declared["hidden values"].verdict == "holds"


def test_the_synapse_of_a_dyad_is_local_and_its_gradient_exact():
    # One presentation per step; W <- W + rate / beta difference mean'.
    def dense(weights):
        schedule = PresentationSchedule(steps=1, lanes=1, batch_size=1)
        schedule.window[:] = 0, 100
        return DyadDense(weights, beta=0.5, optimiser=SGD(0.1), schedule=schedule)

    rule = ProcessRule(dense, {"pre": "mean_in", "post": "difference_in"})
    report = check_rule(rule, TWO, shape=(2, 2), expected=product)
    assert not report.failures, str(report)
    assert "0.2 times its size" in report["gradient"].detail


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"ports": {"pre": "before"}}, r"ports\['pre'\]: unknown kind .*Try: pre, post, synapse"),
        ({"ports": TWO, "shape": (1, 3)}, "at least 2 neurons"),
    ],
)
def test_wrong_questions_are_refused(options, text):
    with pytest.raises(ValidationError, match=text):
        check_rule(cheats.Hebb, **options)
    with pytest.raises(ValidationError, match="unknown check"):
        check_rule(cheats.Hebb, TWO)["local"]
