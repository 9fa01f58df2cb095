"""``lava-dyads deploy``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from rich import box
from rich.table import Table
from rich.text import Text
from tyro.conf import Positional, arg

from lava_dyads.array_types import IntArray
from lava_dyads.cli.common import (
    FAILED,
    OK,
    ActivationName,
    RuleName,
    Sizes,
    console,
    print_json,
)
from lava_dyads.data import Dataset
from lava_dyads.errors import CheckpointError, DataChangedError, DataError, invalid
from lava_dyads.experiments import Exported, Traffic, export, learning_rules, traffic
from lava_dyads.experiments.deployment import LearningRules, check_export
from lava_dyads.loihi import (
    Placement,
    SigmaDelta,
    calibrated,
    inference_spec,
    netx,
    place,
    sigma_delta,
)
from lava_dyads.networks import Execution, NetworkSpec
from lava_dyads.networks.checks import check_on_chip
from lava_dyads.rules.arithmetic import Loihi2
from lava_dyads.rules.arithmetic.limits import CORES
from lava_dyads.training import Checkpoint
from lava_dyads.training.checks import check_fit
from lava_dyads.training.files import checkpoint_file

CALIBRATION_ROWS = 5000
"""Training samples that decide on the chip's numbers."""


@dataclass(frozen=True, kw_only=True)
class Deploy:
    """Tell what a network would take on Loihi 2, and export it.

    Ends with exit code 1 where it does not fit. The limits of a core and what a register takes
    there are not verified; the table is a budget, and no compiler has seen it.
    """

    checkpoint: Positional[Annotated[Path | None, arg(metavar="RUN")]] = None
    """A run directory of ``lava-dyads train``, or its checkpoint.npz."""
    all_layers: Sizes = ()
    """Instead of it, sizes of all layers, e.g. 784,512,512,10; the network is not trained."""
    activation: ActivationName = "relu"
    """Activation of the hidden layers of --all-layers."""
    rule: RuleName = "dp-transpose"
    """Rule of --all-layers, where it learns."""
    beta: float | None = None
    """Nudge strength of --all-layers, where it learns. Default: 0.1."""
    chips: int = 1
    """Chips there are."""
    chip_cores: int = CORES.value
    """Usable neuro cores of a chip; papers quote 120 on some boards."""
    learning: bool = False
    """Count what learning on the chip takes: second compartments, feedback synapses, traces."""
    learning_rate: float | None = None
    """Rate of the first update, for the rule of the learning engine. Default: the smallest power of
    two from 1/64 on for which the engine has a rule."""
    export: tuple[Path, ...] = ()
    """Files to write: .net or .h5 for lava-dl (netx), .nir for NIR."""
    dataset: str | None = None
    """Other data than the network was trained on, to quantise and to count messages."""
    samples: int = 1000
    """Test samples on which messages are counted and exported files are compared."""
    device: Literal["cpu", "loihi2"] = "cpu"
    """loihi2 asks for Intel's extension of Lava."""
    json: bool = False
    """Print one JSON object instead of tables."""

    def run(self) -> int:
        """Place, count, export; return the exit code."""
        self._check()
        checkpoint = self._load()
        spec = checkpoint.spec if checkpoint else self._spec()
        if spec.graph is not None:
            invalid("deploy", "places chains of dense layers only", "a graph", "--all-layers")
        if any(op.mask is not None for op in spec.ops):
            invalid("deploy.density", "counts dense connections only", spec.density, "1")
        if self.learning:
            spec.check(Execution(precision="loihi2", runtime="reference"))
            check_on_chip(spec, Loihi2())
        else:
            inference_spec(spec)
        for path in self.export:
            check_export(path, spec.activations)
        placement = place(
            spec.layers, learning=self.learning, chips=self.chips, chip_cores=self.chip_cores
        )
        rules = None
        if self.learning:
            weights = checkpoint.weights if checkpoint else spec.initial_parameters()[0]
            rules = learning_rules(spec, weights, self.learning_rate)
        network, counted = None, None
        files: list[Exported] = []
        why = ""
        if checkpoint:
            try:
                data = self._data(checkpoint)
            except (CheckpointError, DataError) as error:
                changed = isinstance(error, DataChangedError)
                if changed or self.export or self.dataset is not None:
                    raise
                why = str(error)  # the worst case stands in the table
            else:
                network, counted, files = self._measure(checkpoint, data)
        result = self._result(spec, checkpoint, placement, rules, network, counted, files)
        if why:
            result["not_measured"] = why
        if self.json:
            print_json(result)
        else:
            self._print(placement, rules, counted, files)
            if why:
                console().print(f"messages not counted: {why}")
        same = all(file.same == file.samples for file in files)
        return OK if placement.fits and same else FAILED

    def _check(self) -> None:
        if self.device != "cpu":  # the runtime costs a second
            from lava_dyads.runtime import check_device

            check_device(self.device)
        if bool(self.checkpoint) == bool(self.all_layers):
            got = str(self.checkpoint) if self.checkpoint else "neither"
            hint = "lava-dyads deploy RUN, or lava-dyads deploy --all-layers 784,512,10"
            invalid("deploy", "needs a run directory or --all-layers, one of them", got, hint)
        self._refuse_unheeded()
        if self.samples < 1:
            invalid("--samples", "must be at least 1", self.samples, "1000")

    def _refuse_unheeded(self) -> None:
        """Raise where an option is set that would change nothing."""
        needs = {
            "export": (self.checkpoint, "a trained network", "lava-dyads deploy RUN --export FILE"),
            "dataset": (self.checkpoint, "a trained network", "lava-dyads deploy RUN"),
            "samples": (self.checkpoint, "a trained network", "lava-dyads deploy RUN"),
            "activation": (self.all_layers, "--all-layers: a run has its own", ""),
            "rule": (self.all_layers, "--all-layers: a run has its own", ""),
            "beta": (self.all_layers, "--all-layers: a run has its own", ""),
            "learning_rate": (self.learning, "--learning", ""),
        }
        default = Deploy()
        for name, (there, what, hint) in needs.items():
            got = getattr(self, name)
            if got != getattr(default, name) and not there:
                got = str(got[0]) if isinstance(got, tuple) else got
                invalid(f"--{name.replace('_', '-')}", f"needs {what}", got, hint)

    def _load(self) -> Checkpoint | None:
        if self.checkpoint is None:
            return None
        return Checkpoint.load(checkpoint_file(self.checkpoint)).shown()

    def _spec(self) -> NetworkSpec:
        given: dict[str, Any] = {} if self.beta is None else {"beta": self.beta}
        return NetworkSpec(self.all_layers, self.activation, rule=self.rule, **given)

    def _data(self, checkpoint: Checkpoint) -> Dataset:
        assert self.checkpoint is not None
        folder = checkpoint_file(self.checkpoint).parent
        other = self.dataset
        data = checkpoint.data(folder) if other is None else checkpoint.other_data(other)
        data = data.prepared()
        check_fit(checkpoint.spec, data)
        return data

    def _measure(
        self, checkpoint: Checkpoint, data: Dataset
    ) -> tuple[SigmaDelta, Traffic, list[Exported]]:
        """Quantise, count messages, export."""
        parameters = checkpoint.weights, checkpoint.biases
        train, _, test = data.parts(**checkpoint.split)
        train, test = train[:CALIBRATION_ROWS], test[: self.samples]
        network = sigma_delta(checkpoint.spec, *parameters, data.x[train])
        if self.learning:
            counted = self._nudged(checkpoint, data, train, test)
        else:
            counted = traffic(network.spec, network.numbers, network.parameters, data, test)
        files = [export(path, network, data.x[test]) for path in self.export]
        return network, counted, files

    def _nudged(
        self, checkpoint: Checkpoint, data: Dataset, train: IntArray, test: IntArray
    ) -> Traffic:
        """Count the messages of dyads that learn."""
        spec, parameters = checkpoint.spec, (checkpoint.weights, checkpoint.biases)
        targets = data.taught(spec.layers[-1])[train]
        back: dict[str, Any] = {"feedback_weights": checkpoint.feedback}
        numbers = calibrated(spec, *parameters, data.x[train], targets, **back)
        return traffic(spec, numbers, parameters, data, test, learning=True, **back)

    def _result(
        self,
        spec: NetworkSpec,
        checkpoint: Checkpoint | None,
        placement: Placement,
        rules: LearningRules | None,
        network: SigmaDelta | None,
        counted: Traffic | None,
        files: list[Exported],
    ) -> dict[str, Any]:
        result: dict[str, Any] = {
            "checkpoint": self.checkpoint,
            "sizes": list(spec.layers),
            "device": self.device,
            **placement.as_dict(),
            "messages_per_sample": counted.total if counted else None,
            "measured": asdict(counted) if counted else None,
        }
        if rules:
            result["learning_rate"] = rules.learning_rate
            result["learning_rules"] = rules.rules
        if checkpoint and network:
            result["trained_in"] = checkpoint.meta.get("precision", "float")
            result["weight_exponents"] = list(network.exponents)
            result["message_fractions"] = list(network.fractions)
        result["exports"] = [asdict(file) for file in files]
        return result

    def _print(
        self,
        placement: Placement,
        rules: LearningRules | None,
        counted: Traffic | None,
        files: list[Exported],
    ) -> None:
        out = console()
        table = _table(placement, counted)
        # A network of many layers goes beyond the edge: cut off, numbers would be wrong.
        out.width = max(out.width, table.__rich_measure__(out, out.options.update(width=9999))[1])
        out.print(table)
        used = ", ".join(map(str, placement.cores_per_chip[: placement.chips]))
        each = f"of {placement.chip_cores} cores"
        out.print(
            f"1 chip: {used} {each}" if placement.chips == 1 else f"chips: {used} {each} each"
        )
        if placement.chips_needed and placement.chips_needed > placement.chips:
            out.print(f"it would take {placement.chips_needed} chips")
        for violation in placement.violations:
            out.print(Text.assemble(("does not fit", "bold"), f": {violation}"))
        for k, rule in enumerate(rules.rules if rules else (), 1):
            out.print(f"layer {k} learns by: dw = {rule}")
        if rules:
            out.print(f"  at learning rate {rules.learning_rate:g}")
        if counted:
            words = f"{counted.accuracy:.4f} on {counted.samples} test samples, in integers"
            out.print(f"accuracy: {words}")
        for file in files:
            out.print(
                f"{file.path} ({file.format}): read back, {file.same} of {file.samples} "
                "predictions the same"
            )
            if file.format == "netx":
                out.print(f"  lava-dl reads it with {netx.READER.format(str(file.path))}")
        out.print("Limits of a core are not verified: see docs/loihi.md.")


