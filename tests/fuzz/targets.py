"""Every kind of input that a user gives, with valid examples to spoil.

A target is called with a folder and returns a function that tries one input: it returns where the
input is taken, and raises what came instead.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import io
import json
import os
import struct
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mutations import (
    PYTHON,
    Rng,
    array,
    nothing,
    npz,
    spoil_arrays,
    spoil_bytes,
    spoil_json,
    spoil_tree,
    toml,
)  # fmt: skip

import lava_dyads as d
from lava_dyads.errors import DyadsError, ValidationError

Attempt = Callable[[Rng], None]


class NonsenseError(Exception):
    """An input was taken that makes no sense, or refused in more than a line."""


def command(*words: object) -> None:
    """Run a command in this process, and look at what it says.

    Raises
    ------
    DyadsError
        The one it ended with, if it said so in one line.
    NonsenseError
        If it said something else.
    """
    from lava_dyads import cli

    said, printed = io.StringIO(), io.StringIO()
    errors: list[BaseException] = []
    fail = cli._fail

    def noted(error: Any, code: int) -> int:
        if isinstance(error, BaseException):
            errors.append(error)
        return fail(error, code)

    cli._fail = noted
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(printed):
            code = cli.main([str(word) for word in words])
    finally:
        cli._fail = fail
    lines = [line for line in said.getvalue().splitlines() if line.startswith("error: ")]
    if code and errors and isinstance(errors[0], DyadsError):
        if len(said.getvalue().strip().splitlines()) != len(lines) or len(lines) != 1:
            raise NonsenseError(f"code {code}, but: {said.getvalue()!r}")
        raise errors[0]
    if code in (1, 2) and said.getvalue().strip().splitlines() == lines and len(lines) == 1:
        raise ValidationError(lines[0])  # an error of the system, said in our words
    if code not in (0, 1) or lines:
        raise NonsenseError(f"code {code}: {said.getvalue()!r}")
    if "--json" in words:
        json.loads(printed.getvalue())


def sane(record: object) -> None:
    """Look at what a dataclass has taken."""
    if not is_dataclass(record):
        return
    for f in fields(record):
        value = getattr(record, f.name)
        entries = value if isinstance(value, tuple) else (value,)
        for entry in entries:
            if isinstance(entry, float) and not np.isfinite(entry):
                raise NonsenseError(f"{type(record).__name__}.{f.name} = {entry!r}")
            if isinstance(entry, np.generic | np.ndarray) and type(record).__name__ != "Dataset":
                raise NonsenseError(f"{type(record).__name__}.{f.name} = {entry!r}")
            number = isinstance(f.default, int | float) and not isinstance(f.default, bool)
            if number and isinstance(entry, bool | str | complex):
                raise NonsenseError(f"{type(record).__name__}.{f.name} = {entry!r}")


GRAPHS: list[dict[str, Any]] = [
    {"nodes": {
        "image": {"kind": "input", "shape": [1, 8, 8]},
        "features": {"kind": "conv", "from": "image", "channels": 4, "kernel": [3, 3],
                     "stride": 1, "padding": 1, "activation": "relu"},
        "pooled": {"kind": "max-pool", "from": "features", "kernel": 2, "activation": "relu"},
        "mean": {"kind": "average-pool", "from": "features", "kernel": 2, "stride": 2},
        "both": {"kind": "concat", "from": ["pooled", "mean"]},
        "class": {"kind": "dense", "from": "both", "size": 10, "loss": "cross-entropy"},
    }},
    {"nodes": {
        "x": {"kind": "input", "shape": [64]},
        "h": {"kind": "dense", "from": "x", "size": 8, "activation": "relu", "density": 0.5},
        "g": {"kind": "dense", "from": "x", "size": 8, "activation": "hard-sigmoid"},
        "gated": {"kind": "product", "from": ["h", "g"]},
        "skip": {"kind": "sum", "from": ["gated", "h"], "activation": "tanh"},
        "y": {"kind": "dense", "from": "skip", "size": 10},
    }},
]  # fmt: skip


def graph_toml(folder: Path) -> Attempt:
    """TOML files of graphs, by Python and by ``info --graph``."""
    path = folder / "graph.toml"

    def attempt(rng: Rng) -> None:
        how = rng.random()
        tree = rng.choice(GRAPHS)
        if how < 0.04:
            content = b"a = " + b"[" * 50_000
        elif how < 0.06:
            content = b"x" + b".x" * 20_000 + b" = 1"
        elif how < 0.3:
            content = spoil_bytes(toml(tree).encode(), rng)
        else:
            content = toml(spoil_tree(tree, rng)).encode("utf-8", "surrogatepass")
        path.write_bytes(content)
        if rng.random() < 0.2:
            command("info", "--graph", path, "--json")
            return
        spec = d.NetworkSpec(graph=d.Graph.load(path))
        _ = spec.timing, spec.parameter_count, spec.as_dict()
        if spec.parameter_count < 100_000:
            d.describe(spec, quiet=True)

    return attempt


def _data(folder: Path) -> Path:
    """Write a small data set."""
    generator = np.random.default_rng(0)
    path = folder / "small.npz"
    np.savez(path, x=generator.random((40, 6)), labels=np.arange(40) % 4)
    return path


def _trained(folder: Path, *options: object) -> Path:
    """Train on it; return the run directory."""
    out = folder / "run"
    command("train", _data(folder), "--layers", "5", "--epochs", 2, "--runtime", "reference",
            "--out", out, "--json", *options)  # fmt: skip
    return out


def _restored(folder: Path, files: dict[str, bytes]) -> None:
    for name in os.listdir(folder):
        (folder / name).unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix != ".png"}


def _arrays(content: bytes) -> dict[str, Any]:
    with np.load(io.BytesIO(content)) as file:
        return {name: file[name] for name in file.files}


def _spoilt_archive(arrays: dict[str, Any], rng: Rng) -> bytes:
    """Spoil the header's JSON, or the arrays."""
    if rng.random() < 0.5:
        text = spoil_json(json.loads(str(arrays["header"])), rng)
        header = np.array(text.decode("utf-8", "replace").replace("\0", ""))
        return npz({**arrays, "header": header})
    return spoil_arrays(arrays, rng)


