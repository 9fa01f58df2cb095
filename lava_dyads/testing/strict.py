"""Let models send only what arrives as it was sent; Lava casts it to the type of the port."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from lava.magma.core.model.py.ports import PyOutPortVectorDense
from lava.magma.core.process.ports.ports import OutPort

from lava_dyads.errors import ModelError, ValidationError, message
from lava_dyads.runtime.lava_internals.discovery import ports_of

_exchange = threading.Lock()


class WireError(ValidationError):
    """What a port sends does not fit its type; the message begins with the port."""


def check_sent(model: Any, port: str, kind: Any, data: Any) -> None:
    """Raise where a cast to the type of the port would change what is sent.

    Numbers that a floating-point type rounds are left alone.

    Raises
    ------
    WireError
        Naming the time step, the port, the first number and both types.
    """
    array, kind = np.asarray(data), np.dtype(kind)
    if array.dtype == kind:
        return
    if array.dtype.kind in "biuf":
        if kind.kind == "f":
            return
        with np.errstate(invalid="ignore"):
            changed = array.astype(kind) != array
        if not changed.any():
            return
        value = array[changed].flat[0]
    elif array.dtype.kind == "c" and kind.kind == "c":
        return
    else:
        value = array.flat[0] if array.size else None
    limit = f"in time step {model.time_step} it sends {array.dtype} where its type is {kind}"
    raise WireError(message(port, limit, value, "another d_type in its LavaPyType, or a cast"))


@contextmanager
def strict_in_children() -> Iterator[None]:
    """Check what is sent in OS processes that are forked inside the block."""
    with _exchange:
        send = PyOutPortVectorDense.send

        def checked(port: Any, data: Any) -> None:
            model = port._process_model
            name = next((n for n, value in vars(model).items() if value is port), "a port")
            check_sent(model, name, port._d_type, data)
            send(port, data)

        PyOutPortVectorDense.send = checked
        try:
            yield
        finally:
            PyOutPortVectorDense.send = send


def make_strict(nodes: list[Any]) -> None:
    """Check what models in this OS process send that are not this library's."""
    for node in nodes:
        for port in () if node.own else ports_of(node.process, OutPort):
            ending: Any = getattr(node.model, port.name, None)
            if type(ending) is PyOutPortVectorDense:
                check = functools.partial(check_sent, node.model, port.name, ending._d_type)
                ending.send = _both(check, ending.send)


def _both(check: Any, send: Any) -> Any:
    def checked(data: Any) -> None:
        check(data)
        send(data)

    return checked


def verdict(error: ModelError) -> Exception:
    """Return what the kit has found wrong where that is what a model seems to have raised."""
    cause = error.__cause__
    if isinstance(cause, WireError):
        return ValidationError(f"{error.label.partition(' (')[0]}.{cause}")
    return cause if isinstance(cause, ValidationError) else error
