"""Neuron rules, one file each. Every file here is imported, so that it can register itself."""

from __future__ import annotations

import importlib
import pkgutil

from lava_dyads.errors import invalid, nearest
from lava_dyads.rules.units.base import RULES, Rule, RuleParameters, State, Unit, register

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["RULES", "Rule", "RuleParameters", "State", "Unit", "register", "rule"]


def rule(name: str) -> Rule:
    """Return the rule of that name.

    Raises
    ------
    ValidationError
        If there is none; the message suggests the nearest names.
    """
    if name not in RULES:
        invalid("rule", "unknown name", name, nearest(name, RULES))
    return RULES[name]
