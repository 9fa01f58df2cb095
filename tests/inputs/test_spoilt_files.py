"""Small files that claim much, and files whose parts are of another kind."""

import gzip
import json
import resource
import struct
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lava_dyads.data import Dataset, load
from lava_dyads.data.event_formats import read_events
from lava_dyads.errors import CheckpointError, DataError, ValidationError
from lava_dyads.files import EXPANSION, SMALL, opened_arrays, unzipped
from lava_dyads.networks import Execution, Graph, NetworkSpec
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.training import Checkpoint, RunDirectory, RunState, Trainer, TrainingConfig

SPEC = NetworkSpec((6, 5, 4))
DATA = Dataset("it", np.random.default_rng(0).random((40, 6)), np.arange(40) % 4)


def head(shape, dtype="<f8"):
    """Return the head of an .npy file, by the format's description."""
    text = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def archive(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


def arrays_of(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def peak(call):
    """Return the bytes that a call has asked Python and numpy for at most."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shape", [(10**12,), (2**31, 2**31), (3 * 2**28,), (-1,), (2**63,)])
def test_a_head_that_claims_more_than_there_is_asks_for_no_memory(tmp_path, shape):
    path = archive(tmp_path / "x.npz", x=head(shape) + bytes(80), labels=head((10,), "<i8"))

    def attempt():
        with pytest.raises(DataError, match="Try: "):
            load(path)

    assert peak(attempt) < 10_000_000


def test_what_unpacks_to_a_thousand_times_its_size_is_refused_unpacked(tmp_path):
    floats = SMALL // 8 + 1
    path = archive(tmp_path / "bomb.npz", x=head((floats,)) + bytes(8 * floats))
    assert path.stat().st_size * EXPANSION < SMALL

    def attempt():
        with pytest.raises(ValueError, match="unpacks to"), opened_arrays(path) as file:
            _ = file["x"]

    assert peak(attempt) < 10_000_000


def test_arrays_that_are_large_and_random_are_read_whatever_their_size(tmp_path):
    made = np.random.default_rng(0).random((300, 50))
    np.savez_compressed(tmp_path / "x.npz", x=made, labels=np.arange(300) % 3)
    assert np.array_equal(load(tmp_path / "x.npz").x, made)


def test_objects_are_not_unpickled(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.array([{}], object), labels=np.zeros(1, int))
    with pytest.raises(DataError, match="objects"):
        load(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("weights_1", np.full((5, 6), np.nan), "finite"),
        ("weights_1", np.full((5, 6), np.inf), "finite"),
        ("weights_1", np.ones((6, 5)), r"shape \(5, 6\)"),
        ("weights_1", np.ones((5, 6), complex), "real numbers"),
        ("weights_1", np.full((5, 6), "1"), "real numbers"),
        ("biases_2", np.ones(4, int), "real numbers"),
        ("header", np.array("[1]"), "header: must be"),
        ("header", np.array(json.dumps({"format": 3})), "format"),
        ("header", np.ones(3), "no text"),
        ("header", np.array("[" * 100_000), "RecursionError"),
    ],
)
def test_a_checkpoint_of_which_a_part_is_something_else_is_refused(tmp_path, name, value, text):
    path = tmp_path / "checkpoint.npz"
    Checkpoint(SPEC, *SPEC.initial_parameters(), {"dataset": "digits"}).save(path)
    np.savez(path, **{**arrays_of(path), name: value})
    with pytest.raises(CheckpointError, match=text) as caught:
        Checkpoint.load(path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "meta", [3, {"dataset": 3}, {"split_seed": "0"}, {"test_share": 2.0}, {"epochs": True}]
)
def test_what_a_checkpoint_says_of_its_training_is_of_its_kind(tmp_path, meta):
    path = tmp_path / "checkpoint.npz"
    Checkpoint(SPEC, *SPEC.initial_parameters(), {}).save(path)
    arrays = arrays_of(path)
    header = {**json.loads(arrays["header"].item()), "meta": meta}
    np.savez(path, **{**arrays, "header": np.array(json.dumps(header))})
    with pytest.raises(CheckpointError, match="meta"):
        Checkpoint.load(path)


def test_parameters_of_another_network_are_refused_wherever_they_are_given():
    weights, biases = SPEC.initial_parameters()
    runs = Execution(runtime="reference")
    for wrong in (weights[:1], [weights[0], np.nan * weights[1]], weights[::-1], ["a", "b"]):
        with pytest.raises(ValidationError, match="weights"):
            SPEC.build(parameters=(wrong, biases))
        with pytest.raises(ValidationError, match="weights"):
            Trainer(SPEC, DATA, TrainingConfig(), runs, parameters=(wrong, biases))
    for wrong in ([weights[0], np.nan * weights[1]], ["a", "b"], 3, [None, {}]):
        with pytest.raises(ValidationError, match="weights"):
            Checkpoint(SPEC, wrong, biases, {})


def changed(tree, place, value):
    """Return a nested mapping with another value at a place."""
    if not place:
        return value
    return {**tree, place[0]: changed(tree[place[0]], place[1:], value)}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("progress",), None), (("progress", "position"), 1.5), (("progress", "position"), -1),
        (("progress", "position"), 10**6), (("progress", "epochs"), [{}]),
        (("progress", "epochs"), {"a": 1}), (("progress", "order"), {"bit_generator": "MT19937"}),
        (("progress", "order"), []), (("progress", "noise"), [{}]), (("machine",), []),
        (("made_for",), {}), (("made_for", "spec"), 3),
    ],
)  # fmt: skip
def test_a_state_of_which_a_part_is_something_else_is_refused(tmp_path, place, value):
    path = tmp_path / "state.npz"
    with Trainer(SPEC, DATA, TrainingConfig(epochs=1), Execution(runtime="reference")) as trainer:
        trainer.state().save(path)
        arrays = arrays_of(path)
        header = changed(json.loads(arrays["header"].item()), place, value)
        np.savez(path, **{**arrays, "header": np.array(json.dumps(header))})
        with pytest.raises(CheckpointError) as caught:
            trainer.restore(RunState.load(path))
        assert str(caught.value).isprintable()


def test_registers_of_another_kind_are_refused(tmp_path):
    path = tmp_path / "state.npz"
    with Trainer(SPEC, DATA, TrainingConfig(epochs=1), Execution(runtime="reference")) as trainer:
        trainer.state().save(path)
        arrays = arrays_of(path)
        name = next(n for n, a in arrays.items() if a.dtype == float and a.ndim == 2)
        for wrong in (arrays[name] * np.nan, arrays[name].astype(complex), arrays[name][:1]):
            np.savez(path, **{**arrays, name: wrong})
            with pytest.raises(CheckpointError, match="Try: "):
                trainer.restore(RunState.load(path))


@pytest.mark.parametrize("text", ["", "3", "[]", "[" * 100_000, '{"dataset": 3}', "\udcff"])
def test_a_configuration_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CheckpointError, match="Try: "):
        _ = RunDirectory.reopen(tmp_path).config


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 50_000, "x" + ".x" * 20_000 + " = 1", "nodes = 3", "[nodes.x]\nkind = 3",
        "[nodes.x]\nkind = 'input'\nshape = 3", "[nodes]\nx = []", "a = " + "9" * 6000,
        "[nodes.x]\nkind = 'input'\nshape = [true]", "[nodes.x]\nkind = 'input'\nshape = [1e9]",
    ],
)  # fmt: skip
def test_a_graph_of_wrong_types_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "graph.toml"
    path.write_text(text)
    with pytest.raises(ValidationError) as caught:
        Graph.load(path)
    assert str(caught.value).isprintable()


def test_synapses_are_drawn_in_pieces_as_they_would_be_at_once():
    nodes = {
        "x": {"kind": "input", "shape": [1200]},
        "h": {"kind": "dense", "from": "x", "size": 1000, "density": 0.1, "activation": "relu"},
        "y": {"kind": "dense", "from": "h", "size": 2},
    }
    spec = NetworkSpec(graph=Graph.from_dict({"nodes": nodes}), seed=5)
    order = np.random.default_rng([5, 0x5EED, 1]).random((1000, 1200))
    assert np.array_equal(spec.ops[0].mask, order.argsort(axis=1).argsort(axis=1) < 120)
    assert spec.activations[0] in ACTIVATIONS


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory limits are Linux's")
def test_a_large_sparse_graph_in_a_small_file_is_refused_before_memory_is_asked_for(tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = Path(tmp_path / "graph.toml")
    path.write_text(
        "[nodes.x]\nkind = 'input'\nshape = [1000000]\n"
        "[nodes.y]\nkind = 'dense'\nfrom = 'x'\nsize = 1000000\ndensity = 0.5\n"
    )
    with pytest.raises(ValidationError):
        Graph.load(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000


def test_a_key_of_thousands_of_parts_is_refused_before_the_square_of_them_is_taken(tmp_path):
    (tmp_path / "deep.toml").write_text("x" + ".x" * 20_000 + " = 1")

    def attempt():
        with pytest.raises(ValidationError, match="line 1 has more than 1000 dots"):
            Graph.load(tmp_path / "deep.toml")

    assert peak(attempt) < 10_000_000


def test_gzip_unpacks_to_no_more_than_a_file_of_its_size_may_hold():
    assert unzipped(gzip.compress(b"as it was")) == b"as it was"
    packed = gzip.compress(bytes(SMALL + 1), 1)
    with pytest.raises(ValueError, match="unpacks to more than"):
        unzipped(packed)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="a device of Unix")
@pytest.mark.parametrize("read", [Graph.load, read_events, Checkpoint.load, RunState.load, load])
def test_what_never_ends_is_not_read(read):
    with pytest.raises(ValidationError, match="/dev/zero"):
        read("/dev/zero")
