"""Losses per sample, one file each; what registers itself has a name.

Every file here is imported.
"""

from __future__ import annotations

import importlib
import pkgutil

from lava_dyads.errors import invalid, nearest
from lava_dyads.rules.losses.base import LOSSES, Loss, register
from lava_dyads.rules.losses.binary_cross_entropy import BinaryCrossEntropy
from lava_dyads.rules.losses.cross_entropy import CrossEntropy
from lava_dyads.rules.losses.huber import Huber
from lava_dyads.rules.losses.squared_error import SquaredError

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = [
    "LOSSES", "BinaryCrossEntropy", "CrossEntropy", "Huber", "Loss", "SquaredError", "loss",
    "register",
]  # fmt: skip


def loss(name: str) -> Loss:
    """Return the loss of a name, with its option where one is given (``huber:2``).

    Raises
    ------
    ValidationError
        If there is none (the message suggests the nearest names), or the option is wrong.

    Examples
    --------
    >>> loss("huber:0.5").delta
    0.5
    """
    kind, given, value = name.partition(":")
    if kind not in LOSSES:
        invalid("loss", "unknown name", name, nearest(kind, LOSSES))
    made = LOSSES[kind]
    if not given:
        return made
    option = made.option
    if not option:
        invalid("loss", f"{kind} has no option", name, kind)
    try:
        number = float(value)
    except ValueError:
        invalid("loss", f"{kind}:{option} needs a number", name, f"{kind}:1")
    return type(made)(**{option: number})
