"""How a network is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from lava_dyads.array_types import Array, IntArray
from lava_dyads.checks import Count, Natural, NotNegative, Positive, Share, Size, check_fields
from lava_dyads.choices import ClassWeight, DType, LearnAt, LrSchedule, Precision, Readout
from lava_dyads.data.dataset import SplitSeed, TestShare
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.errors import invalid
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.options import with_options
from lava_dyads.rules.arithmetic import Arithmetic, Float, Loihi2
from lava_dyads.rules.arithmetic.loihi2 import feedback_exponents, fitting_exponent
from lava_dyads.rules.binary import BINARY, FLOAT, Latent, growth_for
from lava_dyads.rules.optimisers import ChipSGD, Optimiser, optimiser
from lava_dyads.training.sampling import drawn

CHIP_RATE = 2.0**-6
"""Learning rate of precision loihi2 where none is given."""


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained, checked at construction.

    Parameters
    ----------
    epochs : int
        Passes over the training part.
    batch_size : int
        Samples per update.
    repeats_per_batch : int
        Updates per batch, one after the other: a batch is shown as often (DP's several updates). A
        last batch that is not full is shown once.
    lanes : int or None
        Samples side by side; None: the batch size. Must divide the batch size.
    optimiser : str
        ``adam``, ``momentum`` or ``sgd``.
    optimiser_options : mapping of str to number
        Options that this optimiser has beside the following, e.g. ``{"beta_1": 0.8}``.
    learning_rate : float or None
        None: 0.001 (adam), 0.05 (momentum), 0.1 (sgd).
    lr_schedule : str
        ``constant``, or ``linear``: the learning rate falls linearly to 0 over all epochs; on the
        chip it always does.
    weight_decay : float
        Decoupled, in units of the learning rate.
    decay : float or None
        Share of a weight lost per update where W and its feedback learn as a pair, of both alike;
        None: that of the kind of feedback, see ``rules.feedback``.
    class_weight : str
        ``balanced``: rows of rare classes are shown more often, see ``training.sampling``.
    scale_targets : bool
        Show real values as (y - mean) / deviation of the training part; what is predicted is in
        their own units again.
    split_seed : int
        Of the stratified split.
    test_share : float
        Share of the test part, in [0, 1); 0: there is none, and no epoch is tested.
    validation_share : float
        Share of the training part that is not learned from but measured after every epoch, in
        [0, 1); 0: none.
    seed : int
        Of the order of the samples.
    dtype : str
        ``float64`` or ``float32``: the floating point numbers of precision float. float32 needs
        beta >= 0.01.
    skip_error : float
        A sample none of whose output errors ``|l'|`` exceeds it sends no error event: no work and
        no update from it. Granularity network, rules that settle in one sweep.
    counting : bool
        Whether training passes count events and operations (some 5 % of the time of a sweep);
        :meth:`Trainer.cost` always does.
    stream : bool
        Samples are frames of a stream (of ``lanes`` streams, frame by frame): they are shown in
        the order of the data, state is kept from one to the next and only what changes costs
        anything. For rules that settle in one sweep, clock sync. Where samples are sequences
        (``Dataset.frames``), state is kept from frame to frame of each and begins anew with the
        next, and their order is a new one in every epoch; without it each frame is shown alone.
    learn_at : str
        Of sequences: ``end``, every frame teaches, weights learn from all of them after the last
        one; ``frame``, they learn after every frame; ``last``, the last frame alone teaches.
    readout : str
        Of sequences: outputs of the ``last`` frame, or their ``mean`` over the frames.

    Raises
    ------
    ValidationError
        If a value is out of range.
    """

    epochs: Count = 30
    batch_size: Count = 32
    repeats_per_batch: Count = 1
    lanes: Size | None = None
    optimiser: str = "adam"
    optimiser_options: Mapping[str, float] = field(default_factory=dict)
    learning_rate: Positive | None = None
    lr_schedule: LrSchedule = "constant"
    weight_decay: NotNegative = 0.0
    decay: NotNegative | None = None
    class_weight: ClassWeight = "none"
    scale_targets: bool = True
    split_seed: SplitSeed = 0
    test_share: TestShare = 0.25
    validation_share: Share = 0.0
    seed: Natural = 0
    dtype: DType = "float64"
    skip_error: NotNegative = 0.0
    counting: bool = True
    stream: bool = False
    learn_at: LearnAt = "end"
    readout: Readout = "last"

    def __post_init__(self) -> None:
        check_fields(self)
        PresentationSchedule(lanes=self.chosen_lanes, batch_size=self.batch_size)
        self.build_optimiser()

    @property
    def chosen_lanes(self) -> int:
        """Samples side by side: the batch size, where nothing else is asked for."""
        return self.batch_size if self.lanes is None else self.lanes

    def build_optimiser(self, samples: int = 0, frames: int = 1) -> Optimiser:
        """Return the optimiser for a number of training samples, each of so many frames."""
        decay = self.decay or 0.0
        updates = self.epochs * self.updates_per_epoch(samples, frames)
        horizon = updates if self.lr_schedule == "linear" else 0
        made = optimiser(self.optimiser, self.learning_rate, self.weight_decay, decay, horizon)
        return with_options(made, self.optimiser_options, "TrainingConfig.")

    def updates_per_epoch(self, samples: int, frames: int = 1) -> int:
        """Return the updates of an epoch of so many samples; a batch that is not full gets one.

        Examples
        --------
        >>> TrainingConfig(batch_size=4, repeats_per_batch=3).updates_per_epoch(10)
        7
        """
        full, rest = divmod(samples, self.batch_size)
        batches = full * self.repeats_per_batch + (rest > 0)
        return batches * (frames if self.learn_at == "frame" else 1)

    def rows_per_epoch(self, samples: int) -> int:
        """Return the rows that are shown in an epoch of so many samples, repeats counted."""
        full, rest = divmod(samples, self.batch_size)
        return full * self.batch_size * self.repeats_per_batch + rest

    def order(
        self,
        rows: IntArray,
        generator: np.random.Generator,
        weights: Array | None = None,
        frames: int = 1,
    ) -> IntArray:
        """Return the rows of an epoch, in a new order but for streams without an end.

        Each full batch stands there as often as it is shown; a row as often as its weight says,
        see ``training.sampling``.
        """
        size = self.batch_size
        rows = drawn(rows, weights, generator)
        if not self.stream or frames > 1:
            rows = generator.permutation(rows)
        full = len(rows) // size * size
        batches = np.repeat(rows[:full].reshape(-1, size), self.repeats_per_batch, axis=0)
        return np.concatenate([batches.ravel(), rows[full:]])


