"""Sparse coding as one hierarchical Process."""

from __future__ import annotations

from lava_dyads.array_types import Array
from lava_dyads.checks import NotNegative, Size, checked
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.executors.sparse_code import SparseCoding, sparse_code
from lava_dyads.processes.network import DyadNetwork
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.optimisers import Optimiser


class SparseCode(DyadNetwork):
    """A population whose mean is the sparse code x: argmin |y - D x|^2 / 2 + lambda |x|_1.

    In every step, in this order::

        basal  <- basal + D^T y + (I - D^T D) mean                    (changes)
        s+-    <- f_r((1 - r) s+- + r (basal +- g+- apical))          f: soft threshold, or relu
        mean_out, difference_out <- changes since last sent           with bias -lambda

    Ports: ``input_in`` (n), the data y; ``output_out``, the code (atoms), or with a read-out D x
    (n); ``target_in``, what the output is compared with, of its width. Vars: ``weights_1`` D^T,
    ``weights_2`` I - D^T D, with a read-out ``weights_3`` D, their biases, ``learn`` and
    ``window``. Granularities and clocks as of every :class:`DyadNetwork`; at ``layer`` and
    ``neuron`` its populations have the ports of a :class:`Dyad`.

    Parameters
    ----------
    dictionary : array, shape (n, atoms)
        D.
    coding : SparseCoding
        Penalty, sign and rate; how late messages are.
    read_out : bool
        Whether it ends in D x.
    lanes : int
        Samples side by side.
    threshold : float
        Send-on-change threshold of the code, in its units.
    optimiser : Optimiser or None
        None: constant weights.
    arithmetic : Arithmetic or None
        None: floating point.
    schedule : PresentationSchedule or None
    name : str

    Raises
    ------
    ValidationError
        If the dictionary is none, or the rate is beyond what curvature and delay allow.

    Examples
    --------
    >>> import numpy as np
    >>> code = SparseCode(np.array([[1.0, 0.6], [0.0, 0.8]]), SparseCoding(penalty=0.1))
    >>> code.input_in.shape, code.output_out.shape, code.read("weights_2").tolist()
    ((2,), (2,), [[0.0, -0.6], [-0.6, 0.0]])

    References
    ----------
    Rozell, Johnson, Baraniuk, Olshausen, *Sparse Coding via Thresholding and Local Competition in
    Neural Circuits*, 2008.
    """

    @checked
    def __init__(
        self,
        dictionary: Array,
        coding: SparseCoding = SparseCoding(),
        *,
        read_out: bool = False,
        lanes: Size = 1,
        threshold: NotNegative = 0.0,
        optimiser: Optimiser | None = None,
        arithmetic: Arithmetic | None = None,
        schedule: PresentationSchedule | None = None,
        name: str = "sparse_code",
    ) -> None:
        network = sparse_code(
            dictionary, coding, read_out=read_out, lanes=lanes, threshold=threshold,
            optimiser=optimiser, arithmetic=arithmetic,
        )  # fmt: skip
        self.coding = coding
        super().__init__(network, schedule=schedule, name=name)
