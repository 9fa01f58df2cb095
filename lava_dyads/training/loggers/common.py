"""What reporters for programs of others share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flat(record: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return the settings of a run by one name each, ``training.epochs`` for one.

    Examples
    --------
    >>> flat({"training": {"epochs": 3}, "dataset": "digits"})
    {'training.epochs': 3, 'dataset': 'digits'}
    """
    found: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{before}{name}.")
        elif value is not None:
            found[f"{before}{name}"] = value
    return found


def settings(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run was made with; not the options, which say it again."""
    return flat({name: value for name, value in record.items() if name != "options"})


def numbers(table: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a table of results."""
    return {n: v for n, v in table.items() if isinstance(v, int | float) and v is not True}
