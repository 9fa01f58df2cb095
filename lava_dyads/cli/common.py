"""What the commands share: option groups, output, exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, make_dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, get_type_hints

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lava_dyads.choices import Backend, Clock, Coding, Granularity, Precision, Runtime
from lava_dyads.errors import invalid
from lava_dyads.executors.latency import LATENCIES
from lava_dyads.executors.schedules import ORDERS
from lava_dyads.executors.transport import SHARES, Faults, Transport
from lava_dyads.files import plain
from lava_dyads.networks.node_graph import Graph
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import AUTO, Execution
from lava_dyads.options import meanings, options
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.rules.binary import BINARY, FLOAT
from lava_dyads.rules.feedback import FEEDBACK
from lava_dyads.rules.losses import LOSSES
from lava_dyads.rules.nudges import NUDGES
from lava_dyads.rules.optimisers import OPTIMISERS, Optimiser
from lava_dyads.rules.units import BASELINES, RULES, rule

OK, FAILED, BAD_INPUT = 0, 1, 2
"""Exit codes: done, a check did not hold or a run failed, bad input, Ctrl-C."""


def _sizes(arguments: list[str]) -> tuple[int, ...]:
    text = arguments[0].strip()
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise ValueError(
            f"needs whole numbers with commas between, e.g. 128,64 (got {text!r})"
        ) from None


Sizes = Annotated[
    tuple[int, ...],
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="N,N,...",
        instance_from_str=_sizes,
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda value: [",".join(str(n) for n in value)],
    ),
]
"""Layer sizes as 128,64; an empty text for none."""


def _names(registry: Iterable[str]) -> Any:
    """Show the registered names in the help; the specification checks them."""
    return tyro.conf.arg(metavar="{" + ",".join(registry) + "}")


ActivationName = Annotated[str, _names(ACTIVATIONS)]
LossName = Annotated[str, _names(LOSSES)]
FeedbackName = Annotated[str, _names(FEEDBACK)]
WeightsName = Annotated[str, _names((FLOAT, *BINARY))]
RuleName = Annotated[str, _names((*RULES, *BASELINES))]
LatencyName = Annotated[str, _names(LATENCIES)]
NudgeName = Annotated[str, _names(NUDGES)]
OrderName = Annotated[str, _names((*ORDERS, "async"))]
OptimiserName = Annotated[str, _names(OPTIMISERS)]


Groups = Mapping[str, tuple[str, ...]]
"""Options that the help shows together, in order, by title, see ``cli.grouping``; "": first."""


@dataclass(frozen=True, kw_only=True)
class ExecutionOptions:
    """How a network is run; ``lava-dyads info`` prints what is supported."""

    groups: ClassVar[Groups] = {
        "execution": ("granularity", "clock", "precision", "runtime", "backend")
    }

    granularity: Granularity | None = None
    """One fused process (network), a process per layer and connection (layer), or one per neuron.
    Default: network (clock async: layer)."""
    clock: Clock = "sync"
    """Synchronous steps or asynchronous messages."""
    precision: Precision = "float"
    """Floating point or Loihi 2 integers."""
    runtime: Runtime | None = None
    """Lava's own runtime, Lava's processes in one OS process, or the numpy reference engine.
    Default: the first that the network, the options and this machine support (clock async:
    in-process before lava)."""
    backend: Backend = "numpy"
    """Array library of the runtime reference: numpy, or jax, which compiles whole presentations
    (extra jax)."""

    def request(self) -> Execution:
        """Return the combination as it was asked for; what was not is left open."""
        granularity, runtime = self.granularity or AUTO, self.runtime or AUTO
        return Execution(granularity, self.clock, self.precision, runtime, self.backend)


@dataclass(frozen=True, kw_only=True)
class TransportOptions:
    """How asynchronous messages travel (``--clock async --runtime in-process``)."""

    groups: ClassVar[Groups] = {
        "message": ("latency", "message_seed", "coding", "drop", "delay", "duplicate", "reorder",
                    "flip", "noise", "max_deliveries", "trace", "ledger")
    }  # fmt: skip

    latency: LatencyName = "exponential"
    """Latency model of every channel, mean 1."""
    message_seed: int = 0
    """Of latencies and faults; the same seed gives the same run."""
    coding: Coding = "change"
    """What a message carries: the change of an entry, or its new value; robust: values with check
    bits, and what was not understood is sent again."""
    drop: float = 0.0
    """Share of the messages that get lost."""
    delay: float = 0.0
    """Share that takes some 50 latencies longer."""
    duplicate: float = 0.0
    """Share that arrives twice."""
    reorder: float = 0.0
    """Share that waits until another message has overtaken it."""
    flip: float = 0.0
    """Share with one bit of its 24 flipped."""
    noise: float = 0.0
    """Share with 10 % of noise."""
    max_deliveries: int | None = None
    """Messages for one presentation after which it counts as not settling; default: a million, or
    50 per weight where that is more."""
    trace: Path | None = None
    """File (.npz) for who sent what to whom and when; with a raster plot beside it (.png)."""

    ledger: Path | None = None
    """File (.npz) for what every neuron held, answered and said last, and what was learnt:
    lava-dyads check settled checks it."""

    def transport(self, execution: Execution) -> Transport | None:
        """Return the transport of messages, checked; None where nothing travels.

        Raises
        ------
        ValidationError
            If an option is out of range, or set where there are no such messages.
        """
        simulated = execution.clock == "async" and execution.runtime == "in-process"
        default = TransportOptions()
        for f in fields(TransportOptions):
            value = getattr(self, f.name)
            if not simulated and value != getattr(default, f.name):
                invalid(
                    f"--{f.name.replace('_', '-')}",
                    "needs simulated messages",
                    value,
                    "--clock async --runtime in-process --granularity neuron",
                )
        if not simulated:
            return None
        shares = {name: getattr(self, name) for name in SHARES}
        return Transport(
            self.latency,
            self.message_seed,
            self.coding,
            faults=Faults(**shares),
            max_deliveries=self.max_deliveries,
        )


def _asked(owners: Mapping[str, Any], name: str) -> tuple[str, Any, None]:
    """Return a field for an option that some objects have; None: as each has it by default."""
    kinds = [get_type_hints(type(owner))[name] for owner in owners.values()]
    texts = [str(getattr(owner, name)) for owner in owners.values()]
    usual = max(texts, key=texts.count)
    others = [f"{n}: {t}" for n, t in zip(owners, texts, strict=True) if t != usual]
    default = f"default: {usual}" + (f" ({', '.join(others)})" if others else "")
    meaning = meanings(type(next(iter(owners.values()))))[name]
    whose = f" (of {' and '.join(owners)})" if len(owners) <= 2 else ""
    text = f"{meaning}{whose}; {default}."
    kind = kinds[0].__name__.upper()
    shown = tyro.conf.arg(help=text, metavar=kind, help_behavior_hint="")
    return name, Annotated[kinds[0] | None, shown], None


def options_of(registry: Mapping[str, Any], title: str, shared: Collection[str] = ()) -> type:
    """Return a dataclass of the options that objects have, but for shared ones; all are open."""
    owners: dict[str, dict[str, Any]] = {}
    for key, chosen in registry.items():
        for name in (name for name in options(chosen) if name not in shared):
            owners.setdefault(name, {})[key] = chosen
    made = [_asked(whose, name) for name, whose in owners.items()]
    return make_dataclass(title, made, frozen=True, kw_only=True)


if TYPE_CHECKING:

    @dataclass(frozen=True, kw_only=True)
    class RuleOptions:
        """The options of all rules."""

        beta: float | None

    @dataclass(frozen=True, kw_only=True)
    class OptimiserOptions:
        """The options of all optimisers, but for those that every one has."""

else:
    RuleOptions = options_of(RULES, "RuleOptions")
    _EVERY = {name: chosen() for name, chosen in OPTIMISERS.items()}
    OptimiserOptions = options_of(_EVERY, "OptimiserOptions", options(Optimiser))


def given_of(command: Any, kind: type[Any]) -> dict[str, Any]:
    """Return those options of a kind that were given to a command."""
    values = {f.name: getattr(command, f.name) for f in fields(kind)}
    return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class NetworkOptions(RuleOptions):
    """The network of neurons; the sizes are each command's own."""

    groups: ClassVar[Groups] = {
        "network": ("loss", "nudge", "feedback", "density", "weight_format", "gain",
                    "compartment_noise", "graph"),
        "rule_specific": tuple(f.name for f in fields(RuleOptions)),
    }  # fmt: skip

    activation: ActivationName = "relu"
    """Activation of the hidden layers."""
    loss: LossName = ""
    """Loss of the output; empty: the rule's own, cross-entropy but for spiking."""
    rule: RuleName = "dp-transpose"
    """How neurons learn; ``lava-dyads info`` has a line on each."""
    nudge: NudgeName = ""
    """Output nudge; empty: the rule's own."""
    feedback: FeedbackName = "tied"
    """Feedback weights: B = W^T (tied), constant (random), or learnt apart (kolen_pollack)."""
    density: float = 1.0
    """Share of the neurons below that each neuron has a synapse from, in (0, 1]."""
    weight_format: WeightsName = FLOAT
    """Weights are numbers (float), or one bit each, learnt by the straight-through estimator (ste)
    or by AdaSTE."""
    gain: float | None = None
    """Initial weights have deviation gain / sqrt(n_in); default: sqrt(2) for relu, 1 for tanh and
    linear, less for branches of more than two residual blocks."""
    compartment_noise: float = 0.0
    """Standard deviation of analog noise on the compartments, in units of the activity."""
    graph: Path | None = None
    """TOML file with a network on a graph (docs/graphs.md), in the place of layers."""
    seed: int = 0
    """Of the random numbers."""

    def spec(self, layers: tuple[int, ...], **others: Any) -> NetworkSpec:
        """Return the specification, checked."""
        if self.graph is None:
            given: dict[str, Any] = {"layers": layers, "activations": self.activation}
        else:
            given = {"graph": self._graph(self.graph)}
        return NetworkSpec(
            loss=self.loss,
            rule=rule(self.rule, given_of(self, RuleOptions)),
            **given,
            nudge=self.nudge,
            gain=self.gain,
            feedback=self.feedback,
            density=self.density,
            weight_format=self.weight_format,
            compartment_noise=self.compartment_noise,
            seed=self.seed,
            **others,
        )

    def _graph(self, path: Path) -> Graph:
        """Return the graph of a file; what it says itself cannot be said beside it."""
        for f in fields(self):
            if f.name in ("layers", "all_layers", "activation", "density"):
                value = getattr(self, f.name)
                if value != f.default:
                    option = f"--{f.name.replace('_', '-')}"
                    what = {"activation": "activations", "density": "densities"}.get(
                        f.name, "layers"
                    )
                    limit = f"with --graph the {what} are those of its nodes"
                    invalid(option, limit, value, "to leave it out")
        return Graph.load(path)


def console(quiet: bool = False) -> Console:
    """Return the console for people: standard output, or nothing with ``--json``."""
    return Console(quiet=quiet, highlight=False, soft_wrap=True, markup=False, emoji=False)


def progress_console() -> Console:
    """Return the console for progress bars, on standard error."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


@contextmanager
def working(begin: str = "") -> Iterator[Callable[[str], None]]:
    """Show what is being done on standard error; the block calls what it is given to say so."""
    with progress_console().status(Text(begin)) as status:
        yield lambda what: status.update(Text(what))


def print_json(result: Mapping[str, Any]) -> None:
    """Print exactly one JSON object; what JSON cannot say (nan, inf) becomes null."""
    sys.stdout.write(json.dumps(plain(result), indent=2, allow_nan=False) + "\n")


def release(package: str) -> str:
    """Return the version of a package, or that it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def result_table(title: str, rows: Mapping[str, object]) -> Table:
    """Return a two-column table."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(name, f"{value:.6g}" if isinstance(value, float) else str(value))
    return table
