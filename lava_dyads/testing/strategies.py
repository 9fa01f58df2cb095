"""Strategies of hypothesis: series that a port can hear. Needs the extra ``test``."""

from __future__ import annotations

from typing import Any

import numpy as np

from lava_dyads.checks import checked
from lava_dyads.errors import invalid
from lava_dyads.optional import imported

_WHAT = "strategies for messages"


@checked
def messages(
    port: Any,
    *,
    steps: tuple[int, int] = (1, 12),
    bits: int | None = None,
    signed: bool = True,
    limit: float = 1e3,
) -> Any:
    """Return a strategy for series of shape (steps, *shape of the port).

    Parameters
    ----------
    port : InPort, OutPort or tuple of int
        Whose messages, or their shape.
    steps : (int, int)
        The fewest and the most time steps.
    bits : int or None
        Integers of so many bits, the sign included, as int64; None: floats.
    signed : bool
        Whether integers may be negative.
    limit : float
        The largest size of floats.

    Returns
    -------
    SearchStrategy of array

    Raises
    ------
    ValidationError
        If the number of bits is not from 1 to 32, or steps are not in order.
    UnsupportedError
        Without hypothesis.

    Examples
    --------
    >>> messages((2,), bits=8, signed=False, steps=(3, 3)).example().shape  # doctest: +SKIP
    (3, 2)
    """
    strategies = imported("hypothesis.strategies", _WHAT, "test")
    arrays = imported("hypothesis.extra.numpy", _WHAT, "test").arrays
    shape = tuple(getattr(port, "shape", port))
    fewest, most = steps
    if not 1 <= fewest <= most:
        invalid("messages.steps", "must be at least 1, the fewest first", steps, "(1, 12)")
    if bits is not None and not 1 <= bits <= 32:
        invalid("messages.bits", "must lie in [1, 32]", bits, "24: what Loihi 2 carries")
    if bits is None:
        entries = strategies.floats(-limit, limit, width=64)
    elif signed:
        entries = strategies.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    else:
        entries = strategies.integers(0, 2**bits - 1)
    dtype = np.dtype(float if bits is None else np.int64)

    def of_length(length: int) -> Any:
        return arrays(dtype, (length, *shape), elements=entries)

    drawn: Any = strategies.integers(fewest, most).flatmap(of_length)
    return drawn
