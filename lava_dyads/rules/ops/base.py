"""What carries signals between populations: linear ops, with or without weights, and others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Protocol

import numpy as np

from lava_dyads.array_types import AnyArray, Array
from lava_dyads.rules.namespaces import Namespace


class Op(Protocol):
    """A connection, bilinear in its weights and its message. Messages are (lanes, n) arrays.

    Whatever takes an array takes its namespace, too (``rules.namespaces``); ``out`` is numpy's.
    What is counted are multiply-accumulates that events cause: an entry that is zero costs nothing.
    ``process_name`` is the Process class of a connection of this kind, ``feedback_process_name``
    that of one with feedback weights of its own.
    """

    process_name: ClassVar[str]
    feedback_process_name: ClassVar[str]

    @property
    def n_in(self) -> int:
        """Neurons below."""

    @property
    def n_out(self) -> int:
        """Neurons above."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the weights; (): it has none and is constant, see :class:`Weightless`."""

    @property
    def fan_in(self) -> int:
        """Inputs of a neuron above, in which the weights' initial deviation is measured."""

    def forward(
        self, weights: Array, up: Array, out: Array | None = None, xp: Namespace = np
    ) -> Array:
        """Return the drive of the layer above, (lanes, n_out); floats into ``out`` if given."""

    def transpose(
        self, weights: Array, down: Array, out: Array | None = None, xp: Namespace = np
    ) -> Array:
        """Return the drive of the layer below, (lanes, n_in); floats into ``out`` if given."""

    def outer(self, down: Array, up: Array, out: Array | None = None, xp: Namespace = np) -> Array:
        """Return the sum over lanes of the products that meet at each weight."""

    @property
    def mask(self) -> AnyArray | None:
        """Where there is a synapse, in the shape of the weights; None: everywhere."""

    @property
    def synapses(self) -> int:
        """How many weights there are; one that several neurons share counts once."""

    def forward_operations(self, up: AnyArray, xp: Namespace = np) -> int:
        """Return the number of operations that an upward message (lanes, n_in) causes."""

    def backward_operations(self, down: AnyArray, xp: Namespace = np) -> int:
        """Return the number of operations that a downward message (lanes, n_out) causes."""

    def learning_operations(self, down: AnyArray, up: AnyArray, xp: Namespace = np) -> int:
        """Return the number of times, over all weights and lanes, that two events meet."""


class Weightless:
    """Base of ops that are constant: nothing to learn, and ``weights`` is not looked at."""

    process_name: ClassVar[str]
    feedback_process_name: ClassVar[str] = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """()."""
        return ()

    @property
    def fan_in(self) -> int:
        """1."""
        return 1

    @property
    def mask(self) -> AnyArray | None:
        """None."""
        return None

    @property
    def synapses(self) -> int:
        """0."""
        return 0

    def outer(self, down: Array, up: Array, out: Array | None = None, xp: Namespace = np) -> Array:
        """Return 0: there is no weight to learn."""
        return xp.zeros((), dtype=up.dtype)  # type: ignore[no-any-return]

    def learning_operations(self, down: AnyArray, up: AnyArray, xp: Namespace = np) -> int:
        """Return 0."""
        return 0


class NonlinearOp(ABC):
    """A function of one or several messages that is not linear, and has no weights.

    It is differentiable where it is evaluated; what goes down is the transpose of its derivative
    there. Arguments are whole values (lanes, n); what is counted is caused by changes of them.
    """

    process_name: ClassVar[str]

    @property
    @abstractmethod
    def n_in(self) -> tuple[int, ...]:
        """Neurons below, of every argument."""

    @property
    @abstractmethod
    def n_out(self) -> int:
        """Neurons above."""

    @property
    def arity(self) -> int:
        """How many arguments there are."""
        return len(self.n_in)

    @property
    def selects(self) -> bool:
        """Whether what it sends down are entries of the error as they are, and zeros."""
        return False

    @abstractmethod
    def forward(self, *ups: Array, xp: Namespace = np) -> Array:
        """Return the value, (lanes, n_out)."""

    @abstractmethod
    def transpose(self, down: Array, *ups: Array, xp: Namespace = np) -> tuple[Array, ...]:
        """Return the error of each argument, (lanes, n_in[k]), at the values ``ups``."""

    @abstractmethod
    def forward_operations(self, *ups: AnyArray, xp: Namespace = np) -> int:
        """Return the number of operations that changes of the arguments cause."""

    @abstractmethod
    def backward_operations(self, down: AnyArray, *ups: AnyArray, xp: Namespace = np) -> int:
        """Return the number of operations for events from above, and those from below again."""
