"""What a ProcessModel raised, as an error that begins with the cause and where it was."""

from __future__ import annotations

import dis
import os
import re
from types import TracebackType

from greenlet import GreenletExit

from lava_dyads.errors import ModelError


class Passing(BaseException):
    """What the runtime itself raises inside of models; no failure of theirs."""


def is_models_own(error: BaseException) -> bool:
    """Tell whether a model has raised an exception, and neither the runtime nor Ctrl-C.

    In an OS process of its own whatever it raises ends the model; here, too.
    """
    if isinstance(error, Passing | GreenletExit):
        return False
    if not isinstance(error, KeyboardInterrupt):
        return True
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return False
    # A signal arrives between instructions, never within the one that raises.
    code = trace.tb_frame.f_code.co_code
    return dis.opname[code[trace.tb_lasti]] == "RAISE_VARARGS"


_STEP = "lava_dyads_time_step"
_FRAME = re.compile(r'^ *File "(?P<path>.*)", line (?P<line>\d+), in (?P<function>.*)$', re.M)
_MACHINERY = tuple(
    f"{os.sep}{folder}{os.sep}"
    for folder in (
        os.path.join("lava", "magma"),
        os.path.join("lava_dyads", "runtime"),
        "multiprocessing",
        "site-packages",
    )
)


def note_step(error: BaseException) -> None:
    """Note with an exception the time step in which its model was, for another OS process."""
    trace, step = error.__traceback__, None
    while trace is not None:
        step = _step_of(trace) or step
        trace = trace.tb_next
    if step is not None:
        error.__dict__[_STEP] = step


def as_step_of(error: BaseException, other: BaseException) -> BaseException:
    """Return another exception with the time step of the first."""
    other.__dict__.update({k: v for k, v in error.__dict__.items() if k == _STEP})
    return other


def _step_of(trace: TracebackType) -> int | None:
    model = trace.tb_frame.f_locals.get("self")
    step = vars(model).get("time_step") if hasattr(model, "__dict__") else None
    return int(step) if isinstance(step, int) and step > 0 else None


def model_error(
    label: str, error: BaseException | None, trace: str, did: str = "raised"
) -> ModelError:
    """Return the error of a model: what it raised, in which time step and line; its traceback.

    Parameters
    ----------
    label : str
        Name of the Process and class of the model.
    error : BaseException or None
        None: its OS process has ended without one, and ``trace`` says how.
    trace : str
        The traceback, as text.
    did : str
        What the model has done.

    Examples
    --------
    >>> print(model_error("lif (PyLif)", ZeroDivisionError("by nothing"), "").args[0].strip())
    lif (PyLif) raised ZeroDivisionError: by nothing
    """
    if error is None:
        return ModelError(f"{label} {did}\n{trace}", label)
    note_step(error)
    step = error.__dict__.get(_STEP)
    place = place_of(trace)
    what, text = type(error).__name__, text_of(error)
    when = f" in time step {step}" if step is not None else ""
    where = f" ({place})" if place else ""
    said = f": {text}" if text else ""
    return ModelError(f"{label} {did} {what}{when}{where}{said}\n{trace}", label, step, place)


def text_of(error: BaseException) -> str:
    """Return the first line of what an error says, if it can say anything."""
    try:
        return str(error).partition("\n")[0]
    except Exception:
        return "(without a text)"


def place_of(trace: str) -> str:
    """Return 'function in file:line' of the innermost frame of a model's own code, or ''."""
    frames = [match.groupdict() for match in _FRAME.finditer(trace)]
    own = [frame for frame in frames if not any(part in frame["path"] for part in _MACHINERY)]
    for frame in (own or frames)[-1:]:
        return f"{frame['function']}, {os.path.basename(frame['path'])}:{frame['line']}"
    return ""
