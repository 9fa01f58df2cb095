"""The connection of a lifted network: it computes both errors of its layers, where they arise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lava_dyads.array_types import Array, Signal
from lava_dyads.elements.base import Inbox, Outbox
from lava_dyads.elements.clock import Clock
from lava_dyads.elements.connection import Connection
from lava_dyads.errors import UnsupportedError, invalid


class LiftedConnection(Connection):
    """The term of the energy that joins two layers, as what it pulls both to.

    With x the activity below, z the one above and r the weight of the reconstruction::

        E = 1/2 |e|^2 + r/2 |d|^2        e = z - W x        d = x - W^T z

    In every step, in this order::

        first step of a presentation: held signals <- 0, buffers <- m, once
        send the buffers                                        (one step of delay)
        held x <- held x + message            held z <- held z + message
        basal buffer  <- m z - e + r W d      = m z - dE/dz, of these messages (E is quadratic)
        apical buffer <- m x + W^T e - r d    = m x - dE/dx, likewise
        last step: learn from e x^T + r z d^T, at z+ less at z-

    Messages have blocks of n numbers: activities come as z- and z+ - z-, pulls go as those at z-,
    their difference at z+, and m, the largest curvature of E (``curvature``), which follows from
    the norm of W and changes between presentations only.

    Parameters
    ----------
    weights : array, shape (n_out, n_in)
    reconstruction : float
        r > 0, dimensionless.
    above_data : bool
        Whether x is data: one block, and only z moves.
    contrastive : bool
        Learn from z+ less z-; else, unsupervised, descend E itself at z-.
    options
        As for :class:`Connection`; feedback is tied.

    Raises
    ------
    ValidationError
        If r is not positive, or as :class:`Connection` does.
    UnsupportedError
        In integers.
    """

    def __init__(
        self,
        weights: Array,
        *,
        reconstruction: float = 1.0,
        above_data: bool = False,
        contrastive: bool = True,
        **options: Any,
    ) -> None:
        if not (np.isfinite(reconstruction) and reconstruction > 0):
            invalid("LiftedConnection.reconstruction", "must be positive", reconstruction, "1")
        super().__init__(weights, **options)
        if self.arithmetic.exact:
            raise UnsupportedError(
                f"precision {self.arithmetic.name}: a neuron cannot divide by a curvature. "
                "Try: precision float"
            )
        self.reconstruction, self.above_data = reconstruction, above_data
        self.contrastive, self._m = contrastive, 0.0
        below, above = self.op.n_in, self.op.n_out
        self.inputs = {"mean_in": below * (1 if above_data else 2), "difference_in": 2 * above}
        self.outputs = {"basal_out": 3 * above, "apical_out": 3 * below}
        for name, port in (("held_mean", "mean_in"), ("held_difference", "difference_in")):
            self.memory[name] = self.arithmetic.zeros((self.lanes, self.inputs[port]))

    @property
    def process_name(self) -> str:
        """``DyadLifted``."""
        return "DyadLifted"

    def curvature(self) -> float:
        """Return the largest eigenvalue of the Hessian of E in what moves: (x, z), or z alone."""
        w = self.memory["weights"].reshape(self.op.n_out, -1)
        gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
        norm = math.sqrt(max(0.0, float(np.linalg.eigvalsh(gram)[-1])))
        return largest_curvature(norm, self.reconstruction, self.above_data)

    def reset(self) -> None:
        """Forget the last presentation; announce the curvature."""
        super().reset()
        self._m = self.curvature()
        self._buffer = {port: self._blocks(port) for port in self.outputs if port in self.listened}

    def _blocks(self, port: str, pulls: Array | None = None) -> Array:
        """Return a message: pulls (2, lanes, n), or else the curvature that goes before them."""
        message = self.arithmetic.zeros((self.lanes, self.outputs[port]))
        n = self.outputs[port] // 3
        if pulls is None:
            message[:, 2 * n :] = self._m
        else:
            message[:, :n], message[:, n : 2 * n] = pulls
        return message

    def after(self, clock: Clock, inbox: Inbox) -> Outbox:
        """Receive, compute the change of both pulls for the next step, learn in the last one."""
        m, numbers = self.memory, self.arithmetic
        up, down = inbox.get("mean_in"), inbox.get("difference_in")
        numbers.accumulate(m["held_mean"], up, "held_mean")
        numbers.accumulate(m["held_difference"], down, "held_difference")
        if not clock.last and not (up is None and down is None):
            for port, pulls in self._pulls(up, down).items():
                self._buffer[port] = self._blocks(port, pulls)
        if clock.last:
            self.finish(clock)
        return {}

    def value(self, port: str) -> Array:
        """Return pulls and curvature of what is held."""
        pulls = self._pulls(self.memory["held_mean"], self.memory["held_difference"], False)
        return np.asarray(self._blocks(port, pulls[port]) + self._blocks(port))

    def errors(
        self, x: Array, z: Array, below: bool | np.bool_ = True, above: bool | np.bool_ = True
    ) -> tuple[Array, Array]:
        """Return e = z - W x and d = x - W^T z, given whether there is an x and a z."""
        w = self.memory["weights"]
        e = z - self.op.forward(w, x) if below else z
        return e, x - self.op.transpose(w, z) if above else x

    def _apart(self, message: Signal, n: int) -> Array:
        """Return the blocks of a message, (2, lanes, n); 0 where there is none."""
        parts = self.arithmetic.zeros((2, self.lanes, n))
        if message is not None:
            for i in range(message.shape[1] // n):
                parts[i] = message[:, i * n : (i + 1) * n]
        return parts

    def _pulls(self, up: Signal, down: Signal, count: bool = True) -> dict[str, Array]:
        """Return m z - dE/dz and m x - dE/dx for both blocks, (2, lanes, n), by output port."""
        op, w, r, m = self.op, self.memory["weights"], self.reconstruction, self._m
        widths = {"basal_out": op.n_out, "apical_out": op.n_in}
        made = {port: self.arithmetic.zeros((2, self.lanes, n))
                for port, n in widths.items() if port in self.listened}  # fmt: skip
        blocks = self._apart(up, op.n_in), self._apart(down, op.n_out)
        for i, (x, z) in enumerate(zip(*blocks, strict=True)):
            moved = np.any(x), np.any(z)
            if not any(moved):
                continue
            e, d = self.errors(x, z, *moved)
            made["basal_out"][i] = m * z - e + r * op.forward(w, d)
            if "apical_out" in made:
                made["apical_out"][i] = m * x + op.transpose(w, e) - r * d
            if count:
                self._count(x, z, e, d)
        return made

    def _count(self, x: Array, z: Array, e: Array, d: Array) -> None:
        self.count("forward", sum(self.op.forward_operations(v) for v in (x, d)))
        back = (z, e) if "apical_out" in self.listened else (z,)
        self.count("backward", sum(self.op.backward_operations(v) for v in back))

    def evidence(self, rows: slice = slice(None)) -> tuple[Array, Array]:
        """Return (e, z) and (x, r d), at z+ and, with the other sign, at z-."""
        m, r = self.memory, self.reconstruction
        x = self._apart(m["held_mean"], self.op.n_in)[:, rows]
        z = self._apart(m["held_difference"], self.op.n_out)[:, rows]
        e, d = self.errors(x[0], z[0])
        if not self.contrastive:
            return self.beta * np.vstack([e, z[0]]), np.vstack([x[0], r * d])
        x_plus, z_plus = x.sum(axis=0), z.sum(axis=0)
        e_plus, d_plus = self.errors(x_plus, z_plus)
        return np.vstack([e_plus, z_plus, -e, -z[0]]), np.vstack([x_plus, r * d_plus, x[0], r * d])


def largest_curvature(norm: float, r: float, above_data: bool) -> float:
    """Return the largest eigenvalue of the Hessian of E = 1/2 |z - W x|^2 + r/2 |x - W^T z|^2.

    With s = |W|: in z alone 1 + r s^2; in (x, z) that of [[s^2 + r, -(1 + r) s], [., 1 + r s^2]],
    which grows with s.

    Examples
    --------
    >>> largest_curvature(2.0, 1.0, False), largest_curvature(2.0, 1.0, True)
    (9.0, 5.0)
    """
    if above_data:
        return 1.0 + r * norm**2
    trace, determinant = (1 + r) * (1 + norm**2), r * (1 - norm**2) ** 2
    return 0.5 * (trace + math.sqrt(max(0.0, trace**2 - 4 * determinant)))