def _interrupted(folder: Path) -> tuple[Path, dict[str, bytes], dict[str, Any]]:
    """Return a run directory with a state and no result."""
    from lava_dyads.training import RunDirectory, Trainer, TrainingConfig

    out = _trained(folder, "--optimiser", "adam")
    files = _files(out)
    del files["result.json"]
    _restored(out, files)
    config = TrainingConfig(**json.loads(files["config.json"])["training"])
    spec = d.NetworkSpec.from_dict(json.loads(files["config.json"])["spec"])
    runs = d.Execution(runtime="reference")
    data = d.load(str(folder / "small.npz"))
    with Trainer(spec, data, config, runs) as trainer:
        kept = RunDirectory.reopen(out)
        trainer.fit(on_checkpoint=lambda: kept.keep(trainer.state()))
    return out, _files(out), {"spec": spec, "data": data, "config": config, "runs": runs}


def states(folder: Path) -> Attempt:
    """States of resumable runs, by ``restore`` and by ``train --resume``."""
    from lava_dyads.training import RunState, Trainer

    out, files, made = _interrupted(folder)
    arrays = _arrays(files["state.npz"])
    path = folder / "state.npz"
    trainer = Trainer(made["spec"], made["data"], made["config"], made["runs"])

    def attempt(rng: Rng) -> None:
        content = _spoilt_archive(arrays, rng)
        if rng.random() < 0.3:
            _restored(out, {**files, "state.npz": content})
            command("train", "--resume", out, "--json")
            return
        path.write_bytes(content)
        trainer.restore(RunState.load(path))
        trainer.fit()

    return attempt


def config(folder: Path) -> Attempt:
    """The config.json of a run that is to be resumed."""
    out, files, _ = _interrupted(folder)
    tree = json.loads(files["config.json"])

    def attempt(rng: Rng) -> None:
        _restored(out, {**files, "config.json": spoil_json(tree, rng)})
        command("train", "--resume", out, "--json")

    return attempt


def traces(folder: Path) -> Attempt:
    """Traces of messages, read and drawn."""
    from lava_dyads.plots import raster
    from lava_dyads.runtime import Trace

    columns: dict[str, Any] = {
        "sent": np.arange(6.0), "arrived": np.arange(6.0) + 1, "payload": np.ones(6),
        "presentation": np.zeros(6, np.int64), "channel": np.arange(6) % 2,
        "lane": np.zeros(6, np.int64), "index": np.arange(6) % 3,
        "source": np.array(["source.x_out", "population_1.mean_out"]),
        "target": np.array(["connection_1.mean_in", "connection_2.mean_in"]),
    }  # fmt: skip
    path = folder / "trace.npz"

    def attempt(rng: Rng) -> None:
        path.write_bytes(spoil_arrays(columns, rng))
        trace = Trace.load(path)
        _ = len(trace)
        if rng.random() < 0.1:
            raster(trace, folder / "trace.png")

    return attempt


def checkpoints(folder: Path) -> Attempt:
    """Checkpoints, by Python."""
    files = _files(_trained(folder, "--feedback", "random"))
    arrays = _arrays(files["checkpoint.npz"])
    path = folder / "checkpoint.npz"

    def attempt(rng: Rng) -> None:
        path.write_bytes(_spoilt_archive(arrays, rng))
        made = d.Checkpoint.load(path)
        for parameter in (*made.weights, *made.biases):
            if not np.isfinite(parameter).all():
                raise NonsenseError("a parameter is not finite")
        made.shown()

    return attempt


def run_directories(folder: Path) -> Attempt:
    """Run directories of which a file is spoilt, by ``eval`` and ``deploy``."""
    out = _trained(folder)
    files = _files(out)
    arrays = _arrays(files["checkpoint.npz"])

    def attempt(rng: Rng) -> None:
        spoilt = dict(files)
        how = rng.random()
        if how < 0.7:
            spoilt["checkpoint.npz"] = _spoilt_archive(arrays, rng)
        elif how < 0.9:
            name = rng.choice(("config.json", "result.json"))
            spoilt[name] = spoil_json(json.loads(files[name]), rng)
        else:
            del spoilt[rng.choice(list(spoilt))]
        _restored(out, spoilt)
        if rng.random() < 0.5:
            command("eval", out, "--runtime", "reference", "--json")
        else:
            command("deploy", out, "--json", *rng.choice(((), ("--learning",))))

    return attempt


