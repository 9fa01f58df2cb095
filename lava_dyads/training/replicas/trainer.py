"""The trainer of several replicas: to everybody else it is a trainer of one network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from lava_dyads.array_types import AnyArray, IntArray
from lava_dyads.data.dataset import Dataset
from lava_dyads.data.preparation import NOTHING
from lava_dyads.errors import LavaRuntimeError, UnsupportedError, invalid, message
from lava_dyads.executors.step import Network
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import Execution
from lava_dyads.rules.binary import FLOAT
from lava_dyads.starts import Stopwatch, tell
from lava_dyads.training.config import TrainingConfig
from lava_dyads.training.replicas.config import Replicas
from lava_dyads.training.replicas.gossip import Gossip
from lava_dyads.training.replicas.member import (
    Arrays,
    counters,
    learning_registers,
    parameters_of,
    residuals,
)
from lava_dyads.training.replicas.places import Here, LostError, OnDask, Place
from lava_dyads.training.trainer import LEARN, Trainer


class ReplicaTrainer(Trainer):
    """A trainer whose learning is done by replicas.

    Its own network is what they have in common, and is what is evaluated and kept: of exact
    replicas the one that each of them has, of those that gossip the mean.

    Parameters
    ----------
    spec, data, config, execution
        As for :class:`Trainer`; where the runtime is left open, the reference.
    replicas : Replicas

    Raises
    ------
    UnsupportedError
        If replicas cannot carry that out.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        data: Dataset,
        config: TrainingConfig,
        execution: Execution,
        replicas: Replicas,
    ) -> None:
        self.replicas = replicas
        execution, chosen = spec.choose(execution, ("reference",))
        _check(spec, data, config, execution, replicas)
        super().__init__(spec, data, config, execution)
        self.chosen = chosen
        if not isinstance(self.network, Network):
            limit = "replicas share what synapses learn from, and backprop has none"
            raise UnsupportedError(message("replicas", limit, spec.rule.name, "another rule"))
        count = replicas.count
        self.living = list(range(count))
        self._gossip: Gossip | None = None
        if replicas.gossip:
            self._gossip = Gossip(replicas, self.train_rows, data, config.batch_size)
            least = min(len(shard) for shard in self._gossip.shards)
            if not least:
                limit = f"need a sample each, and there are {len(self.train_rows)} to learn from"
                invalid("replicas", limit, count, "fewer replicas")
        # What is shown is prepared once, and all of them look at the same.
        shown = replace(data, x=np.asarray(self.teaching.x, np.float64), preparation=NOTHING)
        made = spec, shown, self._of_one(config), execution
        self.place: Place
        if replicas.scheduler:
            self.place = OnDask(replicas.scheduler, count, *made)
        else:
            self.place = Here(count, *made)
        self._push()

    def _of_one(self, config: TrainingConfig) -> TrainingConfig:
        """Return the configuration of a replica: lanes for its part of a batch."""
        if self.replicas.gossip:
            return config
        part = -(-config.batch_size // self.replicas.count)
        most = config.chosen_lanes
        lanes = next(n for n in range(min(part, most), most + 1) if config.batch_size % n == 0)
        return replace(config, lanes=lanes)

    @property
    def update_rows(self) -> int:
        """Rows between two moments at which a state can be kept."""
        return self._gossip.rows if self._gossip else self.config.batch_size

    def _order(self) -> IntArray:
        if self._gossip:
            return self._gossip.order(self._generator)
        return super()._order()

    def _show(self, rows: IntArray, learn: int, on_progress: Callable[[int], None] | None) -> float:
        if learn != LEARN:
            return super()._show(rows, learn, on_progress)
        watch, done = Stopwatch(), int(self.sink.memory["totals"][0])
        with threadpool_limits(1, "blas"):
            for begin in range(0, len(rows), self.update_rows):
                part = rows[begin : begin + self.update_rows]
                if self._gossip:
                    self._exchange(part, self.position + begin)
                else:
                    self._step(part)
                if on_progress:
                    on_progress(done + begin + len(part))
            self._pull()
        return watch.seconds()

    def _step(self, rows: IntArray) -> None:
        """Let all of them make the step of a batch, of which each adds up its part."""
        total: Arrays | None = None
        left = [rows]
        while left:  # the part of one that is lost is done by the others
            parts = np.array_split(np.concatenate(left), len(self.living))
            asked = {k: (p,) for k, p in zip(self.living, parts, strict=True) if len(p)}
            left = []
            for k, found in self._all("add_up", asked).items():
                if found is None:
                    left.append(asked[k][0])
                elif total is None:
                    total = found
                else:
                    total = [a + b for a, b in zip(total, found, strict=True)]
        self._all("update", dict.fromkeys(self.living, (total, len(rows))))

    def _exchange(self, rows: IntArray, begin: int) -> None:
        """Let each of them learn from its own rows, then combine."""
        assert self._gossip
        parts = self._gossip.parts(begin, len(rows))
        asked = {k: (rows[parts[k]],) for k in self.living if parts[k].stop > parts[k].start}
        told = {k: found for k, found in self._all("learn", asked).items() if found is not None}
        number = len(self.history.epochs) * self._gossip.rounds + begin // self._gossip.rows
        combined = self._gossip.combine(told, [k for k in self.living if k in told], number)
        self._all("combine", {k: (values,) for k, values in combined.items()})

    def _all(self, method: str, arguments: dict[int, tuple[Any, ...]]) -> dict[int, Any]:
        """Ask replicas for something; those that are lost meanwhile answer None."""
        answers = {k: self.place.ask(k, method, *given) for k, given in arguments.items()}
        found: dict[int, Any] = {}
        for k, answer in answers.items():
            try:
                found[k] = answer()
            except LostError as error:
                found[k] = None
                self.living.remove(k)
                others = f"{len(self.living)} of {self.replicas.count} go on"
                tell(f"replica {k + 1} is lost ({error}): {others}")
        if not self.living:
            text = message("replicas", "all of them are lost", self.replicas.count, "--resume")
            raise LavaRuntimeError(text)
        return found

    def _pull(self) -> None:
        """Take over what they have measured, and the network that they have in common."""
        for measured in self._all("measured", dict.fromkeys(self.living, ())).values():
            if measured is not None:
                summed, largest = measured
                for sums, other in zip(counters(self), summed, strict=True):
                    sums += other
                for most, other in zip(residuals(self), largest, strict=True):
                    np.maximum(most, other, out=most)
        held = self._held()
        mine = learning_registers(self._own)
        first = held[self.living[0]]
        for name, register in mine.items():
            register[...] = first[name]
        if self._gossip:
            for name, register in parameters_of(mine).items():
                register[...] = np.mean([held[k][name] for k in self.living], axis=0)
        self._last = held

    def _held(self) -> dict[int, dict[str, AnyArray]]:
        """Return the registers of those that live; of exact ones of the first alone."""
        asked = self.living if self._gossip else self.living[:1]
        found = self._all("registers", dict.fromkeys(asked, ()))
        there = {k: held for k, held in found.items() if held is not None}
        return there or self._held()

    @property
    def _own(self) -> Network:
        assert isinstance(self.network, Network)
        return self.network

    def _push(self) -> None:
        """Let all of them go on from the network that there is."""
        mine = {name: value.copy() for name, value in learning_registers(self._own).items()}
        self._last = dict.fromkeys(self.living, mine)
        self._all("put", dict.fromkeys(self.living, (mine,)))
        if self._gossip:
            self._gossip.begin([value.copy() for value in parameters_of(mine).values()])

    def _beside(self) -> dict[str, float]:
        """Return how many of them live, and how far they are apart: the root of the mean square."""
        apart: list[float] = []
        mine = parameters_of(learning_registers(self._own))
        for held in self._last.values() if self._gossip else ():
            apart.append(sum(float(np.sum((held[n] - v) ** 2)) for n, v in mine.items()))
        distance = {"replica_distance": float(np.sqrt(np.mean(apart)))} if apart else {}
        return {**super()._beside(), "replicas": len(self.living), **distance}

    def registers(self) -> dict[str, AnyArray]:
        """Return all registers; of replicas that gossip those of each, and their messages."""
        found = super().registers()
        if self._gossip:
            mine = learning_registers(self._own)
            for k in range(self.replicas.count):  # one that is lost begins anew from the mean
                held = self._last.get(k, mine)
                found |= {f"replica_{k}.{name}": value for name, value in held.items()}
            found |= self._gossip.registers()
        return found

    def restore(self, state: Any) -> None:
        """Go on from a state, see :meth:`Trainer.restore`; whoever was lost is there again."""
        super().restore(state)
        if not self._gossip:
            self._push()
            return
        names = list(learning_registers(self._own))
        self._last = {k: {n: state.arrays[f"replica_{k}.{n}"] for n in names} for k in self.living}
        self._all("put", {k: (held,) for k, held in self._last.items()})
        self._gossip.put(state.arrays)

    def _made_for(self) -> dict[str, Any]:
        options = {k: v for k, v in asdict(self.replicas).items() if k != "scheduler"}
        return {**super()._made_for(), "replicas": options}

    def __exit__(self, *error: Any) -> None:
        self.place.close()
        super().__exit__(*error)

    def close(self) -> None:
        """End the run."""
        self.place.close()
        super().close()

    def __reduce__(self) -> tuple[Any, ...]:
        limit = "replicas are where they are"
        invalid("ReplicaTrainer", f"cannot be copied: {limit}", self.replicas, "Trainer")


def _check(
    spec: NetworkSpec,
    data: Dataset,
    config: TrainingConfig,
    execution: Execution,
    replicas: Replicas,
) -> None:
    """Raise where replicas cannot do that."""
    refused: list[tuple[bool, str, object, str]] = [
        (execution.precision != "float", "need precision float", execution.precision, "float"),
        (execution.clock != "sync", "take steps together", execution.clock, "--clock sync"),
        (execution.backend != "numpy", "need backend numpy", execution.backend, "numpy"),
        (config.stream or data.frames > 1, "need samples that are no frames", data.frames,
         "--alone"),
        (not replicas.gossip and config.batch_size < replicas.count,
         "share a batch, of which each needs a sample", config.batch_size, "--batch-size 32"),
    ]  # fmt: skip
    if replicas.gossip:
        by_themselves = "that gossip learn by themselves:"
        refused += [
            (spec.weight_format != FLOAT, f"{by_themselves} weights of one bit have no mean",
             spec.weight_format, "no --topology"),
            (config.lr_schedule != "constant", f"{by_themselves} the learning rate has to stay",
             config.lr_schedule, "--lr-schedule constant"),
            (config.class_weight != "none", f"{by_themselves} rows are shown once",
             config.class_weight, "--class-weight none"),
            (config.repeats_per_batch != 1, f"{by_themselves} batches are shown once",
             config.repeats_per_batch, "--repeats-per-batch 1"),
            (data.weights is not None, f"{by_themselves} rows count alike", "weights",
             "no weights"),
            (replicas.shards == "classes" and data.labels is None,
             "by classes need data of classes", data.task, "--shards drawn"),
        ]  # fmt: skip
    for wrong, limit, got, hint in refused:
        if wrong:
            raise UnsupportedError(message("replicas", limit, got, hint))
