"""What lets a trainer go on elsewhere: its state, kept in a file or in a copy."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.checks import checked
from lava_dyads.data.dataset import Dataset
from lava_dyads.elements import Element, Population, Sink, Source
from lava_dyads.errors import invalid
from lava_dyads.executors.backprop import BackpropNetwork
from lava_dyads.executors.step import Network
from lava_dyads.executors.transport import Transport
from lava_dyads.files import AnyPath
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import Execution
from lava_dyads.training.checks import why_no_more_epochs
from lava_dyads.training.config import TrainingConfig
from lava_dyads.training.metrics import History
from lava_dyads.training.reference import Backend
from lava_dyads.training.resume import (
    RunState,
    check_registers,
    machine,
    made_for,
    progress_of,
    put_back,
    registers,
    set_backend,
    set_generators,
    why_inexact,
)
from lava_dyads.training.tasks import Teaching


class Resumable:
    """A trainer as far as its state is concerned; see :class:`~lava_dyads.training.Trainer`."""

    spec: NetworkSpec
    data: Dataset
    config: TrainingConfig
    execution: Execution
    source: Source
    network: Network | BackpropNetwork
    sink: Sink
    history: History
    teaching: Teaching
    train_seconds: float
    position: int
    _pass_seconds: float
    _generator: np.random.Generator
    _drawn_from: Any
    _backend: Backend
    _transport: Transport | None
    _files: dict[str, AnyPath | None]
    _measuring: bool

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle how it was made and what it has learnt: a copy goes on from there, by itself."""
        for name, path in self._files.items():
            if path is not None:
                limit, hint = "a copy would write to the same file", f"a trainer without a {name}"
                invalid(f"Trainer.{name}", limit, str(path), hint)
        options = self._transport, None, self._measuring, self.network.arithmetic
        made = self.spec, self.data, self.config, self.execution, *options
        return _revived, (type(self), made, self.state())

    def state(self) -> RunState:
        """Return all that the rest of the run depends on, see ``training.resume``.

        To be asked for between two passes, or by ``on_checkpoint`` of :meth:`fit`.

        Raises
        ------
        UnsupportedError
            If a part of it cannot be read: Processes that are frozen by a fault.
        """
        within = self.position > 0
        progress = {
            "position": self.position,
            "pass_seconds": self._pass_seconds if within else 0.0,
            "train_seconds": self.train_seconds,
            "epochs": self.history.epochs,
            "order": self._drawn_from if within else self._generator.bit_generator.state,
            "noise": [generator.bit_generator.state for generator in self._noise()],
            "backend": self._backend.state(),
        }
        return RunState(self._made_for(), progress, self.registers(), machine())

    @checked
    def restore(self, state: RunState) -> None:
        """Go on from a state; the next :meth:`fit` does the rest of the run, bit by bit.

        Raises
        ------
        CheckpointError
            If it was made with other options or other data.
        """
        state.check(self._made_for())
        bounded = why_no_more_epochs(self.spec, self.config, self.execution)
        progress = progress_of(state, self.config.epochs if bounded else None, self.epoch_size)
        check_registers(self.registers(), state.arrays)
        put_back(self._owners(), state.arrays)
        self.position, self._pass_seconds = progress["position"], progress["pass_seconds"]
        self.train_seconds = progress["train_seconds"]
        self.history.epochs[:] = progress["epochs"]
        generators = [self._generator, *self._noise()]
        set_generators(generators, [progress["order"], *progress["noise"]])
        set_backend(self._backend, progress["backend"])

    @property
    def epoch_size(self) -> int:
        """Rows that are shown in an epoch of training."""
        return self.config.rows_per_epoch(self.teaching.rows)

    @property
    def inexact(self) -> str:
        """Return why a resumed run may differ in its bits from one in one go; empty: it does not.

        (On the same machine, with as many threads.)
        """
        return why_inexact(self.execution, self.spec.compartment_noise)

    @cached_property
    def data_checksum(self) -> int:
        """Checksum of the data, computed once: a state is kept more often than they change."""
        return self.data.checksum

    def _made_for(self) -> dict[str, Any]:
        records = {"execution": self.execution, "transport": self._transport}
        numbers, shown = self.network.arithmetic, self.data.preparation.key
        return made_for(self.spec, self.config, numbers, self.data_checksum, records, shown)

    def registers(self) -> dict[str, AnyArray]:
        """Return all registers by 'element.register', neither copied nor stacked."""
        return registers(self._owners())

    def _noise(self) -> list[np.random.Generator]:
        """Return the generators of the populations' noise."""
        found = [e for e in self._elements() if isinstance(e, Population) and e.noise]
        return [population._generator for population in found]

    def _owners(self) -> list[Element]:
        """Return the elements whose registers a state keeps."""
        inner = self.network.elements.values() if isinstance(self.network, Network) else ()
        return [self.source, self.network, self.sink, *inner]

    def _elements(self) -> list[Element]:
        owners = self._owners()
        return [*owners, *(part for element in owners[3:] for part in element.parts)]

    def close(self) -> None:
        """End the run; weights and metrics stay readable."""
        self._backend.stop()

    def back_to(self, state: RunState) -> None:
        """Take back all registers, weights among them, to those of an earlier state of this run.

        The history stays as it is.
        """
        check_registers(self.registers(), state.arrays)
        put_back(self._owners(), state.arrays)


def _revived(cls: type[Resumable], made: tuple[Any, ...], state: RunState) -> Resumable:
    """Return a copy of a trainer."""
    trainer: Any = cls(*made)
    try:
        trainer.restore(state)
    except BaseException:
        trainer.close()
        raise
    revived: Resumable = trainer
    return revived
