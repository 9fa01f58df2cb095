"""The convolution: every patch of an image meets the same weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from lava_dyads.array_types import AnyArray, Array
from lava_dyads.checks import check_fields
from lava_dyads.errors import invalid
from lava_dyads.rules.namespaces import Namespace, added, put, whole
from lava_dyads.rules.ops.dense import product
from lava_dyads.rules.ops.kinds import Kind, Resolved, Shape, image, register
from lava_dyads.rules.ops.windows import Pair, Windows, events_at, lanes_last, pair

BLOCK = 1 << 21
"""Bytes of patches that are laid out at once: they should stay in a cache."""


@dataclass(frozen=True)
class Conv:
    """Two-dimensional convolution with weights w of shape (channels, C, kernel).

    As everywhere in learning it is a correlation; with images x (C, height, width), d (channels,
    windows), stride s and padding p, where x is 0 outside of the image::

        forward    y[o, i, j]    = sum_cab  w[o, c, a, b] x[c, i s + a - p, j s + b - p]
        transpose  x'[c, h, v]   = sum_oij  w[o, c, h - i s + p, v - j s + p] d[o, i, j]
        outer      g[o, c, a, b] = sum over lanes, i, j  d[o, i, j] x[c, i s + a - p, j s + b - p]

    Messages are images laid out channel by channel, row by row. Patches of some lanes at a time
    are laid out as the columns of a matrix, so that all three are products of matrices.

    Parameters
    ----------
    image : tuple of int
        (C, height, width) of the image below.
    channels : int
        Of the image above.
    kernel, stride, padding : int or pair of int
        Of both axes, in pixels.

    Raises
    ------
    ValidationError
        If a size is not positive, or the kernel is larger than its image.

    Examples
    --------
    >>> conv = Conv((1, 3, 3), 1, kernel=2)
    >>> conv.forward(np.ones((1, 1, 2, 2)), np.arange(9.0)[None])
    array([[ 8., 12., 20., 24.]])
    """

    process_name: ClassVar[str] = "DyadConv"
    feedback_process_name: ClassVar[str] = "DyadConvFeedback"

    image: tuple[int, int, int]
    channels: int
    kernel: int | Pair = 3
    stride: int | Pair = 1
    padding: int | Pair = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if min(self.image[0], self.channels) < 1:
            invalid("channels", "must be at least 1", (self.image[0], self.channels))
        _ = self.windows

    @cached_property
    def windows(self) -> Windows:
        """Where the kernel is put."""
        sizes = (pair(size) for size in (self.kernel, self.stride, self.padding))
        return Windows((self.image[1], self.image[2]), *sizes)

    @property
    def image_out(self) -> tuple[int, int, int]:
        """(channels, height, width) of the image above."""
        return (self.channels, *self.windows.out)

    @cached_property
    def n_in(self) -> int:
        """Pixels below, of all channels."""
        return int(np.prod(self.image))

    @cached_property
    def n_out(self) -> int:
        """Pixels above, of all channels."""
        return int(np.prod(self.image_out))

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels above, channels below, rows, columns)."""
        return (self.channels, self.image[0], *self.windows.kernel)

    @cached_property
    def fan_in(self) -> int:
        """Weights that reach one pixel above, away from the border."""
        return int(np.prod(self.shape[1:]))

    @property
    def mask(self) -> AnyArray | None:
        """None."""
        return None

    @property
    def synapses(self) -> int:
        """Weights; each is used at every window."""
        return self.channels * self.fan_in

    def forward(
        self, weights: Array, up: Array, out: Array | None = None, xp: Namespace = np
    ) -> Array:
        """Return the image above, (lanes, n_out)."""
        matrix = weights.reshape(self.channels, -1)
        made = self._workspace((len(up), self.n_out), weights, up, out, xp)
        for lanes in self._blocks(up, xp):
            shown = product(matrix, self._patches(up[lanes], xp), None, xp)
            made = put(made, lanes, shown.reshape(self.n_out, -1).T)
        return made

    def transpose(
        self, weights: Array, down: Array, out: Array | None = None, xp: Namespace = np
    ) -> Array:
        """Return the image below, (lanes, n_in)."""
        matrix, windows = weights.reshape(self.channels, -1).T, self.windows
        made = self._workspace((len(down), self.n_in), weights, down, out, xp)
        for lanes in self._blocks(down, xp):
            patches = product(matrix, self._rows(down[lanes], xp), None, xp)
            parts = patches.reshape(self.image[0], -1, *windows.out, len(down[lanes]))
            wide = xp.zeros((self.image[0], *windows.padded, parts.shape[-1]), dtype=made.dtype)
            for i, (rows, columns) in enumerate(windows.offsets):
                wide = added(wide, (slice(None), rows, columns), parts[:, i])
            rows, columns = windows.inside
            made = put(made, lanes, wide[:, rows, columns].reshape(self.n_in, -1).T)
        return made

    def outer(self, down: Array, up: Array, out: Array | None = None, xp: Namespace = np) -> Array:
        """Return the products at each weight, summed over windows and lanes, in ``shape``."""
        made = put(self._workspace(self.shape, down, up, out, xp), ..., 0)
        for lanes in self._blocks(up, xp):
            part = product(self._rows(down[lanes], xp), self._patches(up[lanes], xp).T, None, xp)
            made += part.reshape(self.shape)
        return made  # type: ignore[no-any-return]

    def forward_operations(self, up: AnyArray, xp: Namespace = np) -> int:
        """Every event below meets, at every window that shows it, the weights of all channels."""
        events = events_at(up, self.windows.coverage.size)
        return whole(events @ self.windows.coverage) * self.channels

    def backward_operations(self, down: AnyArray, xp: Namespace = np) -> int:
        """Every event above meets the weights to all pixels that its window shows."""
        events = events_at(down, self.windows.taps.size)
        return whole(events @ self.windows.taps) * self.image[0]

    def learning_operations(self, down: AnyArray, up: AnyArray, xp: Namespace = np) -> int:
        """Two events meet at a weight for every window through which one sees the other."""
        windows, lanes = self.windows, len(up)
        below = (up.reshape(lanes, self.image[0], -1) != 0).sum(axis=1)
        above = (down.reshape(lanes, self.channels, -1) != 0).sum(axis=1)
        pixels = windows.pad(lanes_last(below, (1, *windows.image), xp), xp)
        counts = lanes_last(above, windows.out, xp)
        met = [xp.vdot(pixels[0, rows, cols], counts) for rows, cols in windows.offsets]
        return sum(whole(number) for number in met)

    def _patches(self, up: Array, xp: Namespace) -> Array:
        """Return the content of every window: (C * rows * columns, windows * lanes)."""
        windows = self.windows
        shown = windows.of(windows.pad(lanes_last(up, self.image, xp), xp), xp)
        return shown.reshape(self.fan_in, -1)

    def _rows(self, down: Array, xp: Namespace) -> Array:
        """Return the image above as a matrix, (channels, windows * lanes)."""
        return lanes_last(down, self.image_out, xp).reshape(self.channels, -1)

    def _blocks(self, message: Array, xp: Namespace) -> Iterator[slice]:
        """Return the slices of lanes to do at once."""
        if xp is not np:
            return iter((slice(None),))
        patches = self.fan_in * self.windows.taps.size * message.itemsize
        step = max(1, BLOCK // patches)
        return (slice(i, i + step) for i in range(0, len(message), step))

    @staticmethod
    def _workspace(
        shape: tuple[int, ...], one: Array, other: Array, out: Array | None, xp: Namespace
    ) -> Array:
        """Return the array for a result; that of integers is int64, see :func:`product`."""
        if xp is not np:
            return xp.zeros(shape, dtype=other.dtype)  # type: ignore[no-any-return]
        whole = one.dtype.kind != "f"
        if out is not None and not whole:
            return out
        return np.empty(shape, np.int64 if whole else np.result_type(one, other))


def _resolve(node: Any, shapes: list[Shape], seed: Sequence[int]) -> Resolved:
    op = Conv(image(node, shapes[0]), node.channels, node.kernel, node.stride or 1, node.padding)
    return op.image_out, op


_NEEDS, _MAY = ("channels", "kernel"), ("stride", "padding")
_TEXT = "the same weights for every patch of an image"
register(Kind("conv", _TEXT, _NEEDS, _MAY, (1, 1), _resolve, Conv((1, 1, 1), 1, 1)))
