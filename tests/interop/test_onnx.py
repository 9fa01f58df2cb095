"""ONNX models become networks that compute the same, by ONNX's own reference."""

import numpy as np
import pytest

from lava_dyads.errors import UnsupportedError, ValidationError
from lava_dyads.interop import from_onnx, import_network

onnx = pytest.importorskip("onnx")
from onnx import helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402


class Written:
    """A model that is written down node by node, in double precision."""

    def __init__(self, shape, seed):
        self.data = np.random.default_rng(seed)
        self.shape = shape
        self.nodes, self.constants, self.count = [], [], 0

    def constant(self, value):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def random(self, *shape):
        return self.constant(self.data.normal(size=shape) / np.sqrt(np.prod(shape[1:] or (1,))))

    def node(self, op, *inputs, **attributes):
        self.count += 1
        name = f"v{self.count}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], f"/{op}_{name}", **attributes))
        return name

    def model(self, output, opset=17, batch="batch"):
        double = onnx.TensorProto.DOUBLE
        graph = helper.make_graph(
            self.nodes, "g",
            [helper.make_tensor_value_info("x", double, [batch, *self.shape])],
            [helper.make_tensor_value_info(output, double, [batch, "n"])],
            self.constants,
        )  # fmt: skip
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])

    def compare(self, output, **options):
        model = self.model(output)
        x = self.data.normal(size=(5, *self.shape))
        made = from_onnx(model, **options)
        (wanted,) = ReferenceEvaluator(model).run(None, {"x": x})
        found = made.outputs(x)
        # Attributes of ONNX, 0.2 and 1e-5, are of single precision in one and not in the other.
        np.testing.assert_allclose(found, wanted.reshape(5, -1), rtol=1e-7, atol=1e-7)
        return made


def _dense(m, x, n_in, n_out):
    if m.data.random() < 0.5:
        return m.node("Gemm", x, m.random(n_out, n_in), m.random(n_out), transB=1)
    return m.node("Add", m.node("MatMul", x, m.random(n_in, n_out)), m.random(n_out))


def _neurons(m, x):
    kind = m.data.choice(["Relu", "Tanh", "Sigmoid", "HardSigmoid", "Clip", "Relu6"])
    if kind in ("Clip", "Relu6"):
        low, high = (-0.7, 1.3) if kind == "Clip" else (0.0, 6.0)
        return m.node("Clip", x, m.constant(low), m.constant(high))
    return m.node(kind, x)


def _normalised(m, x, n):
    if m.data.random() < 0.5:
        return x
    variance = m.constant(m.data.uniform(0.5, 2, n))
    return m.node("BatchNormalization", x, m.random(n), m.random(n), m.random(n), variance)


@pytest.mark.parametrize("seed", range(20))
def test_chains_compute_the_same(seed):
    m = Written((6,), seed)
    x, n = "x", 6
    for wide in m.data.integers(3, 8, size=m.data.integers(1, 4)):
        x = _normalised(m, _dense(m, x, n, wide), wide)
        x = m.node("Dropout", x) if m.data.random() < 0.3 else x
        x = _neurons(m, x) if m.data.random() < 0.9 else x
        n = wide
    made = m.compare(_dense(m, x, n, 3))
    assert made.spec.graph is None or seed


