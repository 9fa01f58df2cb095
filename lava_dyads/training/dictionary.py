"""Dictionaries learnt by sparse-coding dyads, through the fixed point of the code.

With the code x of a batch at rest, its differences d, and e = -beta (D x - y) the differences of
the read-out dyads, every connection holds the gradient of |y - D x|^2 / 2 with respect to its own
weights, as if they were independent (``networks.gradients``)::

    read_out   V = D             -(1 / beta) mean(e x^T)
    inputs     U = D^T           -(1 / beta) mean(d y^T)
    recurrent  W = I - D^T D     -(1 / beta) mean(d x^T), its symmetric part

They are one dictionary, so its gradient is the sum of the three::

    dD = dV + dU^T - D (dW + dW^T)

The first term alone is that of Olshausen and Field: the gradient of the Lasso's objective, since
its optimum does not feel where the code goes. The others say how the code itself should change.
After a step every atom is brought back to norm 1.

Sources: Olshausen, Field, Nature 1996; Mairal, Bach, Ponce, *Task-Driven Dictionary Learning*,
2012.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import Count, Natural, Positive, check_fields, real_array
from lava_dyads.errors import invalid
from lava_dyads.executors.sparse_code import (
    SparseCoding,
    checked_dictionary,
    curvature,
    lateral,
    safe_rate,
    sparse_code,
)
from lava_dyads.executors.step import Network
from lava_dyads.rules.optimisers import Adam

TOLERANCE = 1e-6
"""Residual at which a batch counts as at rest, while a dictionary is learnt."""


@dataclass(frozen=True)
class DictionaryLearning:
    """How a dictionary is learnt.

    Parameters
    ----------
    epochs : int
    batch_size : int
    learning_rate : float
        Of Adam; it falls linearly to 0.
    through_code : bool
        Whether the gradient goes through the fixed point of the code, too.
    seed : int
        Of the first atoms, drawn from the data, and of the order.
    """

    epochs: Count = 10
    batch_size: Count = 64
    learning_rate: Positive = 0.01
    through_code: bool = True
    seed: Natural = 0

    def __post_init__(self) -> None:
        check_fields(self)


def unit_atoms(dictionary: Array) -> Array:
    """Return the dictionary with atoms of norm 1."""
    scaled: Array = dictionary / np.linalg.norm(dictionary, axis=0)
    return scaled


def drawn_atoms(data: Array, atoms: int, seed: int = 0) -> Array:
    """Return rows of the data as atoms of norm 1, (n, atoms): none that is 0, none twice."""
    rows = np.unique(data[np.linalg.norm(data, axis=1) > 0], axis=0)
    if len(rows) < atoms:
        limit = f"cannot exceed the {len(rows)} different rows that are not 0"
        invalid("atoms", limit, atoms, str(len(rows) or "other data"))
    chosen = np.random.default_rng(seed).choice(len(rows), atoms, replace=False)
    return unit_atoms(rows[chosen].T)


def dictionary_gradient(network: Network, dictionary: Array, through_code: bool = True) -> Array:
    """Return dD of a network with a read-out that has settled on its data (module docstring)."""
    of_inputs, of_lateral, of_read_out = network.gradients()[0]
    if not through_code:
        return of_read_out
    gradient: Array = of_read_out + of_inputs.T - dictionary @ (of_lateral + of_lateral.T)
    return gradient


def learn_dictionary(
    data: Array,
    atoms: int,
    coding: SparseCoding = SparseCoding(),
    learning: DictionaryLearning = DictionaryLearning(),
    *,
    dictionary: Array | None = None,
    report: Callable[[int, float], None] = lambda epoch, error: None,
) -> Array:
    """Learn a dictionary (n, atoms) by descending |y - D x|^2 / 2 with atoms of norm 1.

    Parameters
    ----------
    data : array, shape (samples, n)
    atoms : int
    coding : SparseCoding
    learning : DictionaryLearning
    dictionary : array (n, atoms) or None
        To begin from; None: rows of the data.
    report : callable
        Told the number of each epoch and the mean of |y - D x|^2 / 2 while it was learnt.

    Raises
    ------
    ValidationError
        If there are fewer rows than atoms or samples in a batch.

    Examples
    --------
    >>> data = np.random.default_rng(0).laplace(size=(64, 6)) @ np.eye(6)
    >>> learn_dictionary(data, 8, learning=DictionaryLearning(epochs=1, batch_size=32)).shape
    (6, 8)
    """
    data = real_array(data, "data", 2)
    if len(data) < learning.batch_size:
        invalid("batch_size", f"cannot exceed the {len(data)} rows", learning.batch_size)
    given = drawn_atoms(data, atoms, learning.seed) if dictionary is None else dictionary
    d = unit_atoms(checked_dictionary(given))
    generator = np.random.default_rng([learning.seed, 1])
    batches = len(data) // learning.batch_size
    adam = Adam(learning.learning_rate, horizon=learning.epochs * batches)
    state, update, lanes = np.zeros((adam.slots, *d.shape)), 0, learning.batch_size
    fixed = coding.rate is not None
    network = sparse_code(d, coding, read_out=True, lanes=lanes)
    for epoch in range(1, learning.epochs + 1):
        order, error = generator.permutation(len(data)), 0.0
        for batch in range(batches):
            y = data[order[batch * lanes : (batch + 1) * lanes]]
            if update and update % 16 == 0 and not fixed:  # its curvature has changed
                network = sparse_code(d, coding, read_out=True, lanes=lanes)
            network.settle(y, y, tolerance=TOLERANCE, max_steps=coding.steps)
            error += float(((network.means()["read_out_population"] - y) ** 2).sum()) / 2
            update += 1
            adam.update(d, dictionary_gradient(network, d, learning.through_code), state, update)
            d = unit_atoms(d)
            biases = network.parameters()[1]
            network.set_parameters([d.T, lateral(d), d], biases)
        report(epoch, error / (batches * lanes))
    return d


def reconstruction_error(
    dictionary: Array, data: Array, coding: SparseCoding = SparseCoding()
) -> float:
    """Return the mean over the rows of |y - D x|^2, with the code of dyads that have settled.

    Relative to that of |y|^2.
    """
    steady = replace(coding, rate=safe_rate(curvature(dictionary)), together=True, delay=0.0)
    network = sparse_code(dictionary, steady, read_out=True, lanes=len(data))
    network.settle(data, None, max_steps=coding.steps)
    left = network.means()["read_out_population"] - data
    return float((left**2).sum() / (data**2).sum())
