"""Feedback weights: what carries the error of a layer down to the layer below.

=========  ====================================================================
symbol     meaning
=========  ====================================================================
W          forward weights of a connection, (n_out, n_in)
B          its feedback weights, (n_in, n_out): u_below = B D
D, zbar    error above (n_out,), activity below (n_in,)
lambda     decay per update: the share of every weight that is lost
=========  ====================================================================

With tied feedback one synapse carries W up and W^T down, which no chip has. Separate feedback
has synapses of its own. They see the same two signals, with the parts of pre and post swapped, so
what teaches W can teach B, at the synapse::

    W <- (1 - lambda) W + (eta / beta) mean(D zbar^T)          B likewise with zbar D^T

The products are each other's transpose, so after t updates B - W^T = (1 - lambda)^t (B_0 - W_0^T),
whatever is learnt: both forget where they began and keep what they have in common. Optimisers with
a state (momentum, Adam) see the same gradients on both sides and keep equal states, so the same
holds for them; it needs a decay that is not part of the gradient, which ``Optimiser.decay`` is.

A connection's register ``feedback`` holds B^T, in the shape of W. The connection above the input
has no feedback, and no decay. A new kind is one entry in ``FEEDBACK``.

Sources: FA = Lillicrap, Cownden, Tweed, Akerman, *Random synaptic feedback weights support error
backpropagation for deep learning*, Nature Communications 7:13276, 2016; KP = Kolen, Pollack,
*Backpropagation without weight transport*, ICNN 1994; AK = Akrout et al., *Deep learning without
weight transport*, NeurIPS 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.errors import invalid, nearest


@dataclass(frozen=True)
class Feedback:
    """One kind of feedback weights.

    Attributes
    ----------
    name, summary : str
        Name in specifications and on the command line, and a line on it.
    separate : bool
        Whether B is a register of its own; else B = W^T.
    learns : bool
        Whether B learns, by the rule of W.
    decay : float
        Decay per update of W and B where none is given, in floating point.
    chip_decay : float
        The same in the chip's arithmetic, which takes a sample per update.
    """

    name: str
    summary: str
    separate: bool
    learns: bool
    decay: float = 0.0
    chip_decay: float = 0.0

    def decay_of(self, given: float | None, on_chip: bool = False) -> float:
        """Return the decay that is given, or the kind's own where it is None.

        Raises
        ------
        ValidationError
            If one is given and there is no pair of weights that it applies to.
        """
        if given and not self.learns:
            limit = f"is for pairs of weights that learn alike; feedback {self.name} has none"
            invalid("decay", limit, given, "weight_decay, or feedback kolen_pollack")
        if given is not None:
            return given
        return self.chip_decay if on_chip else self.decay


TIED = Feedback("tied", "B = W^T: one synapse both ways (no chip has it)", False, False)
RANDOM = Feedback("random", "B is random and stays: feedback alignment (FA)", True, False)
KOLEN_POLLACK = Feedback(
    "kolen_pollack",
    "B learns by the transpose of what W learns by, both decay, and B -> W^T (KP, AK)",
    True,
    True,
    decay=3e-4,
    chip_decay=2.0**-15,
)

FEEDBACK: dict[str, Feedback] = {kind.name: kind for kind in (TIED, RANDOM, KOLEN_POLLACK)}
"""Every kind by name, the default first."""


def feedback(name: str) -> Feedback:
    """Return a kind by its name.

    Raises
    ------
    ValidationError
        If there is none of that name.
    """
    if name not in FEEDBACK:
        invalid("feedback", "unknown name", name, nearest(name, FEEDBACK))
    return FEEDBACK[name]


@dataclass(frozen=True)
class Drift:
    """How far feedback weights are from W^T.

    Attributes
    ----------
    relative : float
        |B - W^T| / |W|, Frobenius norms; inf where W is zero and B is not.
    angle : float
        Between B and W^T as vectors, in degrees, 0 .. 180; 0 where one is zero.
    """

    relative: float
    angle: float


def drift(weights: Array, transposed: Array) -> Drift:
    """Return the drift of feedback weights, given as B^T in the shape (n_out, n_in) of W.

    Examples
    --------
    >>> drift(np.eye(2), 3 * np.eye(2)).relative, round(drift(np.eye(2), -np.eye(2)).angle)
    (2.0, 180)
    """
    w, b = np.linalg.norm(weights), np.linalg.norm(transposed)
    apart = float(np.linalg.norm(transposed - weights))
    relative = apart / w if w else (np.inf if apart else 0.0)
    if not w * b:
        return Drift(float(relative), 0.0)
    # Of unit vectors: arccos of a cosine near 1 would lose half of the digits.
    x, y = weights / w, transposed / b
    half = np.arctan2(np.linalg.norm(x - y), np.linalg.norm(x + y))
    return Drift(float(relative), float(np.degrees(2 * half)))
