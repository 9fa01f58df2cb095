"""The connection of lifted networks as a Process."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lava_dyads.elements import Connection, LiftedConnection
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.processes.dense import DyadDense
from lava_dyads.rules.arithmetic import Arithmetic
from lava_dyads.rules.optimisers import Optimiser


class DyadLifted(DyadDense):
    """A term of the energy of a lifted network (LRRN): what it pulls both of its layers to.

    See :class:`lava_dyads.elements.LiftedConnection` for its dynamics. Ports: ``mean_in``
    (n_in above data, else 2 n_in: z- and z+ - z-), ``difference_in`` (2 n_out); ``basal_out``
    (3 n_out: pull at z-, its difference at z+, curvature), ``apical_out`` (3 n_in). Vars:
    those of :class:`DyadDense`.

    Parameters
    ----------
    weights : array-like, shape (n_out, n_in)
    reconstruction : float
        Weight r > 0 of the reconstruction.
    above_data : bool
        Whether data comes from below.
    lanes, beta, optimiser, schedule, name
        As for :class:`DyadDense`.

    Raises
    ------
    ValidationError
        If the weights are not a finite matrix or r is not positive.

    Examples
    --------
    >>> lifted = DyadLifted([[1.0, 2.0, 3.0]])
    >>> lifted.mean_in.shape, lifted.basal_out.shape
    ((6,), (3,))

    References
    ----------
    LRRN: see ``lava_dyads.rules.units.lifted``.
    """

    def __init__(
        self,
        weights: ArrayLike | None = None,
        *,
        reconstruction: float = 1.0,
        above_data: bool = False,
        lanes: int = 1,
        beta: float = 0.1,
        optimiser: Optimiser | None = None,
        schedule: PresentationSchedule | None = None,
        name: str | None = None,
        element: Connection | None = None,
    ) -> None:
        element = element or LiftedConnection(
            np.asarray(weights, float),
            reconstruction=reconstruction,
            above_data=above_data,
            lanes=lanes,
            beta=beta,
            optimiser=optimiser,
        )
        super().__init__(element=element, schedule=schedule, name=name)

    @classmethod
    def example(cls, arithmetic: Arithmetic | None = None) -> Connection:
        """Return the smallest element of this kind."""
        return LiftedConnection(np.zeros((1, 1)), arithmetic=arithmetic)
