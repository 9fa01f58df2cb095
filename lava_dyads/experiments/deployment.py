"""What a network would send on a chip, and whether an exported file still says the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lava_dyads.array_types import Array, IntArray
from lava_dyads.checks import checked, real_array
from lava_dyads.data.dataset import Dataset
from lava_dyads.elements.clock import FROZEN
from lava_dyads.elements.trace_plasticity import TracePlasticity
from lava_dyads.errors import ValidationError, invalid
from lava_dyads.executors.step import Network
from lava_dyads.files import AnyPath, as_path
from lava_dyads.loihi import SigmaDelta, netx, nir_graph, rule_text
from lava_dyads.networks import Execution, NetworkSpec
from lava_dyads.networks.support import check_chain
from lava_dyads.rules.arithmetic import Loihi2
from lava_dyads.rules.arithmetic.loihi2 import fitting_exponent
from lava_dyads.rules.feedback import feedback
from lava_dyads.rules.optimisers import ChipSGD
from lava_dyads.training import Trainer, TrainingConfig
from lava_dyads.training.config import CHIP_RATE

FORMATS = {".net": "netx", ".h5": "netx", ".hdf5": "netx", ".nir": "NIR"}
"""Formats by the end of a file's name."""


@dataclass(frozen=True)
class Traffic:
    """What was counted on some samples, per sample.

    Attributes
    ----------
    samples : int
    accuracy : float
    input, loss : float
        Messages from outside: the input's, and the loss's back.
    layers : tuple of float
        Messages of every layer, up and down.
    """

    samples: int
    accuracy: float
    input: float
    loss: float
    layers: tuple[float, ...]

    @property
    def total(self) -> float:
        """Messages per sample."""
        return self.input + self.loss + sum(self.layers)


def traffic(
    spec: NetworkSpec,
    numbers: Loihi2,
    parameters: tuple[list[Array], list[Array]],
    data: Dataset,
    rows: IntArray,
    *,
    learning: bool = False,
    feedback_weights: list[Array | None] | None = None,
) -> Traffic:
    """Count the messages of a network in integers, in one presentation per sample.

    Parameters
    ----------
    spec : NetworkSpec
    numbers : Loihi2
    parameters : tuple of two lists
        Weights and biases.
    data : Dataset
    rows : int array
        Samples that are shown.
    learning : bool
        With the nudge, so that differences are sent down; nothing is learnt.
    feedback_weights : list of arrays or None per layer, or None
        Separate feedback weights; None: the specification's initial ones.
    """
    execution = Execution(precision="loihi2", runtime="reference")
    begin: dict[str, Any] = {"arithmetic": numbers, "parameters": parameters}
    begin["feedback_weights"] = feedback_weights
    with Trainer(spec, data, TrainingConfig(), execution, **begin) as trainer:
        metrics = trainer.run(rows, FROZEN if learning else 0)
        network = trainer.network
        assert isinstance(network, Network)
        sent = [_events(p.counts) / len(rows) for p in network.populations.values()]
        loss = _events(network.head.counts) if network.head else 0
        entered = _events(trainer.source.counts)
    shown = len(rows)
    return Traffic(shown, metrics.accuracy, entered / shown, loss / shown, tuple(sent))


def _events(counts: dict[str, int]) -> int:
    return sum(n for name, n in counts.items() if name.startswith("events"))


@dataclass(frozen=True)
class LearningRules:
    """The first update of every layer as Lava's learning engine takes it.

    Attributes
    ----------
    learning_rate : float
    rules : tuple of str
    """

    learning_rate: float
    rules: tuple[str, ...]


def learning_rules(
    spec: NetworkSpec, weights: list[Array], learning_rate: float | None = None
) -> LearningRules:
    """Return the rules of the engine for a network that learns on the chip.

    Parameters
    ----------
    spec : NetworkSpec
    weights : list of arrays
        They decide on the exponents.
    learning_rate : float or None
        None: the smallest power of two from 1/64 on that has a rule in every layer.

    Raises
    ------
    ValidationError
        If the engine has no such rule, with the layer.
    """
    check_chain(spec.vertices, "a placement of learning dyads")
    exponents = tuple(fitting_exponent(w, 7) for w in weights)
    if learning_rate is not None:
        return _rules(spec, exponents, learning_rate)
    for doublings in range(_DOUBLINGS):
        try:
            return _rules(spec, exponents, CHIP_RATE * 2**doublings)
        except ValidationError:  # the next one
            pass
    return _rules(spec, exponents, CHIP_RATE * 2**_DOUBLINGS)


_DOUBLINGS = 6
"""From 1/64 up to 1."""


def _rules(spec: NetworkSpec, exponents: tuple[int, ...], rate: float) -> LearningRules:
    if not rate > 0:
        invalid("--learning-rate", "must be positive", rate, "0.0625")
    # The rule of a synapse depends on its layer, and not on how many others there are.
    slim = replace(spec, layers=(1,) * len(spec.layers), graph=None)
    one = np.zeros((1, 1))
    network = slim.build(
        arithmetic=Loihi2(weight_exponents=exponents),
        optimiser=ChipSGD(rate, decay=feedback(spec.feedback).chip_decay),
        parameters=([one] * spec.depth, [np.zeros(1)] * spec.depth),
        feedback_weights=[one] * spec.depth,
    )
    assert isinstance(network, Network)
    rules = []
    for k, connection in enumerate(network.connections.values(), 1):
        assert isinstance(connection.plasticity, TracePlasticity)
        mantissa, shift = connection.plasticity.factor(1)
        try:
            optimiser = connection.plasticity.optimiser
            rules.append(rule_text(mantissa, shift, optimiser.decay if optimiser else 0.0))
        except ValidationError:
            invalid(
                "--learning-rate",
                f"layer {k} would take steps of {mantissa} 2^-{shift} weight units, for which the "
                "learning engine has no rule",
                rate,
                "a larger one" if shift > 0 else "a smaller one",
            )
    return LearningRules(rate, tuple(rules))


@checked
def check_export(path: AnyPath, activations: Sequence[str]) -> str:
    """Return the format a file name stands for.

    Raises
    ------
    ValidationError
        If it stands for none, or the format has no place for a layer.
    """
    path = as_path("--export", path)
    if path.suffix not in FORMATS:
        invalid("--export", "knows files by their ends", str(path), ", ".join(FORMATS))
    {"netx": netx.check, "NIR": nir_graph.check}[FORMATS[path.suffix]](activations)
    return FORMATS[path.suffix]


@dataclass(frozen=True)
class Exported:
    """A file and what it says.

    Attributes
    ----------
    path : Path
    format : str
        ``netx`` or ``NIR``.
    samples, same : int
        Samples that were shown to the file, and how many of them it gives the same class.
    """

    path: Path
    format: str
    samples: int
    same: int


@checked
def export(path: AnyPath, network: SigmaDelta, x: Array) -> Exported:
    """Write a network, read the file back, and compare the predictions.

    Parameters
    ----------
    path : str or path
        Ending in .net, .h5, .hdf5 (for lava-dl) or .nir.
    network : SigmaDelta
    x : array, shape (samples, n_0)
        Samples to compare on.

    Raises
    ------
    ValidationError
        If the format has no place for a layer.
    """
    path = as_path("--export", path)
    x = real_array(x, "export.x", 2)
    kind = check_export(path, network.spec.activations)
    module: Any = netx if kind == "netx" else nir_graph
    module.write(path, network)
    same = 0
    if len(x):
        read_back = module.run(path, x).argmax(axis=1)
        same = int(np.sum(read_back == network.predictions(x)))
    return Exported(path, kind, len(x), same)