@pytest.mark.parametrize("seed", range(20))
def test_convolutions_and_pools_compute_the_same(seed):
    m = Written((2, 15, 8), seed)
    x, channels, size = "x", 2, [15, 8]
    for _ in range(m.data.integers(1, 3)):
        wide, stride, pad = (
            int(m.data.integers(low, high)) for low, high in ((2, 5), (1, 3), (0, 2))
        )
        weights = m.random(wide, channels, 3, 2)
        options = {"strides": [stride, 1], "pads": [pad, 1, pad, 1]}
        x = m.node("Conv", x, weights, m.random(wide), **options)
        size = [(size[0] + 2 * pad - 3) // stride + 1, size[1] + 1]
        x, channels = _normalised(m, x, wide), wide
        if m.data.random() < 0.5:
            x = _neurons(m, x)
        if min(size) > 3:
            kind = m.data.choice(["MaxPool", "AveragePool"])
            x = m.node(kind, x, kernel_shape=[2, 2], strides=[2, 1])
            size = [(size[0] - 2) // 2 + 1, size[1] - 1]
        x = _neurons(m, x) if m.data.random() < 0.5 else x
    if m.data.random() < 0.3:
        x, size = m.node("GlobalAveragePool", x), [1, 1]
    x = m.node("Flatten", x)
    m.compare(_dense(m, x, channels * size[0] * size[1], 4))


@pytest.mark.parametrize("seed", range(20))
def test_residual_networks_compute_the_same(seed):
    m = Written((5,), seed)
    x = _neurons(m, _dense(m, "x", 5, 6))
    for _ in range(m.data.integers(1, 3)):
        branch = _dense(m, x, 6, 6)
        if m.data.random() < 0.6:
            branch = _normalised(m, _dense(m, _neurons(m, branch), 6, 6), 6)
        x = m.node(m.data.choice(["Add", "Sub", "Mul"]), x, branch)
        x = _neurons(m, x) if m.data.random() < 0.6 else x
    m.compare(_dense(m, x, 6, 2))


@pytest.mark.parametrize("seed", range(20))
def test_concatenations_compute_the_same(seed):
    m = Written((2, 6, 6), seed)
    branches = []
    for _ in range(m.data.integers(2, 4)):
        made = m.node("Conv", "x", m.random(3, 2, 3, 3), m.random(3), pads=[1, 1, 1, 1])
        branches.append(_neurons(m, made) if m.data.random() < 0.7 else made)
    branches += ["x"] if m.data.random() < 0.5 else []
    x = m.node("Concat", *branches, axis=1)
    channels = 3 * sum(b != "x" for b in branches) + 2 * ("x" in branches)
    x = m.node("Flatten", m.node("MaxPool", x, kernel_shape=[3, 3], strides=[3, 3]))
    side = _neurons(m, _dense(m, m.node("Flatten", "x"), 72, 4))
    x = m.node("Concat", x, side, axis=1)
    m.compare(_dense(m, x, 4 * channels + 4, 3))


def test_what_ends_in_a_softmax_is_classes_and_in_a_sigmoid_labels():
    for op, loss, task in (("Softmax", "cross-entropy", "classes"),
                           ("Sigmoid", "binary-cross-entropy", "labels")):  # fmt: skip
        m = Written((4,), 1)
        model = m.model(m.node(op, _dense(m, "x", 4, 3)))
        made, x = from_onnx(model), m.data.normal(size=(7, 4))
        assert (made.spec.loss, made.checkpoint.meta["task"]) == (loss, task)
        (wanted,) = ReferenceEvaluator(model).run(None, {"x": x})
        np.testing.assert_allclose(made.checkpoint.predict_proba(x), wanted, atol=1e-9)


def test_an_output_of_other_neurons_and_twice_the_same_source():
    m = Written((4,), 3)
    hidden = m.node("Relu", _dense(m, "x", 4, 4))
    m.compare(m.node("Relu", m.node("Add", hidden, hidden)))
    m = Written((4,), 3)
    hidden = m.node("Tanh", _dense(m, "x", 4, 4))
    m.compare(m.node("Concat", m.node("Mul", hidden, hidden), hidden, axis=1))


def test_shapes_that_are_worked_out_and_images_that_arrive_flat():
    m = Written((16,), 4)
    x = m.node("Reshape", "x", m.constant(np.array([-1, 1, 4, 4])))
    x = m.node("Relu", m.node("Conv", x, m.random(2, 1, 3, 3)))
    rows = m.node("Gather", m.node("Shape", x), m.constant(np.array(0)), axis=0)
    shape = m.node("Concat", m.node("Unsqueeze", rows, m.constant(np.array([0]))),
                   m.constant(np.array([-1])), axis=0)  # fmt: skip
    made = m.compare(_dense(m, m.node("Reshape", x, shape), 8, 3))
    assert made.spec.graph.nodes[0].shape == (1, 4, 4)


def test_an_input_that_is_normalised_before_a_padded_convolution():
    m = Written((1, 5, 5), 5)
    x = m.node("Div", m.node("Sub", "x", m.constant(0.4)), m.constant(0.3))
    x = m.node("Conv", x, m.random(2, 1, 3, 3), pads=[1, 1, 1, 1])
    m.compare(_dense(m, m.node("Flatten", m.node("Relu", x)), 50, 3))


def _refusal(model):
    with pytest.raises(UnsupportedError) as caught:
        from_onnx(model)
    text = str(caught.value)
    assert text.count("\n") == 0
    return text


def test_what_has_no_place_is_named():
    m = Written((4,), 0)
    assert _refusal(m.model(m.node("Softplus", "x"))).startswith("Softplus /Softplus_v1: ")
    m = Written((4,), 0)
    found = _refusal(m.model(_dense(m, m.node("Softmax", "x"), 4, 2)))
    assert "Softmax_v1" in found
    assert "softmax has a place at the end alone" in found
    m = Written(("rows", 3), 0)
    assert "needs a known size of every axis but the first" in _refusal(
        m.model(m.node("Relu", "x"))
    )
    m = Written((4,), 0)
    assert _refusal(m.model(m.node("Relu", "x"), opset=6)).startswith(
        "ONNX opset: must lie in 7 .."
    )
    m = Written((2, 4, 4), 0)
    found = _refusal(m.model(m.node("Conv", "x", m.random(2, 1, 3, 3), group=2)))
    assert "Try: a convolution of one group" in found


def test_a_file_with_wrong_bytes_is_read_or_refused_in_a_line(tmp_path):
    m = Written((2, 6, 6), 0)
    x = m.node("Relu", m.node("Conv", "x", m.random(3, 2, 3, 3), m.random(3), strides=[1, 1]))
    whole = m.model(_dense(m, m.node("Flatten", x), 48, 3)).SerializeToString()
    path, read, refusals = tmp_path / "net.onnx", 0, []
    for _ in range(150):
        spoilt = bytearray(whole)
        spoilt[m.data.integers(len(whole))] = m.data.integers(256)
        path.write_bytes(spoilt)
        try:
            import_network(path)
            read += 1
        except ValidationError as error:
            refusals.append(str(error))
    assert read
    assert refusals
    assert "\n" not in "".join(refusals)


def test_a_file_is_read_and_one_that_is_cut_off_is_not(tmp_path):
    m = Written((4,), 0)
    whole = m.model(_dense(m, m.node("Relu", _dense(m, "x", 4, 5)), 5, 3)).SerializeToString()
    path = tmp_path / "net.onnx"
    path.write_bytes(whole)
    assert import_network(path).spec.layers == (4, 5, 3)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValidationError, match="cannot be read"):
        import_network(path)
    path.write_bytes(b"")
    with pytest.raises(ValidationError, match="ONNX file"):
        import_network(path)