def numbers_for(
    config: TrainingConfig,
    precision: Precision,
    arithmetic: Arithmetic | None,
    weights: list[Array],
    feedback_weights: list[Array | None],
) -> Arithmetic:
    """Return the number system of a precision: the given one, or one with room for the weights.

    Raises
    ------
    ValidationError
        If the given one, or the type of floating point numbers, is of another precision.
    """
    default: Arithmetic = Float(config.dtype)
    if precision != "float" and config.dtype != "float64":
        invalid("dtype", f"precision {precision} has integers", config.dtype, "float64")
    if precision == "loihi2":
        # Initial weights have to fit, and from +-1 on there is room to learn.
        default = Loihi2(
            weight_exponents=tuple(fitting_exponent(w, 7) for w in weights),
            feedback_exponents=feedback_exponents(feedback_weights, 7),
            seed=config.seed,
        )
    if arithmetic is not None and arithmetic.name != precision:
        invalid("arithmetic", f"the execution has precision {precision}", arithmetic.name)
    return arithmetic or default


def optimiser_for(
    spec: NetworkSpec, config: TrainingConfig, numbers: Arithmetic, samples: int, frames: int = 1
) -> Optimiser | None:
    """Return the optimiser for samples of so many frames.

    On the chip it learns one sample at a time, or not at all.
    """
    made = config.build_optimiser(samples, frames)
    updates = config.updates_per_epoch(samples, frames)
    if spec.weight_format != FLOAT:
        epochs, kind = config.epochs, BINARY[spec.weight_format]
        growth, horizon = growth_for(epochs), epochs * updates
        return Latent(inner=made, kind=kind, epoch=updates, growth=growth, horizon=horizon)
    if not numbers.exact:
        return made
    if config.batch_size > 1:
        return None
    if made.name != "sgd" or made.weight_decay:
        limit = "precision loihi2 learns by traces alone: a synapse has no room for other state"
        invalid("optimiser", limit, made.name, "sgd, without weight decay")
    rate = config.learning_rate or CHIP_RATE
    return ChipSGD(rate, decay=made.decay, horizon=config.epochs * updates)
