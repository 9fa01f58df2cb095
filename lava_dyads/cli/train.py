"""``lava-dyads train``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import Annotated, Any, ClassVar, TypeVar

from rich.text import Text
from tyro.conf import Positional, arg

from lava_dyads.checks import check_fields
from lava_dyads.choices import RUNTIMES, ClassWeight, DType, LearnAt, LogName, LrSchedule, Readout
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
    print_json,
    progress_console,
    release,
    result_table,
)
from lava_dyads.cli.config_file import options_of_file
from lava_dyads.cli.data_options import DataOptions
from lava_dyads.data import Dataset, read_as
from lava_dyads.errors import CheckpointError, invalid, message
from lava_dyads.networks import NetworkSpec
from lava_dyads.plots import LearningCurve
from lava_dyads.reports import report
from lava_dyads.studies.job import Job
from lava_dyads.training import EarlyStopping, RunDirectory, TrainingConfig, run
from lava_dyads.training.checks import check_learns
from lava_dyads.training.loggers import logger
from lava_dyads.training.origin import check_unchanged, recalled
from lava_dyads.training.progress import EpochLines, ProgressBar
from lava_dyads.training.replicas.config import Replicas, Shards, Topology
from lava_dyads.training.reporting import Reporter, RunContext
from lava_dyads.training.run import RunOptions
from lava_dyads.training.tasks import fitting

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Train(NetworkOptions, OptimiserOptions, DataOptions, ExecutionOptions, TransportOptions):
    """Train a network on a data set and write a run directory.

    The test accuracy is that of the last epoch, never the best one.
    """

    groups: ClassVar[Groups] = {
        "": ("layers", "rule", "activation", "epochs", "batch_size", "optimiser", "learning_rate",
             "seed", "out"),
        "rule_specific": (),
        "network": ("threshold", "error_threshold", "anneal", "bias_deviation", "repeats"),
        "training": ("repeats_per_batch", "lanes", "lr_schedule", "weight_decay", "decay",
                     "class_weight", "no_scale_targets",
                     "split_seed", "test_share", "validation_share", "dtype", "skip_error",
                     "no_count", "alone", "learn_at", "readout"),
        "optimiser_specific": tuple(f.name for f in fields(OptimiserOptions)),
        "parallel": ("replicas", "topology", "every", "late", "lost", "shards", "scheduler"),
        "stopping": ("patience", "stop_metric", "keep_best"),
        "run": ("overwrite", "profile", "no_save", "checkpoint_every", "resume", "log", "report",
                "config", "json"),
    }  # fmt: skip

    dataset: Positional[Annotated[str, arg(metavar="DATASET")]]
    """Name (digits, mnist, fashion-mnist), a table (.csv, .tsv, .parquet), arrays (.npz, .npy,
    .h5), or a folder of pictures or of event files by class."""
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
    """Local optimiser of every weight. Default: adam (precision loihi2: sgd; replicas that
    gossip: momentum)."""
    learning_rate: float | None = None
    """Default: 0.001 (adam), 0.05 (momentum), 0.1 (sgd), precision loihi2: 1/64, falling."""
    lr_schedule: LrSchedule = "constant"
    """Course of the learning rate over all epochs; linear: it falls to 0."""
    class_weight: ClassWeight = "none"
    """balanced: show the rows of rare classes more often, so that all classes count alike."""
    no_scale_targets: bool = False
    """Show real values as they are, and not less their mean in units of their deviation."""
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
    validation_share: float = 0.0
    """Share of the training part that is not learned from but measured after every epoch."""
    dtype: DType = "float64"
    """Floating point numbers of precision float."""
    skip_error: float = 0.0
    """Output error below which a sample is left out of the backward half."""
    no_count: bool = False
    """Do not count events and operations while training; the final costs are counted anyway."""
    alone: bool = False
    """Of recordings: show each frame by itself, from zero. Learns the same, costs more."""
    learn_at: LearnAt | None = None
    """Of recordings: every frame teaches, and weights learn after the last one (end) or after every
    frame; or the last one teaches alone. Default: end (precision loihi2: last)."""
    readout: Readout = "last"
    """Of recordings: the outputs of the last frame, or their mean over the frames."""
    replicas: int = 1
    """Networks that learn one together: sums of their gradients, each of a part of the batch, give
    what one would learn; with --topology each learns alone and they combine (docs/replicas.md)."""
    topology: Topology = ""
    """Who hears whom: replicas gossip, in a ring or all with all. The batch size is then that of
    each."""
    every: int = 1
    """Updates between two exchanges of replicas that gossip."""
    late: float = 0.0
    """Share of their messages that arrive one exchange later."""
    lost: float = 0.0
    """Share of their messages that never arrive."""
    shards: Shards = "drawn"
    """Whose samples are whose: drawn, or two slices of the classes each (classes)."""
    scheduler: str = ""
    """Where replicas are: workers of Dask on this machine (local) or at an address; default: in
    this process, one after the other."""
    patience: int | None = None
    """End once --stop-metric has not become better for so many epochs, and go back to the best one;
    default: all epochs, and the last one."""
    stop_metric: str = ""
    """Metric of the epochs that --patience watches; default: validation_loss where there is
    --validation-share, else train_loss. One of the test part fits the number of epochs to it."""
    keep_best: str = ""
    """Metric (test_accuracy) whose best epoch is kept as best.npz beside the last one; default:
    that of --patience."""
    log: tuple[LogName, ...] = ()
    """Write the metrics of each epoch as csv, tensorboard, mlflow or wandb, too."""
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
    config: Path | None = None
    """Take options from a file (TOML or JSON, by name), or from an earlier run; those beside it
    count before them."""
    report: bool = False
    """Write report.html, too: curve, confusion, errors and costs on one page."""
    json: bool = False
    """Print one JSON object instead of a table."""

    @classmethod
    def begins_from(cls, words: list[str]) -> Train | None:
        """Return the options of a run that is to be resumed, or of a --config."""
        for i, word in enumerate(words):
            name, _, given = word.partition("=")
            path = given or "".join(words[i + 1 : i + 2])
            if name in ("--resume", "--config") and path:
                begun = cls._resumed(Path(path)) if name == "--resume" else cls._of(Path(path))
                # A flag that is on could only be switched off, and not be said again.
                flags = (f.name for f in fields(cls) if getattr(begun, f.name) is True)
                off: dict[str, Any] = dict.fromkeys(flags, False)
                return replace(begun, **off)
        return None

    @classmethod
    def _of(cls, path: Path) -> Train:
        """Return the options of a --config; a data set that it does not name is left open."""
        options = options_of_file(path, {f.name for f in fields(cls)})
        made = cls(**{"dataset": "", **options, "config": path})
        check_fields(made, f"--config: {path}: ")
        return made

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
        if self.resume:
            return self._as_begun()._run()
        if self.config is not None:
            held = self._of(self.config)
            flags: dict[str, Any] = {
                f.name: True for f in fields(self) if getattr(held, f.name) is True
            }
            return replace(self, **flags, config=None)._run()
        return self._run()

    def _run(self) -> int:
        begun = RunDirectory.reopen(self.resume).config if self.resume else None
        data = self._data(begun)
        job, chosen = self.job(data, self._network(data, begun))
        result = run(
            job.spec,
            data,
            job.config,
            job.execution,
            **job.run,
            out=self._out(data),
            overwrite=self.overwrite,
            resume=self.resume,
            reporters=self._reporters(chosen),
        )
        if self.trace:
            self._draw(self.trace)
        if self.report and result.folder:
            report(result.folder)
        told = {**result.table, **({"out": str(result.folder)} if result.folder else {})}
        if self.json:
            print_json(told)
        else:
            self._print(told)
        return OK

    def job(self, data: Dataset, spec: NetworkSpec | None = None) -> tuple[Job, str]:
        """Return what is run, apart from where it is kept; and what was chosen, in a line."""
        spec, config = spec or self._network(data, None), self._training(data)
        within = ("in-process",) if self.profile or self.trace or self.ledger else RUNTIMES
        if self.replicas > 1:
            within = ("reference",)
        execution, chosen = spec.choose(self.request(), within)
        check_learns(execution, config)
        transport = self.transport(execution)
        if self.profile and execution.runtime != "in-process":
            invalid("--profile", "needs the in-process runtime", execution.runtime,
                    "--runtime in-process")  # fmt: skip
        more: RunOptions = {
            "checkpoint_every": self.checkpoint_every,
            "transport": transport,
            "trace": self.trace,
            "ledger": self.ledger,
            "profile": self.profile,
            "stopping": self._stopping(),
            "keep_best": self.keep_best,
            "replicas": self._replicas(),
            "dataset": self.dataset,
            "options": {**asdict(self._rooted()), **asdict(execution), "resume": None},
        }
        return Job(spec, data, config, execution, more), chosen

    def _network(self, data: Dataset, begun: Mapping[str, Any] | None) -> NetworkSpec:
        if begun:  # its graph may be elsewhere by now
            return NetworkSpec.from_dict(begun.get("spec", {}))
        spec = self.spec(
            (data.inputs, *self.layers, data.outputs),
            repeats=self.repeats,
            bias_deviation=self.bias_deviation,
            threshold=self.threshold,
            error_threshold=self.error_threshold,
            anneal=self.anneal,
        )
        return spec if self.loss else fitting(spec, data)

    def _training(self, data: Dataset) -> TrainingConfig:
        on_chip = self.precision == "loihi2"
        return TrainingConfig(
            epochs=self.epochs,
            batch_size=_or(self.batch_size, 1 if on_chip else 32),
            repeats_per_batch=self.repeats_per_batch,
            lanes=self.lanes,
            # Each replica's own units of Adam would pull towards its own classes.
            optimiser=_or(
                self.optimiser, "sgd" if on_chip else "momentum" if self.topology else "adam"
            ),
            optimiser_options=given_of(self, OptimiserOptions),
            learning_rate=self.learning_rate,
            lr_schedule=self.lr_schedule,
            weight_decay=self.weight_decay,
            decay=self.decay,
            class_weight=self.class_weight,
            scale_targets=not self.no_scale_targets,
            split_seed=self.split_seed,
            test_share=self.test_share,
            validation_share=self.validation_share,
            seed=self.seed,
            dtype=self.dtype,
            skip_error=self.skip_error,
            counting=not self.no_count,
            stream=data.frames > 1 and not self.alone,
            learn_at=self.learn_at or ("last" if on_chip and data.frames > 1 else "end"),
            readout=self.readout,
        )

    def _reporters(self, chosen: str) -> list[Reporter]:
        """Return who is told: of what was chosen, of progress, and what draws the curve."""
        there: list[Reporter] = [] if self.json or not chosen else [_Chosen(chosen)]
        there += [ProgressBar(progress_console()), LearningCurve(), *map(logger, self.log)]
        if not (self.json or sys.stdout.isatty()):  # into a file, where a bar is none
            there.append(EpochLines(console().print, notes=False))
        elif self.json and not sys.stderr.isatty():
            there.append(EpochLines(progress_console().print, notes=False))
        return there

    def _replicas(self) -> Replicas | None:
        """Return how several networks learn one; None: there is one."""
        options = ("topology", "every", "late", "lost", "shards", "scheduler")
        given = {name: getattr(self, name) for name in options}
        if self.replicas != 1:
            return Replicas(self.replicas, seed=self.seed, **given)
        for name, value in given.items():
            if value != getattr(Replicas, name):
                invalid(f"--{name}", "needs several replicas", value, "--replicas 4")
        return None

    def _stopping(self) -> EarlyStopping | None:
        if self.patience is None:
            return None
        return EarlyStopping(self.stop_metric, self.patience)

    def _data(self, begun: Mapping[str, Any] | None) -> Dataset:
        """Return the data; those of a run that goes on have to be as they were."""
        if begun is None:
            return read_as(self.dataset, self.reading())
        assert self.resume is not None
        if self.dataset != begun.get("dataset"):  # they have been moved
            data = read_as(self.dataset, self.reading())
            check_unchanged(begun, data, self.dataset)
            return data
        return recalled(begun, self.resume, f"lava-dyads train FILE --resume {self.resume}")

    def _draw(self, path: Path) -> None:
        from lava_dyads.plots import raster
        from lava_dyads.runtime import Trace

        raster(Trace.load(path), path.with_suffix(".png"))

    def _out(self, data: Dataset) -> Path | None:
        if self.resume or self.no_save:
            return None
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S-%f")[:-3]
        return self.out or Path("runs") / f"{data.name}-{self.rule}-{stamp}"

    def _print(self, result: dict[str, Any]) -> None:
        out = console()
        running_on = {
            "lava": f"Lava {release('lava-nc')}, its own runtime",
            "in-process": f"Lava {release('lava-nc')}, in-process runtime",
            "reference": "the numpy reference engine",
        }[result["runtime"]]
        measured = result.pop("profile", None)
        scores = [name for name in result if name.startswith("test_") and name != "test_loss"]
        asked = [name for name in (*scores, "train_seconds", "out") if name in result]
        rows = {name: result[name] for name in asked} | result  # what is asked first stands first
        out.print(result_table(f"{self.dataset} on {running_on}", rows))
        if measured:
            for title, rows in measured.items():
                out.print(result_table(title, rows))
        if "out" in result:
            out.print(f"for new rows: lava-dyads predict {quote(result['out'])} FILE")
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


class _Chosen(Reporter):
    """Says what was chosen, once the run can begin."""

    def __init__(self, chosen: str) -> None:
        self._chosen = chosen

    def on_begin(self, run: RunContext) -> None:
        progress_console().print(self._chosen, markup=False, soft_wrap=True)
