"""Files and folders: whatever names them, and pictures in the format that their names ask for."""

import ast
import errno
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lava_dyads
from lava_dyads import Checkpoint, Graph, NetworkSpec, Trainer, TrainingConfig, load
from lava_dyads.cli import main
from lava_dyads.data.event_formats import read_events
from lava_dyads.errors import UnwritableError, ValidationError
from lava_dyads.experiments.deployment import export
from lava_dyads.files import write_atomically
from lava_dyads.loihi import netx, nir_graph
from lava_dyads.loihi.inference import sigma_delta
from lava_dyads.networks import Execution
from lava_dyads.plots import (
    error_law,
    graph_picture,
    learning_curve,
    membrane,
    raster,
    spike_raster,
)
from lava_dyads.plots.canvas import FORMATS, canvas, save
from lava_dyads.runtime.trace import COLUMNS, Trace
from lava_dyads.training import RunDirectory, RunState

PACKAGE = Path(lava_dyads.__file__).parent
GRAPH = Path(__file__).parents[2] / "tutorials" / "graphs" / "residual.toml"


class Named:
    """Not a pathlib.Path, but a path."""

    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return str(self.path)


def parameters():
    """(where, annotation) of every parameter of a public function outside the command line."""
    for file in PACKAGE.rglob("*.py"):
        parts = file.relative_to(PACKAGE).parts
        if parts[0] == "cli" or "private" in parts:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            public = isinstance(node, ast.FunctionDef) and (
                not node.name.startswith("_") or node.name == "__init__"
            )
            for argument in [*node.args.args, *node.args.kwonlyargs] if public else ():
                if argument.annotation:
                    yield f"{'/'.join(parts)}: {node.name}", argument.annotation


INSIDE = {
    "data/download.py",
    "data/formats/",
    "data/event_formats/",
    "files.py: is_part",
    "files.py: remove_parts",
    "studies/shared.py: share",
    "studies/study.py: __init__",
}
"""Called by the package alone."""


def test_whoever_takes_a_path_takes_a_text_as_well():
    narrow = [
        where
        for where, annotation in parameters()
        if "Path" in {n.id for n in ast.walk(annotation) if isinstance(n, ast.Name)}
        and not any(where.startswith(known) for known in INSIDE)
    ]
    assert narrow == []


