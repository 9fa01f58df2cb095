"""Neuron rules, one file each. Every file here is imported, so that it can register itself."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from lava_dyads.checks import entries, taken
from lava_dyads.errors import invalid, nearest
from lava_dyads.options import with_options
from lava_dyads.rules.units.base import BASELINES, RULES, Rule, State, Unit, register

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["BASELINES", "RULES", "Rule", "State", "Unit", "register", "rule"]


def rule(
    chosen: str | Mapping[str, Any] | Rule,
    options: Mapping[str, Any] = MappingProxyType({}),
    owner: str = "",
) -> Rule:
    """Return a rule.

    Parameters
    ----------
    chosen : str, mapping or Rule
        Its name; its name and options, as files have them; or itself.
    options : mapping of str to object
        Those that differ.
    owner : str
        What an option's name is preceded by in messages.

    Raises
    ------
    ValidationError
        If there is none; the message suggests the nearest names. If an option is not one of its
        own, or out of range.

    Examples
    --------
    >>> rule("dp", {"alpha": 0.5})
    DualPropagation(beta=0.1, alpha=0.5)
    """
    if isinstance(chosen, Rule):
        return with_options(chosen, options, owner)
    if isinstance(chosen, Mapping):
        held = entries(chosen, f"{owner}rule", {"name": str})
        return rule(with_options(rule(held.pop("name")), held, f"{owner}rule."), options, owner)
    known, name = RULES | BASELINES, taken(chosen, str, f"{owner}rule")
    if name not in known:
        invalid("rule", "unknown name", name, nearest(name, known))
    return with_options(known[name], options, owner)
