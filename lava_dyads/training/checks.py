"""What a data set, a network and a way to train ask of each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lava_dyads.array_types import Array, IntArray
from lava_dyads.data.dataset import Dataset
from lava_dyads.errors import DivergedError, UnsupportedError, invalid
from lava_dyads.executors.backprop import BackpropNetwork
from lava_dyads.executors.step import Network
from lava_dyads.executors.sweep import SweptNetwork
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import Execution
from lava_dyads.options import label
from lava_dyads.rules.binary import FLOAT
from lava_dyads.rules.losses import LOSSES, loss
from lava_dyads.rules.optimisers import OPTIMISERS
from lava_dyads.rules.units.spiking import OFFSET, SpikingDualPropagation
from lava_dyads.training.config import TrainingConfig
from lava_dyads.training.metrics import Metrics

SETTLED = 1e-6
"""Largest residual, in units of the activity, at which a relaxation counts as settled."""

SATURATED = 0.1
"""Share of spiking dyads with more spikes to send than steps, from which on counts are no rates;
where a network learns it is below .02."""

EXPLODED = 1e6
"""Loss, in units of that before training (or 1), from which on a training has diverged."""


def check_converging(
    spec: NetworkSpec, epoch: int, passed: Metrics, loss_before: Callable[[], float]
) -> None:
    """Raise where weights, states or counts have left their range.

    Parameters
    ----------
    spec : NetworkSpec
    epoch : int
    passed : Metrics
    loss_before : callable
        Returns the loss before training.

    Raises
    ------
    DivergedError
        With the reason and what to try.
    """
    if passed.saturated > SATURATED:
        raise DivergedError(
            f"epoch {epoch}: scale times activity has to stay below 1 and does not, in "
            f"{passed.saturated:.0%} of the spiking dyads ({label(spec.rule)}). "
            f"Try: half the scale, smaller inputs or a smaller learning rate"
        )
    finite = np.isfinite(passed.residual) and np.isfinite(passed.loss)
    if finite and not (passed.loss > EXPLODED and passed.loss > EXPLODED * loss_before()):
        return
    if spec.timing.repeats == 0 or passed.residual <= SETTLED:  # so it was the weights
        raise DivergedError(
            f"epoch {epoch}: the weights diverged (loss {passed.loss:.3g}). "
            "Try: a smaller learning rate"
        )
    raise DivergedError(
        f"epoch {epoch}: the network did not settle (residual {passed.residual:.3g}); rule "
        f"{label(spec.rule)} diverges for these weights. "
        "Try: --rule dp-transpose with alpha 0 or 1, a smaller beta, or a smaller learning rate"
    )


def loss_at(
    spec: NetworkSpec,
    parameters: tuple[list[Array], list[Array]] | None,
    x: Array,
    y: Array,
) -> float:
    """Return the mean loss of some samples at some parameters; None: the initial ones."""
    weights, biases = parameters or spec.initial_parameters()
    with np.errstate(all="ignore"):
        output = spec.backpropagate(x, y, weights, biases).output
        return float(np.mean(loss(spec.loss).value(output, y)))


def check_learns(execution: Execution, config: TrainingConfig) -> None:
    """Raise where a number system cannot learn in this way; evaluation takes any batch."""
    if execution.precision == "loihi2" and config.batch_size > 1:
        limit = "precision loihi2 learns one sample at a time"
        invalid("batch_size", limit, config.batch_size, "1, with optimiser sgd")
    if OPTIMISERS[config.optimiser].decorrelates:
        what, limit = "optimiser", "the neurons of a layer share a matrix that decorrelates them"
        if execution.granularity == "neuron":
            invalid(what, f"granularity neuron: {limit}", config.optimiser, "granularity layer")
        if execution.backend != "numpy":
            limit = f"backend {execution.backend} compiles sweeps, which know no such matrix"
            invalid(what, limit, config.optimiser, "backend numpy")


def why_no_more_epochs(spec: NetworkSpec, config: TrainingConfig, execution: Execution) -> str:
    """Return why a training cannot go beyond its configured epochs; empty: it can."""
    if config.lr_schedule != "constant":
        return f"the learning rate falls to 0 over the {config.epochs} epochs (lr_schedule linear)"
    if execution.precision == "loihi2":
        return f"on the chip the learning rate falls to 0 over the {config.epochs} epochs"
    if spec.weight_format != FLOAT:
        return f"binary weights harden over the {config.epochs} epochs ({spec.weight_format})"
    return ""


def check_epochs(
    spec: NetworkSpec, config: TrainingConfig, execution: Execution, epochs: int | None
) -> None:
    """Raise where a training is to go beyond its configured epochs and cannot."""
    why = why_no_more_epochs(spec, config, execution)
    if epochs is not None and epochs > config.epochs and why:
        invalid("epochs", why, epochs, f"a new run with epochs={epochs} from the start")


def check_tested(rows: IntArray) -> None:
    """Raise where there is no test part."""
    if not len(rows):
        invalid("evaluate", "needs a test part", "test_share 0", "a larger test_share, or run")


def check_streams(spec: NetworkSpec, execution: Execution) -> None:
    """Raise where state cannot be kept from one presentation to the next.

    Raises
    ------
    UnsupportedError
        With the reason.
    """
    why = ""
    swept = spec.rule.settles_in_one_sweep()
    if not swept or spec.anneal:
        why = "needs a rule that settles in one sweep. Try: --rule dp-transpose --alpha 1"
    elif execution.clock == "async":
        why = "needs the clock: without it nobody knows when a frame ends. Try: --clock sync"
    elif spec.weight_format != FLOAT:
        kind = spec.weight_format
        why = f"weights ({kind}) become signs between frames. Try: --weight-format float"
    elif execution.backend != "numpy":
        why = f"backend {execution.backend} keeps nothing between frames. Try: --backend numpy"
    if why:
        raise UnsupportedError(f"stream: {why}")


def check_fit(spec: NetworkSpec, data: Dataset) -> None:
    """Raise where a data set does not fit the first and last layer of a network."""
    features = data.inputs
    heads = [vertex.name for vertex in spec.vertices if vertex.loss]
    if len(heads) > 1:
        limit = "data with one label per sample train one output"
        hint = "NetworkSpec.build, and your own loop"
        invalid(f"data {data.name}", limit, ", ".join(heads), hint)
    if spec.layers[0] != features:
        invalid(
            f"data {data.name}",
            f"the network has {spec.layers[0]} inputs, the data has {features} features",
            (spec.layers[0], features),
        )
    rule = spec.rule
    if isinstance(rule, SpikingDualPropagation) and not rule.scale * (1 + OFFSET) < 1:
        limit = f"outputs count up to {1 + OFFSET:g}, times which it has to stay below 1"
        invalid("scale", limit, rule.scale, "0.375")
    width, what = spec.layers[-1], data.task if data.task == "classes" else "targets"
    if width < data.outputs or (width > data.outputs and data.labels is None):
        limit = f"the network has {width} outputs, the data has {data.outputs} {what}"
        invalid(f"data {data.name}", limit, (width, data.outputs))
    head = loss(spec.loss)
    if data.task not in head.tasks:
        fit = " or ".join(name for name, each in LOSSES.items() if data.task in each.tasks)
        limit = f"targets are {data.task}, which loss {head.name} cannot be trained on"
        invalid(f"data {data.name}", limit, head.name, f"loss {fit}")


def set_up_sweep(
    network: Network | BackpropNetwork, config: TrainingConfig, execution: Execution
) -> None:
    """Hand over what only networks know that show presentations by one sweep.

    Raises
    ------
    ValidationError
        If samples are to be silent and there is no sweep.
    """
    if execution.granularity == "network" and isinstance(network, SweptNetwork):
        network.counting, network.skip_error = config.counting, config.skip_error
    elif config.skip_error and execution.backend == "numpy":
        limit = "needs granularity network, and a rule that settles in one sweep"
        invalid("skip_error", limit, execution.label, "--rule dp-transpose --alpha 1")
