"""Figures without a window, and how they become files."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from lava_dyads.errors import ValidationError, invalid
from lava_dyads.files import AnyPath, as_path, check_writable, reason, write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = {
    ".png": "png", ".pdf": "pdf", ".svg": "svg", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"
}  # fmt: skip
"""Formats of pictures by the ends of their files' names."""


def canvas(width: float, height: float) -> Figure:
    """Return an empty figure of that size, in inches.

    To be called before anything is imported from matplotlib.
    """
    _import_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def picture_format(what: str, path: AnyPath) -> str:
    """Return the format that a file's name ends with.

    Raises
    ------
    ValidationError
        If it ends with none that is known.
    """
    path = as_path(what, path)
    if path.suffix.lower() not in FORMATS:
        hint = f"{path.with_suffix('.png')}" if path.name else "graph.png"
        invalid(what, f"pictures end in {', '.join(FORMATS)}", str(path), hint)
    return FORMATS[path.suffix.lower()]


def check_picture(what: str, path: AnyPath) -> Path:
    """Return a path; raise where its picture could not be written at the end of a long run.

    Raises
    ------
    ValidationError
        If the name ends with no known format, or the file could not be written.
    """
    picture_format(what, path)
    return check_writable(what, path)


def save(figure: Figure, path: AnyPath) -> None:
    """Write a figure into a file of the format that its name ends with, atomically."""
    kind, buffer = picture_format("picture", path), io.BytesIO()
    with warnings.catch_warnings():
        # Names are the user's: a sign that the font lacks is a box, and no reason to speak.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="overflow encountered")  # see below
        try:
            figure.savefig(buffer, format=kind, dpi=130)
        except (ArithmeticError, ValueError) as error:  # numbers beyond its coordinates
            why = f"picture {path}: cannot be drawn ({reason(error)}). Try: smaller numbers"
            raise ValidationError(why) from error
    write_atomically(path, buffer.getvalue())


def finished(figure: Figure, path: AnyPath | None) -> Figure:
    """Return a figure, written into a file where there is to be one."""
    if path is not None:
        save(figure, path)
    return figure


def verbatim(name: str) -> str:
    """Return a user's text for matplotlib: a formula between dollars is no formula here."""
    return name.replace("$", r"\$")


def _import_matplotlib() -> None:
    """Import matplotlib, whatever window the environment asks for: none is opened here."""
    if "matplotlib" in sys.modules:
        return
    asked = os.environ.pop("MPLBACKEND", None)  # a name it does not know ends its import
    try:
        matplotlib = importlib.import_module("matplotlib")
    finally:
        if asked is not None:
            os.environ["MPLBACKEND"] = asked
    if asked:
        with contextlib.suppress(ValueError):
            matplotlib.rcParams["backend"] = asked
