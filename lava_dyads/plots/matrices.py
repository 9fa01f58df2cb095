"""A confusion matrix, and the weights of a trained network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lava_dyads.checks import checked, real_array
from lava_dyads.errors import invalid
from lava_dyads.files import AnyPath
from lava_dyads.plots.canvas import canvas, finished, verbatim
from lava_dyads.training import Checkpoint

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_NUMBERS = 20
"""Classes up to which the numbers of a confusion matrix are written into it."""


@checked
def confusion_matrix(
    confusion: object, names: Sequence[str] = (), path: AnyPath | None = None
) -> Figure:
    """Draw how often each class is taken for each.

    Parameters
    ----------
    confusion : array (classes, classes)
        Rows: classes; columns: what is said of them.
    names : sequence of str
        Of the classes; empty: their numbers.
    path : str, path or None
        Picture (PNG, PDF, SVG), written atomically.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValidationError
        If the matrix is not square, or has other names.
    """
    counts = real_array(confusion, "confusion_matrix.confusion", 2)
    classes = len(counts)
    if counts.shape != (classes, classes) or not classes:
        invalid("confusion_matrix.confusion", "must be square", counts.shape, "numpy.eye(3)")
    texts = [verbatim(name) for name in names] or [str(k) for k in range(classes)]
    if len(texts) != classes:
        limit = f"needs {classes} names"
        invalid("confusion_matrix.names", limit, len(texts), "one for each class")
    side = min(9.0, 2.2 + 0.38 * classes)
    figure = canvas(side + 0.6, side)
    axes = figure.subplots()
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    shown = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if classes <= MOST_NUMBERS:
        for (i, k), count in np.ndenumerate(counts):
            if count:
                colour = "white" if shares[i, k] > 0.5 else "black"
                axes.text(k, i, f"{count:g}", ha="center", va="center", color=colour, fontsize=8)
    step = -(-classes // 25)
    long = max(map(len, texts)) > 3
    axes.set_xticks(range(0, classes, step), texts[::step], rotation=90 if long else 0)
    axes.set_yticks(range(0, classes, step), texts[::step])
    axes.set_xlabel("what the network says")
    axes.set_ylabel("class")
    figure.colorbar(shown, label="share of the class", shrink=0.8)
    return finished(figure, path)


@checked
def weight_matrices(checkpoint: Checkpoint, path: AnyPath | None = None) -> Figure:
    """Draw the weights of every layer, blue below 0 and red above, with their distribution.

    Parameters
    ----------
    checkpoint : Checkpoint
    path : str, path or None
        Picture (PNG, PDF, SVG), written atomically.

    Returns
    -------
    matplotlib.figure.Figure
    """
    layers = [w.reshape(len(w), -1) for w in checkpoint.weights]
    figure = canvas(max(4.0, 2.9 * len(layers)), 4.6)
    panels = figure.subplots(2, len(layers), squeeze=False, height_ratios=(3, 2))
    for k, (w, (matrix, law)) in enumerate(zip(layers, panels.T, strict=True), 1):
        limit = float(np.quantile(np.abs(w), 0.99)) or 1.0
        shown = matrix.imshow(w, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto",
                              interpolation="nearest")  # fmt: skip
        matrix.set_title(f"weights {k}", fontsize=10)
        matrix.set_xlabel("from neuron")
        if k == 1:
            matrix.set_ylabel("to neuron")
            law.set_ylabel("synapses")
        figure.colorbar(shown, ax=matrix, shrink=0.8)
        law.hist(w.ravel(), bins=60, color="#0b5fa5")
        law.set_yscale("log")
        law.set_xlabel("weight")
        law.grid(alpha=0.3)
    return finished(figure, path)
