"""``lava-dyads train``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text
from tyro.conf import Positional, arg

from lava_dyads.checks import check_fields
from lava_dyads.cli.common import (
    OK,
    ExecutionOptions,
    Groups,
    NetworkOptions,
    OptimiserName,
    OptimiserOptions,
    Sizes,
    TransportOptions,
    console,
    given_of,
    plain,
    print_json,
    progress_console,
    release,
    result_table,
)
from lava_dyads.data import Dataset, load
from lava_dyads.errors import CheckpointError, invalid, message
from lava_dyads.networks import AXES, Execution, NetworkSpec
from lava_dyads.options import label, options
from lava_dyads.training import (
    Checkpoint,
    History,
    Interval,
    RunDirectory,
    RunState,
    Trainer,
    TrainingConfig,
)
from lava_dyads.training.checks import SETTLED, check_learns
from lava_dyads.training.origin import check_unchanged, recalled, remembered

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Train(NetworkOptions, OptimiserOptions, ExecutionOptions, TransportOptions):
    """Train a network on a data set and write a run directory.

    The test accuracy is that of the last epoch, never the best one.
    """

    groups: ClassVar[Groups] = {
        "": ("layers", "rule", "activation", "epochs", "batch_size", "optimiser", "learning_rate",
             "seed", "out"),
        "rule_specific": (),
        "network": ("threshold", "error_threshold", "anneal", "bias_deviation", "repeats"),
        "training": ("repeats_per_batch", "lanes", "lr_schedule", "weight_decay", "decay",
                     "split_seed", "test_share", "dtype", "skip_error", "no_count"),
        "optimiser_specific": tuple(f.name for f in fields(OptimiserOptions)),
        "run": ("overwrite", "profile", "no_save", "checkpoint_every", "resume", "json"),
    }  # fmt: skip

    dataset: Positional[Annotated[str, arg(metavar="DATASET")]]
    """Name (digits, mnist, fashion-mnist), or path to an .npz file with arrays x and labels."""
    layers: Sizes = (256, 128)
    """Sizes of the hidden layers."""
    threshold: float = 0.0
    """Send-on-change threshold of the mean (times beta for differences)."""
    error_threshold: float | None = None
    """Send-on-change threshold of differences, in units of beta; default: that of the mean."""
    bias_deviation: float = 0.0
    """Of the initial biases; images with a black background want some (docs/convolution.md)."""
    anneal: float = 0.0
    """Time constant, in steps, with which the threshold falls; 0: it stays."""
    repeats: int | None = None
    """Round trips after the first sweep; default: 20 time constants where the threshold is
    annealed, 0 where one sweep is exact, else 8."""
    epochs: int = 30
    """Passes over the training part."""
    batch_size: int | None = None
    """Samples per update. Default: 32 (precision loihi2: 1)."""
    repeats_per_batch: int = 1
    """Updates per batch, one after the other."""
    lanes: int | None = None
    """Samples side by side; default: the batch size."""
    optimiser: OptimiserName | None = None
    """Local optimiser of every weight. Default: adam (precision loihi2: sgd)."""
    learning_rate: float | None = None
    """Default: 0.001 (adam), 0.05 (momentum), 0.1 (sgd), precision loihi2: 1/64, falling."""
    lr_schedule: Literal["constant", "linear"] = "constant"
    """Course of the learning rate over all epochs; linear: it falls to 0."""
    weight_decay: float = 0.0
    """Decoupled weight decay, in units of the learning rate."""
    decay: float | None = None
    """Share lost per update by weights and by the feedback that learns beside them. Default: 0
    (kolen_pollack: 0.0003; with precision loihi2: 2^-15, falling)."""
    seed: int = 0
    """Of the initial weights and of the order of the samples."""
    split_seed: int = 0
    """Of the stratified split into training and test part; mnist has an official one."""
    test_share: float = 0.25
    """Share of the test part, where it is drawn."""
    dtype: Literal["float64", "float32"] = "float64"
    """Floating point numbers of precision float."""
    skip_error: float = 0.0
    """Output error below which a sample is left out of the backward half."""
    no_count: bool = False
    """Do not count events and operations while training; the final costs are counted anyway."""
    out: Path | None = None
    """Run directory; default: runs/DATASET-RULE-TIME."""
    overwrite: bool = False
    """Replace an earlier run in the run directory."""
    profile: bool = False
    """Show time per ProcessModel and traffic per kind of channel (in-process runtime)."""
    no_save: bool = False
    """Write no run directory."""
    checkpoint_every: str = "epoch"
    """How often the state of the run is kept, to go on from it after an interruption: epoch, a
    number of batches (200) or of seconds (30s); after every epoch in any case."""
    resume: Path | None = None
    """Go on with the interrupted run of this run directory, to the same weights; needs no other
    option and takes none that differs."""
    json: bool = False
    """Print one JSON object instead of a table."""

    @classmethod
    def begins_from(cls, words: list[str]) -> Train | None:
        """Return the options that a run began with, where it is to be resumed."""
        for i, word in enumerate(words):
            name, _, given = word.partition("=")
            path = given or "".join(words[i + 1 : i + 2])
            if name == "--resume" and path:
                begun = cls._resumed(Path(path))
                # A flag that is on could only be switched off, and not be said again.
                flags = (f.name for f in fields(cls) if getattr(begun, f.name) is True)
                off: dict[str, Any] = dict.fromkeys(flags, False)
                return replace(begun, **off)
        return None

    @classmethod
    def _resumed(cls, path: Path) -> Train:
        options: Any = RunDirectory.reopen(path).config.get("options")
        known = {f.name for f in fields(cls)}
        there = set(options) if isinstance(options, dict) else set()
        if "dataset" not in there or not there <= known:
            why = "was written by another version, which kept no options"
            raise CheckpointError(f"--resume: {path} {why}. Try: a new run")
        begun = cls(**options)
        check_fields(begun, f"--resume: config.json of {path}: ")
        return begun

    def _as_begun(self) -> Train:
        """Return the options the run began with; raise where one that was given differs."""
        assert self.resume is not None
        begun = self._resumed(self.resume)
        rooted = self._rooted()
        for f in fields(self):
            held, given = getattr(begun, f.name), getattr(rooted, f.name)
            same = held == given or (held is True and given is False)
            if f.name not in ("dataset", "resume", "json") and not same:
                option = f"--{f.name.replace('_', '-')}"
                hint = "the same, or leave it out"
                raise CheckpointError(message(option, f"the run began with {held}", given, hint))
        return replace(begun, dataset=self.dataset, resume=self.resume, json=self.json)

    def _rooted(self) -> Train:
        """Return the options with absolute paths: a run goes on from any folder."""
        options: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        paths = {name: path for name, path in options.items() if isinstance(path, Path)}
        return Train(**options | {name: path.absolute() for name, path in paths.items()})

    def run(self) -> int:
        """Train; return the exit code."""
        return self._as_begun()._run() if self.resume else self._run()

    def _run(self) -> int:
        every = Interval.parse(self.checkpoint_every)
        begun = RunDirectory.reopen(self.resume).config if self.resume else None
        data = self._data(begun)
        layers = (data.x.shape[1], *self.layers, data.classes)
        coding = {
            "threshold": self.threshold,
            "error_threshold": self.error_threshold,
            "anneal": self.anneal,
        }
        biases = self.bias_deviation
        if begun:  # its graph may be elsewhere by now
            spec = NetworkSpec.from_dict(begun.get("spec", {}))
        else:
            spec = self.spec(layers, repeats=self.repeats, bias_deviation=biases, **coding)
        on_chip = self.precision == "loihi2"
        config = TrainingConfig(
            epochs=self.epochs,
            batch_size=_or(self.batch_size, 1 if on_chip else 32),
            repeats_per_batch=self.repeats_per_batch,
            lanes=self.lanes,
            optimiser=_or(self.optimiser, "sgd" if on_chip else "adam"),
            optimiser_options=given_of(self, OptimiserOptions),
            learning_rate=self.learning_rate,
            lr_schedule=self.lr_schedule,
            weight_decay=self.weight_decay,
            decay=self.decay,
            split_seed=self.split_seed,
            test_share=self.test_share,
            seed=self.seed,
            dtype=self.dtype,
            skip_error=self.skip_error,
            counting=not self.no_count,
        )
        within = ("in-process",) if self.profile or self.trace or self.ledger else AXES["runtime"]
        execution, chosen = spec.choose(self.request(), within)
        check_learns(execution, config)
        transport = self.transport(execution)
        folder = self._folder(data)
        if self.profile and execution.runtime != "in-process":
            invalid("--profile", "needs the in-process runtime", execution.runtime,
                    "--runtime in-process")  # fmt: skip
        files: dict[str, Any] = {"trace": self.trace, "ledger": self.ledger}
        made = Trainer(spec, data, config, execution, transport, measure=self.profile, **files)
        with ExitStack() as claim, made as trainer:
            if chosen and not self.json:
                progress_console().print(chosen, markup=False, soft_wrap=True)
            state = folder.state if folder and self.resume else None
            if folder and not state:
                folder.begin(plain({
                    **remembered(self.dataset, trainer.data_checksum, folder.path),
                    "spec": spec.as_dict(),
                    "training": asdict(trainer.config),
                    "execution": asdict(execution),
                    "options": {
                        **asdict(self._rooted()), **asdict(execution), "resume": None
                    },
                }))  # fmt: skip
            if folder:
                claim.enter_context(folder.claimed())
            try:
                if folder and state:
                    self._go_on(trainer, folder, state)
                self._fit(trainer, folder, every)
                result = summarise(trainer, execution)
            except KeyboardInterrupt:
                hint = [f"to go on: lava-dyads train --resume {folder.path}"] if folder else []
                raise KeyboardInterrupt(*hint) from None
            if self.profile:
                result["profile"] = profile(trainer)
            if folder:
                self._save(trainer, folder, result)
                result["out"] = str(folder.path)
        if self.trace:
            self._draw(self.trace)
        if self.json:
            print_json(result)
        else:
            self._print(result)
        return OK

    def _data(self, begun: Mapping[str, Any] | None) -> Dataset:
        """Return the data; those of a run that goes on have to be as they were."""
        if begun is None:
            return load(self.dataset)
        assert self.resume is not None
        if self.dataset != begun.get("dataset"):  # they have been moved
            data = load(self.dataset)
            check_unchanged(begun, data, self.dataset)
            return data
        return recalled(begun, self.resume, f"lava-dyads train FILE --resume {self.resume}")

    def _draw(self, path: Path) -> None:
        from lava_dyads.plots import raster
        from lava_dyads.runtime import Trace

        raster(Trace.load(path), path.with_suffix(".png"))

    def _folder(self, data: Dataset) -> RunDirectory | None:
        if self.resume:
            return RunDirectory.reopen(self.resume)
        if self.no_save:
            return None
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S-%f")[:-3]
        return RunDirectory(
            self.out or Path("runs") / f"{data.name}-{self.rule}-{stamp}", self.overwrite
        )

    def _go_on(self, trainer: Trainer, folder: RunDirectory, state: RunState) -> None:
        """Restore the trainer and the files of the run from a state."""
        trainer.restore(state)
        done = trainer.history.epochs
        folder.add_metrics(*(plain(entry) for entry in done))
        if done and not trainer.position:
            self._checkpoint(trainer, folder)
        out = progress_console()
        at = f"after {len(done)} of {self.epochs} epochs"
        at += f" and {trainer.position:,} samples" if trainer.position else ""
        out.print(f"resumed {at}")
        other = state.other_machine
        for why in filter(None, (trainer.inexact, other)):
            note = ": the last bits may differ from those of a run in one go: "
            out.print(Text.assemble(("note", "bold"), note, why))

    def _fit(self, trainer: Trainer, folder: RunDirectory | None, every: Interval) -> None:
        rows = len(trainer.train_rows) * self.repeats_per_batch
        columns = (
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("test accuracy {task.fields[accuracy]}"),
            TimeElapsedColumn(),
        )
        progress = Progress(*columns, console=progress_console(), transient=True)
        total = rows * self.epochs
        with progress:
            task = progress.add_task("", total=total, epoch=1, accuracy="-")

            def on_progress(done: int) -> None:
                finished = len(trainer.history.epochs) * rows
                progress.update(task, completed=min(finished + done, total))

            def on_epoch(entry: dict[str, float]) -> None:
                if folder:
                    folder.add_metrics(plain(entry))
                    self._checkpoint(trainer, folder)
                progress.update(
                    task,
                    epoch=min(self.epochs, int(entry["epoch"]) + 1),
                    accuracy=f"{entry['test_accuracy']:.4f}",
                )

            def on_checkpoint() -> None:
                assert folder is not None
                folder.keep(trainer.state())

            trainer.fit(on_epoch, on_progress, on_checkpoint if folder else None, every)

    def _checkpoint(self, trainer: Trainer, folder: RunDirectory) -> None:
        """Write the trainer's present weights."""
        with folder.writing():
            made = Checkpoint.of(trainer, self.dataset, folder.path)
            made.save(folder.path / "checkpoint.npz")

    def _save(self, trainer: Trainer, folder: RunDirectory, result: dict[str, Any]) -> None:
        from lava_dyads.plots import learning_curve

        spec = trainer.spec
        title = f"{self.dataset}: {label(spec.rule)}"
        with folder.writing():
            learning_curve(trainer.history, title, folder.path / "learning_curve.png")
        folder.finish(plain(result))

    def _print(self, result: dict[str, Any]) -> None:
        out = console()
        running_on = {
            "lava": f"Lava {release('lava-nc')}, its own runtime",
            "in-process": f"Lava {release('lava-nc')}, in-process runtime",
            "reference": "the numpy reference engine",
        }[result["runtime"]]
        measured = result.pop("profile", None)
        out.print(result_table(f"{self.dataset} on {running_on}", result))
        if measured:
            for title, rows in measured.items():
                out.print(result_table(title, rows))
        if result["settled"] is False:
            said = (
                f": the network did not settle (residual {result['residual']:.2g}): its updates "
                "are not the gradient. Try: --rule dp-transpose with --alpha 0 or 1, or more "
                "--repeats"
            )
            progress_console().print(Text.assemble(("warning", "bold"), said))


