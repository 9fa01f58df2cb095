"""What both ways of running a Process graph have in common."""

from __future__ import annotations

import contextlib
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Any, NoReturn, TypeVar

import numpy as np

from lava_dyads.errors import invalid

_Self = TypeVar("_Self", bound="Session")


class Session(ABC):
    """A started Process graph: run it, again and again, then stop it; or a ``with`` block.

    Attributes
    ----------
    steps_done : int
        Time steps run so far.
    """

    steps_done: int

    @property
    @abstractmethod
    def alive(self) -> bool:
        """Whether it can still run."""

    @abstractmethod
    def run(self, steps: int, poll: Callable[[], None] | None = None) -> int:
        """Run a number of time steps; ``poll`` is called some 20 times a second.

        Returns
        -------
        int
            Steps run. Fewer where a model asked for a pause (``self._req_pause = True`` in
            ``run_spk``; it can be run again) or for a stop (``self._req_stop``).
        """

    def state(self) -> dict[str, Any]:
        """Return the state of a run that no Process holds, for JSON."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:  # noqa: B027 (nothing, by default)
        """Go on, between two runs, from what :meth:`state` has returned elsewhere."""

    @abstractmethod
    def stop(self, kill: bool = False) -> None:
        """End the run; ``kill``: do not ask the models to end by themselves first."""

    def __reduce__(self) -> NoReturn:
        """Refuse: a copy of a session would be a second run of the same Processes."""
        limit = "a session that runs cannot be pickled or copied"
        hint = "to pickle the Trainer, or what the Processes are made from"
        invalid(type(self).__name__, limit, f"after {self.steps_done} steps", hint)

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop(kill=error is not None)


def step_count(where: str, steps: object) -> int:
    """Return a number of steps as an int; raise where it is none, or below 1.

    Raises
    ------
    ValidationError
        Naming ``where``.
    """
    count = 0
    if not isinstance(steps, bool | np.bool_):
        with contextlib.suppress(Exception):  # of an object of whatever kind
            count = operator.index(steps)  # type: ignore[arg-type]
    if count < 1:
        invalid(where, "needs a whole number of steps, at least 1", steps)
    return count
