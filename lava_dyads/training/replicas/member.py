"""A replica: shows rows, and learns from them by itself or as the others do."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from lava_dyads.array_types import AnyArray, IntArray
from lava_dyads.data.dataset import Dataset
from lava_dyads.elements import Element
from lava_dyads.elements.clock import WITHHELD
from lava_dyads.executors.step import Network
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import Execution
from lava_dyads.training.config import TrainingConfig
from lava_dyads.training.trainer import LEARN, Trainer

LEARNING = ("weights", "feedback", "bias")
"""How the names of registers begin that learn, or that learning keeps beside them."""

Arrays = list[AnyArray]


def learning_registers(network: Network) -> dict[str, AnyArray]:
    """Return what learns and what that needs, by 'element.register'."""
    owners: dict[str, Element] = {**network.connections, **network.populations}
    return {
        f"{name}.{register}": value
        for name, owner in owners.items()
        for register, value in owner.memory.items()
        if register.partition("_")[0] in LEARNING
    }


def parameters_of(registers: dict[str, AnyArray]) -> dict[str, AnyArray]:
    """Return the registers that are weights and biases."""
    return {n: v for n, v in registers.items() if n.rpartition(".")[2] in LEARNING}


class Member:
    """A trainer that is told which rows to show; in this process or in a worker of its own.

    Parameters
    ----------
    spec, data, config, execution
        As for :class:`Trainer`.
    alone : bool
        Whether it has a process of its own, whose BLAS threads it may set.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        data: Dataset,
        config: TrainingConfig,
        execution: Execution,
        alone: bool = False,
    ) -> None:
        if alone:
            threadpool_limits(1, "blas")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # all of them would say the same
            self._trainer = Trainer(spec, data, config, execution)
        assert isinstance(self._trainer.network, Network)
        self._network = self._trainer.network
        self._sums = [value for value in learning_registers(self._network).items()
                      if value[0].endswith("_accumulator")]  # fmt: skip

    def add_up(self, rows: IntArray) -> Arrays:
        """Return what weights and biases would learn from rows, added up; nothing learns."""
        self._trainer._show(rows, WITHHELD, None)
        made = [value.copy() for _, value in self._sums]
        for _, value in self._sums:
            value.fill(0)
        return made

    def update(self, sums: Arrays, batch: int) -> None:
        """Learn from such sums over a batch of so many samples."""
        for (_, value), total in zip(self._sums, sums, strict=True):
            value[...] = total
        learners: list[Any] = [
            learner for owner in self._network.connections.values() for learner in owner.learners
        ]
        for learner in (*learners, *(p.plasticity for p in self._network.populations.values())):
            if learner.optimiser is not None:
                learner.learn(np.zeros(()), batch)

    def learn(self, rows: IntArray) -> Arrays:
        """Learn from rows, batch by batch; return weights and biases."""
        self._trainer._show(rows, LEARN, None)
        return [value.copy() for value in parameters_of(self.registers()).values()]

    def combine(self, parameters: Arrays) -> None:
        """Take over weights and biases."""
        held = parameters_of(learning_registers(self._network))
        for value, new in zip(held.values(), parameters, strict=True):
            value[...] = new

    def registers(self) -> dict[str, AnyArray]:
        """Return copies of what learns, and of what that needs."""
        return {name: value.copy() for name, value in learning_registers(self._network).items()}

    def put(self, registers: dict[str, AnyArray]) -> None:
        """Go on from such registers."""
        for name, value in learning_registers(self._network).items():
            value[...] = registers[name]

    def measured(self) -> tuple[Arrays, Arrays]:
        """Return what was measured since the last call: what is added up, and the residuals."""
        found = [[value.copy() for value in kind(self._trainer)] for kind in (counters, residuals)]
        self._trainer._begin_pass()
        return found[0], found[1]

    def close(self) -> None:
        """End it."""
        self._trainer.close()


def counters(trainer: Trainer) -> Arrays:
    """Return the registers of a trainer that a pass adds up."""
    sums = [trainer.sink.memory[name] for name in ("totals", "scores")]
    return [*sums, *(element.memory["counts"] for element in trainer._elements())]


def residuals(trainer: Trainer) -> Arrays:
    """Return the registers of the largest residual."""
    return [e.memory["residual"] for e in trainer._elements() if "residual" in e.memory]