_SHORT = {
    "compartments": "neurons",
    "synapse_bytes": "synapses",
    "bytes": "memory",
    "input_axons": "axons in",
    "output_axons": "axons out",
}


def _table(placement: Placement, counted: Traffic | None) -> Table:
    """Return a table with a column per layer."""
    layers, sent = placement.layers, counted.layers if counted else ()
    shares = placement.shares
    names = {name: name for name in ("neurons", "cores", "compartments", "synapses")}
    names |= {"input_axons": "axons in", "output_axons": "axons out"}
    rows = {
        title: [
            "",
            *(f"{getattr(layer, name):,}" for layer in layers),
            f"{placement.total(name):,}",
            f"{100 * shares[name]:.1f} %" if name in shares else "",
        ]
        for name, title in names.items()
    }
    kilobytes = [n / 1024 for n in (*(layer.synapse_bytes for layer in layers),
                                    placement.total("synapse_bytes"))]  # fmt: skip
    share = f"{100 * shares['synapse_bytes']:.1f} %"
    rows["synaptic KB"] = ["", *(f"{n:,.1f}" for n in kilobytes), share]
    worst = [placement.input_messages, *(layer.messages for layer in layers), placement.messages]
    rows["messages, most"] = [*(f"{n:,}" for n in worst), ""]
    if counted:
        rows["  counted"] = [f"{n:,.1f}" for n in (counted.input, *sent, counted.total)] + [""]
    fullest = [layer.load.fullest for layer in layers]
    rows["fullest core"] = ["", *(f"{100 * share:.1f} %" for _, share in fullest), "", ""]
    rows["  by its"] = ["", *(_SHORT[what] for what, _ in fullest), "", ""]
    chips = "1 chip" if placement.chips == 1 else f"{placement.chips} chips"
    columns = ["", "input", *(layer.name for layer in layers), "all", f"of {chips}"]
    if placement.learning:
        columns.insert(-2, "loss")
        for cells in rows.values():
            cells.insert(-2, "")
        rows["messages, most"][-3] = f"{placement.loss_messages:,}"
        if counted:
            rows["  counted"][-3] = f"{counted.loss:,.1f}"
    kind = "learning" if placement.learning else "inference"
    title = f"Loihi 2, {kind}; messages per sample"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table
