"""The page of a run as one file of HTML, which needs no network."""

from __future__ import annotations

import importlib
import io
import json
from pathlib import Path
from typing import Any

from lava_dyads.errors import DyadsError
from lava_dyads.files import AnyPath, as_path, check_writable, write_atomically
from lava_dyads.plots.learning_curve import learning_curve
from lava_dyads.reports.errors_made import MOST_CLASSES, errors_of
from lava_dyads.training import Checkpoint, History
from lava_dyads.training.listing import RunRecord
from lava_dyads.training.loggers.common import flat

COSTS = {
    "events_per_sample": "graded events sent, the input's too",
    "spikes_per_sample": "spikes of all compartments",
    "synops_per_sample": "synaptic operations: forward, backward, learning",
    "synops_vs_backprop": "of those of dense backprop",
    "synops_vs_zero_skipping": "of those of backprop that leaves out zeros",
    "samples_per_second": "samples a second, in training",
    "train_seconds": "seconds of training",
}
"""What a sample costs, and what that means."""


def report(run: AnyPath, out: AnyPath | None = None) -> Path:
    """Write the page of a run: curve, confusion, samples that are said wrong, costs, what was run.

    Parameters
    ----------
    run : str or path
        Run directory.
    out : str, path or None
        File; None: report.html in the run directory.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    CheckpointError
        If there is no run.
    """
    record = RunRecord.read(run)
    path = record.folder / "report.html" if out is None else check_writable("--out", out)
    jinja: Any = importlib.import_module("jinja2")
    text = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
    environment = jinja.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True,
                                    undefined=jinja.StrictUndefined)  # fmt: skip
    write_atomically(as_path("--out", path), environment.from_string(text).render(_content(record)))
    return path


def _content(record: RunRecord) -> dict[str, Any]:
    row, config, result = record.row(), record.config, record.result
    errors, why = None, ""
    try:
        checkpoint = Checkpoint.load(record.folder)
        errors = errors_of(checkpoint, checkpoint.data(record.folder))
    except DyadsError as error:  # its data are not to be found: the rest is there all the same
        why = str(error)
    settings = {k: v for k, v in config.items() if k not in ("options", "environment", "data")}
    score = record.score
    return {
        "title": f"{row['dataset']}, {row['rule']}",
        "run": str(record.folder),
        "row": row,
        "score": score and (score[0].replace("_", " "), f"{score[1]:.4f}"),
        "result": result,
        "curve": _svg(record) if record.epochs else "",
        "errors": errors,
        "shades": _shades(errors.confusion) if errors else [],
        "few": bool(errors and 0 < len(errors.names) <= MOST_CLASSES),
        "why": why,
        "costs": [(_text(result[k]), words) for k, words in COSTS.items()
                  if result.get(k) is not None],
        "settings": {k: _text(v) for k, v in flat(settings).items() if v not in ("", [])},
        "environment": {k: _text(v) for k, v in flat(config.get("environment") or {}).items()},
    }  # fmt: skip


def _shades(confusion: list[list[int]]) -> list[list[float]]:
    """Return how dark every entry is: the root of its share of the row, so that few are seen."""
    return [[(n / max(1, sum(row))) ** 0.5 for n in row] for row in confusion]


def _svg(record: RunRecord) -> str:
    """Return the learning curve as SVG, to stand within HTML."""
    figure, buffer = learning_curve(History(list(record.epochs))), io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue().decode()
    return text[text.index("<svg") :]


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)
