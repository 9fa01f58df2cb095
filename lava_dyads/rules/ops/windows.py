"""Windows of a kernel on an image: where they lie, and which pixels they share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lava_dyads.array_types import AnyArray, Array, IntArray
from lava_dyads.checks import check_fields
from lava_dyads.errors import invalid
from lava_dyads.rules.namespaces import Namespace, put

Pair = tuple[int, int]


@dataclass(frozen=True)
class Windows:
    """Windows of (height, width) ``kernel``, one every ``stride`` pixels, on a padded image.

    Window i of an axis with n pixels, i = 0 .. (n + 2 p - k) // s, covers the pixels
    i s - p .. i s - p + k - 1; those outside of the image are zeros. Pixels that no window
    reaches, at the far edge, are not looked at.

    Parameters
    ----------
    image, kernel, stride, padding : pairs of int
        Of the two axes: n, k, s and p.

    Raises
    ------
    ValidationError
        If a size is not positive, or the kernel is larger than the padded image.

    Examples
    --------
    >>> Windows((5, 5), (3, 3), (2, 2), (0, 0)).out
    (2, 2)
    """

    image: Pair
    kernel: Pair
    stride: Pair
    padding: Pair

    def __post_init__(self) -> None:
        check_fields(self)
        for name, least in (("image", 1), ("kernel", 1), ("stride", 1), ("padding", 0)):
            value = getattr(self, name)
            if min(value) < least:
                invalid(name, f"must be at least {least} on both axes", value)
        if any(k > n for k, n in zip(self.kernel, self.padded, strict=True)):
            have = f"must fit into its image, {_times(self.image)}"
            have += f" with padding {_times(self.padding)}" if any(self.padding) else ""
            invalid("kernel", have, _times(self.kernel), "a smaller kernel, or padding")
        if any(p >= k for p, k in zip(self.padding, self.kernel, strict=True)):
            limit = f"must be smaller than the kernel, {_times(self.kernel)}"
            invalid("padding", limit, _times(self.padding))

    @property
    def padded(self) -> Pair:
        """Size of the image with its padding."""
        (height, width), (top, left) = self.image, self.padding
        return height + 2 * top, width + 2 * left

    @cached_property
    def out(self) -> Pair:
        """How many windows there are on each axis."""
        axes = zip(self.padded, self.kernel, self.stride, strict=True)
        height, width = ((n - k) // s + 1 for n, k, s in axes)
        return height, width

    @property
    def inside(self) -> tuple[slice, slice]:
        """Where the image lies in the padded one."""
        (height, width), (top, left) = self.image, self.padding
        return slice(top, top + height), slice(left, left + width)

    @property
    def offsets(self) -> Iterator[tuple[slice, slice]]:
        """For every place in the kernel, row by row: where all windows have it, padded."""
        for place in np.ndindex(self.kernel):
            axes = zip(place, self.out, self.stride, strict=True)
            rows, columns = (slice(a, a + n * s - s + 1, s) for a, n, s in axes)
            yield rows, columns

    def pad(self, images: Array, xp: Namespace = np) -> Array:
        """Return images (channels, height, width, lanes) with zeros around them."""
        if not any(self.padding):
            return images
        channels, _, _, lanes = images.shape
        wide = xp.zeros((channels, *self.padded, lanes), dtype=images.dtype)
        return put(wide, (slice(None), *self.inside), images)  # type: ignore[no-any-return]

    def of(self, padded: AnyArray, xp: Namespace = np) -> AnyArray:
        """Return the content of the windows on (channels, height, width, lanes): a view.

        Its axes are channel, row and column within the window, those of the window, lane.
        """
        if xp is not np:
            shown = xp.stack([padded[:, rows, columns] for rows, columns in self.offsets], axis=1)
            return shown.reshape(len(padded), *self.kernel, *shown.shape[2:])  # type: ignore[no-any-return]
        rows, columns = self.stride
        views = sliding_window_view(padded, (1, *self.kernel, 1))
        shown = views[:, ::rows, ::columns, :, 0, :, :, 0]
        return np.asarray(shown.transpose(0, 4, 5, 1, 2, 3))

    @cached_property
    def coverage(self) -> IntArray:
        """Windows that contain a pixel, (height * width,)."""
        return self._product([np.bincount(p[p >= 0], minlength=n)[:n] for p, n in self._axes])

    @cached_property
    def taps(self) -> IntArray:
        """Pixels of the image in each window, padding left out, (windows,)."""
        return self._product([((p >= 0) & (p < n)).sum(axis=1) for p, n in self._axes])

    @property
    def _axes(self) -> list[tuple[IntArray, int]]:
        """Which pixels each window of an axis covers, (windows, k), and how many there are."""
        axes = zip(self.image, self.out, self.kernel, self.stride, self.padding, strict=True)
        return [(np.arange(m)[:, None] * s - p + np.arange(k), n) for n, m, k, s, p in axes]

    @staticmethod
    def _product(axes: list[IntArray]) -> IntArray:
        return np.outer(*axes).ravel()


def events_at(message: AnyArray, pixels: int) -> IntArray:
    """Return the number of events of a message (lanes, channels * pixels) at each pixel."""
    events = (message != 0).sum(axis=0)  # far quicker than count_nonzero with an axis
    at: IntArray = events.reshape(-1, pixels).sum(axis=0)
    return at


def pair(value: int | Pair) -> Pair:
    """Return a number as one for both axes.

    Examples
    --------
    >>> pair(3), pair((2, 3))
    ((3, 3), (2, 3))
    """
    if isinstance(value, int | np.integer):
        return int(value), int(value)
    rows, columns = (int(n) for n in value)
    return rows, columns


def lanes_last(images: Array, shape: tuple[int, ...], xp: Namespace = np) -> Array:
    """Return messages (lanes, n) as (*shape, lanes): all lanes of a pixel side by side.

    What is done to every pixel of a window is then done to long rows of numbers.
    """
    turned = np.ascontiguousarray(images.T) if xp is np else images.T
    return turned.reshape(*shape, len(images))


def _times(sizes: Pair) -> str:
    return f"{sizes[0]} x {sizes[1]}"
