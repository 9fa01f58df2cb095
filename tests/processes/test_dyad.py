"""The Dyad process on Lava: hand-computed series through its ports."""

import numpy as np
import pytest
from lava.magma.core.run_configs import Loihi2SimCfg

from lava_dyads import SGD, Dyad, PresentationSchedule, ValidationError
from lava_dyads.processes import POPULATIONS
from lava_dyads.rules.units import rule as rule_by_name
from lava_dyads.rules.units.dyad import DualPropagationAdjoint
from lava_dyads.rules.units.relaxation import RelaxationUnit
from lava_dyads.testing import play

pytestmark = pytest.mark.timeout(60)
OUT = ["mean_out", "difference_out", "plus_out", "minus_out"]


@pytest.mark.lava
def test_a_dyad_integrates_changes_and_sends_changes():
    # a = 1.5, 1.5, 0.5 (bias 0.5); u = 0, 0.4, 0.4; alpha = 1/4, adjoint gains 3/4 and 1/4:
    # s+ = 1.5, 1.8, 0.8    s- = 1.5, 1.4, 0.4    mean = 1.5, 1.5, 0.5   difference = 0, .4, .4
    dyad = Dyad((1,), rule=DualPropagationAdjoint(alpha=0.25), bias=0.5)
    played = play(
        dyad,
        {"basal_in": [[1.0], [0.0], [-1.0]], "apical_in": [[0.0], [0.4], [0.0]]},
        outputs=OUT,
        watch=["s_plus", "s_minus"],
    )
    close = np.testing.assert_allclose
    close(played.vars["s_plus"][:, 0], [1.5, 1.8, 0.8])
    close(played.vars["s_minus"][:, 0], [1.5, 1.4, 0.4])
    close(played.outputs["mean_out"][:, 0], [1.5, 0.0, -1.0], atol=1e-15)
    close(played.outputs["difference_out"][:, 0], [0.0, 0.4, 0.0], atol=1e-15)
    close(played.outputs["plus_out"][:, 0], [1.5, 0.3, -1.0])
    close(played.outputs["minus_out"][:, 0], [1.5, -0.1, -1.0])
    assert dyad.element.counts["events_difference"] == 1


@pytest.mark.lava
def test_silence_means_no_event_and_the_threshold_keeps_small_changes_back():
    dyad = Dyad((2,), activation="linear", threshold=0.1)
    series = [[1.0, 0.05], [0.0, 0.04], [0.05, 0.04], [0.06, 0.0]]
    mean = play(dyad, {"basal_in": series}, outputs=["mean_out"]).outputs["mean_out"]
    # The second neuron passes 0.1 at 0.13 in step 3; the first moves by 0.11 until step 4.
    np.testing.assert_allclose(mean, [[1, 0], [0, 0], [0, 0.13], [0.11, 0]], atol=1e-15)


@pytest.mark.lava
@pytest.mark.parametrize("rule", ["dp-transpose", "dp"])
def test_lanes_are_independent_samples(rule):
    generator = np.random.default_rng(0)
    basal, apical = generator.normal(size=(2, 4, 3, 2))
    options = {"rule": rule_by_name(rule, {"alpha": 0.3}), "bias": [0.1, -0.2]}
    ports = {"outputs": OUT[:2]}
    together = play(
        Dyad((2,), lanes=3, **options), {"basal_in": basal, "apical_in": apical}, **ports
    )
    alone = play(
        Dyad((2,), **options), {"basal_in": basal[:, 1], "apical_in": apical[:, 1]}, **ports
    )
    for port in OUT[:2]:
        np.testing.assert_array_equal(together.outputs[port][:, 1], alone.outputs[port])


