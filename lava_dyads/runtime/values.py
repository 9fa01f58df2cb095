"""Values of Vars: how they leave a ProcessModel and how they get into it, on both runtimes.

Lava sends a Var entry by entry, knows what to do with few types, and writes into an array in the
order in which it lies in memory. Here every Var of numbers, of text or of a sparse matrix can be
read and set, whatever its type and memory order, and in one piece. Where Lava gives a value, it
is this one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import sparse

from lava_dyads.array_types import AnyArray
from lava_dyads.errors import ValidationError, invalid


def read(var: Any, held: Any, idx: Any = None) -> AnyArray:
    """Return the value of a Var as ``Var.get`` passes it on: float64, or complex128.

    Parameters
    ----------
    var : Var
        Its shape and its default say in what form it leaves.
    held : object
        What the model holds: a number, an array, text or a sparse matrix.
    idx : index or None
        Of the part that is wanted; None: all.

    Raises
    ------
    ValidationError
        If it holds something else, or another number of entries than the Var.
    """
    if sparse.issparse(held):
        whole = _entries(var, held)
    elif isinstance(held, str):
        if not held.isascii():
            invalid(f"{_name(var)}.get", "its model must hold text in ASCII, as Lava does", held)
        whole = np.array(list(held.encode()), float)
    else:
        whole = _array(var, held)
    return whole if idx is None else np.asarray(whole[idx])


def write(var: Any, model: Any, value: Any, idx: Any = None) -> None:
    """Set the value of a Var in a model, as ``Var.set`` does, and tell the model.

    The entries of ``value``, or of ``value[idx]``, go into the first entries of the Var, in the
    order of its indices, as in Lava. An array stays the array that it is, and is of the type that
    it was. A single number becomes what is set; it stays a whole number where it was one and
    nothing is lost.

    Parameters
    ----------
    var : Var
    model : AbstractPyProcessModel
    value : number, array, sparse matrix or text
    idx : index or None

    Raises
    ------
    ValidationError
        If there are more values than entries, or the Var holds something else than numbers,
        text or a sparse matrix.
    """
    held = getattr(model, var.name)
    if isinstance(value, str):
        value = list(value.encode("ascii"))
    elif sparse.issparse(value):
        value = _at(value, _places(value))
    given = np.asarray(value) if idx is None else np.asarray(np.asarray(value)[idx])
    given = given.reshape(-1)
    if sparse.issparse(held):
        setattr(model, var.name, _filled(var, held, given))
    elif isinstance(held, str):
        setattr(model, var.name, bytes(given.astype(int).tolist()).decode("ascii"))
    elif isinstance(held, np.ndarray):
        _fill(var, model, held, given)
    elif isinstance(held, int | float | complex | np.number | np.bool_):
        _check_size(var, given, 1)
        if given.size:
            setattr(model, var.name, _number(held, given.item(0)))
    else:
        invalid(f"{_name(var)}.set", "a Var of numbers, text or a sparse matrix", type(held))
    model.on_var_update()


def _array(var: Any, held: Any) -> AnyArray:
    try:
        array = np.asarray(held)
    except ValueError:  # lists of unequal lengths
        array = np.array(None)
    if array.dtype.kind not in "biufc":
        invalid(f"{_name(var)}.get", "its model must hold numbers", type(held).__name__)
    kind = complex if array.dtype.kind == "c" else float
    if array.size == 1:
        return np.full(var.shape, array.item(), kind)
    if array.size != math.prod(var.shape):
        invalid(f"{_name(var)}.get", f"its model must hold the shape {var.shape}", array.shape)
    return np.array(array, kind, order="C").reshape(var.shape)


def _fill(var: Any, model: Any, held: AnyArray, given: AnyArray) -> None:
    """Write into an array, in the order of its indices, whatever its order in memory."""
    _check_size(var, given, held.size)
    if not held.flags.writeable:
        held = held.copy()
        setattr(model, var.name, held)
    if given.size == held.size:
        held[...] = given.reshape(held.shape)
    else:
        held.flat[: given.size] = given


def _number(held: Any, given: Any) -> Any:
    """Return a number in the type of the one before, or in its own where that would change it."""
    if isinstance(given, complex) and not isinstance(held, complex | np.complexfloating):
        return given
    if isinstance(held, np.floating):
        return type(held)(given)
    try:
        converted = type(held)(given)
    except (OverflowError, ValueError):  # infinity, not a number, too large
        return given
    return converted if converted == given else given


# A sparse matrix travels as its entries, in the order in which scipy finds them: Lava's Var puts
# them into places of the default.


def _entries(var: Any, held: Any) -> AnyArray:
    if not isinstance(var.init, sparse.csr_matrix):
        return np.array(held.toarray(), float)
    matrix = sparse.csr_matrix(held, copy=True)
    matrix.sum_duplicates()
    values = _at(matrix, sparse.find(var.init)[:2])
    if np.count_nonzero(values) != np.count_nonzero(matrix.data):
        limit = "its model must hold nothing in places where the default has no entry, or a zero"
        invalid(f"{_name(var)}.get", limit, matrix.nnz, "a default without explicit zeros")
    return np.array(values, float)


def _at(matrix: Any, places: Any) -> AnyArray:
    if not len(places[0]):
        return np.zeros(0, matrix.dtype)
    return np.asarray(sparse.csr_matrix(matrix)[places]).reshape(-1)


def _places(matrix: Any) -> tuple[AnyArray, AnyArray]:
    """Return rows and columns of all entries, zeros too, in the order in which scipy finds them."""
    pattern = sparse.csr_matrix(matrix, copy=True)
    pattern.data = np.ones(pattern.data.shape)
    rows, columns, _ = sparse.find(pattern)
    return rows, columns


def _filled(var: Any, held: Any, given: AnyArray) -> Any:
    places = _places(var.init if sparse.issparse(var.init) else held)
    if given.size != len(places[0]):
        limit = f"needs its {len(places[0])} entries"
        invalid(f"{_name(var)}.set", limit, given.size)
    converted = given.astype(held.dtype)
    if held.dtype.kind not in "iub" or (converted == given).all():
        given = converted
    return sparse.csr_matrix((given, places), held.shape)


def _check_size(var: Any, given: AnyArray, size: int) -> None:
    if given.size > size:
        raise ValidationError(f"{_name(var)}.set: holds {size} values (got {given.size})")


def _name(var: Any) -> str:
    return f"{var.process.name}.{var.name}"
