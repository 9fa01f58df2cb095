"""What faults of messages and analog noise do to gradient and accuracy, on digits."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from lava_dyads.choices import CODINGS, Coding
from lava_dyads.data import load
from lava_dyads.elements.clock import FROZEN
from lava_dyads.errors import NotSettledError, ValidationError, invalid, nearest
from lava_dyads.executors.step import Network
from lava_dyads.executors.transport import SHARES, Faults, Transport
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import Execution
from lava_dyads.training import Trainer, TrainingConfig

KILLED = "killed"
"""The fault that silences a share of the hidden neurons for good."""

ALL = "all"
"""All faults of messages at once, each with the share."""

KINDS = (*SHARES, ALL, KILLED)


@dataclass(frozen=True)
class FaultRow:
    """One kind of fault at one share.

    Attributes
    ----------
    fault : str
    share : float
        Of the messages, or of the hidden neurons.
    coding : str
        ``change``, ``value`` or ``robust``: what messages carry.
    cosine : float
        Of the gradient of 64 digits to that of backprop, after one clean epoch; mean over seeds.
    accuracy : float or None
        On the test part, trained and tested with the fault; mean over seeds. None if a run
        diverged or did not settle.
    cost : float or None
        Entries of messages on all channels in that training, repeated ones included, as a multiple
        of those without faults; None without numba, where nobody counts them.
    """

    fault: str
    share: float
    coding: Coding
    cosine: float
    accuracy: float | None
    cost: float | None


@dataclass(frozen=True)
class NoiseRow:
    """Analog noise on the compartments, at one nudge strength; as ``FaultRow``."""

    noise: float
    beta: float
    cosine: float
    accuracy: float | None


@dataclass(frozen=True)
class FaultStudy:
    """All rows, and the figures without any fault."""

    layers: list[int]
    epochs: int
    seeds: int
    clean_accuracy: float
    faults: list[FaultRow]
    noise: list[NoiseRow]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


def fault_study(
    *,
    hidden: tuple[int, ...] = (32,),
    kinds: Sequence[str] = KINDS,
    shares: Sequence[float] = (0.001, 0.01, 0.1),
    noises: Sequence[float] = (0.001, 0.01, 0.1),
    betas: Sequence[float] = (0.01, 0.1, 1.0),
    epochs: int = 3,
    seeds: int = 1,
    on_row: Callable[[str], None] | None = None,
) -> FaultStudy:
    """Train digits with every kind of fault, by messages of every coding.

    Message faults: granularity ``neuron``, clock ``async``, exponential latencies. Noise: the
    fused network, since it needs no messages.

    Parameters
    ----------
    hidden : tuple of int
        Sizes of the hidden layers.
    kinds : sequence of str
        Of ``KINDS``.
    shares : sequence of float
        In [0, 1].
    noises, betas : sequence of float
        Standard deviations in units of the activity; nudge strengths.
    epochs, seeds : int
    on_row : callable or None
        Called with the name of what runs next.

    Raises
    ------
    ValidationError
        If a kind is unknown or a share out of range.
    """
    for kind in kinds:
        if kind not in KINDS:
            invalid("fault", "unknown kind", kind, nearest(kind, KINDS))
    for share in shares:
        if not 0 <= share <= 1:
            invalid("share", "must lie in [0, 1]", share, "0.01")
    if epochs < 1 or seeds < 1:
        invalid("epochs, seeds", "must be at least 1", (epochs, seeds))
    tell = on_row or (lambda name: None)
    spec = NetworkSpec((64, *hidden, 10))
    study = _Study(spec, epochs, seeds)
    tell("without faults")
    clean, events = study.train(spec, NEURONS, lambda s: Transport(seed=s))
    faults = []
    for kind in kinds:
        for coding in CODINGS:
            for share in shares:
                tell(f"{kind} {share:g}, {coding}")
                cosine, accuracy, sent = study.measure(
                    spec,
                    NEURONS,
                    lambda s: _transport(kind, share, coding, hidden, s),  # noqa: B023
                )
                cost = sent / events if sent and events else None
                faults.append(FaultRow(kind, share, coding, cosine, accuracy, cost))
    noise_rows = []
    for beta in betas:
        for noise in noises:
            tell(f"noise {noise:g} at beta {beta:g}")
            noisy = replace(spec, beta=beta, compartment_noise=noise)
            cosine, accuracy, _ = study.measure(noisy, Execution(), None)
            noise_rows.append(NoiseRow(noise, beta, cosine, accuracy))
    return FaultStudy(list(spec.layers), epochs, seeds, clean or 0.0, faults, noise_rows)


NEURONS = Execution("neuron", "async", runtime="in-process")

MakeTransport = Callable[[int], Transport]
"""From a seed."""


class _Study:
    """Trains and compares with backprop, over some seeds."""

    def __init__(self, spec: NetworkSpec, epochs: int, seeds: int) -> None:
        self.data, self.epochs, self.seeds = load("digits"), epochs, seeds
        self._learnt = [self._clean_epoch(replace(spec, seed=s)) for s in range(seeds)]

    def measure(
        self, spec: NetworkSpec, execution: Execution, transport: MakeTransport | None
    ) -> tuple[float, float | None, int]:
        """Return mean cosine, mean accuracy and events of the training, see ``train``."""
        cosines = list(self._cosines(spec, execution, transport))
        return float(np.mean(cosines)), *self.train(spec, execution, transport)

    def train(
        self, spec: NetworkSpec, execution: Execution, transport: MakeTransport | None
    ) -> tuple[float | None, int]:
        """Return the mean test accuracy after training, and all entries of messages.

        No accuracy where a run failed; 0 entries where nobody counts them.
        """
        found, events = [], 0
        for seed in range(self.seeds):
            config = self._config(seed, self.epochs)
            made = transport(seed) if transport else None
            with Trainer(replace(spec, seed=seed), self.data, config, execution, made) as trainer:
                try:
                    found.append(trainer.fit().column("test_accuracy")[-1])
                except NotSettledError:
                    return None, 0
                with contextlib.suppress(ValidationError):
                    events += trainer.usage().events
        return float(np.mean(found)), events

    def _config(self, seed: int, epochs: int) -> TrainingConfig:
        # A short training, so a large rate.
        return TrainingConfig(epochs=epochs, learning_rate=0.01, seed=seed, split_seed=seed)

    def _clean_epoch(self, spec: NetworkSpec) -> tuple[Any, Any]:
        config = self._config(spec.seed, 1)
        with Trainer(spec, self.data, config, Execution(runtime="reference")) as trainer:
            trainer.fit()
            return trainer.parameters()

    def _cosines(
        self, spec: NetworkSpec, execution: Execution, transport: MakeTransport | None
    ) -> Iterator[float]:
        for seed, learnt in enumerate(self._learnt):
            config = TrainingConfig(batch_size=64, seed=seed, split_seed=seed)
            made = transport(seed) if transport else None
            with Trainer(replace(spec, seed=seed), self.data, config, execution, made) as trainer:
                trainer.network.set_parameters(*learnt)
                rows = trainer.train_rows[:64]
                trainer.run(rows, FROZEN)
                assert isinstance(trainer.network, Network)
                ours = _flat(trainer.network.gradients())
                x, y = trainer.source.x[rows], trainer.source.y[rows]
                oracle = spec.backpropagate(x, y, *learnt)
                exact = _flat(oracle.gradients())
            scale = float(np.linalg.norm(ours) * np.linalg.norm(exact))
            yield float(ours @ exact) / scale if scale else 0.0


def _flat(gradients: tuple[Any, Any]) -> Any:
    return np.concatenate([g.ravel() for part in gradients for g in part])


def _transport(
    kind: str, share: float, coding: Coding, hidden: tuple[int, ...], seed: int
) -> Transport:
    if kind != KILLED:
        shares: dict[str, Any] = dict.fromkeys(SHARES if kind == ALL else (kind,), share)
        return Transport(seed=seed, coding=coding, faults=Faults(**shares))
    names = [f"population_{k}.{i}" for k, n in enumerate(hidden, 1) for i in range(n)]
    generator = np.random.default_rng(seed)
    chosen = generator.permutation(names)[: round(share * len(names))].tolist()
    return Transport(seed=seed, coding=coding, faults=Faults(killed=tuple(chosen)))