@pytest.mark.lava
def test_the_bias_learns_from_the_difference_and_state_is_kept_until_the_next_presentation():
    # Two presentations of two steps; linear, alpha = 1, beta = 0.5, eta = 0.1. The difference
    # is u: 0.3 then -0.1, so the bias moves by eta / beta * u each time.
    schedule = PresentationSchedule(steps=2)
    dyad = Dyad(
        (1,),
        activation="linear",
        rule=DualPropagationAdjoint(beta=0.5),
        optimiser=SGD(0.1),
        schedule=schedule,
    )
    played = play(
        dyad,
        {"basal_in": [[1.0], [0.0], [2.0], [0.0]], "apical_in": [[0.3], [0.0], [-0.1], [0.0]]},
        watch=["bias", "s_minus", "residual"],
    )
    np.testing.assert_allclose(played.vars["bias"][:, 0], [0.0, 0.06, 0.06, 0.04])
    # alpha = 1: s- = a - u; at step 2 the settled state is still there.
    np.testing.assert_allclose(played.vars["s_minus"][:, 0], [0.7, 0.7, 2.16, 2.16])
    np.testing.assert_array_equal(played.vars["residual"][:, 0], 0)


@pytest.mark.lava
def test_learning_can_be_switched_off_by_a_var():
    schedule = PresentationSchedule(steps=1)
    schedule.learn[0] = 0
    dyad = Dyad((1,), optimiser=SGD(0.1), schedule=schedule)
    played = play(dyad, {"apical_in": [[0.5], [0.5]]}, watch=["bias", "s_plus"], outputs=OUT[:2])
    assert not played.vars["bias"].any()
    assert not played.outputs["difference_out"].any()


@pytest.mark.lava
def test_lavas_own_run_configuration_finds_the_model():
    played = play(
        Dyad((1,), bias=2.0),
        steps=1,
        outputs=["mean_out"],
        run_cfg=Loihi2SimCfg(select_tag="floating_pt"),
    )
    assert played.outputs["mean_out"] == 2.0


@pytest.mark.lava
def test_a_rule_without_compartments_gets_a_process_of_its_own():
    process = POPULATIONS[RelaxationUnit]
    element = process.example()
    played = play(
        process(element),
        {"basal_in": [[1.0], [0.0]], "apical_in": [[0.0], [0.5]]},
        outputs=["activity_out", "error_out"],
    )
    np.testing.assert_array_equal(played.outputs["activity_out"][:, 0], [1, 0])
    np.testing.assert_array_equal(played.outputs["error_out"][:, 0], [0, 0.5])


def test_ports_and_vars_have_the_shapes_of_the_documentation():
    dyad, lanes = Dyad((3,)), Dyad((3,), lanes=5)
    assert dyad.basal_in.shape == dyad.mean_out.shape == dyad.s_plus.shape == (3,)
    assert lanes.basal_in.shape == lanes.mean_out.shape == lanes.s_plus.shape == (5, 3)
    assert lanes.bias.shape == (3,)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"rule": 0.5}, "Dyad.rule: must be a text or a Rule"),
        ({"shape": (2, 2)}, r"Dyad.shape: must be \(n,\)"),
        ({"bias": [1.0, 2.0]}, "Dyad.bias: must be a number or have shape"),
        ({"bias": np.nan}, "must be a finite vector"),
        ({"activation": "rleu"}, "Try: relu"),
        ({"rule": "activation-relaxation"}, "Dyad.rule: must be one of dp-transpose, dp"),
        ({"threshold": -1}, "threshold: must be at least 0"),
        ({"lanes": 2, "schedule": PresentationSchedule(lanes=3)}, "needs 2 lanes"),
    ],
)
def test_bad_parameters_are_refused_in_one_line(options, text):
    with pytest.raises(ValidationError, match=text) as caught:
        Dyad(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"inputs": {"basl_in": [[1.0]]}}, "unknown input port .* Try: basal_in"),
        ({"inputs": {"basal_in": [1.0, 2.0]}}, r"must have shape \(steps, 1\)"),
        ({"outputs": ["mean"]}, "unknown output port"),
        ({"watch": ["s_pls"]}, "unknown Var .* Try: s_plus"),
    ],
)
def test_the_test_kit_refuses_what_does_not_exist(arguments, text):
    with pytest.raises(ValidationError, match=text):
        play(Dyad((1,)), **arguments)


def test_reading_an_unknown_register_names_the_known_ones():
    with pytest.raises(ValidationError, match="s_minus, s_plus"):
        Dyad((1,)).read("v")