def _sigma_delta() -> Any:
    from lava_dyads.loihi import sigma_delta

    spec = d.NetworkSpec((6, 5, 4))
    x = np.random.default_rng(0).random((20, 6))
    return sigma_delta(spec, *spec.initial_parameters(), x)


def netx(folder: Path) -> Attempt:
    """Files for lava-dl: their bytes, and their contents."""
    import h5py

    from lava_dyads.loihi import netx as format_

    good, path = folder / "good.net", folder / "network.net"
    format_.write(good, _sigma_delta())
    data = good.read_bytes()

    def attempt(rng: Rng) -> None:
        path.write_bytes(spoil_bytes(data, rng) if rng.random() < 0.5 else data)
        if path.read_bytes() == data:
            with h5py.File(path, "a") as file:
                names: list[str] = []
                file.visit(names.append)
                name, how = rng.choice(names), rng.random()
                if how < 0.2:
                    del file[name]
                elif how < 0.35:
                    key = rng.choice(list(file.attrs))
                    with contextlib.suppress(TypeError, ValueError, OSError, RuntimeError):
                        file.attrs[key] = rng.choice((None, "x", 2.5, -1, [1, 2], np.nan, 2**40))
                elif isinstance(file[name], h5py.Dataset):
                    del file[name]
                    value = array(rng)
                    with contextlib.suppress(TypeError, ValueError, OSError):
                        file[name] = value
                else:
                    del file[name]
                    file[name] = rng.choice((1, "text", np.ones(3)))
        if rng.random() < 0.2:
            format_.run(path, np.ones((2, 6)))
        else:
            format_.read(path)

    return attempt


def nir(folder: Path) -> Attempt:
    """NIR files."""
    import h5py

    from lava_dyads.loihi import nir_graph, sigma_delta

    spec = d.NetworkSpec((6, 5, 4), "linear")
    x = np.random.default_rng(0).random((20, 6))
    good, path = folder / "good.nir", folder / "network.nir"
    nir_graph.write(good, sigma_delta(spec, *spec.initial_parameters(), x))
    data = good.read_bytes()

    def attempt(rng: Rng) -> None:
        path.write_bytes(spoil_bytes(data, rng) if rng.random() < 0.7 else data)
        if path.read_bytes() == data:
            with h5py.File(path, "a") as file:
                names: list[str] = []
                file.visit(names.append)
                name = rng.choice(names)
                del file[name]
                if rng.random() < 0.7:
                    with contextlib.suppress(TypeError, ValueError, OSError):
                        file[name] = array(rng)
        nir_graph.run(path, np.ones((2, 6)))

    return attempt


def datasets(folder: Path) -> Attempt:
    """Data sets as .npz."""
    arrays = _arrays(_data(folder).read_bytes())
    path = folder / "spoilt.npz"

    def attempt(rng: Rng) -> None:
        path.write_bytes(spoil_arrays(arrays, rng))
        made = d.load(str(path))
        if not (np.isfinite(made.x).all() and made.labels.min() >= 0):
            raise NonsenseError("a value is not finite, or a label negative")
        made.split(0)

    return attempt


