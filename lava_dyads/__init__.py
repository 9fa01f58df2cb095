"""Networks whose every neuron is a dyad, on Intel Lava.

The names below are loaded when they are first used: ``import lava_dyads.rules`` and the help
of the command line do not pay for Lava.
"""

from __future__ import annotations

import importlib
from typing import Any

from lava_dyads import lava_compat as lava_compat  # repairs Lava before anything imports it

__version__ = "0.1.0"

_HOMES = {
    "lava_dyads.processes": (
        "Conductor",
        "DatasetSource",
        "Dyad",
        "DyadAveragePool",
        "DyadConv",
        "DyadConvFeedback",
        "DyadDense",
        "DyadDenseFeedback",
        "DyadMaxPool",
        "DyadNetwork",
        "DyadPlace",
        "DyadProduct",
        "LossHead",
        "MetricSink",
    ),
    "lava_dyads.models": ("EventModel",),
    "lava_dyads.runtime": (
        "DyadRunConfig",
        "Faults",
        "InProcessSession",
        "LavaSession",
        "Trace",
        "Transport",
        "in_process",
    ),
    "lava_dyads.networks": ("Execution", "Graph", "NetworkSpec", "Node", "describe"),
    "lava_dyads.training": ("Checkpoint", "Trainer", "TrainingConfig"),
    "lava_dyads.experiments": ("check_gradient",),
    "lava_dyads.data": ("Dataset", "load"),
    "lava_dyads.rules.clock": ("Agenda",),
    "lava_dyads.rules.optimisers": ("SGD", "Adam", "Momentum"),
    "lava_dyads.errors": (
        "DeadlockError",
        "DyadsError",
        "HangError",
        "ModelError",
        "ValidationError",
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'lava_dyads' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