def _or(given: T | None, default: T) -> T:
    """Return the given value, be it 0 or empty, or the default."""
    return default if given is None else given


def profile(trainer: Trainer) -> dict[str, dict[str, str | float]]:
    """Return seconds per ProcessModel class and traffic per kind of channel, largest first."""
    usage = trainer.usage()
    seconds: dict[str, float] = {}
    for whose, spent in usage.seconds.items():
        model = whose[whose.rindex("(") + 1 : -1]
        seconds[model] = seconds.get(model, 0.0) + spent
    traffic: dict[str, list[int]] = {}
    for channel in usage.channels:
        # A layer's neurons are one end here: population_1.7.mean_out is population_1.mean_out.
        ends = [re.sub(r"\.\d+\.", ".", end) for end in (channel.source, channel.target)]
        sums = traffic.setdefault(" -> ".join(ends), [0, 0, 0])
        for i, amount in enumerate((channel.messages, channel.events, channel.operations)):
            sums[i] += amount
    names = ("messages", "events", "operations")
    slowest = sorted(seconds, key=lambda model: -seconds[model])
    return {
        "seconds in ProcessModels": {model: seconds[model] for model in slowest},
        "traffic": {
            name: ", ".join(f"{n:,} {word}" for n, word in zip(sums, names, strict=True) if n)
            for name, sums in sorted(traffic.items(), key=lambda item: -item[1][1])
            if any(sums)
        },
    }


