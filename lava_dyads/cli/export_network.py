"""``lava-dyads export``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from lava_dyads.choices import DType
from lava_dyads.cli.common import OK, console, print_json
from lava_dyads.errors import invalid
from lava_dyads.interop.writing import export_network
from lava_dyads.training import Checkpoint
from lava_dyads.training.files import checkpoint_file


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write what a trained network computes, in real numbers, for other frameworks.

    .onnx: all of it, with the scaling of inputs and targets; .safetensors: its weights and biases
    alone. For a chip, in integers: lava-dyads deploy.
    """

    checkpoint: Positional[Annotated[Path, arg(metavar="RUN")]]
    """A run directory, or its checkpoint.npz."""
    file: Positional[Annotated[Path, arg(metavar="FILE")]]
    """File to write: NAME.onnx or NAME.safetensors."""
    dtype: DType = "float32"
    """Of its numbers; not all that runs ONNX takes float64."""
    overwrite: bool = False
    """Replace a file that is there."""
    json: bool = False
    """Print one JSON object instead of the name of the file."""

    def run(self) -> int:
        """Write it; return the exit code."""
        if self.file.exists() and not self.overwrite:
            invalid("export", "there is such a file", str(self.file), "--overwrite")
        checkpoint = Checkpoint.load(checkpoint_file(self.checkpoint))
        made = export_network(checkpoint, self.file, dtype=self.dtype)
        if self.json:
            print_json({"checkpoint": str(self.checkpoint), "file": str(made)})
        else:
            console().print(str(made), markup=False, highlight=False, soft_wrap=True)
        return OK
