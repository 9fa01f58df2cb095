"""A trace of messages as one file of HTML to walk through, which needs no network."""

from __future__ import annotations

import base64
import importlib
from pathlib import Path
from typing import Any

import networkx
import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.errors import invalid
from lava_dyads.files import AnyPath, as_path, check_writable, write_atomically
from lava_dyads.runtime.trace import Trace

_PLACES = ("start", "end", "nan")
_BESIDE = ("command", "report")


def message_page(
    trace: Trace | AnyPath,
    out: AnyPath | None = None,
    *,
    note: str = "",
    at: str = "start",
) -> Path:
    """Write the page of a trace: the graph, messages in flight, a time slider, counters, a history.

    Parameters
    ----------
    trace : Trace, str or path
        Or a file that ``train --trace FILE`` or a session has written.
    out : str, path or None
        File; None: beside the trace, with the suffix .html.
    note : str
        Stands above: an error, say.
    at : str
        Where it opens: ``start``, ``end`` (the last message before a deadlock, say), or ``nan``
        (the first that is no finite number; the start where there is none).

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DataError
        If the file is no trace.
    ValidationError
        If the trace is empty, or ``at`` unknown.

    Examples
    --------
    >>> message_page("runs/a/trace.npz", at="end")  # doctest: +SKIP
    PosixPath('runs/a/trace.html')
    """
    if at not in _PLACES:
        invalid("message_page.at", "unknown place", at, "start, end, nan")
    if not isinstance(trace, Trace):
        path = as_path("trace", trace)
        out = path.with_suffix(".html") if out is None else out
        trace = Trace.load(path)
    if out is None:
        invalid("message_page.out", "needs a file for a trace that is not one", None, "out=PATH")
    if not len(trace):
        invalid("message_page", "the trace holds no message", 0, "a run with messages")
    columns, meta = _columns(trace)
    meta |= _graph(trace.channels)
    odd = np.flatnonzero(~np.isfinite(trace.columns["payload"]))
    places = {"end": len(trace) - 1, "nan": int(odd[0]) if len(odd) else -1}
    meta["goTo"] = places.get(at, -1)
    last = float(trace.columns["arrived"][-1])
    summary = (
        f"{len(trace):,} entries of messages between {len(meta['processes']):,} Processes by "
        f"{len(trace.channels):,} channels, {len(meta['starts']):,} presentation(s), "
        f"time 0 to {last:.4g} in mean latencies"
    )
    path = check_writable("--out", out)
    jinja: Any = importlib.import_module("jinja2")
    text = (Path(__file__).parent / "messages.html").read_text(encoding="utf-8")
    environment = jinja.Environment(autoescape=True, undefined=jinja.StrictUndefined)
    page = environment.from_string(text).render(
        title=f"messages of {path.stem}", summary=summary, note=note, meta=meta,
        columns=[(name, _text(values)) for name, values in columns.items()],
    )  # fmt: skip
    write_atomically(path, page)
    return path


def _columns(trace: Trace) -> tuple[dict[str, AnyArray], dict[str, Any]]:
    """Return what a browser needs of each entry, in the least bytes, and what stands beside."""
    held = trace.columns
    presentation = held["presentation"]
    starts = np.flatnonzero(np.diff(presentation, prepend=presentation[0] - 1))
    latency = (held["arrived"] - held["sent"]).astype("<f4")
    columns = {
        "arrived": held["arrived"].astype("<f8"),
        "latency": latency,
        "payload": held["payload"].astype("<f4"),
        "channel": _whole(held["channel"]),
        "index": _whole(held["index"]),
    }
    if held["lane"].any():
        columns["lane"] = _whole(held["lane"])
    meta = {
        "entries": len(trace),
        "kinds": {name: values.dtype.str[1:] for name, values in columns.items()},
        "starts": starts.tolist(),
        "numbers": presentation[starts].tolist(),
        "longest": float(latency.max(initial=0.0)),
    }
    return columns, meta


def _whole(values: AnyArray) -> AnyArray:
    return values.astype("<u2" if values.max(initial=0) < 2**16 else "<u4")


def _text(values: AnyArray) -> str:
    return base64.b64encode(values.tobytes()).decode()


def _graph(channels: list[tuple[str, str]]) -> dict[str, Any]:
    """Return the Processes, where to draw them, and the ends of each channel.

    A column for every step away from where messages begin; conductors beside all of them.
    """
    ends = [(*_parts(source), *_parts(target)) for source, target in channels]
    names = list(dict.fromkeys(name for end in ends for name in (end[0], end[2])))
    number = {name: i for i, name in enumerate(names)}
    carried = [
        end for end in ends if not any(port.startswith(_BESIDE) for port in (end[1], end[3]))
    ]
    graph = networkx.DiGraph([(source, target) for source, _, target, _ in carried])
    roots = [name for name in graph if not graph.in_degree(name)] or list(graph)[:1]
    layers = [sorted(layer, key=number.__getitem__) for layer in networkx.bfs_layers(graph, roots)]
    found = {name for layer in layers for name in layer}
    layers += [rest] if (rest := [n for n in graph if n not in found]) else []
    beside = [name for name in names if name not in graph]
    places: dict[str, tuple[float, float]] = {}
    for i, layer in enumerate(layers):
        for j, name in enumerate(layer):
            x = i / max(len(layers) - 1, 1)
            places[name] = x, 0.12 + 0.88 * (j + 1) / (len(layer) + 1)
    for j, name in enumerate(beside):
        places[name] = (j + 1) / (len(beside) + 1), 0.0
    return {
        "processes": names,
        "places": [[round(float(v), 4) for v in places[name]] for name in names],
        "channels": [[number[a], b, number[c], d] for a, b, c, d in ends],
    }


def _parts(end: str) -> tuple[str, str]:
    process, _, port = end.rpartition(".")
    return process, port