@pytest.mark.parametrize("named", [str, Path, Named])
def test_files_are_written_and_read_by_any_name(tmp_path, named):
    spec = NetworkSpec((4, 3, 2))
    weights, biases = spec.initial_parameters()
    x = np.random.default_rng(0).random((12, 4))
    np.savez(tmp_path / "data.npz", x=x, labels=np.arange(12) % 2)
    (tmp_path / "events.bin").write_bytes(bytes([1, 2, 0x80, 0, 7]))
    data = load(named(tmp_path / "data.npz"))
    assert np.array_equal(data.x, x)
    assert read_events(named(tmp_path / "events.bin"))["t"].tolist() == [7]
    assert Graph.load(named(GRAPH)) == Graph.load(GRAPH)

    Checkpoint(spec, weights, biases, {}).save(named(tmp_path / "c.npz"))
    assert Checkpoint.load(named(tmp_path / "c.npz")).spec == spec
    config = TrainingConfig(epochs=1)
    with Trainer(spec, data, config, Execution(runtime="reference")) as trainer:
        trainer.fit()
        trainer.state().save(named(tmp_path / "s.npz"))
        learning_curve(trainer.history, "curve", named(tmp_path / "curve.png"))
    assert RunState.load(named(tmp_path / "s.npz")).made_for
    run = RunDirectory(named(tmp_path / "run"))
    run.begin({"a": 1})
    assert RunDirectory.reopen(named(tmp_path / "run")).config == {"a": 1}

    columns = {name: np.zeros(1, kind) for name, kind in COLUMNS.items()}
    trace = Trace(columns, [("source.x_out", "connection_1.mean_in")])
    trace.save(named(tmp_path / "t.npz"))
    assert Trace.load(named(tmp_path / "t.npz")).channels == trace.channels
    raster(trace, named(tmp_path / "t.png"))
    graph_picture(spec, named(tmp_path / "g.png"))
    membrane(np.zeros((2, 5)), "V", named(tmp_path / "m.png"))
    error_law([1, 2], [0.1, 0.05], -1.0, named(tmp_path / "e.png"))
    for name in ("curve", "t", "g", "m", "e"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("named", [str, Path, Named])
@pytest.mark.parametrize(
    ("module", "end", "package", "activation"),
    [(netx, "net", "h5py", "relu"), (nir_graph, "nir", "nir", "linear")],
)
def test_exports_are_written_and_read_by_any_name(
    tmp_path, named, module, end, package, activation
):
    pytest.importorskip(package)
    spec = NetworkSpec((4, 3, 2), activation)
    x = np.random.default_rng(0).random((3, 4))
    network = sigma_delta(spec, *spec.initial_parameters(), x)
    path = named(tmp_path / f"a.{end}")
    module.write(path, network)
    assert module.run(path, x).shape == (3, 2)
    assert export(path, network, x).same == 3


class Pathless:
    """Only looks like a path."""

    def __fspath__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize("path", [3, None, b"bytes", ["a"], "", "a\0b", Pathless()])
@pytest.mark.parametrize(
    "take", [load, Checkpoint.load, RunState.load, Trace.load, Graph.load, read_events, netx.read]
)
def test_what_is_no_path_is_refused_in_a_line(take, path):
    with pytest.raises(ValidationError, match=r"must (be a path|name a file)") as error:
        take(path)
    assert "\n" not in str(error.value)


BEGIN = {"png": b"\x89PNG", "pdf": b"%PDF", "jpeg": b"\xff\xd8", "webp": b"RIFF"}


@pytest.mark.parametrize("end", [*FORMATS, ".PDF"])
def test_a_picture_has_the_format_that_its_name_ends_with(tmp_path, end):
    path = tmp_path / f"graph{end}"
    assert main(["info", "--graph", str(GRAPH), "--plot", str(path)]) == 0
    kind = FORMATS[end.lower()]
    content = path.read_bytes()
    assert b"<svg" in content if kind == "svg" else content.startswith(BEGIN[kind])


PLOTS = ["bench events digits", "bench training digits", "bench faults", f"info --graph {GRAPH}"]


@pytest.mark.parametrize("words", PLOTS)
@pytest.mark.parametrize("name", ["graph.gif", "graph", "graph.p", "a" * 300 + ".png"])
def test_a_picture_that_cannot_be_made_is_refused_before_the_work(tmp_path, capsys, words, name):
    assert main([*words.split(), "--plot", str(tmp_path / name)]) == 2  # benches take minutes
    error = capsys.readouterr().err
    assert error.startswith("error: --plot: ")
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_names_of_the_longest_kind_are_written(tmp_path):
    path = tmp_path / ("ü" * 125 + ".npz")  # 254 bytes of 255
    spec = NetworkSpec((2, 1))
    Checkpoint(spec, *spec.initial_parameters(), {}).save(path)
    assert Checkpoint.load(path).spec == spec
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["$x$", "$", "_^{", r"\frac{", "[/x]", "&<>", "漢字", "a\nb"])
def test_pictures_take_any_name(tmp_path, name):
    figure = canvas(3, 2)
    from lava_dyads.plots.canvas import verbatim

    label = figure.suptitle(verbatim(name))
    save(figure, tmp_path / "picture.png")
    # matplotlib draws a formula otherwise than what stands there
    assert label._preprocess_math(label.get_text()) == (name, False)


def test_pictures_open_no_window_and_need_none():
    code = "from lava_dyads.plots.canvas import canvas; canvas(1, 1); import os; "
    code += "assert os.environ['MPLBACKEND'] == 'nonsense'"
    environment = {**os.environ, "MPLBACKEND": "nonsense"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)


@pytest.mark.parametrize("name", ["x" * 256, "é" * 128, "\ud800"])
def test_what_no_file_can_be_called_is_refused_in_a_line(tmp_path, name):
    spec = NetworkSpec((4, 3, 2))
    checkpoint = Checkpoint(spec, *spec.initial_parameters(), {})
    for use in (checkpoint.save, Checkpoint.load, Graph.load):
        with pytest.raises(ValidationError, match=r"Try: |not exist") as error:
            use(tmp_path / f"{name}.npz")
        assert str(error.value).isprintable()


def test_a_file_that_cannot_have_its_name_is_an_error_of_the_system_and_of_ours(tmp_path):
    with pytest.raises(UnwritableError, match=r"cannot be written \(Is a directory\)") as error:
        write_atomically(tmp_path, b"content")
    assert error.value.errno == errno.EISDIR
    assert isinstance(error.value, ValidationError)


@pytest.mark.parametrize(
    "draw",
    [
        lambda path: graph_picture([], path),
        lambda path: learning_curve(None, "title", path),
        lambda path: membrane(np.ones((3, 5)), "title", path),
        lambda path: membrane([[1.0, math.nan], [0.0, 0.0]], "title", path),
        lambda path: membrane([[1e308, -1e308], [0.0, 0.0]], "title", path),
        lambda path: error_law([], [], -1.0, path),
        lambda path: error_law([8, 16], [0.1], -1.0, path),
        lambda path: error_law([8], [0.0], -1.0, path),
        lambda path: spike_raster([np.ones((2, 3))], path),
        lambda path: spike_raster([], path),
        lambda path: raster(object(), path),
    ],
)
def test_pictures_of_what_cannot_be_drawn_are_refused_in_a_line(tmp_path, draw):
    with pytest.raises(ValidationError, match=r"Try: ") as error:
        draw(tmp_path / "it.png")
    assert str(error.value).isprintable()
    assert not list(tmp_path.iterdir())
