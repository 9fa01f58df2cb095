"""Every error that lava_dyads raises on purpose.

A message says what was wrong, the value received, the limit it broke and what to try:
``Dyad.alpha: must lie in [0, 1] (got 1.3). Try: 0, 0.5 or 1``.
"""

from __future__ import annotations

import reprlib
from typing import Any, NoReturn

from lava_dyads.suggestions import nearest as nearest


class DyadsError(Exception):
    """Base class: catch it to catch whatever this library raises on purpose."""


class ValidationError(DyadsError, ValueError):
    """An argument, a file or a combination that cannot be used (exit code 2), in one line."""

    def __init__(self, text: str = "") -> None:
        super().__init__(one_line(text))


class UnsupportedError(ValidationError):
    """A combination that the support table refuses; the message carries its reason."""


class MissingLavaError(UnsupportedError, ImportError):
    """Something that needs Lava, where Lava is not installed; the message says how to get it."""


class UnwritableError(ValidationError, OSError):
    """A file that cannot be written under its name; the message says why."""

    @classmethod
    def of(cls, error: OSError, path: str) -> UnwritableError:
        """Return the system's words on a path, in one line."""
        made = cls(f"{path}: cannot be written ({error.strerror}). Try: another file")
        made.errno, made.strerror, made.filename = error.errno, error.strerror, path
        return made

    def __str__(self) -> str:
        """Return the line, and not what an OSError makes of its number."""
        return str(self.args[0])


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


class DivergedError(NotSettledError):
    """A training whose weights or states left all bounds; the message says in which epoch."""


class LavaRuntimeError(DyadsError, RuntimeError):
    """Base class of what can go wrong while Lava runs."""


class ModelError(LavaRuntimeError):
    """A ProcessModel raised; the message begins with the cause and ends with its traceback.

    Attributes
    ----------
    label : str
        Name of the Process and class of its model.
    step : int or None
        The time step in which it was; None: it has none.
    place : str
        The innermost line of its own code, as 'function, file:line'.
    messages : list of str
        The last messages that it heard and sent, as far as somebody has seen them.
    """

    def __init__(
        self, text: str = "", label: str = "", step: int | None = None, place: str = ""
    ) -> None:
        super().__init__(text)
        self.label, self.step, self.place = label, step, place
        self.messages: list[str] = []


class DifferenceError(DyadsError, AssertionError):
    """Two series that should be the same are not; the message names the first difference."""


class DeadlockError(LavaRuntimeError):
    """Every model waits for a message that nobody will send."""


class HangError(LavaRuntimeError):
    """A step took longer than the time limit while some model kept computing."""


class ConformanceError(DyadsError, AssertionError):
    """A learning rule that does not keep what the checks ask for; the message names it all."""


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
    return f"{what}: {limit} (got {shown(got)}){hint}"


def one_line(text: str) -> str:
    r"""Return a text as a line that any terminal can show: without line ends and control signs.

    Examples
    --------
    >>> one_line("a name\nof two lines")
    'a name of two lines'
    """
    if not text.isprintable():
        words = " ".join(text.split())
        text = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in words)
    if len(text) <= _LONGEST_LINE:
        return text
    return f"{text[: _LONGEST_LINE - _END]} ... {text[-_END:]}"  # the end says what to try


def shown(value: object) -> str:
    """Return any value whatever for a message: short, and as its user would write it.

    Examples
    --------
    >>> shown("relu"), shown(list(range(100)))
    ("'relu'", '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ...]')
    """
    return _shown.repr(value)


_LONGEST_LINE, _END = 2000, 500


class _Shown(reprlib.Repr):
    """As ``repr``, but never long, never an error, and without numpy's wrappings of a number."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxtuple = self.maxlist = self.maxdict = self.maxset = self.maxfrozenset = 12
        self.maxstring = self.maxother = 300
        self.maxlong = 60

    def repr1(self, x: Any, level: int) -> str:
        """Return the text of a value; numpy's by their attributes, so that it is not needed."""
        try:
            kind, shape = getattr(x, "dtype", None), getattr(x, "shape", None)
            if kind is not None and isinstance(shape, tuple):
                if shape:
                    return f"array of {kind}, shape {shape}"
                plain = x.item()
                # float32 has fewer digits than the float that it becomes.
                return str(x) if isinstance(plain, float) else super().repr1(plain, level)
            return super().repr1(x, level)
        except Exception:  # an object whose attributes or whose text fail in whatever way
            return f"<{type(x).__name__}>"


_shown = _Shown()
