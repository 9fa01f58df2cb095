"""Options of a command from a file, TOML or JSON, or from an earlier run."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from lava_dyads.errors import ValidationError, invalid, nearest
from lava_dyads.files import read_whole, reason
from lava_dyads.networks.node_graph import toml_tables
from lava_dyads.training.files import MARKER

OWN = ("config", "json", "no_save", "out", "overwrite", "resume", "trace", "ledger")
"""Options of one run that another does not take over."""


def options_of_file(path: Path, known: Collection[str]) -> dict[str, Any]:
    """Return the options in a file, by the names of fields.

    Parameters
    ----------
    path : Path
        TOML or JSON with options by name (``batch_size`` or ``batch-size``), or a run directory.
    known : collection of str
        What options there are.

    Raises
    ------
    ValidationError
        If it cannot be read, or names an option that there is not.
    """
    run = path.is_dir() or path.name == MARKER
    file = path / MARKER if path.is_dir() else path
    try:
        text = read_whole(file).decode()
        held: Any = toml_tables(text) if file.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        hint = "a .toml or .json file of options, or a run directory"
        why = f"{file} cannot be read ({reason(error)})"
        raise ValidationError(f"--config: {why}. Try: {hint}") from error
    if run:
        held = held.get("options") if isinstance(held, dict) else None
        if not isinstance(held, dict):
            why = "has no options: it was not begun by lava-dyads train"
            raise ValidationError(f"--config: {path} {why}. Try: lava-dyads rerun {path}")
        return {name: value for name, value in held.items() if name in known and name not in OWN}
    if not isinstance(held, dict):
        invalid("--config", "must hold options by name", held, 'epochs = 30, or {"epochs": 30}')
    return named_options(held, known, "--config", path)


def named_options(
    held: Mapping[str, Any], known: Collection[str], what: str, path: Path
) -> dict[str, Any]:
    """Return options by the names of fields, layer sizes as lists.

    Parameters
    ----------
    held : mapping
        By name, ``batch_size`` or ``batch-size``.
    known : collection of str
        What options there are.
    what, path : str, Path
        Who names them, for messages.

    Raises
    ------
    ValidationError
        If there is no such option.
    """
    found = {}
    for name, value in held.items():
        field = name.replace("-", "_")
        if field not in known or field in ("config", "resume"):
            limit = f"{path} names an unknown option"
            invalid(what, limit, name, nearest(field, known).replace("_", "-"))
        found[field] = sizes_of(value) if field == "layers" else value
    return found


def sizes_of(value: Any) -> Any:
    """Return layer sizes that may be a text with commas between."""
    return [int(n) for n in value.split(",") if n] if isinstance(value, str) else value
