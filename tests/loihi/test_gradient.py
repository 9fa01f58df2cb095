"""The gradient that an integer network holds, against backprop on its stored weights."""

import pytest

from lava_dyads import NetworkSpec
from lava_dyads.errors import ValidationError
from lava_dyads.experiments import fixed_point_gradient
from lava_dyads.rules.feedback import FEEDBACK


@pytest.mark.parametrize("loss", ["squared-error", "cross-entropy"])
@pytest.mark.parametrize("sizes", [(64, 10), (64, 64, 10), (64, 64, 64, 64, 10)])
def test_without_kinks_rounding_alone_separates_it_from_backprop(sizes, loss):
    spec = NetworkSpec(sizes, activations="linear", beta=1.0, loss=loss, gain=1.0)
    check = fixed_point_gradient(spec)
    assert check.float_cosine == pytest.approx(1, abs=1e-9)  # exact on linear networks
    assert check.cosine > 0.9999


@pytest.mark.parametrize("sizes", [(64, 32, 10), (64, 128, 128, 10), (64, 64, 64, 64, 64, 10)])
def test_with_kinks_it_is_as_good_as_that_of_floating_point_dyads(sizes):
    for seed in range(3):
        spec = NetworkSpec(sizes, beta=0.125, seed=seed, bias_deviation=0.05)
        check = fixed_point_gradient(spec)
        assert check.cosine == pytest.approx(check.float_cosine, abs=1e-3)
        assert len(check.layer_cosines) == len(sizes) - 1


@pytest.mark.parametrize("kind", FEEDBACK)
def test_the_same_holds_through_feedback_of_its_own(kind):
    for activation, beta in (("linear", 1.0), ("relu", 0.125)):
        spec = NetworkSpec((64, 32, 16, 10), activation, feedback=kind, beta=beta, gain=1.0)
        check = fixed_point_gradient(spec)
        assert check.cosine == pytest.approx(check.float_cosine, abs=1e-3)
        assert activation == "relu" or check.float_cosine == pytest.approx(1, abs=1e-9)


def test_bad_input_is_named():
    with pytest.raises(ValidationError, match="samples"):
        fixed_point_gradient(NetworkSpec((4, 2)), samples=0)
    with pytest.raises(ValidationError, match="Try: dp-transpose"):
        fixed_point_gradient(NetworkSpec((4, 2), rule="backprop"))
