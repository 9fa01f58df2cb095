"""Samples that are sequences of frames: what is shown in which order, and the read-out over time.

A sample is F frames x_1 .. x_F. The network that keeps its state is sent the changes x_k - x_{k-1}
(x_0 = 0), and its outputs o_k are, to rounding, those of x_k shown alone (docs/events.md). The
read-out is o_F (``last``) or (o_1 + ... + o_F) / F (``mean``). Beside its scores::

    accuracy_after_k   share of sequences whose largest output in frame k is right, k = 1 .. F
    delay              frames until the largest output is right and stays so to the end, the mean
                       over the sequences in which it does
"""

from __future__ import annotations

import numpy as np

from lava_dyads.array_types import AnyArray, Array, IntArray
from lava_dyads.choices import Readout
from lava_dyads.data.dataset import Dataset
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.elements.source_sink import Sink
from lava_dyads.errors import UnsupportedError
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import Execution
from lava_dyads.rules.scores import Scores
from lava_dyads.rules.targets import OneHot
from lava_dyads.training.checks import check_streams
from lava_dyads.training.config import TrainingConfig


class SequenceScores:
    """The scores of a read-out over time; single frames add nothing.

    Parameters
    ----------
    inner : Scores
        How right a read-out is.
    frames : int
        Of a sequence, F.
    readout : str
        ``last`` or ``mean``.
    classes : bool
        Whether there is one right class.
    """

    def __init__(self, inner: Scores, frames: int, readout: Readout, classes: bool) -> None:
        self.inner, self.frames, self.readout = inner, frames, readout
        self.size = inner.size + frames + 3
        per_frame = tuple(f"accuracy_after_{k + 1}" for k in range(frames))
        self.names = (*inner.names, *((*per_frame, "delay") if classes else ()))
        self._classes = classes

    def add(self, sums: Array, output: Array, target: Array) -> None:
        """Leave a frame to :meth:`add_sequences`."""

    def add_sequences(self, sums: Array, outputs: Array, targets: Array) -> Array:
        """Add what sequences tell; return their read-outs.

        Parameters
        ----------
        sums : array (size,)
        outputs : array (sequences, F, n)
        targets : array (sequences, n)
        """
        read = outputs[:, -1] if self.readout == "last" else outputs.mean(axis=1)
        self.inner.add(sums[: self.inner.size], read, targets)
        right = outputs.argmax(axis=2) == targets.argmax(axis=1)[:, None]
        sums[-self.frames - 3 : -3] += right.sum(axis=0)
        stays = np.logical_and.accumulate(right[:, ::-1], axis=1)[:, ::-1]
        first = self.frames - stays.sum(axis=1) + 1
        kept = stays[:, -1]
        sums[-3:] += len(outputs), kept.sum(), first[kept].sum()
        return np.asarray(read)

    def read(self, sums: Array, rows: float) -> dict[str, float]:
        """Return the scores of the read-out, accuracy_after_k and delay."""
        sequences, kept, delay = (float(value) for value in sums[-3:])
        scores = self.inner.read(sums[: self.inner.size], sequences)
        if not self._classes:
            return scores
        after = sums[-self.frames - 3 : -3] / max(sequences, 1.0)
        scores |= {f"accuracy_after_{k}": float(v) for k, v in enumerate(after, 1)}
        return {**scores, "delay": delay / kept if kept else float(self.frames)}


def schedule_for(
    spec: NetworkSpec, data: Dataset, config: TrainingConfig, execution: Execution
) -> PresentationSchedule:
    """Return when samples, or their frames, are shown.

    Raises
    ------
    UnsupportedError
        If frames cannot be shown one after the other, or no state be kept between them.
    """
    check_sequences(data, execution, config)
    if config.stream:
        check_streams(spec, execution)
    return PresentationSchedule(
        1,
        config.chosen_lanes,
        config.batch_size,
        stream=config.stream,
        frames=data.frames if data.frames > 1 else None,
        learn_at=config.learn_at,
    )


def shown_rows(data: Dataset, x: Array, targets: OneHot | Array) -> tuple[Array, OneHot | Array]:
    """Return inputs and targets of every frame, those of a sample one after the other."""
    if data.frames == 1:
        return x, targets
    x = x.reshape(-1, data.inputs)
    if isinstance(targets, OneHot):
        return x, OneHot(np.repeat(targets.labels, data.frames), targets.shape[1], targets.dtype)
    return x, np.repeat(targets, data.frames, axis=0)


def scored(scores: Scores, data: Dataset, readout: Readout) -> Scores:
    """Return the scores of data that may be sequences."""
    if data.frames == 1:
        return scores
    return SequenceScores(scores, data.frames, readout, data.task == "classes")


def read_out(
    sink: Sink, schedule: PresentationSchedule, samples: IntArray, targets: OneHot | Array
) -> None:
    """Score the sequences of a run from the outputs of their frames.

    Parameters
    ----------
    sink : Sink
        Keeps the outputs; afterwards the registers ``predicted`` and ``outputs`` begin with those
        of the read-out, a row per sample.
    schedule : PresentationSchedule
    samples : int array
        In the order in which they were shown.
    targets : array, shape (samples F, n)
        Of every frame of all samples.
    """
    scores, frames = sink.scores, schedule.frames
    if frames is None or not isinstance(scores, SequenceScores):
        return
    m = sink.memory
    # Place k of the run has shown this place of the samples, frame by frame.
    shown = schedule.rows(np.arange(len(samples)))
    outputs: AnyArray = np.empty((len(shown), m["outputs"].shape[1]))
    outputs[shown] = m["outputs"][: len(shown)]
    by_frame = outputs.reshape(len(samples), frames, -1)
    read = scores.add_sequences(m["scores"], by_frame, targets[np.asarray(samples) * frames])
    m["outputs"][: len(samples)] = read
    m["predicted"][: len(samples)] = read.argmax(axis=1)


def check_sequences(data: Dataset, execution: Execution, config: TrainingConfig) -> None:
    """Raise where frames cannot be shown one after the other.

    Raises
    ------
    UnsupportedError
        With the reason.
    """
    if data.frames == 1:
        return
    if execution.clock == "async":
        why = "need the clock: without it nobody knows when a frame ends. Try: --clock sync"
        raise UnsupportedError(f"sequences: {why}")
    if execution.precision == "loihi2" and config.learn_at == "end":
        why = "precision loihi2 learns from one frame at a time. Try: --learn-at frame or last"
        raise UnsupportedError(f"sequences: {why}")
    if execution.backend != "numpy":
        why = f"backend {execution.backend} shows no frames. Try: --backend numpy"
        raise UnsupportedError(f"sequences: {why}")