def summarise(trainer: Trainer, execution: Execution) -> dict[str, Any]:
    """Return the report of a training run; costs are those of the trained network."""
    history: History = trainer.history
    last, spec = history.epochs[-1], trainer.spec
    epochs = len(history.epochs)
    cost = trainer.cost()
    # Counts have no rest, so a spiking network has no residual.
    spiking = cost.spikes is not None
    residual = None if spiking else max(history.column("train_residual"))
    seconds = trainer.train_seconds
    return {
        "dataset": trainer.data.name,
        "layers": list(spec.layers),
        "rule": spec.rule.name,
        **options(spec.rule),
        "feedback": spec.feedback,
        "weight_format": spec.weight_format,
        "decay": trainer.config.decay,
        **asdict(execution),
        "epochs": epochs,
        "test_accuracy": last["test_accuracy"],
        "test_loss": last["test_loss"],
        "train_accuracy": last["train_accuracy"],
        "train_loss": last["train_loss"],
        "train_seconds": seconds,
        "samples_per_second": last["train_samples"] * epochs / seconds,
        "events_per_sample": cost.events,
        "spikes_per_sample": cost.spikes,
        "synops_per_sample": cost.operations,
        "synops_vs_backprop": cost.operations / cost.dense,
        "synops_vs_zero_skipping": cost.operations / cost.zero_skipping,
        "residual": residual,
        "settled": None if residual is None else residual <= SETTLED,
        "straddling": last["train_straddling"],
        **drifts(history),
        "seed": spec.seed,
        "split_seed": trainer.config.split_seed,
    }


def drifts(history: History) -> dict[str, dict[str, list[float]]]:
    """Return drift and angle of separate feedback weights per layer, over the epochs."""
    found: dict[str, dict[str, list[float]]] = {}
    for name in history.epochs[0]:
        kind, _, layer = name.rpartition("_")
        if kind in ("feedback_drift", "feedback_angle"):
            found.setdefault(kind, {})[layer] = history.column(name)
    return found