def tables(folder: Path) -> Attempt:
    """Data sets of every other format, read in any way: text, Parquet, arrays, HDF5, pictures."""
    right = _formats(folder)
    ways: dict[str, Any] = {
        "target": (None, "y", "0", "-1", "a,b", "no such", ["a", "y"]),
        "task": ("auto", "classes", "values", "labels", "no such"),
        "missing": ("error", "mean", "drop"), "header": ("auto", "yes", "no"),
        "scaling": ("auto", "none", "standard", "min-max", "bytes"), "ignore": ((), "b", "y"),
        "group": ("", "b"), "split": ("", "time", "time:a", "time:"),
        "image_size": ((), 3, (0, 1), (4, 2)), "channels": (0, 1, 3),
    }  # fmt: skip

    def attempt(rng: Rng) -> None:
        kind = rng.choice(list(right))
        path = folder / "spoilt" / ("a/0.png" if kind == "png" else f"t.{kind}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(spoil_bytes(right[kind], rng))
        chosen = rng.sample(list(ways), rng.choice((0, 0, 1, 2, 3)))
        options = {name: rng.choice(ways[name]) for name in chosen}
        if rng.random() < 0.05:
            options[rng.choice(list(ways))] = rng.choice(PYTHON)(rng)
        made = d.load(path.parent.parent if kind == "png" else path, **options)
        fills = made.preparation.fills
        if not (np.isfinite(made.x).all() or (fills and not np.isinf(made.x).any())):
            raise NonsenseError("a value is not finite")
        train, _ = made.split(0)
        if not np.isfinite(made.preparation.learnt(made.x[train])(made.x)).all():
            raise NonsenseError("a value is not finite once it is scaled")

    return attempt


def _formats(folder: Path) -> dict[str, bytes]:
    """Return a small file of every format, by its ending."""
    import h5py
    import pyarrow
    import pyarrow.parquet
    from PIL import Image

    rows = {"a": [0.5, None, 2.0, -3e5, 1.0, 7.0], "b": ["u", "v", None, "u", "w", "v"],
            "y": ["p", "q", "p", "q", "p", "q"]}  # fmt: skip
    lines = [
        ",".join("" if v is None else str(v) for v in row)
        for row in zip(*rows.values(), strict=True)
    ]
    made = {"csv": "\n".join([",".join(rows), *lines]).encode()}
    made["tsv"] = made["csv"].replace(b",", b"\t")
    pyarrow.parquet.write_table(pyarrow.table(rows), folder / "t.parquet")
    x = np.random.default_rng(0).random((6, 4))
    np.save(folder / "t.npy", np.column_stack([x, [0, 1, 0, 1, 0, 1]]))
    with h5py.File(folder / "t.h5", "w") as file:
        # Texts of a fixed length: HDF5 itself never ends on some damaged ones of any length.
        file["x"], file["labels"] = x, np.array(rows["y"], "S1")
    Image.fromarray((x * 255).astype("u1")).save(folder / "t.png")
    for kind in ("parquet", "npy", "h5", "png"):
        made[kind] = (folder / f"t.{kind}").read_bytes()
    return made


def new_rows(folder: Path) -> Attempt:
    """New rows for a network: tables, arrays, and whatever is no row."""
    from lava_dyads.data.contents import How
    from lava_dyads.data.formats import read
    from lava_dyads.data.schema import Feature, Schema
    from lava_dyads.training.prediction import Predictor

    spec = d.NetworkSpec((3, 4, 2))
    named = Schema((Feature("a"), Feature("b"), Feature("c")), named=True)
    schemas = (Schema(), named)
    predictors = [Predictor(spec, spec.initial_parameters(), schema=s) for s in schemas]
    x, packed = np.random.default_rng(0).random((4, 3)), io.BytesIO()
    np.save(packed, x)
    lines = [",".join(map(repr, row)) for row in x.tolist()]
    right = {
        "csv": "\n".join(["a,b,c", *lines]).encode(),
        "txt": "\n".join(lines).replace(",", " ").encode(),
        "npy": packed.getvalue(),
    }

    def attempt(rng: Rng) -> None:
        predictor = rng.choice(predictors)
        if rng.random() < 0.3:
            found = predictor.predict(rng.choice((*PYTHON, array))(rng))
        else:
            kind = rng.choice(list(right))
            path = folder / f"spoilt.{kind}"
            path.write_bytes(spoil_bytes(right[kind], rng))
            held = read(path, How(rng.choice(("auto", "yes", "no"))))
            found = predictor.predict(getattr(held, "x", held))
        if not (found.ndim == 1 and len(found) and set(found.tolist()) <= {0, 1}):
            raise NonsenseError("no classes")

    return attempt


def idx(folder: Path) -> Attempt:
    """IDX files, packed or not, where an image set is looked for; nothing is fetched."""
    from lava_dyads.data.idx import FILES, VARIABLE, IdxSource

    head, label = struct.pack(">4I", 0x803, 5, 4, 4), struct.pack(">2I", 0x801, 5)
    right = [head + bytes(range(80)), label + bytes(5)] * 2
    sums = tuple(hashlib.md5(content).hexdigest() for content in right)
    os.environ[VARIABLE], os.environ["XDG_CACHE_HOME"] = str(folder / "it"), str(folder)
    (folder / "it").mkdir()
    source = IdxSource("it", sums)

    def attempt(rng: Rng) -> None:
        spoilt = rng.randrange(len(FILES))
        for i, (name, content) in enumerate(zip(FILES, right, strict=True)):
            made = spoil_bytes(content, rng) if i == spoilt else content
            path, packed = folder / "it" / name, folder / "it" / f"{name}.gz"
            for old in (path, packed):
                old.unlink(missing_ok=True)
            if rng.random() < 0.5:
                path.write_bytes(made)
            else:
                made = gzip.compress(made, mtime=0)
                packed.write_bytes(spoil_bytes(made, rng) if i == spoilt else made)
        source.state()
        source.load()

    return attempt


def events(folder: Path) -> Attempt:
    """Event files of every format that needs no package."""
    from lava_dyads.data.event_formats import read_events

    counted = range(50)
    packet = struct.pack("<2h6i", 1, 0, 8, 4, 0, 50, 50, 50)
    good = {
        "e.bin": bytes(b for i in counted for b in (i % 34, i % 30, 0x80 * (i % 2), i, i)),
        "e.aedat": b"#!AER-DAT2.0\r\n# DVS128\r\n"
        + b"".join(struct.pack(">II", i << 8 | i, 9 * i) for i in counted),
        "three.aedat": b"#!AER-DAT3.1\r\n#!END-HEADER\r\n"
        + packet
        + b"".join(struct.pack("<II", i << 17 | i << 2 | 3, 9 * i) for i in counted),
        "e.dat": b"% Width 64\n% Height 64\n\x0c\x08"
        + b"".join(struct.pack("<II", 9 * i, i << 14 | i) for i in counted),
        "two.raw": b"% evt 2.0\n% end\n"
        + b"".join(struct.pack("<II", 8 << 28 | i, 1 << 28 | i << 11 | i) for i in counted),
        "three.raw": b"% evt 3.0\n% end\n"
        + b"".join(
            struct.pack("<6H", 8 << 12 | i, 6 << 12 | i, i, 2 << 12 | i, 3 << 12 | i, 4 << 12 | 9)
            for i in counted
        ),
    }

    def attempt(rng: Rng) -> None:
        name = rng.choice(list(good))
        path = folder / name
        path.write_bytes(spoil_bytes(good[name], rng))
        read_events(path, sort=rng.random() < 0.2)

    return attempt


def _constructors(folder: Path) -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    """Return what can be called from Python, with arguments that are right."""
    from lava_dyads import loihi, plots, testing
    from lava_dyads.data import encoders
    from lava_dyads.executors.latency import Latency
    from lava_dyads.executors.recurrent import RecurrentDyads, recurrent
    from lava_dyads.experiments import export, fixed_point_gradient
    from lava_dyads.loihi import netx as netx_format
    from lava_dyads.rules.arithmetic import Float, Loihi2
    from lava_dyads.rules.units.dyad import DualPropagation
    from lava_dyads.rules.units.spiking import SpikingDualPropagation
    from lava_dyads.runtime import session
    from lava_dyads.runtime.trace import COLUMNS
    from lava_dyads.training import History, Interval, RunDirectory, RunState

    class NoRun:
        def __init__(self, *_: object) -> None:
            self.asynchronous = False

            self.dump, self.lava = io.BytesIO(), self
            self._is_running = False

        def __getattr__(self, name: str) -> Any:
            return lambda *_, **__: None

    session.LavaRun = NoRun  # type: ignore[assignment,misc]
    played = functools.partial(testing.play, runtime="in-process")
    columns = {name: np.zeros(0, code) for name, code in COLUMNS.items()}
    spec = d.NetworkSpec((6, 5, 4))
    data = d.load(str(_data(folder)))
    runs, brief = d.Execution(runtime="reference"), d.TrainingConfig(epochs=1)
    w, x, y = np.ones((3, 2)), np.ones((5, 6)), np.ones((5, 4))
    kernels = np.ones((2, 1, 2, 2))
    parameters = spec.initial_parameters()
    lanes: dict[str, Any] = {"lanes": 1, "beta": 0.1, "optimiser": d.SGD(), "name": "it"}
    graph = d.Graph.from_dict(GRAPHS[1])
    files = {name: folder / f"it.{name}" for name in ("npz", "toml", "png")}
    exported, written = _sigma_delta(), folder / "written.net"
    netx_format.write(written, exported)

    def used(**options: Any) -> None:
        with d.Trainer(
            **{"spec": spec, "data": data, "config": brief, "execution": runs, **options}
        ):
            pass

    def fitted(**options: Any) -> None:
        given = {k: nothing if callable(v) else v for k, v in options.items()}  # may fail by itself
        with d.Trainer(spec, data, brief, runs) as trainer:
            trainer.fit(**given)

    fitted()  # kernels are compiled before the first input, whose time is measured

    def restored(state: Any) -> None:
        with d.Trainer(spec, data, brief, runs) as trainer:
            trainer.restore(trainer.state() if state is None else state)

    def in_process(steps: Any = 1, **options: Any) -> None:
        given: dict[str, Any] = {"process": d.Dyad((2,)), **options}
        with d.InProcessSession(**given) as opened:
            opened.run(steps)

    def on_lava(steps: Any = 1, **options: Any) -> None:
        given: dict[str, Any] = {"process": d.Dyad((2,)), **options}
        with d.LavaSession(**given):
            pass

    return {
        "NetworkSpec": (d.NetworkSpec, {
            "layers": (6, 5, 4), "activations": "relu", "loss": "", "rule": "dp-transpose",
            "alpha": 1.0, "beta": 0.1, "nudge": "", "threshold": 0.0,
            "error_threshold": None, "anneal": 0.0, "repeats": None, "gain": None,
            "bias_deviation": 0.0, "compartment_noise": 0.0, "feedback": "tied", "density": 1.0,
            "weight_format": "float", "seed": 0}),
        "NetworkSpec of a graph": (d.NetworkSpec, {"graph": graph, "loss": "", "layers": ()}),
        "NetworkSpec.from_dict": (d.NetworkSpec.from_dict, {"values": spec.as_dict()}),
        "TrainingConfig": (d.TrainingConfig, {
            "epochs": 3, "batch_size": 4, "repeats_per_batch": 1, "lanes": 4, "optimiser": "adam",
            "learning_rate": 0.1, "lr_schedule": "constant", "weight_decay": 0.0, "decay": None,
            "split_seed": 0, "test_share": 0.25, "seed": 0, "dtype": "float64", "skip_error": 0.0,
            "counting": True, "stream": False}),
        "Node": (d.Node, {"name": "x", "kind": "dense", "sources": "y", "activation": "relu",
                          "loss": "", "shape": (), "size": 3, "density": 1.0, "channels": 0,
                          "kernel": 0, "stride": 0, "padding": 0}),
        "Graph": (d.Graph, {"nodes": graph.nodes}),
        "Graph.from_dict": (d.Graph.from_dict, {"values": GRAPHS[0], "owner": "graph"}),
        "Graph.load": (d.Graph.load, {"path": files["toml"]}),
        "Execution": (d.Execution, {"granularity": "network", "clock": "sync",
                                    "precision": "float", "runtime": "reference"}),
        "Execution.check": (runs.check, {"rule": "dp-transpose", "neurons": 3}),
        "Latency": (Latency, {"model": "uniform", "mean": 1.0}),
        "Faults": (d.Faults, {"drop": 0.1, "delay": 0.0, "duplicate": 0.0, "reorder": 0.0,
                              "flip": 0.0, "noise": 0.0, "delay_time": 50.0, "noise_size": 0.1,
                              "killed": ("a",), "frozen": (), "seed": 0}),
        "Transport": (d.Transport, {"latency": {"a": "uniform", "*": Latency()}, "seed": 0,
                                    "coding": "change", "packets": "event",
                                    "faults": d.Faults(), "max_deliveries": None}),
        "Transport.latency_of": (d.Transport().latency_of, {"channel": "a -> b"}),
        "Interval": (Interval, {"batches": 0, "seconds": 1.0}),
        "Interval.parse": (Interval.parse, {"text": "30s"}),
        "Loihi2": (Loihi2, {"fraction": 9, "weight_exponents": (7,), "strict": True, "seed": 0,
                            "feedback_exponents": (), "layer": 1, "depth": 1, "synapse": 0}),
        "Float": (Float, {"dtype": "float32"}),
        "DualPropagation": (DualPropagation, {"alpha": 1.0, "beta": 0.1}),
        "SpikingDualPropagation": (SpikingDualPropagation, {"alpha": 1.0, "window": 32,
                                                            "scale": 0.3, "hysteresis": 1}),
        "SGD": (d.SGD, {"learning_rate": 0.1, "weight_decay": 0.0, "decay": 0.0, "horizon": 0}),
        "Momentum": (d.Momentum, {"learning_rate": 0.1, "momentum": 0.9, "horizon": 1}),
        "Adam": (d.Adam, {"learning_rate": 0.1, "beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-8}),
        "PresentationSchedule": (d.PresentationSchedule, {"steps": 3, "lanes": 1, "batch_size": 2,
                                                          "read_step": 1, "stream": False}),
        "Dataset": (d.Dataset, {"name": "it", "x": data.x, "labels": data.labels,
                                "official_training_rows": None}),
        "Dataset.split": (data.split, {"seed": 0, "test_share": 0.25}),
        "load": (d.load, {"name": "digits"}),
        "Dyad": (d.Dyad, {"shape": (4,), "activation": "relu", "rule": "dp",
                          "bias": np.ones(2), "threshold": 0.0, "first_step": 1, "sharing": 2,
                          "schedule": d.PresentationSchedule(), "lanes": 1, "name": "it",
                          "optimiser": d.SGD()}),
        "DyadDense": (d.DyadDense, {"weights": w, "schedule": None, **lanes}),
        "DyadDenseFeedback": (d.DyadDenseFeedback, {"weights": w, "feedback": w,
                                                    "feedback_learns": True, **lanes}),
        "DyadConv": (d.DyadConv, {"weights": kernels, "image": (1, 4, 4), "stride": 1,
                                  "padding": 0, **lanes}),
        "DyadConvFeedback": (d.DyadConvFeedback, {"weights": kernels, "feedback": kernels,
                                                  "image": (1, 4, 4), "stride": 2, **lanes}),
        "DyadMaxPool": (d.DyadMaxPool, {"image": (1, 4, 4), "kernel": 2, "stride": None,
                                        "lanes": 1, "beta": 0.1, "name": "it"}),
        "DyadAveragePool": (d.DyadAveragePool, {"image": (1, 4, 4), "kernel": (2, 2),
                                                "stride": 1, "lanes": 1}),
        "DyadEmbed": (d.DyadEmbed, {"n_in": 2, "n_out": 4, "offset": 1, "lanes": 1}),
        "DyadProduct": (d.DyadProduct, {"n": 2, "lanes": 1, "beta": 0.1}),
        "DatasetSource": (d.DatasetSource, {"x": x, "y": y, "lanes": 2, "name": None}),
        "MetricSink": (d.MetricSink, {"n": 3, "loss": "squared-error", "lanes": 1,
                                      "capacity": 3}),
        "LossHead": (d.LossHead, {"n": 3, "loss": "cross-entropy", "beta": 0.1, "lanes": 1}),
        "DyadNetwork": (d.DyadNetwork, {"network": spec.build(), "schedule": None, "name": "it"}),
        "Conductor": (d.Conductor, {"schedule": d.PresentationSchedule(), "max_deliveries": 3,
                                    "name": "it"}),
        "Dyad.read": (d.Dyad((2,)).read, {"register": "bias"}),
        "DyadRunConfig": (d.DyadRunConfig, {"granularity": "layer", "select_tag": "fixed_pt",
                                            "clock": "sync"}),
        "InProcessSession": (in_process, {"steps": 1, "process": d.Dyad((2,)), "run_cfg": None,
                                          "measure": False, "timeout": 5.0, "transport": None,
                                          "trace": None}),
        "LavaSession": (on_lava, {"process": d.Dyad((2,)), "run_cfg": None, "timeout": 5.0,
                                  "idle_timeout": 1.0, "compile_config": None}),
        "Trainer": (used, {"spec": spec, "data": data, "config": brief, "execution": runs,
                           "transport": None, "trace": None, "measure": False,
                           "arithmetic": None, "parameters": parameters,
                           "feedback_weights": None}),
        "Trainer.fit": (fitted, {"on_epoch": None, "on_progress": None, "on_checkpoint": None,
                                 "every": Interval()}),
        "describe": (d.describe, {"spec": spec, "file": None, "quiet": True}),
        "check_gradient": (d.check_gradient, {"spec": spec, "networks": 1, "samples": 2,
                                              "tolerance": 1e-9, "max_steps": 50,
                                              "min_cosine": None, "order": "sweep"}),
        "fixed_point_gradient": (fixed_point_gradient, {"spec": spec, "samples": 2}),
        "NetworkSpec.build": (spec.build, {"lanes": 1, "optimiser": d.Adam(),
                                           "arithmetic": Float(), "parameters": parameters,
                                           "feedback_weights": None, "executor": None}),
        "Checkpoint": (d.Checkpoint, {"spec": spec, "weights": parameters[0],
                                      "biases": parameters[1], "meta": {}, "feedback": None}),
        "Checkpoint.load": (d.Checkpoint.load, {"path": files["npz"]}),
        "Checkpoint.save": (d.Checkpoint(spec, *parameters, {}).save, {"path": files["npz"]}),
        "Trace": (d.Trace, {"columns": columns, "channels": [("a", "b")]}),
        "Trace.load": (d.Trace.load, {"path": files["npz"]}),
        "RunDirectory": (RunDirectory, {"path": folder / "new", "overwrite": False}),
        "place": (loihi.place, {"sizes": (6, 5, 4), "learning": False, "chips": 1,
                                "chip_cores": 128}),
        "sigma_delta": (loihi.sigma_delta, {"spec": spec, "weights": parameters[0],
                                            "biases": parameters[1], "x": x, "headroom": 1}),
        "inference_spec": (loihi.inference_spec, {"spec": spec}),
        "recurrent": (recurrent, {"weights": np.eye(3) / 2, "bias": 0.0, "kind": "any",
                                  "f": "relu", "loss": "squared-error", "lanes": 1,
                                  "dyads": RecurrentDyads(), "threshold": 0.0}),
        "RecurrentDyads": (RecurrentDyads, {"alpha": 0.5, "beta": 0.01, "rate": None,
                                            "steps": None}),
        "Rate": (encoders.Rate, {"duration": 1000, "bin": 100, "rate": 10.0, "seed": 0}),
        "Latency code": (encoders.Latency, {"duration": 100, "threshold": 0.0}),
        "LevelCrossing": (encoders.LevelCrossing, {"threshold": 0.1, "path": None, "step": 9}),
        "Rate.encode": (encoders.Rate(100, 10).encode, {"image": np.ones((2, 2)) / 2}),
        "raster": (plots.raster, {"trace": d.Trace(columns, []), "path": files["png"]}),
        "learning_curve": (plots.learning_curve, {"history": History(), "title": "it",
                                                  "path": files["png"]}),
        "graph_picture": (plots.graph_picture, {"spec": spec, "path": files["png"]}),
        "membrane": (plots.membrane, {"trace": np.ones((2, 5)), "title": "it",
                                      "path": files["png"]}),
        "error_law": (plots.error_law, {"windows": (8, 16), "errors": (0.2, 0.1), "slope": -1.0,
                                        "path": files["png"]}),
        "spike_raster": (plots.spike_raster, {"trains": [np.ones((2, 3, 1, 2), bool)],
                                              "path": files["png"], "steps": 2}),
        "calibrated": (loihi.calibrated, {"spec": spec, "weights": parameters[0],
                                          "biases": parameters[1], "x": x, "y": y, "headroom": 1,
                                          "seed": 0, "feedback_weights": None}),
        "netx.write": (netx_format.write, {"path": folder / "it.net", "network": exported}),
        "netx.run": (netx_format.run, {"path": written, "x": x}),
        "export": (export, {"path": folder / "it.net", "network": exported, "x": x}),
        "NetworkSpec.check": (spec.check, {"execution": runs}),
        "NetworkSpec.choose": (spec.choose, {"request": runs, "within": ("reference",)}),
        "NetworkSpec.check_parameters": (spec.check_parameters, {
            "weights": parameters[0], "biases": parameters[1], "feedback_weights": None}),
        "Trainer.restore": (restored, {"state": None}),
        "RunState.load": (RunState.load, {"path": files["npz"]}),
        "react": (testing.react, {"process": d.Dyad((1,)), "inputs": {"basal_in": [[1.0]]},
                                  "outputs": ("mean_out",), "run_cfg": None, "transport": None}),
        "play": (played, {"process": d.Dyad((2,)), "inputs": {"basal_in": [[1.0, 2.0]]},
                          "outputs": ("mean_out",), "watch": ("bias",), "steps": 2,
                          "timeout": 5.0}),
    }  # fmt: skip


def python(folder: Path) -> Attempt:
    """Public constructors and functions with one or two arguments that are not right."""
    calls = _constructors(folder)

    def attempt(rng: Rng) -> None:
        make, right = calls[rng.choice(list(calls))]
        given = dict(right)
        if make is d.NetworkSpec and "rule" in given and rng.random() < 0.5:
            from lava_dyads.rules.units import BASELINES, RULES

            given["rule"] = rng.choice([*RULES, *BASELINES])
            if rng.random() < 0.9:
                for name in set(given) - {f.name for f in fields(d.NetworkSpec)}:
                    del given[name]
        for name in rng.sample(list(given), min(len(given), rng.choice((1, 1, 1, 2)))):
            deeper = isinstance(given[name], dict) and rng.random() < 0.7
            wrong = spoil_tree(given[name], rng, PYTHON) if deeper else rng.choice(PYTHON)(rng)
            if name in ("steps", "max_steps", "networks", "samples") and _many(wrong):
                continue  # would only take long
            given[name] = wrong
        sane(make(**given))

    return attempt


def _many(value: object) -> bool:
    return isinstance(value, int | np.integer) and value > 10_000


WORDS = (
    "0", "1", "-1", "2.5", "nan", "inf", "-inf", "1e400", "", " ", "relu", "x", "1,2", "1,,2", ",",
    "True", "None", "é", "a\nb", "\x1b[31m", "[/x]", "$x$", "../..", "/dev/null", "/proc/self/mem",
    "x" * 5000, "9" * 5000, "1_000", "0x10", "٣", "\u202e", "-", "--", "--json",
)  # fmt: skip


def command_line(folder: Path) -> Attempt:
    """Options with values that are not right."""
    import importlib
    from dataclasses import MISSING

    from lava_dyads.cli import COMMANDS

    small = _data(folder)
    run = _trained(folder)
    base: dict[str, list[str]] = {
        "train": [
            str(small),
            "--runtime",
            "reference",
            "--layers",
            "3",
            "--epochs",
            "1",
            "--no-save",
        ],
        "eval": [str(run), "--runtime", "reference"],
        "predict": [str(run), str(small)],
        "deploy": [str(run)],
        "info": [],
        "data list": [],
        "check gradient": ["--networks", "1", "--samples", "2", "--all-layers", "4,3,2"],
    }
    options: dict[str, list[str]] = {}
    for name in base:
        module, _, attribute = COMMANDS[name][0].partition(":")
        cls = getattr(importlib.import_module(module), attribute)
        named = [f for f in fields(cls) if f.default is not MISSING]
        options[name] = [f"--{f.name.replace('_', '-')}" for f in named]
    slow = (
        "--epochs",
        "--updates",
        "--repeats-per-batch",
        "--repeats",
        "--window",
        "--networks",
        "--samples",
        "--max-steps",
    )

    def attempt(rng: Rng) -> None:
        name = rng.choice(list(base))
        words = [*name.split(), *base[name]]
        if rng.random() < 0.05:
            words[rng.randrange(len(words))] = rng.choice(WORDS)
        for option in rng.sample(options[name], min(len(options[name]), rng.choice((1, 1, 2, 3)))):
            value = rng.choice(WORDS)
            if option in slow and value.strip("_,").isdigit() and len(value) < 4000:
                value = rng.choice(("0", "1", "3"))
            words += [option] if rng.random() < 0.1 else [option, value]
        with contextlib.suppress(SystemExit):
            command(*words)

    return attempt


TARGETS: dict[str, Callable[[Path], Attempt]] = {
    "graph": graph_toml,
    "state": states,
    "config": config,
    "trace": traces,
    "checkpoint": checkpoints,
    "directory": run_directories,
    "netx": netx,
    "nir": nir,
    "dataset": datasets,
    "tables": tables,
    "rows": new_rows,
    "idx": idx,
    "events": events,
    "python": python,
    "command": command_line,
}

SHARES: dict[str, float] = {
    "graph": 5000, "state": 1500, "config": 500, "trace": 1500, "checkpoint": 4000,
    "directory": 1500, "netx": 1500, "nir": 1000, "dataset": 2000, "tables": 2000, "rows": 1000,
    "idx": 4000, "events": 4000, "python": 8000, "command": 2500,
}  # fmt: skip
"""How many of 40,000 inputs each gets."""

FILES = frozenset(TARGETS) - {"python", "command"}
"""Small files, which must not ask for much memory."""
