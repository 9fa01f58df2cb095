"""What replicas that learn by themselves have heard of each other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lava_dyads.array_types import AnyArray, IntArray
from lava_dyads.data.dataset import Dataset
from lava_dyads.training.replicas.config import Replicas, mixing
from lava_dyads.training.replicas.member import Arrays


class Gossip:
    """The shares of the samples, the rounds of an epoch, and the messages on their way.

    Parameters
    ----------
    replicas : Replicas
    rows : int array
        Of the training part.
    data : Dataset
    batch_size : int
        Of each replica.

    Attributes
    ----------
    shards : list of int arrays
        Rows of each replica; as many as of any other, or one less.
    rows : int
        Of a round of all replicas.
    rounds : int
        Of an epoch.
    """

    def __init__(self, replicas: Replicas, rows: IntArray, data: Dataset, batch_size: int) -> None:
        self._replicas, count = replicas, replicas.count
        if replicas.shards == "classes":
            assert data.labels is not None
            slices = np.array_split(rows[np.argsort(data.labels[rows], kind="stable")], 2 * count)
            self.shards = [np.concatenate([slices[k], slices[k + count]]) for k in range(count)]
        else:
            drawn = np.random.default_rng([replicas.seed, 0]).permutation(rows)
            self.shards = np.array_split(drawn, count)
        self._of_one = batch_size * replicas.every
        self.rows = self._of_one * count
        self.rounds = -(-max(map(len, self.shards)) // self._of_one)

    def order(self, generator: np.random.Generator) -> IntArray:
        """Return the rows of an epoch: round by round those of each replica."""
        drawn = [generator.permutation(shard) for shard in self.shards]
        of_one = self._of_one
        return np.concatenate([
            rows[r * of_one : (r + 1) * of_one] for r in range(self.rounds) for rows in drawn
        ])  # fmt: skip

    def parts(self, begin: int, size: int) -> list[slice]:
        """Return where in a round the rows of each replica stand; it begins there in the epoch."""
        number = begin // self.rows  # all rounds but the last are full
        sizes = [min(self._of_one, max(0, len(shard) - number * self._of_one))
                 for shard in self.shards]  # fmt: skip
        ends = np.cumsum(sizes)
        assert ends[-1] == size
        return [slice(int(end) - n, int(end)) for end, n in zip(ends, sizes, strict=True)]

    def begin(self, parameters: Arrays) -> None:
        """Let everybody have heard of everybody what all begin with."""
        count = self._replicas.count
        self._heard = [[parameters] * count for _ in range(count)]
        self._before = [parameters] * count  # what each has sent last
        self._late = np.zeros((count, count), bool)  # k has not got that of l yet

    def combine(
        self, told: Mapping[int, Arrays], living: list[int], number: int
    ) -> dict[int, Arrays]:
        """Return what each combines to: sum_l a_kl (last psi_l that has reached k).

        Parameters
        ----------
        told : mapping of int to arrays
            What each has after its updates.
        living : list of int
            Who they are.
        number : int
            Of the round, of which what is late and lost is a function.
        """
        replicas, count = self._replicas, self._replicas.count
        chances = np.random.default_rng([replicas.seed, 1, number]).random((count, count))
        matrix = mixing(replicas.topology, living, count)
        made: dict[int, Arrays] = {}
        for k in living:
            total = [matrix[k, k] * value for value in told[k]]
            for other in living:
                if other == k or not matrix[k, other]:
                    continue
                if self._late[k, other]:  # that of the round before has arrived
                    self._heard[k][other] = self._before[other]
                chance = chances[k, other]
                if chance >= replicas.late + replicas.lost:
                    self._heard[k][other] = told[other]
                self._late[k, other] = chance < replicas.late
                share, heard = matrix[k, other], self._heard[k][other]
                total = [a + share * b for a, b in zip(total, heard, strict=True)]
            made[k] = total
        for k in living:
            self._before[k] = told[k]
        return made

    def registers(self) -> dict[str, AnyArray]:
        """Return what is on its way, and what was heard last."""
        count, found = self._replicas.count, {"gossip.late": self._late}
        for k in range(count):
            found |= {f"gossip.before.{k}.{i}": v for i, v in enumerate(self._before[k])}
            for other in range(count):
                heard = self._heard[k][other]
                found |= {f"gossip.heard.{k}.{other}.{i}": v for i, v in enumerate(heard)}
        return found

    def put(self, registers: Mapping[str, AnyArray]) -> None:
        """Go on from such registers."""
        count, sizes = self._replicas.count, range(len(self._before[0]))
        self._late[...] = registers["gossip.late"]
        self._before = [[registers[f"gossip.before.{k}.{i}"] for i in sizes] for k in range(count)]
        self._heard = [
            [[registers[f"gossip.heard.{k}.{m}.{i}"] for i in sizes] for m in range(count)]
            for k in range(count)
        ]
