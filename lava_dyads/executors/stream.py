"""Frames of a stream, one at a time: only what changes costs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lava_dyads.array_types import Array
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.errors import NotSettledError, UnsupportedError, invalid
from lava_dyads.executors.step import Network
from lava_dyads.rules.ops import Dense
from lava_dyads.rules.optimisers import SGD
from lava_dyads.rules.send_on_change import send_on_change


class FrameCost(NamedTuple):
    """What frames have cost: graded events, those of the input included; weights touched."""

    events: int
    operations: int


class FrameStream:
    """Show a network frame after frame; what it holds is kept from one to the next.

    A frame x is sent as its change from the last one. A network at rest that hears nothing new
    does nothing. The output is, to rounding, that of the frame shown alone, and so is what is
    learnt: connections make up for what they sent through weights that have learnt since
    (:class:`~lava_dyads.elements.Connection`).

    Parameters
    ----------
    network : Network
        Of a rule that settles in one sweep, built with ``executor="step"``; its lanes are as many
        streams side by side. Whoever sets its weights from outside begins a new stream.

    Raises
    ------
    UnsupportedError
        If it shows presentations in a way that keeps nothing.

    Examples
    --------
    >>> from lava_dyads import NetworkSpec
    >>> network = NetworkSpec((4, 8, 3)).build(executor="step")
    >>> stream = FrameStream(network)
    >>> first = stream.show([0.0, 0.5, 1.0, 0.0])
    >>> before = stream.cost
    >>> again = stream.show([0.0, 0.5, 1.0, 0.0])
    >>> np.array_equal(first, again), stream.cost == before
    (True, True)
    """

    def __init__(self, network: Network) -> None:
        swept = network.executor == "sweep"
        if swept or network.spiking:
            what = "a swept" if swept else "a spiking"
            raise UnsupportedError(
                f"FrameStream: {what} network keeps nothing between frames. "
                'Try: rule dp-transpose, build(executor="step")'
            )
        self.network = network
        self._schedule = PresentationSchedule(1, network.lanes, stream=True)
        self._last_sent = {
            port: network.arithmetic.zeros((network.lanes, n)) for port, n in network.inputs.items()
        }
        width = network.outputs["output_out"]
        self._output = network.arithmetic.zeros((network.lanes, width))
        self._frames = self._events = 0
        self._last: Array | None = None
        if network.lanes == 1:
            _by_columns(network)
        for element in network.elements.values():
            element.memory["counts"].fill(0)

    def show(self, x: ArrayLike, y: ArrayLike | None = None) -> Array:
        """Show the next frame; nudge and learn where there is a target.

        Parameters
        ----------
        x : array (n_in,) or (lanes, n_in)
        y : array (n_out,) or (lanes, n_out), or None
            Target; None: nothing is nudged, nothing learns.

        Returns
        -------
        array (n_out,), or (lanes, n_out)
            The free mean of the output.

        Raises
        ------
        ValidationError
            If a frame has another shape or a value is not finite.
        NotSettledError
            If the rule needs more than one sweep: then the frame is no result.
        """
        frame = np.asarray(x, float)
        if y is None and self._last is not None and np.array_equal(frame, self._last):
            self._frames += 1
            return self._answer(frame)
        self._frames += 1
        self._last = None
        self._schedule.learn[0] = y is not None
        inbox = {"input_in": self._change("input_in", frame)}
        if y is not None:
            inbox["target_in"] = self._change("target_in", y)
        message = inbox["input_in"]
        self._events += 0 if message is None else int(np.count_nonzero(message))
        sent = self.network.after(self._schedule.at(self._frames), inbox).get("output_out")
        if sent is not None:
            self._output += sent
        if y is not None and not self.network.settled:
            raise NotSettledError(
                f"frame {self._frames}: the network did not settle in its {self.network.steps} "
                "steps. Try: rule dp-transpose with alpha 0 or 1, no noise"
            )
        if y is None and self.network.at_rest:
            self._last = frame.copy()
        return self._answer(frame)

    def _answer(self, frame: Array) -> Array:
        output = self.network.arithmetic.real(self._output)
        return output if frame.ndim > 1 else np.asarray(output[0])

    @property
    def cost(self) -> FrameCost:
        """What all frames so far have cost."""
        events, operations = self._events, 0
        for element in self.network.elements.values():
            for name, count in element.counts.items():
                events += count * name.startswith("events")
                operations += count * (name in ("forward", "backward", "learning"))
        return FrameCost(events, operations)

    def _change(self, port: str, value: ArrayLike) -> Array | None:
        last_sent, numbers = self._last_sent[port], self.network.arithmetic
        frame = np.asarray(value, float)
        if frame.shape not in (
            last_sent.shape,
            last_sent.shape[1:] if len(last_sent) == 1 else None,
        ):
            invalid(f"frame {port}", f"must have shape {last_sent.shape}", frame.shape)
        if not np.isfinite(frame).all():
            bad = float(frame[~np.isfinite(frame)][0])
            invalid(f"frame {port}", "must be finite", bad)
        scale = None if numbers.exact else 1.0
        held = numbers.number(frame.reshape(last_sent.shape), port)
        return send_on_change(held, last_sent, 0.0, scale, numbers)[0]


def _by_columns(network: Network) -> None:
    """Put weights in the order in which a few events are quickest, where nobody minds."""
    for connection in network.connections.values():
        learner = connection.plasticity.optimiser
        if isinstance(connection.op, Dense) and (learner is None or isinstance(learner, SGD)):
            connection.memory["weights"] = np.asfortranarray(connection.memory["weights"])
    network.adopt_parameters()
