"""Networks that are given by their arrays."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from lava_dyads.errors import ValidationError
from lava_dyads.executors.backprop import evaluate
from lava_dyads.interop import from_arrays, from_sklearn, import_network
from lava_dyads.networks import Graph, NetworkSpec, Node


@pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_perceptrons_predict_the_same(activation):
    data = np.random.default_rng(3)
    x = data.normal(size=(60, 4))
    options = {"activation": activation, "max_iter": 5, "random_state": 0}
    for classes in (2, 3):
        labels = np.array(["no", "yes", "perhaps"])[data.integers(classes, size=60)]
        model = MLPClassifier((5, 6), **options).fit(x, labels)
        made = from_sklearn(model)
        found = made.checkpoint.predict_proba(x)
        np.testing.assert_allclose(found, model.predict_proba(x), atol=1e-9)
        assert made.checkpoint.meta["class_names"] == sorted(set(labels))
    model = MLPRegressor(hidden_layer_sizes=(5,), **options).fit(x, x[:, :2])
    np.testing.assert_allclose(from_sklearn(model).outputs(x), model.predict(x), atol=1e-9)


@pytest.fixture
def graph():
    return Graph([
        Node("image", "input", shape=(1, 6, 6)),
        Node("edges", "conv", "image", channels=2, kernel=3, padding=1),
        Node("pooled", "max-pool", "edges", activation="relu"),
        Node("hidden", "dense", "pooled", size=5, activation="tanh"),
        Node("again", "dense", "hidden", size=5),
        Node("both", "sum", ("hidden", "again"), activation="relu"),
        Node("out", "dense", "both", size=3),
    ])  # fmt: skip


def _arrays(graph, data):
    spec = NetworkSpec(graph=graph)
    named, k = {}, 0
    for v in spec.vertices:
        if v.weighted:
            named[f"{v.name}.weight"] = data.normal(size=v.weighted.shape)
            named[f"{v.name}.bias"] = data.normal(size=v.shape[0])
            k += 1
    return spec, named


@pytest.mark.parametrize("end", [".npz", ".safetensors"])
def test_a_file_of_weights_with_a_graph_is_that_network(graph, end, tmp_path):
    data = np.random.default_rng(1)
    spec, named = _arrays(graph, data)
    path = tmp_path / f"net{end}"
    if end == ".npz":
        np.savez(path, **named)
    else:
        pytest.importorskip("safetensors.numpy").save_file(named, path)
    made, x = import_network(path, graph=graph), data.normal(size=(4, 36))
    # The bias of a convolution below a maximum is that of the neurons above it.
    weights = [w for name, w in named.items() if name.endswith("weight")]
    bias = {name[:-5]: b for name, b in named.items() if name.endswith("bias")}
    biases = [bias["edges"], bias["hidden"], bias["again"], bias["out"]]
    _, z = evaluate(spec.vertices, x, weights, biases)
    np.testing.assert_allclose(made.outputs(x), z["out"], atol=1e-9)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValidationError, match=r"net\.|arrays"):
        import_network(path, graph=graph)


def test_arrays_that_are_missing_left_over_or_of_another_shape_are_named(graph):
    _, named = _arrays(graph, np.random.default_rng(1))
    for change, match in (
        ({"other.weight": np.ones((2, 2))}, r"^arrays: belong to no node \(got \['other.weight'\]"),
        ({"hidden.weight": np.ones((2, 2))}, r"^hidden.weight: needs shape \(5, 18\) \(got \(2, 2"),
    ):
        with pytest.raises(ValidationError, match=match):
            from_arrays(named | change, graph=graph)
    del named["out.weight"]
    with pytest.raises(ValidationError, match=r"^node out: needs an array"):
        from_arrays(named, graph=graph)
    with pytest.raises(ValidationError, match="need the sizes of a chain, or a graph"):
        from_arrays(named)
