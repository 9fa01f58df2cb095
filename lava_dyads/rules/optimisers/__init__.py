"""Optimisers whose state is local to each weight, one file each; what registers itself has a name.

Every file here is imported.
"""

from __future__ import annotations

import importlib
import pkgutil

from lava_dyads.errors import invalid, nearest
from lava_dyads.rules.optimisers.adam import Adam
from lava_dyads.rules.optimisers.base import OPTIMISERS, Optimiser, register
from lava_dyads.rules.optimisers.chip import ChipSGD
from lava_dyads.rules.optimisers.momentum import Momentum
from lava_dyads.rules.optimisers.rls import RLS
from lava_dyads.rules.optimisers.sgd import SGD

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = [
    "OPTIMISERS", "RLS", "SGD", "Adam", "ChipSGD", "Momentum", "Optimiser", "optimiser", "register",
]  # fmt: skip


def optimiser(
    name: str,
    learning_rate: float | None = None,
    weight_decay: float = 0.0,
    decay: float = 0.0,
    horizon: int = 0,
) -> Optimiser:
    """Return an optimiser by name, with its own default learning rate if none is given.

    Raises
    ------
    ValidationError
        If the name is unknown or a parameter is out of range.
    """
    if name not in OPTIMISERS:
        invalid("optimiser", "unknown name", name, nearest(name, OPTIMISERS))
    cls = OPTIMISERS[name]
    rate = {} if learning_rate is None else {"learning_rate": learning_rate}
    return cls(**rate, weight_decay=weight_decay, decay=decay, horizon=horizon)
