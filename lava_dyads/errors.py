"""Every error that lava_dyads raises on purpose.

A message says what was wrong, the value received, the limit it broke and what to try:
``Dyad.alpha: must lie in [0, 1] (got 1.3). Try: 0, 0.5 or 1``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NoReturn


class DyadsError(Exception):
    """Base class: catch it to catch whatever this library raises on purpose."""


class ValidationError(DyadsError, ValueError):
    """An argument, a file or a combination that cannot be used (exit code 2)."""


class UnsupportedError(ValidationError):
    """A combination that the support table refuses; the message carries its reason."""


class DataError(ValidationError):
    """A data set that is unknown, missing or malformed."""


class DataChangedError(DataError):
    """Data that are not those a network was trained on."""


class CheckpointError(ValidationError):
    """A checkpoint that cannot be read or belongs to another network."""


class FixedPointError(ValidationError, ArithmeticError):
    """A number that does not fit the chip: the message names variable, value and bits."""


class NotSettledError(DyadsError, ArithmeticError):
    """A relaxation that left its limits: its state is no result."""


class LavaRuntimeError(DyadsError, RuntimeError):
    """Base class of what can go wrong while Lava runs."""


class ModelError(LavaRuntimeError):
    """A ProcessModel raised; the message ends with its own traceback."""


class DeadlockError(LavaRuntimeError):
    """Every model waits for a message that nobody will send."""


class HangError(LavaRuntimeError):
    """A step took longer than the time limit while some model kept computing."""


def invalid(what: str, limit: str, got: object, try_: str = "") -> NoReturn:
    """Raise :class:`ValidationError` in the one format all messages share.

    Parameters
    ----------
    what : str
        The owner and the argument, e.g. ``"Dyad.alpha"``.
    limit : str
        What it must satisfy, e.g. ``"must lie in [0, 1]"``.
    got : object
        The value received.
    try_ : str
        What the user can do instead.

    Raises
    ------
    ValidationError
        Always.
    """
    raise ValidationError(message(what, limit, got, try_))


def message(what: str, limit: str, got: object, try_: str = "") -> str:
    """Return the text of an error: what, limit, value received, what to try."""
    hint = f". Try: {try_}" if try_ else ""
    return f"{what}: {limit} (got {got!r}){hint}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known names closest to a misspelt one, for the 'Try' of a message."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    return " or ".join(close) if close else ", ".join(names)
