"""NIR graphs become networks that compute what NIR says of their nodes."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.signal import correlate

from lava_dyads.errors import UnsupportedError, ValidationError
from lava_dyads.interop import import_network
from lava_dyads.interop.imported import finished
from lava_dyads.interop.nir_files import layers_of_graph

nir = pytest.importorskip("nir")


def _windows(x, kernel, stride):
    view = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(1, 2))
    return view[:, :: stride[0], :: stride[1]]


def _apply(node, x):
    """What the documentation of NIR says of a node, for one sample."""
    kind = type(node).__name__
    if kind in ("Affine", "Linear"):
        return node.weight @ x + getattr(node, "bias", 0)
    if kind == "Scale":
        return node.scale * x
    if kind == "Conv2d":
        wide = np.pad(x, [(0, 0), *[(p, p) for p in node.padding]])
        full = [sum(correlate(wide[c], w[c], "valid") for c in range(len(w))) for w in node.weight]
        return np.array(full)[:, :: node.stride[0], :: node.stride[1]] + node.bias[:, None, None]
    if kind in ("AvgPool2d", "SumPool2d"):
        shown = _windows(x, node.kernel_size, node.stride)
        return shown.mean(axis=(-1, -2)) if kind == "AvgPool2d" else shown.sum(axis=(-1, -2))
    if kind == "Flatten":
        return x.reshape(-1)
    if kind == "IF":
        return np.maximum(0, node.r * x) / (node.v_threshold - node.v_reset)
    return x


def _value(graph, x, name):
    if type(graph.nodes[name]).__name__ == "Input":
        return x
    below = [_value(graph, x, source) for source, target in graph.edges if target == name]
    return _apply(graph.nodes[name], sum(below[1:], below[0]))


def _neurons(data, *shape):
    alike = (shape[0], *[1] * len(shape[1:]))  # in a channel
    low, pace = (
        np.broadcast_to(data.uniform(*ends, alike), shape) for ends in ((-0.5, 0), (0.5, 2))
    )
    return nir.IF(r=pace, v_threshold=low + 1.3, v_reset=low)


def _chain(data):
    nodes, n = [nir.Input(np.array([5]))], 5
    for wide in data.integers(3, 7, size=2):
        weight = data.normal(size=(wide, n))
        plain = data.random() < 0.5
        nodes.append(nir.Linear(weight) if plain else nir.Affine(weight, data.normal(size=wide)))
        nodes += [_neurons(data, wide), nir.Scale(data.normal(size=wide))]
        n = wide
    return [*nodes, nir.Affine(data.normal(size=(3, n)), data.normal(size=3))], []


def _convolution(data):
    padding, stride = int(data.integers(2)), int(data.integers(1, 3))
    size = (9 + 2 * padding - 3) // stride + 1
    conv = nir.Conv2d((9, 9), data.normal(size=(3, 2, 3, 3)), (stride, stride), (padding, padding),
                      (1, 1), 1, data.normal(size=3))  # fmt: skip
    kind = nir.SumPool2d if data.random() < 0.5 else nir.AvgPool2d
    pool = kind(np.array([2, 2]), np.array([2, 1]), np.array([0, 0]))
    out = (3, (size - 2) // 2 + 1, size - 1)
    flat = nir.Flatten({"input": np.array(out)}, start_dim=0, end_dim=-1)
    last = nir.Affine(data.normal(size=(4, int(np.prod(out)))), data.normal(size=4))
    return [
        nir.Input(np.array([2, 9, 9])),
        conv,
        _neurons(data, 3, size, size),
        pool,
        flat,
        last,
    ], []


def _residual(data):
    nodes = [nir.Input(np.array([4]))]
    for _ in range(2):
        nodes += [nir.Affine(data.normal(size=(4, 4)), data.normal(size=4)), _neurons(data, 4)]
    nodes.append(nir.Affine(data.normal(size=(2, 4)), data.normal(size=2)))
    return nodes, [("n2", "n5")]


@pytest.mark.parametrize("make", [_chain, _convolution, _residual])
@pytest.mark.parametrize("seed", range(7))
def test_graphs_compute_the_same(make, seed, tmp_path):
    data = np.random.default_rng(seed)
    parts, skips = make(data)
    nodes = {f"n{k}": node for k, node in enumerate(parts)}
    names = list(nodes)
    out = np.array([len(parts[-1].weight)])
    graph = nir.NIRGraph(
        {**nodes, "out": nir.Output(out)},
        [*zip(names, [*names[1:], "out"], strict=True), *skips],
        type_check=False,
    )
    made = finished(layers_of_graph(graph, rates=True), "NIR")
    x = data.normal(size=(4, *parts[0].input_type["input"]))
    wanted = np.array([_value(graph, row, "out") for row in x])
    np.testing.assert_allclose(made.outputs(x), wanted, rtol=1e-9, atol=1e-9)
    nir.write(tmp_path / "net.nir", graph)
    read = import_network(tmp_path / "net.nir", rates=True)
    np.testing.assert_allclose(read.outputs(x), wanted, rtol=1e-6, atol=1e-6)


def _of(*parts):
    names = [f"n{k}" for k in range(len(parts))]
    nodes = {"input": nir.Input(np.array([2])), **dict(zip(names, parts, strict=True)),
             "output": nir.Output(np.array([2]))}  # fmt: skip
    order = list(nodes)
    return nir.NIRGraph(nodes, list(pairwise(order)), type_check=False)


def test_what_no_rate_network_says_is_refused_by_its_name(tmp_path):
    ones = np.ones(2)
    leaky = nir.LIF(tau=ones, r=ones, v_leak=0 * ones, v_threshold=ones, v_reset=0 * ones)
    for node, rates, match in (
        (leaky, True, r"^LIF n0: has no place"),
        (nir.Threshold(ones), True, r"^Threshold n0: has no place"),
        (nir.IF(r=ones, v_threshold=ones, v_reset=0 * ones), False, r"^IF n0: .* Try: --rates"),
    ):
        with pytest.raises(UnsupportedError, match=match):
            layers_of_graph(_of(node), rates)
    loop = _of(nir.Linear(np.eye(2)), nir.Linear(np.eye(2)))
    loop.edges.append(("n1", "n0"))
    with pytest.raises(UnsupportedError, match="is recurrent"):
        layers_of_graph(loop)
    path = tmp_path / "net.nir"
    nir.write(path, _of(nir.Linear(np.eye(2))))
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(ValidationError, match="cannot be read"):
        import_network(path)
