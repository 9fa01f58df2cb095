"""Networks that are written compute the same: by ONNX's own reference, and read back."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lava_dyads import Checkpoint, Dataset, Graph, NetworkSpec, Node, Trainer, TrainingConfig
from lava_dyads.cli import main
from lava_dyads.data.preparation import Preparation
from lava_dyads.errors import UnsupportedError
from lava_dyads.executors.backprop import evaluate
from lava_dyads.interop import export_network, import_network

onnx = pytest.importorskip("onnx")
from onnx.reference import ReferenceEvaluator  # noqa: E402


def _graph(data):
    """Return a graph with a convolution, a pool, a skip, a gate and a concatenation."""
    f = lambda: str(data.choice(["relu", "tanh", "hard-sigmoid", "linear"]))  # noqa: E731
    pool = str(data.choice(["max-pool", "average-pool"]))
    stride, padding = int(data.integers(1, 3)), int(data.integers(0, 2))
    size = (7 + 2 * padding - 3) // stride + 1
    nodes = [
        Node("image", "input", shape=(2, 7, 7)),
        Node("a", "conv", "image", channels=3, kernel=3, stride=stride, padding=padding),
        Node("pooled", pool, "a", activation=f(), kernel=2, stride=1),
        Node("branch", "conv", "pooled", f(), channels=3, kernel=1),
        Node("skip", "sum", ("pooled", "branch"), f() if data.random() < 0.5 else ""),
        Node("gate", "product", ("skip", "branch")),
        Node("beside", "dense", "image", f(), size=4, density=0.5),
        Node("both", "concat", ("gate", "beside"), f() if data.random() < 0.5 else ""),
        Node("out", "dense", "both", size=3),
    ]
    assert size > 1
    return Graph(nodes)


def _checkpoint(spec, data, **meta):
    weights, biases = spec.initial_parameters()
    biases = [data.normal(size=b.shape) for b in biases]
    return Checkpoint(spec, weights, biases, {"task": "classes", **meta})


@pytest.mark.parametrize("seed", range(12))
def test_graphs_are_written_and_read_back(seed, tmp_path):
    data = np.random.default_rng(seed)
    if seed < 10:
        spec = NetworkSpec(graph=_graph(data), seed=seed)
    else:
        spec = NetworkSpec((6, 5, 4), "tanh", density=0.5 if seed == 11 else 1.0)
    held = _checkpoint(spec, data)
    x = data.normal(size=(5, spec.layers[0]))
    wanted = evaluate(spec.vertices, x, held.weights, held.biases)[1][spec.vertices[-1].name]
    path = export_network(held, tmp_path / "net.onnx", dtype="float64")
    shape = spec.vertices[0].shape
    reference = ReferenceEvaluator(str(path))
    (found,) = reference.run(None, {reference.input_names[0]: x.reshape(5, *shape)})
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    np.testing.assert_allclose(import_network(path).outputs(x), wanted, atol=1e-9)
    weights = export_network(held, tmp_path / "net.safetensors", dtype="float64")
    way = {"graph": spec.graph} if spec.graph else {"layers": spec.layers, "activation": "tanh"}
    np.testing.assert_allclose(import_network(weights, **way).outputs(x), wanted, atol=1e-9)


def test_what_a_run_has_learnt_of_scaling_is_part_of_the_model(tmp_path, capsys):
    data = np.random.default_rng(0)
    x = 40 + 30 * data.normal(size=(60, 3))
    held = Dataset("line", x, targets=1000 + 5 * x.sum(axis=1))
    held = replace(held, preparation=Preparation("standard"))
    config = TrainingConfig(epochs=1)
    with Trainer(NetworkSpec((3, 8, 1), loss="squared-error"), held, config) as trainer:
        trainer.fit()
        checkpoint = Checkpoint.of(trainer, "line")
    checkpoint.save(tmp_path / "checkpoint.npz")
    file = tmp_path / "net.onnx"
    assert main(["export", str(tmp_path), str(file), "--dtype", "float64", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["file"] == str(file)
    reference = ReferenceEvaluator(str(file))
    (found,) = reference.run(None, {reference.input_names[0]: x})
    np.testing.assert_allclose(found, checkpoint.decision(x), rtol=1e-9)
    assert main(["export", str(tmp_path), str(file)]) == 2
    assert "there is such a file" in capsys.readouterr().err
    assert main(["export", str(tmp_path), str(tmp_path / "net.xyz")]) == 2
    assert "knows files by their ends" in capsys.readouterr().err


def test_what_is_no_forward_pass_is_refused(tmp_path):
    held = _checkpoint(NetworkSpec((4, 3, 2), rule="spiking"), np.random.default_rng(0))
    with pytest.raises(UnsupportedError, match=r"^rule spiking: what it computes is no forward"):
        export_network(held, tmp_path / "net.onnx")
