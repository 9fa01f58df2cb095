"""Sparse codes: recurrent dyads that solve the Lasso, and the dictionary that they learn.

=========  =================================================================================
symbol     meaning
=========  =================================================================================
y          data, (lanes, n)
D          dictionary, one atom per column, (n, atoms)
x          code, the mean of a population of dyads, (lanes, atoms)
lambda     penalty
G          D^T D; L its largest eigenvalue
r          rate: share of the way that a neuron moves when it updates, in (0, 1]
=========  =================================================================================

At rest the population minimises |y - D x|^2 / 2 + lambda |x|_1, for both signs or x >= 0::

    x = f(D^T y + (I - G) x)            f(a) = sign(a) max(|a| - lambda, 0), or max(a - lambda, 0)

which is the locally competitive algorithm (LCA): neurons that are driven by D^T y inhibit each
other by G - I. How far a neuron may move at once depends on L and on how late messages are, d
wake-ups on average (:func:`rate_limit`)::

    together, in steps      x <- f_r(x + r D^T (y - D x)), which is ISTA:   r < 2 / L
    together, late          r < 2 sin(pi / (2 (2 d + 1))) / L, as for gradient descent with delay
    one by one              coordinate descent: r <= 1, whatever L
    one by one, late        r <= arccos(-1 / q) / (d sqrt(q^2 - 1)), q = L - 1 > 1: where the
                            slowest mode of x' = -r x - r q x(t - d) begins to swing

The read-out connection is D: what it predicts are the data, and with the data as targets the
difference of its dyads, -beta (D x - y), comes down through D^T into the code. There the dyads'
difference is the gradient of |y - D x|^2 / 2 through the fixed point, by implicit differentiation.

Sources: LCA = Rozell, Johnson, Baraniuk, Olshausen, *Sparse Coding via Thresholding and Local
Competition in Neural Circuits*, 2008; ISTA = Daubechies, Defrise, De Mol, 2004; learning through
the optimum: Mairal, Bach, Ponce, *Task-Driven Dictionary Learning*, 2012.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.checks import Count, NotNegative, Positive, Share, Size, check_fields, real_array
from lava_dyads.elements import Connection, Head, Population
from lava_dyads.errors import invalid
from lava_dyads.executors.recurrent import ReadOut, RecurrentDyads, looped, recurrent
from lava_dyads.executors.step import Network
from lava_dyads.rules.activations import ACTIVATIONS, Activation, soft_threshold
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.losses import loss as loss_of
from lava_dyads.rules.ops.conv import Conv
from lava_dyads.rules.optimisers import Optimiser
from lava_dyads.rules.send_on_change import Thresholds
from lava_dyads.rules.units.damped import DampedDyad

Sign = Literal["both", "positive"]

ROUNDING = 1e-12
"""An atom whose norm is as near to 1 as this has norm 1: its neuron has no synapse to itself."""


@dataclass(frozen=True)
class SparseCoding:
    """What is minimised, and how the neurons get there.

    Parameters
    ----------
    penalty : float
        lambda > 0, in units of the data.
    sign : str
        Of the entries of a code: ``both`` or ``positive``.
    rate : float or None
        r; None: the largest that is safe, see :func:`~lava_dyads.executors.sparse_code.safe_rate`.
    together : bool
        Whether neurons update together, in steps or as a layer, or one by one (clock ``async``,
        granularity ``neuron``).
    delay : float
        Mean delay of a message, in wake-ups of a neuron.
    steps : int
        Of a presentation.
    alpha : float
        Share of s+ in the mean, in [0, 1].
    beta : float
        Nudge strength per sample, > 0.

    Raises
    ------
    ValidationError
        If a parameter is out of range.
    """

    penalty: Positive = 0.1
    sign: Sign = "both"
    rate: float | None = None
    together: bool = True
    delay: NotNegative = 0.0
    steps: Count = 500
    alpha: Share = 0.5
    beta: Positive = 0.01

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def activation(self) -> Activation:
        """f, but for the bias of positive codes."""
        return ACTIVATIONS["relu"] if self.sign == "positive" else soft_threshold(self.penalty)

    @property
    def bias(self) -> float:
        """-lambda for positive codes, else 0."""
        return -self.penalty if self.sign == "positive" else 0.0

    def objective(self, dictionary: Array, y: Array, x: Array) -> Array:
        """Return |y - D x|^2 / 2 + lambda |x|_1 for every row, (lanes,)."""
        residual = y - x @ dictionary.T
        value: Array = (residual**2).sum(axis=1) / 2 + self.penalty * np.abs(x).sum(axis=1)
        return value

    def gap(self, dictionary: Array, y: Array, x: Array) -> Array:
        """Return by how much the objective of a code can lie above the optimum at most, (lanes,).

        The duality gap: with r = y - D x, scaled until no atom answers to it by more than lambda,
        |y|^2 / 2 - |y - r|^2 / 2 is a lower bound of the optimum.
        """
        residual = y - x @ dictionary.T
        answers = residual @ dictionary
        if self.sign == "both":
            answers = np.abs(answers)
        largest = answers.max(axis=1, initial=self.penalty)
        scaled = residual * (self.penalty / largest)[:, None]
        dual = ((y**2).sum(axis=1) - ((y - scaled) ** 2).sum(axis=1)) / 2
        gap: Array = self.objective(dictionary, y, x) - dual
        return gap


def lateral(dictionary: Array) -> Array:
    """Return I - D^T D, symmetric to the bit, 0 where an atom of norm 1 meets itself.

    Examples
    --------
    >>> lateral(np.array([[1.0, 0.6], [0.0, 0.8]]))
    array([[ 0. , -0.6],
           [-0.6,  0. ]])
    """
    gram = dictionary.T @ dictionary
    w: Array = np.eye(len(gram)) - (gram + gram.T) / 2
    own = np.einsum("ij,ij->j", dictionary, dictionary)
    np.fill_diagonal(w, np.where(np.abs(own - 1.0) < ROUNDING, 0.0, 1.0 - own))
    return w


def curvature(dictionary: Array) -> float:
    """Return L, the largest eigenvalue of D^T D: the square of D's largest singular value."""
    return float(np.linalg.norm(dictionary, 2)) ** 2


