"""What a network asks of the way in which it is run: the part of the support table that sees it.

``networks.support`` knows what holds for every network of a rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lava_dyads.elements.reactive import ANNEALED
from lava_dyads.errors import ValidationError, invalid
from lava_dyads.networks.support import BASELINES, Execution, reason
from lava_dyads.rules.activations import activation
from lava_dyads.rules.arithmetic import Loihi2
from lava_dyads.rules.binary import FLOAT
from lava_dyads.rules.feedback import feedback
from lava_dyads.rules.nudges import LINEARISED, NUDGES

if TYPE_CHECKING:
    from lava_dyads.networks.specification import NetworkSpec


def why_not(spec: NetworkSpec, execution: Execution) -> str | None:
    """Return why a network cannot be run in a way; None if it can."""
    why = reason(execution, spec.rule, sum(spec.layers[1:]))
    if why is None and execution.granularity == "neuron":
        why = _not_cut(spec)
    if why is None and execution.clock == "async":
        why = _not_without_steps(spec)
    if why is None and execution.precision == "loihi2":
        why = _not_on_chip(spec)
    return why


def _not_cut(spec: NetworkSpec) -> str | None:
    """Return why a network cannot be cut into neurons."""
    shared = [v.name for v in spec.vertices if v.activation and v.biases < v.n]
    if shared:
        return f"the neurons of node {shared[0]} share biases. Try: granularity layer"
    whole = [v.loss.name for v in spec.vertices if v.loss and not v.loss.separable]
    if whole and not NUDGES.get(spec.nudge, LINEARISED).head:
        return (
            f"with nudge {spec.nudge} the output unit needs its whole layer for the {whole[0]}. "
            "Try: nudge linearised, or granularity layer"
        )
    return None


def _not_without_steps(spec: NetworkSpec) -> str | None:
    """Return why a network needs steps."""
    if spec.weights != FLOAT:
        return f"weights ({spec.weights}) become signs in a step. Try: --clock sync"
    if spec.anneal:
        return f"{ANNEALED}. Try: anneal 0, or --clock sync"
    if NUDGES.get(spec.nudge, LINEARISED).frozen:
        return (
            "a frozen nudge looks at the end of the forward pass, which only steps show. "
            "Try: nudge linearised, or --clock sync"
        )
    if spec.compartment_noise:
        return (
            "neurons with noise never fall silent, which is the end of a presentation. "
            "Try: compartment noise 0, or --clock sync"
        )
    return None


def _not_on_chip(spec: NetworkSpec) -> str | None:
    """Return why a network cannot be written in the chip's integers."""
    if spec.weights != FLOAT:
        return (
            f"a synapse has no room for the latent number behind a weight ({spec.weights}). "
            "Try: --precision float, then eval --precision loihi2"
        )
    try:
        check_on_chip(spec, Loihi2())
    except ValidationError as error:
        return str(error)
    return None


def check_on_chip(spec: NetworkSpec, numbers: Loihi2) -> None:
    """Raise where a network has a part without a place in the chip's arithmetic.

    Parameters
    ----------
    spec : NetworkSpec
    numbers : Loihi2

    Raises
    ------
    ValidationError
        Naming the part and what to use instead.
    """
    if spec.rule in BASELINES:
        invalid("rule", "a baseline has no place on the chip", spec.rule, "dp-transpose")
    if not all(v.weighted and v.activation for v in spec.vertices if v.sources):
        limit = "precision loihi2 knows populations on weights alone"
        invalid("graph", limit, [v.name for v in spec.vertices], "layers, or --precision float")
    shared = [v.name for v in spec.vertices if v.activation and v.biases < v.n]
    if shared:
        limit = "every neuron of the chip has a bias of its own"
        invalid(f"node {shared[0]}", limit, "a bias per channel", "--precision float")
    for name in spec.activations:
        numbers.check(activation(name))
    if not NUDGES[spec.nudge].head:
        invalid("nudge", "precision loihi2 cannot divide in a neuron", spec.nudge, "linearised")
    if spec.compartment_noise:
        what = "compartment_noise"
        invalid(what, "integers have no analog noise", spec.compartment_noise, "0")
    if numbers.feedback_exponents and not feedback(spec.feedback).separate:
        limit = "tied feedback has the exponents of the weights"
        invalid("Loihi2.feedback_exponents", limit, numbers.feedback_exponents, "()")
    for what in ("beta", "rate"):
        if not numbers.gain(getattr(spec, what)) > 0:
            limit = "precision loihi2 rounds gains to multiples of 2^-7"
            invalid(what, limit, getattr(spec, what), "0.125 or 1")
