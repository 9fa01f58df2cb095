"""A run: a training that is recorded in a folder, and goes on after an interruption."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from lava_dyads.checks import Count, check_fields
from lava_dyads.data import Dataset, load
from lava_dyads.errors import CheckpointError, invalid, message, nearest
from lava_dyads.executors.transport import Transport
from lava_dyads.files import AnyPath, plain
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import Execution
from lava_dyads.starts import told
from lava_dyads.training.best import Best
from lava_dyads.training.checks import check_learns
from lava_dyads.training.config import TrainingConfig
from lava_dyads.training.costs import Profile, profile_of
from lava_dyads.training.environment import environment
from lava_dyads.training.files import Checkpoint, RunDirectory
from lava_dyads.training.origin import check_unchanged, remembered
from lava_dyads.training.progress import watched
from lava_dyads.training.replicas.config import Replicas
from lava_dyads.training.replicas.trainer import ReplicaTrainer
from lava_dyads.training.reporting import Reporter, RunContext, RunResult
from lava_dyads.training.resume import Interval, RunState
from lava_dyads.training.stopping import EarlyStopping
from lava_dyads.training.summary import summarise
from lava_dyads.training.trainer import Trainer

if TYPE_CHECKING:
    from typing_extensions import Unpack


class RunOptions(TypedDict, total=False):
    """The options of :func:`run`, see there."""

    out: AnyPath | None
    overwrite: bool
    resume: AnyPath | None
    epochs: int | None
    checkpoint_every: str
    transport: Transport | None
    trace: AnyPath | None
    ledger: AnyPath | None
    profile: bool
    stopping: EarlyStopping | None
    keep_best: str
    replicas: Replicas | None
    reporters: Sequence[Reporter] | None
    dataset: str
    options: Mapping[str, Any] | None


def run(
    spec: NetworkSpec,
    data: Dataset | AnyPath,
    config: TrainingConfig | None = None,
    execution: Execution | None = None,
    **options: Unpack[RunOptions],
) -> RunResult:
    """Train a network, and keep a record of it that it can go on from.

    Parameters
    ----------
    spec : NetworkSpec
    data : Dataset, str or path
        A name or a file is remembered, so that later commands find the data again; of an object
        there is a checksum alone.
    config : TrainingConfig or None
    execution : Execution or None
    out : str, path or None
        Run directory to write; None: none, and nothing is kept.
    overwrite : bool
        Replace an earlier run in it.
    resume : str, path or None
        Run directory of an interrupted run with the same arguments, to go on from its last state
        to the same weights, bit by bit.
    epochs : int or None
        Epochs there are in all when it ends, where these are others than the configuration's: to
        go on beyond them. Needs a learning rate that does not fall over the configured ones.
    checkpoint_every : str
        How often the state is kept within an epoch: ``epoch`` (not at all), a number of batches
        (``200``) or of seconds (``30s``).
    transport, trace, ledger
        As for :class:`Trainer`.
    profile : bool
        Measure time per ProcessModel and traffic per channel, in-process.
    stopping : EarlyStopping or None
        When it ends before the last epoch, and whether it then takes the best one.
    keep_best : str
        A metric, ``test_accuracy`` for one: the network of its best epoch is kept as best.npz.
    replicas : Replicas or None
        Several that learn the network together, see there.
    reporters : sequence of Reporter, or None
        Who is told how it goes. None: a bar at a terminal or in a notebook.
    dataset : str
        Name or file to remember, where ``data`` is an object that came from there.
    options : mapping or None
        Options of a command line to keep in config.json, for those that read it.

    Returns
    -------
    RunResult

    Raises
    ------
    ValidationError
        If something does not fit, or the folder holds another run.
    CheckpointError
        If there is nothing to resume, or it was another run.
    DivergedError
        As for :meth:`Trainer.fit`.

    Examples
    --------
    >>> spec, config = NetworkSpec((64, 16, 10)), TrainingConfig(epochs=2)
    >>> result = run(spec, "digits", config, Execution(runtime="reference"))
    >>> len(result.history.epochs), result.folder
    (2, None)
    """
    given: dict[str, Any] = {**options}
    known = [f.name for f in fields(_Run) if f.name not in _POSITIONAL]
    for name in given.keys() - known:
        invalid(f"run.{name}", "unknown option", given[name], nearest(name, known))
    if not isinstance(data, Dataset):
        data = load(data)
    given["dataset"] = given.get("dataset") or data.source
    config, execution = config or TrainingConfig(), execution or Execution()
    return _Run(spec, data, config, execution, **given).carry_out()


_POSITIONAL = ("spec", "data", "config", "execution")


@dataclass(frozen=True)
class _Run:
    """The arguments of :func:`run`, checked, and what it does with them."""

    spec: NetworkSpec
    data: Dataset
    config: TrainingConfig
    execution: Execution
    out: Path | None = None
    overwrite: bool = False
    resume: Path | None = None
    epochs: Count | None = None
    checkpoint_every: str = "epoch"
    transport: Transport | None = None
    trace: Path | None = None
    ledger: Path | None = None
    profile: bool = False
    stopping: EarlyStopping | None = None
    keep_best: str = ""
    replicas: Replicas | None = None
    reporters: Sequence[Reporter] | None = None
    dataset: str = ""
    options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_fields(self, "run.")

    @cached_property
    def listeners(self) -> Sequence[Reporter]:
        """Who is told."""
        return watched() if self.reporters is None else self.reporters

    @cached_property
    def folder(self) -> RunDirectory | None:
        """The run directory."""
        if self.resume is not None:
            return RunDirectory.reopen(self.resume)
        return None if self.out is None else RunDirectory(self.out, self.overwrite)

    @cached_property
    def last(self) -> int:
        """Epochs there are in all when it ends."""
        return self.epochs or self.config.epochs

    def carry_out(self) -> RunResult:
        """Do it."""
        every = Interval.parse(self.checkpoint_every)
        check_learns(self.execution, self.config)
        folder = self.folder
        with told(self._note), self._trainer() as trainer, contextlib.ExitStack() as claim:
            state = folder.state if folder and self.resume else None
            record = self._record(trainer)
            if folder and not state:
                if self.resume:  # no state was kept that would say so
                    check_unchanged(folder.config, self.data, self.dataset)
                folder.begin(record)
            if folder:
                claim.enter_context(folder.claimed())
            with self._told(trainer, record) as done:
                best = Best(trainer, self.stopping, self.keep_best, folder)
                resumed = self._go_on(trainer, folder, state, best) if folder and state else ()
                for line in filter(None, (*self.data.told, trainer.chosen, *resumed)):
                    self._note(line)
                self._fit(trainer, every, best)
                result = self._result(trainer, best)
                done.append(result)
            if folder:
                folder.finish(result.table)
        return result

    def _trainer(self) -> Trainer:
        if self.replicas:
            for name in ("transport", "trace", "ledger", "profile"):
                if getattr(self, name):
                    limit = "is of one network in one process, and there are replicas"
                    invalid(f"run.{name}", limit, getattr(self, name), "to leave it out")
            made = self.spec, self.data, self.config, self.execution, self.replicas
            return ReplicaTrainer(*made)
        return Trainer(
            self.spec,
            self.data,
            self.config,
            self.execution,
            self.transport,
            trace=self.trace,
            measure=self.profile,
            ledger=self.ledger,
        )

    def _record(self, trainer: Trainer) -> dict[str, Any]:
        """Return what config.json holds."""
        where = self.folder.path if self.folder else Path()
        made: dict[str, Any] = plain({
            **remembered(self.dataset, trainer.data_checksum, where, self.data.reading),
            "spec": self.spec.as_dict(),
            "training": asdict(trainer.config),
            "execution": asdict(trainer.execution),
            "transport": self.transport and asdict(self.transport),
            "epochs": self.epochs,
            "stopping": self.stopping and asdict(self.stopping),
            "keep_best": self.keep_best,
            "replicas": self.replicas and asdict(self.replicas),
            "environment": environment(),
            "options": self.options,
        })  # fmt: skip
        return made

    @contextlib.contextmanager
    def _told(self, trainer: Trainer, record: Mapping[str, Any]) -> Iterator[list[RunResult]]:
        """Tell reporters of beginning and end; the block puts its result into the list."""
        rows = trainer.epoch_size
        folder = self.folder.path if self.folder else None
        name = self.dataset or self.data.name
        context = RunContext(trainer, name, folder, self.last, rows, record)
        done: list[RunResult] = []
        begun: list[Reporter] = []
        try:
            for reporter in self.listeners:
                begun.append(reporter)
                reporter.on_begin(context)
            yield done
        except KeyboardInterrupt:
            hint = [f"to go on: {self._way_on}"] if folder else []
            raise KeyboardInterrupt(*hint) from None
        finally:
            for reporter in begun:
                reporter.on_end(done[0] if done else None)

    @property
    def _way_on(self) -> str:
        """What resumes an interrupted run."""
        assert self.folder is not None
        path = str(self.folder.path)
        return f"lava-dyads train --resume {path}" if self.options else f"run(..., resume={path!r})"

    def _note(self, text: str) -> None:
        for reporter in self.listeners:
            reporter.on_note(text)

    def _go_on(
        self, trainer: Trainer, folder: RunDirectory, state: RunState, best: Best
    ) -> tuple[str, ...]:
        """Restore the trainer and the files of the run from a state; return what to say of it."""
        held, now = folder.config.get("stopping"), self.stopping and plain(asdict(self.stopping))
        if held != now:
            text = message("stopping", f"the run began with {held}", now, "the same")
            raise CheckpointError(text)
        trainer.restore(state)
        done = trainer.history.epochs
        folder.add_metrics(*(plain(entry) for entry in done))
        if done and not trainer.position:
            self._checkpoint(trainer)
            best.look(self._present)
        at = f"after {len(done)} of {self.last} epochs"
        at += f" and {trainer.position:,} samples" if trainer.position else ""
        bits = "note: the last bits may differ from those of a run in one go: "
        reasons = filter(None, (trainer.inexact, state.other_machine))
        return f"resumed {at}", *(f"{bits}{why}" for why in reasons)

    def _fit(self, trainer: Trainer, every: Interval, best: Best) -> None:
        rows = trainer.epoch_size
        total, shown, folder = rows * self.last, [0], self.folder

        def on_progress(done: int) -> None:
            # Tests count from 0, too: what has been shown never becomes less.
            shown[0] = max(shown[0], min(len(trainer.history.epochs) * rows + done, total))
            for reporter in self.listeners:
                reporter.on_progress(shown[0], total)

        def on_epoch(entry: dict[str, float]) -> bool:
            if folder:
                folder.add_metrics(plain(entry))
                self._checkpoint(trainer)
            best.look(self._present)
            for reporter in self.listeners:
                reporter.on_epoch(entry)
            return bool(best.why())

        def on_checkpoint() -> None:
            assert folder is not None
            folder.keep(trainer.state())

        kept = on_checkpoint if folder else None
        if trainer.position or not best.why():  # it may have been interrupted after that
            trainer.fit(on_epoch, on_progress, kept, every, self.epochs)
        if len(trainer.history.epochs) < self.last:
            self._note(f"stopped after {len(trainer.history.epochs)} epochs: {best.why()}")
        if best.restore():
            self._note(f"back to the network of epoch {best.epoch}, the best by {best.metric}")
            if folder:
                self._checkpoint(trainer, best.epoch)

    def _checkpoint(self, trainer: Trainer, epoch: int = 0) -> None:
        """Write the trainer's present weights."""
        assert self.folder is not None
        with self.folder.writing():
            self._present(trainer, epoch).save(self.folder.path / "checkpoint.npz")

    def _present(self, trainer: Trainer, epoch: int = 0) -> Checkpoint:
        """Return the present network; 0: of the last epoch."""
        made = Checkpoint.of(trainer, self.dataset, self.folder.path if self.folder else "")
        return replace(made, meta={**made.meta, "epochs": epoch}) if epoch else made

    def _result(self, trainer: Trainer, best: Best) -> RunResult:
        measured: Profile = profile_of(trainer.usage()) if self.profile else {}
        table: dict[str, Any] = plain({**summarise(trainer, best.taken), **best.told()})
        if self.profile:
            table["profile"] = measured
        checkpoint = self._present(trainer, best.taken)
        folder = self.folder.path if self.folder else None
        return RunResult(trainer.history, table, checkpoint, folder, measured)