def rate_limit(largest: float, together: bool = True, delay: float = 0.0) -> float:
    """Return the rate beyond which neurons cannot be trusted to come to rest (module docstring).

    Parameters
    ----------
    largest : float
        L, see :func:`curvature`.
    together, delay
        See :class:`SparseCoding`.

    Examples
    --------
    >>> rate_limit(1.0), round(rate_limit(1.0, delay=1.0), 6)
    (2.0, 1.0)
    """
    if together:
        return 2.0 * math.sin(math.pi / (2 * (2 * delay + 1))) / largest
    q = largest - 1.0
    if q <= 1.0 or not delay:
        return 1.0
    return min(1.0, math.acos(-1.0 / q) / (delay * math.sqrt(q**2 - 1.0)))


def safe_rate(largest: float, together: bool = True, delay: float = 0.0) -> float:
    """Return the rate that is taken if none is given: half of the limit where that is one of steps.

    At most 1; in steps without delay 1 / L.
    """
    return min(1.0, rate_limit(largest, together, delay) / (1 + together))


def checked_dictionary(dictionary: Array) -> Array:
    """Return a dictionary (n, atoms), if it is one.

    Raises
    ------
    ValidationError
        If it is no finite matrix, or an atom is 0.
    """
    d = real_array(dictionary, "dictionary", 2)
    if not d.size:
        invalid("dictionary", "needs at least one atom of at least one entry", d.shape)
    empty = np.flatnonzero(~d.any(axis=0))
    if empty.size:
        invalid("dictionary", "every atom must have an entry that is not 0",
                f"atom {empty[0]}", "to leave it out")  # fmt: skip
    return d


def checked_rate(largest: float, coding: SparseCoding) -> float:
    """Return the rate of the neurons, checked against what curvature L and delay allow.

    Raises
    ------
    ValidationError
        If it is beyond.
    """
    how = coding.together, coding.delay
    limit, safe, rate = rate_limit(largest, *how), safe_rate(largest, *how), coding.rate
    if rate is None:
        return safe
    if not 0 < rate <= 1:
        invalid("SparseCoding.rate", "must lie in (0, 1]", rate, f"{safe:.4g}")
    if rate > limit or (coding.together and rate == limit):
        late = f" and a mean delay of {coding.delay:g} wake-ups" if coding.delay else ""
        what = f"must be below {limit:.4g} for |D|^2 = {largest:.4g}{late}"
        invalid("SparseCoding.rate", what, rate, f"{safe:.4g}, or None")
    return rate


def sparse_code(
    dictionary: Array,
    coding: SparseCoding = SparseCoding(),
    *,
    read_out: bool = False,
    lanes: Size = 1,
    threshold: NotNegative = 0.0,
    optimiser: Optimiser | None = None,
    arithmetic: Arithmetic | None = None,
) -> Network:
    """Build the population whose mean is the sparse code of the data.

    Its connections are ``inputs`` (D^T), ``recurrent`` (I - D^T D) and, with a read-out,
    ``read_out`` (D); populations ``population`` and ``read_out_population``.

    Parameters
    ----------
    dictionary : array, shape (n, atoms)
        D; atoms need not have norm 1, and there may be more of them than entries of the data.
    coding : SparseCoding
    read_out : bool
        Whether the network ends in D x, nudged towards its target, instead of in x.
    lanes, threshold, optimiser, arithmetic
        As for every network, see :func:`~lava_dyads.executors.build.build`.

    Raises
    ------
    ValidationError
        If the dictionary is none, or the rate is beyond what curvature and delay allow.

    Examples
    --------
    >>> network = sparse_code(np.array([[1.0, 0.6], [0.0, 0.8]]), SparseCoding(0.1))
    >>> network.settle(np.array([[1.0, 0.0]]), None).converged
    True
    >>> network.means()["population"].round(6)
    array([[0.9, 0. ]])

    References
    ----------
    LCA.
    """
    d = checked_dictionary(dictionary)
    rate = checked_rate(curvature(d), coding)
    return recurrent(
        lateral(d),
        coding.bias,
        kind="symmetric",
        inputs=d.T,
        read_out=ReadOut(d) if read_out else None,
        f=coding.activation,
        dyads=RecurrentDyads(coding.alpha, coding.beta, rate, coding.steps, True),
        lanes=lanes,
        threshold=threshold,
        optimiser=optimiser,
        arithmetic=arithmetic,
    )


