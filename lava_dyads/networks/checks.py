"""Whether a network is one, and whether it can be run in a way.

The second is the part of the support table that sees the network; ``networks.support`` knows what
holds for every network of a rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lava_dyads.elements.reactive import ANNEALED
from lava_dyads.errors import ValidationError, invalid
from lava_dyads.executors import array_sweep
from lava_dyads.networks.support import Execution, reason
from lava_dyads.rules.activations import activation
from lava_dyads.rules.arithmetic import Float, Loihi2
from lava_dyads.rules.binary import FLOAT, check_weights
from lava_dyads.rules.feedback import RANDOM, TIED, feedback
from lava_dyads.rules.nudges import LINEARISED, NUDGES
from lava_dyads.rules.units.baselines import ALIGNMENT

if TYPE_CHECKING:
    from lava_dyads.networks.specification import NetworkSpec


def hidden_activations(spec: NetworkSpec) -> tuple[str, ...]:
    """Return the activation of each hidden layer of a chain; raise where it is none."""
    sizes, names = spec.layers, spec.activations
    if len(sizes) < 2 or min(sizes) < 1:
        invalid("layers", "needs two or more sizes of at least 1", sizes, "(64, 128, 10)")
    hidden = len(sizes) - 2
    each = (names,) * hidden if isinstance(names, str) else names
    if len(each) != hidden:
        invalid("activations", f"needs one per hidden layer, {hidden}", each)
    for name in each or (names,):
        if isinstance(name, str):
            activation(name)
    return each


def sizes_of_graph(spec: NetworkSpec) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the layers and activations of a graph; raise where it is none of this rule."""
    if spec.density != 1.0:
        limit = "with a graph it is an option of its dense nodes"
        invalid("density", limit, spec.density, "1")
    vertices = spec.vertices
    populations = [v for v in vertices if v.activation and not v.loss]
    n_in = sum(v.n for v in vertices if not v.sources)
    sizes = (n_in, *(v.n for v in populations), sum(v.n for v in vertices if v.loss))
    names = tuple(v.activation.name for v in populations if v.activation)
    for what, found, none in (("layers", sizes, ()), ("activations", names, "relu")):
        if getattr(spec, what) not in (none, found):
            limit = f"with a graph they follow from it: {found}"
            invalid(what, limit, getattr(spec, what), "to leave them out")
    if spec.rule.spiking:
        limit = "spikes are counted in chains of dense layers alone"
        invalid("graph", limit, spec.rule.name, "rule dp-transpose, or layers")
    for vertex in vertices:
        used = any(vertex.name in v.sources for v in vertices)
        if vertex.loss and used and not NUDGES.get(spec.nudge, LINEARISED).head:
            limit = "others take from this output, so it needs its drives as they are"
            invalid(f"node {vertex.name}: nudge", limit, spec.nudge, "linearised")
    return sizes, names


def feedback_kind(spec: NetworkSpec) -> str:
    """Return the kind of feedback; raise where a baseline has another one by definition."""
    kind = spec.feedback
    if spec.rule.name == ALIGNMENT and kind == TIED.name:
        kind = RANDOM.name
    wanted = RANDOM.name if spec.rule.name == ALIGNMENT else TIED.name
    if feedback(kind).name != wanted and spec.rule.baseline:
        limit = f"{spec.rule.name} is a baseline with {wanted} feedback, by definition"
        invalid("feedback", limit, kind, f"{wanted}, or --rule dp-transpose")
    return kind


def check_density(spec: NetworkSpec) -> None:
    """Raise where densities are fewer or more than layers of weights."""
    given, depth = spec.density, len(spec.layers) - 1
    if isinstance(given, tuple) and len(given) != depth:
        invalid("density", f"needs one per layer of weights, {depth}", given)


def check_weight_format(spec: NetworkSpec) -> None:
    """Raise where weights cannot be of the kind that was asked for."""
    check_weights(spec.weight_format)
    if spec.weight_format == FLOAT:
        return
    if feedback(spec.feedback).learns:
        limit = "a pair that learns alike has numbers on both sides"
        limit = f"{limit}, for feedback {spec.feedback}"
        invalid("weight_format", limit, spec.weight_format, "float")
    if spec.gain is not None:
        invalid("gain", "binary weights have the scale sqrt(2 / fan_in)", spec.gain, "None")


def check_rule(spec: NetworkSpec) -> None:
    """Raise where a network has something that its rule does not know."""
    chosen = spec.rule
    _check_supported(spec, "nudge", (spec.nudge,), chosen.nudges)
    losses = {v.loss.name: v.loss for v in spec.vertices if v.loss}
    _check_supported(spec, "loss", tuple(sorted(losses)), chosen.losses)
    if chosen.activations:
        _check_supported(spec, "activations", tuple(spec.activations), chosen.activations)
    if chosen.lifted and spec.graph is not None:
        limit = "an energy is that of a chain of layers"
        invalid("graph", limit, chosen.name, "layers, or rule dp-transpose")
    if chosen.lifted and feedback(spec.feedback).separate:
        limit = "both errors of an energy go through W and W^T"
        invalid("feedback", limit, spec.feedback, "tied")
    coded = spec.threshold or spec.error_threshold
    if chosen.spiking and (coded or spec.anneal):
        invalid("threshold", "spikes are events already", coded, "hysteresis 2")
    if chosen.spiking and spec.compartment_noise:
        what = "compartment_noise"
        invalid(what, "the states of a spiking dyad are counts", spec.compartment_noise, "0")
    if not NUDGES[spec.nudge].head:
        for each in losses.values():
            chosen.output(each)  # raises where no point exists


def _check_supported(
    spec: NetworkSpec, what: str, chosen: tuple[str, ...], supported: tuple[str, ...]
) -> None:
    for name in chosen:
        if name not in supported:
            words = " or ".join(supported)
            invalid(what, f"rule {spec.rule.name} supports {words}", name, words)


def why_not(spec: NetworkSpec, execution: Execution) -> str | None:
    """Return why a network cannot be run in a way; None if it can."""
    why = reason(execution, spec.rule, sum(spec.layers[1:]))
    if why is None and execution.granularity == "neuron":
        why = _not_cut(spec)
    if why is None and execution.clock == "async":
        why = _not_without_steps(spec)
    if why is None and execution.precision == "loihi2":
        why = _not_on_chip(spec)
    if why is None and execution.backend == "jax":
        why = _not_compiled(spec)
    return why


def _not_compiled(spec: NetworkSpec) -> str | None:
    """Return why a network cannot be shown by functions of arrays."""
    if spec.rule.lifted:
        return f"{spec.rule.name} descends step by step. Try: --backend numpy"
    why = array_sweep.why_not(spec.plan, Float())
    return why and f"backend jax shows a presentation by one sweep, but {why}. Try: --backend numpy"


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
    if spec.weight_format != FLOAT:
        return f"weights ({spec.weight_format}) become signs in a step. Try: --clock sync"
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
    if spec.weight_format != FLOAT:
        return (
            f"a synapse has no room for the latent number behind a weight ({spec.weight_format}). "
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
    if spec.rule.baseline:
        invalid("rule", "a baseline has no place on the chip", spec.rule.name, "dp-transpose")
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
        if not numbers.gain(gain := getattr(spec.rule, what, 1.0)) > 0:
            limit = "precision loihi2 rounds gains to multiples of 2^-7"
            invalid(what, limit, gain, "0.125 or 1")
