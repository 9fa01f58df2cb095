"""How good the gradient of an integer network is, as the network grows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import Count, checked
from lava_dyads.errors import invalid
from lava_dyads.executors.step import Network
from lava_dyads.loihi import calibrated
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.rules.arithmetic import Arithmetic, Float


@dataclass(frozen=True)
class FixedPointGradient:
    """One random network.

    Attributes
    ----------
    layers : tuple of int
    fraction : int
        F that calibration chose.
    cosine : float
        Of the integer network's gradient, all weights and biases, to backprop on the weights as
        they are stored (through the feedback weights, where they are separate).
    float_cosine : float
        The same of floating-point dyads: what is left are kinks that the nudge crosses.
    layer_cosines : tuple of float
        Of the integer network, per weight matrix from the input up.
    """

    layers: tuple[int, ...]
    fraction: int
    cosine: float
    float_cosine: float
    layer_cosines: tuple[float, ...]


@checked
def fixed_point_gradient(spec: NetworkSpec, *, samples: Count = 16) -> FixedPointGradient:
    """Settle a random network on random data in integers; compare its gradient with backprop.

    Parameters
    ----------
    spec : NetworkSpec
        Any rule but backprop; its seed also draws inputs (uniform in 0 .. 1) and classes.
    samples : int
        Batch of the gradient, at least 1.

    Raises
    ------
    ValidationError
        If an argument is out of range or the network has no place on the chip.
    """
    if spec.rule.baseline:
        invalid(
            "rule", "backprop is what the others are compared with", spec.rule.name, "dp-transpose"
        )
    generator = np.random.default_rng([spec.seed, 1])
    x = generator.uniform(size=(samples, spec.layers[0]))
    y = np.eye(spec.layers[-1])[generator.integers(spec.layers[-1], size=samples)]
    weights, biases = spec.initial_parameters()
    back = spec.initial_feedback()
    numbers = calibrated(spec, weights, biases, x, y, feedback_weights=back)

    def gradient(
        arithmetic: Arithmetic,
        parameters: tuple[list[Array], list[Array]],
        feedback_weights: list[Array | None],
    ) -> Network:
        network = spec.build(
            lanes=samples,
            arithmetic=arithmetic,
            parameters=parameters,
            feedback_weights=feedback_weights,
        )
        assert isinstance(network, Network)
        network.settle(x, y)
        return network

    ours = gradient(numbers, (weights, biases), back)
    stored, back = ours.parameters(), ours.feedback()
    theirs = gradient(Float(), stored, back)
    exact = spec.backpropagate(x, y, *stored, back).gradients()
    pairs = zip(ours.gradients()[0], exact[0], strict=True)
    return FixedPointGradient(
        layers=spec.layers,
        fraction=numbers.fraction,
        cosine=_cosine(_flat(ours.gradients()), _flat(exact)),
        float_cosine=_cosine(_flat(theirs.gradients()), _flat(exact)),
        layer_cosines=tuple(_cosine(a.ravel(), b.ravel()) for a, b in pairs),
    )


def _flat(gradients: tuple[list[Array], list[Array]]) -> Array:
    return np.concatenate([g.ravel() for part in gradients for g in part])


def _cosine(a: Array, b: Array) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
