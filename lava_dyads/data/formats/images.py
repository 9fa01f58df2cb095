"""Folders of pictures by class: FOLDER/CLASS/picture.png.

With a test part of its own it is FOLDER/train/CLASS and FOLDER/test/CLASS. A folder of pictures
without classes is read for prediction.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.data.contents import Arrays, How
from lava_dyads.errors import DataError, message
from lava_dyads.files import reason
from lava_dyads.memory import check_memory

NAME = "images"
SUFFIXES = ()
SUMMARY = "a folder of pictures by class"

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
"""How the names of pictures end."""

PARTS = ("train", "test")
"""Folders of data with a test part of their own."""

GREY = ("1", "L", "LA", "I", "I;16", "F")
"""Modes of pictures without colour."""


def fits(path: Path) -> bool:
    """Tell whether a folder holds pictures, up to three levels down."""
    patterns = ("*", "*/*", "*/*/*")
    return any(_is_picture(file) for pattern in patterns for file in path.glob(pattern))


def read(path: Path, how: How) -> Arrays:
    """Return the pictures of a folder in the order of their classes and names, as bytes."""
    parts = [path / part for part in PARTS if (path / part).is_dir()]
    apart = len(parts) == len(PARTS)
    if not apart:
        parts = [path]
    classes = sorted({f.name for part in parts for f in part.iterdir() if _holds_pictures(f)})
    files: list[Path] = []
    labels: list[int] = []
    training_rows = None
    for part in parts:
        training_rows = len(files) if apart else None
        for k, name in enumerate(classes or [""]):
            folder = part / name
            found = sorted(f for f in folder.iterdir() if _is_picture(f)) if folder.is_dir() else []
            files += found
            labels += [k] * len(found)
    if not files:
        raise DataError(message(str(path), "holds no pictures", "none", f"{path}/CLASS/1.png"))
    x, size = _pixels(files, how)
    kind = "grey" if x.ndim == 3 else "colour"
    taken = f"{len(files)} pictures of {size[0]} x {size[1]} pixels, {kind}"
    if classes:
        taken += f", {len(classes)} classes"
    y = np.array(labels, np.int64) if classes else None
    return Arrays(str(path), x, y, taken, training_rows, tuple(classes), channels_first=True)


def _pixels(files: list[Path], how: How) -> tuple[AnyArray, tuple[int, int]]:
    """Return all pictures as bytes, (n, height, width) or (n, 3, height, width); and their size."""
    made: AnyArray | None = None
    channels, size = how.channels, how.image_size
    for k, file in enumerate(files):
        with _opened(file) as picture:
            width, height = picture.size
            if made is None:
                size = size or (height, width)
                channels = channels or (1 if picture.mode in GREY else 3)
                inner = size if channels == 1 else (3, *size)
                needed = 9.0 * len(files) * int(np.prod(inner))
                check_memory(str(file.parent), needed, "a smaller --image-size")
                made = np.zeros((len(files), *inner), np.uint8)
            if (height, width) != tuple(size):
                if not how.image_size:
                    limit = f"all pictures must have one size, and the first has {size}"
                    hint = "--image-size 28, which brings them to one"
                    raise DataError(message(str(file), limit, (height, width), hint))
                picture = _resized(picture, channels, size)
            made[k] = _bytes(picture, channels)
    assert made is not None
    return made, (int(size[0]), int(size[1]))


def _opened(file: Path) -> Any:
    from PIL import Image

    try:
        picture = Image.open(file)
        picture.load()
    except Exception as error:  # Pillow has many ways to say that a file is damaged
        why = f"cannot be read as a picture ({reason(error)})"
        raise DataError(f"{file}: {why}. Try: remove it from the folder") from error
    return picture


def _resized(picture: Any, channels: int, size: tuple[int, ...]) -> Any:
    from PIL import Image

    plain = picture.convert("L" if channels == 1 else "RGB")
    return plain.resize((size[1], size[0]), Image.Resampling.BILINEAR)


def _bytes(picture: Any, channels: int) -> AnyArray:
    if picture.mode.startswith("I;16") or picture.mode == "I":  # 16 bits per pixel
        picture = np.asarray(picture).astype(np.float64) / 257
        grey = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
        return grey if channels == 1 else np.stack([grey] * 3)
    made = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    return made if channels == 1 else np.moveaxis(made, -1, 0)


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in PICTURES and not file.name.startswith(".") and file.is_file()


def _holds_pictures(folder: Path) -> bool:
    hidden = folder.name.startswith(".")
    return folder.is_dir() and not hidden and any(_is_picture(f) for f in folder.iterdir())
