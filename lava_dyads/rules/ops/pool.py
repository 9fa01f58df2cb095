"""Pooling: the mean of a window, which is linear, or its largest entry, which is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from lava_dyads.array_types import AnyArray, Array
from lava_dyads.checks import check_fields
from lava_dyads.errors import invalid
from lava_dyads.rules.meter import events
from lava_dyads.rules.namespaces import Namespace, added, over, whole
from lava_dyads.rules.ops.base import NonlinearOp, Weightless
from lava_dyads.rules.ops.kinds import Kind, Resolved, Shape, image, register
from lava_dyads.rules.ops.windows import Pair, Windows, events_at, pair


@dataclass(frozen=True)
class _Pool:
    """Windows on every channel of an image by itself.

    Parameters
    ----------
    image : tuple of int
        (C, height, width).
    kernel : int or pair of int
        Of both axes, in pixels.
    stride : int or pair of int or None
        None: the kernel, so that windows lie side by side.
    """

    image: tuple[int, int, int]
    kernel: int | Pair = 2
    stride: int | Pair | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.image[0] < 1:
            invalid("channels", "must be at least 1", self.image[0])
        _ = self.windows

    @cached_property
    def windows(self) -> Windows:
        """Where the kernel is put."""
        kernel = pair(self.kernel)
        stride = kernel if self.stride is None else pair(self.stride)
        return Windows((self.image[1], self.image[2]), kernel, stride, (0, 0))

    @property
    def image_out(self) -> tuple[int, int, int]:
        """(C, height, width) of the image above."""
        return (self.image[0], *self.windows.out)

    @cached_property
    def pixels(self) -> int:
        """Pixels below, of all channels."""
        return int(np.prod(self.image))

    @cached_property
    def n_out(self) -> int:
        """Pixels above, of all channels."""
        return int(np.prod(self.image_out))

    def _looked_at(self, up: AnyArray, xp: Namespace) -> int:
        looks = events_at(up, self.windows.coverage.size) @ self.windows.coverage
        return whole(looks)

    def _images(self, message: Array) -> Array:
        return message.reshape(len(message), *self.image)

    def _images_out(self, message: Array) -> Array:
        return message.reshape(len(message), *self.image_out)


class AveragePool(_Pool, Weightless):
    """The mean of every window: a constant connection.

    With K pixels in a window, channel by channel::

        forward    y_i = (1 / K) sum of x_j over the window i
        transpose  x_j = (1 / K) sum of d_i over the windows i that show j

    Raises
    ------
    ValidationError
        If a size is not positive, or the kernel is larger than its image.

    Examples
    --------
    >>> AveragePool((1, 2, 4)).forward(np.zeros(()), np.arange(8.0)[None])
    array([[2.5, 4.5]])
    """

    process_name: ClassVar[str] = "DyadAveragePool"

    @property
    def n_in(self) -> int:
        """Pixels below, of all channels."""
        return self.pixels

    def forward(
        self, weights: Array, up: Array, out: Array | None = None, xp: Namespace = np
    ) -> Array:
        """Return the means, (lanes, n_out)."""
        images = self._images(up)
        means = self._images_out(_blank((len(up), self.n_out), up, out, xp))
        for rows, columns in self.windows.offsets:
            means += images[:, :, rows, columns]
        means /= self._inside
        return means.reshape(len(up), self.n_out)

    def transpose(
        self, weights: Array, down: Array, out: Array | None = None, xp: Namespace = np
    ) -> Array:
        """Return the shares, (lanes, n_in)."""
        shares = self._images_out(down) / self._inside
        images = self._images(_blank((len(down), self.pixels), down, out, xp))
        for rows, columns in self.windows.offsets:
            images = added(images, (..., rows, columns), shares)
        return images.reshape(len(down), self.pixels)

    def forward_operations(self, up: AnyArray, xp: Namespace = np) -> int:
        """Every event below is looked at by every window that shows it."""
        return self._looked_at(up, xp)

    def backward_operations(self, down: AnyArray, xp: Namespace = np) -> int:
        """Every event above reaches the pixels of its window."""
        return events(down, xp) * self._inside

    @property
    def _inside(self) -> int:
        """Pixels in a window, K."""
        rows, columns = self.windows.kernel
        return rows * columns


class MaxPool(_Pool, NonlinearOp):
    """The largest entry of every window: a nonlinear op of one argument.

    Channel by channel, with the first of the largest pixels, row by row, j*(i), of window i::

        forward    y_i = x_j*(i)
        transpose  x'_j = sum of d_i over the windows i with j*(i) = j

    The switches j* are those of the argument that is given, for forward and transpose the same:
    a window passes the error to the pixel that it has passed on.

    Raises
    ------
    ValidationError
        If a size is not positive, or the kernel is larger than its image.

    Examples
    --------
    >>> pool, up = MaxPool((1, 2, 4)), np.array([[0.0, 3, 5, 5, 1, 2, 5, 4]])
    >>> pool.forward(up), pool.transpose(np.array([[1.0, 2.0]]), up)
    (array([[3., 5.]]), (array([[0., 1., 2., 0., 0., 0., 0., 0.]]),))
    """

    process_name: ClassVar[str] = "DyadMaxPool"

    @property
    def selects(self) -> bool:
        """Whether windows do not overlap, so that no pixel adds up errors."""
        pairs = zip(self.windows.kernel, self.windows.stride, strict=True)
        return all(kernel <= stride for kernel, stride in pairs)

    @property
    def n_in(self) -> tuple[int, ...]:
        """(Pixels below, of all channels,)."""
        return (self.pixels,)

    def forward(self, *ups: Array, xp: Namespace = np) -> Array:
        """Return the largest entries, (lanes, n_out)."""
        return self._largest(self._images(ups[0]), xp).reshape(len(ups[0]), -1)

    def transpose(self, down: Array, *ups: Array, xp: Namespace = np) -> tuple[Array, ...]:
        """Return the errors of the pixels, (lanes, n_in)."""
        (up,) = ups
        images, errors = self._images(up), self._images_out(down)
        routed = xp.zeros(images.shape, dtype=down.dtype)
        largest = self._largest(images, xp)
        free = xp.ones(largest.shape, dtype=bool)
        for rows, columns in self.windows.offsets:
            first = images[:, :, rows, columns] == largest
            first &= free
            free ^= first
            routed = added(routed, (..., rows, columns), errors * first)
        return (routed.reshape(up.shape),)

    def forward_operations(self, *ups: AnyArray, xp: Namespace = np) -> int:
        """Every event below is looked at by every window that shows it."""
        return self._looked_at(ups[0], xp)

    def backward_operations(self, down: AnyArray, *ups: AnyArray, xp: Namespace = np) -> int:
        """Every event above goes to one pixel."""
        return events(down, xp)

    def _largest(self, images: Array, xp: Namespace) -> Array:
        parts = [images[:, :, rows, columns] for rows, columns in self.windows.offsets]
        largest = parts[0].copy()
        for part in parts[1:]:
            largest = over(largest, xp).maximum(largest, part)
        return largest


def _blank(shape: tuple[int, ...], like: Array, out: Array | None, xp: Namespace) -> Any:
    """Return zeros, in ``out`` if there is one."""
    if out is None:
        return xp.zeros(shape, dtype=like.dtype)
    out[...] = 0
    return out


def _max(node: Any, shapes: list[Shape], seed: Sequence[int]) -> Resolved:
    op = MaxPool(image(node, shapes[0]), node.kernel or 2, node.stride or None)
    return op.image_out, op


def _average(node: Any, shapes: list[Shape], seed: Sequence[int]) -> Resolved:
    op = AveragePool(image(node, shapes[0]), node.kernel or 2, node.stride or None)
    return op.image_out, op


_MAY, _PIXEL = ("kernel", "stride"), (1, 1, 1)
_LARGEST, _MEAN = "the largest entry of every window", "the mean of every window"
register(
    Kind("max-pool", _LARGEST, (), _MAY, (1, 1), _max, MaxPool(_PIXEL, 1)),
    Kind("average-pool", _MEAN, (), _MAY, (1, 1), _average, AveragePool(_PIXEL, 1)),
)