def checked_kernels(kernels: Array, image: tuple[int, int, int]) -> Array:
    """Return kernels (atoms, channels, height, width), if they are some and fit into the image.

    Raises
    ------
    ValidationError
        If they do not.
    """
    k = real_array(kernels, "kernels", 4)
    if not k.size or not k.any(axis=(1, 2, 3)).all():
        invalid("kernels", "every one must have an entry that is not 0", k.shape)
    fits = k.shape[1] == image[0] and k.shape[2] <= image[1] and k.shape[3] <= image[2]
    if not fits:
        invalid("kernels", f"must be (atoms, {image[0]}, height, width) within {image}", k.shape)
    return k


def correlations(kernels: Array) -> Array:
    """Return the kernels of I - D^T D, (atoms, atoms, 2 height - 1, 2 width - 1)."""
    atoms, channels, height, width = kernels.shape
    room = np.pad(kernels, ((0, 0), (0, 0), (height - 1,) * 2, (width - 1,) * 2))
    meet = Conv((channels, *room.shape[2:]), atoms, (height, width))
    answers = meet.forward(kernels, room.reshape(atoms, -1))  # of kernel m to n, moved everywhere
    moved = answers.reshape(atoms, atoms, 2 * height - 1, 2 * width - 1).swapaxes(0, 1)
    made: Array = -moved[:, :, ::-1, ::-1]
    made[np.arange(atoms), np.arange(atoms), height - 1, width - 1] += 1.0
    return made


def kernel_curvature(kernels: Array, image: tuple[int, int, int]) -> float:
    """Return a bound on L of a convolutional dictionary: the largest over all frequencies."""
    spectra = np.fft.rfft2(kernels, image[1:])  # atoms within the image: no wrap around
    matrices = spectra.transpose(2, 3, 1, 0)
    return float(np.linalg.norm(matrices, 2, axis=(2, 3)).max()) ** 2


def convolutional_code(
    kernels: Array,
    image: tuple[int, int, int],
    coding: SparseCoding = SparseCoding(),
    *,
    lanes: Size = 1,
    threshold: NotNegative = 0.0,
    optimiser: Optimiser | None = None,
) -> Network:
    """Build the population that codes images as a sum of kernels put wherever they fit.

    y = sum_m kernel_m * x_m; a signal in time is an image of height 1. ``inputs`` is a convolution,
    and so is ``recurrent``, with the correlations of the kernels with each other: as many weights
    as the kernels need, whatever the size of the image. The code is laid out kernel by kernel.

    Parameters
    ----------
    kernels : array, shape (atoms, channels, height, width)
    image : tuple of int
        (channels, height, width) of the data.
    coding, lanes, threshold, optimiser
        As for :func:`sparse_code`.

    Raises
    ------
    ValidationError
        If the kernels do not fit, or the rate is beyond what curvature and delay allow.

    Examples
    --------
    >>> network = convolutional_code(np.ones((1, 1, 1, 2)), (1, 1, 4), SparseCoding(0.5))
    >>> network.settle(np.array([[0.0, 1.0, 1.0, 0.0]]), None).converged
    True
    >>> network.means()["population"].round(6)
    array([[0.  , 0.75, 0.  ]])
    """
    k = checked_kernels(kernels, image)
    atoms, _, height, width = k.shape
    rate = checked_rate(kernel_curvature(k, image), coding)
    shared: dict[str, Any] = {"lanes": lanes, "beta": coding.beta}
    taught = shared | {"optimiser": optimiser}
    below = Conv(image, atoms, (height, width))
    around = Conv(below.image_out, atoms, (2 * height - 1, 2 * width - 1),
                  padding=(height - 1, width - 1))  # fmt: skip
    unit = DampedDyad(coding.activation, coding.alpha, True, rate)
    elements = {
        "inputs": Connection(k, op=below, **taught),
        "recurrent": Connection(correlations(k), op=around, **taught),
        "population": Population(
            unit, np.full(below.n_out, coding.bias), thresholds=Thresholds(threshold), **taught
        ),
        "head": Head(loss_of("squared-error"), below.n_out, threshold=threshold, **shared),
    }
    return looped(elements, steps=coding.steps)
