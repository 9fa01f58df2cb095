"""What all encoders ask of an image."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lava_dyads.checks import real_array
from lava_dyads.errors import invalid


def checked(what: str, image: ArrayLike) -> NDArray[np.float64]:
    """Return an image as floats (rows, columns).

    Raises
    ------
    ValidationError
        If it has not two axes or a value outside 0 .. 1.
    """
    array = real_array(image, f"{what}.image")
    if array.ndim != 2 or not array.size:
        invalid(
            f"{what}.image", "needs shape (rows, columns)", array.shape, "image.reshape(28, 28)"
        )
    bad = np.argwhere(~((array >= 0) & (array <= 1)))
    if len(bad):
        row, column = (int(i) for i in bad[0])
        where = f"{what}.image[{row}, {column}]"
        invalid(where, "must lie in [0, 1]", float(array[row, column]), "image / image.max()")
    return array
