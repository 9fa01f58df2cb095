"""Connections that learn from other signals than those they carry, as Processes."""

from __future__ import annotations

from typing import Any

from lava_dyads.elements import Connection, TaughtConnection
from lava_dyads.processes.base import ElementProcess
from lava_dyads.processes.conv import DyadConv, DyadConvFeedback
from lava_dyads.processes.dense import DyadDense, DyadDenseFeedback, DyadSparse
from lava_dyads.rules.arithmetic import Arithmetic

_TEXT = """A :class:`{0}` that learns from other signals than those it carries.

In every step, beside what a :class:`{0}` does::

    held_learning_input <- held_learning_input + learning_input_in
    held_learning_error <- held_learning_error + learning_error_in
    last step of a learning presentation: learn from held_learning_error and held_learning_input

Ports: those of :class:`{0}`; ``learning_input_in`` (like ``mean_in``), ``learning_error_in`` (like
``difference_in``). Vars likewise, and ``held_learning_input``, ``held_learning_error``. Made from
an element of a network, as those of activation relaxation without the derivative.
"""


def _taught(base: Any) -> type[ElementProcess]:
    def example(cls: type, arithmetic: Arithmetic | None = None) -> Connection:
        """Return the smallest element of this kind."""
        plain: Connection = base.example(arithmetic)
        given = plain.feedback if plain.separate else None
        return TaughtConnection(plain.weights, op=plain.op, arithmetic=arithmetic, feedback=given)

    members = {
        "__doc__": _TEXT.format(base.__name__),
        "__module__": __name__,
        "example": classmethod(example),
    }
    return type(f"{base.__name__}Taught", (base,), members)


TAUGHT = tuple(
    _taught(base) for base in (DyadDense, DyadDenseFeedback, DyadSparse, DyadConv, DyadConvFeedback)
)
"""Process class of every kind of connection that learns in this way."""
