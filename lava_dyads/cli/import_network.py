"""``lava-dyads import``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from lava_dyads.cli.common import (
    OK,
    ActivationName,
    LossName,
    RuleName,
    Sizes,
    console,
    print_json,
)
from lava_dyads.errors import invalid
from lava_dyads.interop import import_network
from lava_dyads.networks import Graph


@dataclass(frozen=True, kw_only=True)
class Import:
    """Make a checkpoint of a network that another framework has trained; say what became of it.

    The end of the file's name tells the format: .onnx, .nir, .net; or weights alone in .pt,
    .safetensors or .npz, with a graph or the sizes of a chain beside them. Nothing in a file is
    executed. What has no place in a network of dyads is refused by its name.
    """

    path: Positional[Annotated[Path, arg(metavar="FILE")]]
    """File to read."""
    out: Path | None = None
    """Folder for its checkpoint.npz. Default: runs/ and the name of the file."""
    graph: Path | None = None
    """Of a file of weights: the TOML file that says what stands where; a node NAME takes the arrays
    NAME.weight and NAME.bias."""
    layers: Sizes = ()
    """Of a file of weights: sizes of a chain with input and output, e.g. 64,32,10."""
    activation: ActivationName = "relu"
    """Activation of the hidden layers of --layers."""
    rates: bool = False
    """Read IF neurons of NIR as relus, which is what their rates are at constant currents."""
    loss: Annotated[str | None, LossName] = None
    """Loss with which it is to go on learning. Default: what its read-out says, else cross-entropy
    of several outputs and squared-error of one."""
    rule: RuleName = "dp-transpose"
    """Rule by which it is to go on learning."""
    overwrite: bool = False
    """Replace a checkpoint that is there."""
    json: bool = False
    """Print one JSON object instead of a report."""

    def run(self) -> int:
        """Read, write and report; return the exit code."""
        folder = Path("runs") / self.path.stem if self.out is None else self.out
        target = folder / "checkpoint.npz"
        if target.exists() and not self.overwrite:
            invalid("--out", "holds a checkpoint", str(folder), "--overwrite, or another folder")
        made = import_network(
            self.path,
            graph=None if self.graph is None else Graph.load(self.graph),
            layers=self.layers,
            activation=self.activation,
            rates=self.rates,
            loss=self.loss or "",
            rule=self.rule,
        )
        folder.mkdir(parents=True, exist_ok=True)
        made.checkpoint.save(target)
        if self.json:
            print_json({"file": str(self.path), "checkpoint": str(target), **made.as_dict()})
            return OK
        console().print(str(made), markup=False, highlight=False, soft_wrap=True)
        console().print(f"wrote   {target}", markup=False, highlight=False, soft_wrap=True)
        return OK
