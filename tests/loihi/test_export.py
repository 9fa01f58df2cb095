"""Exported networks say what the fixed-point model says, through readers of the format."""

import sys

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_dyads import Graph, NetworkSpec, Node, Trainer, TrainingConfig, load
from lava_dyads.errors import FixedPointError, UnsupportedError, ValidationError
from lava_dyads.executors.backprop import forward
from lava_dyads.experiments import export
from lava_dyads.experiments.deployment import learning_rules
from lava_dyads.loihi import inference_spec, netx, nir_graph, sigma_delta
from lava_dyads.networks import Execution
from lava_dyads.rules.activations import ACTIVATIONS

DIGITS = load("digits")


def trained(spec):
    config = TrainingConfig(epochs=6, learning_rate=0.005)
    with Trainer(spec, DIGITS, config, Execution(runtime="reference")) as trainer:
        trainer.fit()
        accuracy = trainer.evaluate().accuracy
        made = sigma_delta(spec, *trainer.parameters(), DIGITS.x[trainer.train_rows])
        return made, accuracy, trainer.test_rows


@pytest.fixture(scope="module")
def network():
    return trained(NetworkSpec((64, 48, 32, 10)))


def read_as_documented(path, messages):
    """Follow the format: shift by 6 after the relu, biases in halves of a message."""
    with h5py.File(path) as file:
        offset = file.attrs["output_offset"]
        layers = [file["layer"][str(k)] for k in range(len(file["layer"]))]
        assert layers[0]["type"][0] == b"input"
        assert layers[0]["shape"][()] == [messages.shape[1]]
        for layer in layers[1:]:
            assert layer["type"][0] == b"dense"
            assert layer["neuron/type"][()] == b"SDNN"
            assert layer["neuron/vThMant"][()] == 0
            weight, bias = layer["weight"][()], layer["bias"][()]
            assert np.abs(weight).max() <= 127
            assert weight.shape == (layer["shape"][0], layer["inFeatures"][()])
            sums = messages @ weight.T
            assert np.abs(sums).max() < 2**23
            messages = np.maximum(sums + 32 * bias, 0) >> 6
    return messages - offset


def test_all_digits_come_out_the_same_bit_by_bit(network, tmp_path):
    made, accuracy, test = network
    path = tmp_path / "digits.net"
    netx.write(path, made)
    engine = made.outputs(DIGITS.x)
    assert len(engine) == 1797
    np.testing.assert_array_equal(read_as_documented(path, made.encoded(DIGITS.x)), engine)
    np.testing.assert_array_equal(netx.run(path, DIGITS.x), engine)
    right = made.predictions(DIGITS.x[test]) == DIGITS.labels[test]
    assert right.mean() > max(0.9, accuracy - 0.01)


def problem(seed, sizes):
    generator = np.random.default_rng(seed)
    spec = NetworkSpec(sizes, seed=seed, bias_deviation=0.3)
    weights, biases = spec.initial_parameters()
    weights = [w * 2.0 ** generator.uniform(-3, 2) for w in weights]
    return spec, weights, biases, generator.uniform(0, 1, (7, sizes[0]))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), sizes=st.lists(st.integers(1, 8), min_size=2, max_size=5))
def test_any_network_does_and_stays_within_the_rounding_of_the_real_one(seed, sizes):
    spec, weights, biases, x = problem(seed, tuple(sizes))
    made = sigma_delta(spec, weights, biases, x)
    assert made.fractions[0] >= 1
    outputs = made.outputs(x)  # strict: an overflow would raise
    # The float network with the stored numbers; E_0 = 1/2, E_k = |W| E_(k-1) + 1/2, in messages.
    fractions = made.fractions
    stored = [w * 2.0**-e for w, e in zip(made.weights, made.exponents, strict=True)]
    shifts = [b * 2.0**-f for b, f in zip(made.biases, fractions[1:], strict=True)]
    for w, exact, e in zip(made.weights, weights, made.exponents, strict=True):
        assert np.abs(w - exact * 2.0**e).max() <= 0.5
    error = np.full(sizes[0], 0.5 * 2.0 ** -fractions[0])
    for w, f in zip(stored, fractions[1:], strict=True):
        error = np.abs(w) @ error + 0.5 * 2.0**-f
    real = forward(x, stored, shifts, [ACTIVATIONS["relu"]] * (len(sizes) - 2))[1][-1]
    assert (np.abs(outputs * 2.0 ** -fractions[-1] - real) <= error * (1 + 1e-9)).all()


@pytest.mark.parametrize("sign", [1, -1, 0])
def test_weights_of_one_sign_and_of_both_survive_lavas_sign_modes(tmp_path, sign):
    generator = np.random.default_rng(sign + 1)
    spec = NetworkSpec((9, 7, 3))
    weights = [generator.normal(size=(7, 9)), generator.normal(size=(3, 7))]
    if sign:
        weights = [sign * np.abs(w) for w in weights]
    x = generator.uniform(0, 1, (20, 9))
    made = sigma_delta(spec, weights, [np.full(7, 3.0), np.zeros(3)], x)
    netx.write(tmp_path / "a.net", made)
    np.testing.assert_array_equal(netx.run(tmp_path / "a.net", x), made.outputs(x))


@pytest.mark.parametrize("seed", range(3))
def test_lava_dl_reads_the_file_and_says_the_same(network, tmp_path, seed):
    hdf5 = pytest.importorskip("lava.lib.dl.netx.hdf5")
    made, x = network[0], DIGITS.x
    if seed:
        spec, weights, biases, x = problem(seed, (9, 7, 3))
        weights = [np.abs(w) for w in weights] if seed > 1 else weights
        made = sigma_delta(spec, weights, biases, x)
    path = tmp_path / "file.net"
    netx.write(path, made)
    read = hdf5.Network(net_config=str(path), input_message_bits=24, spike_exp=-1)
    neurons = [layer.neuron for layer in read.layers]
    outputs = netx.run_processes(read.inp, neurons, read.out, made.encoded(x))
    np.testing.assert_array_equal(outputs - netx.OFFSET, made.outputs(x))


@pytest.mark.parametrize("sizes", [(64, 10), (64, 20, 10)])
def test_nirs_own_reader_gives_a_linear_network_the_same_classes(tmp_path, sizes):
    nir = pytest.importorskip("nir")
    made, _, _ = trained(NetworkSpec(sizes, activations="linear"))
    file = export(tmp_path / "linear.nir", made, DIGITS.x)
    graph = nir.read(file.path)
    assert [type(node).__name__ for node in graph.nodes.values()].count("Affine") == len(sizes) - 1
    # NIR rounds nothing, so classes have to agree where rounding cannot matter: half a message
    # per layer, |W| of the layers above it and half the input's.
    unit = 2.0 ** -made.fractions[-1]
    stored = [w * 2.0**-e for w, e in zip(made.weights, made.exponents, strict=True)]
    error = np.full(64, 0.5 * 2.0 ** -made.fractions[0])
    for w, f in zip(stored, made.fractions[1:], strict=True):
        error = np.abs(w) @ error + 0.5 * 2.0**-f
    outputs = nir_graph.run(file.path, DIGITS.x)
    assert np.abs(outputs - made.outputs(DIGITS.x) * unit).max() <= error.max()
    order = np.sort(outputs, axis=1)
    sure = order[:, -1] - order[:, -2] > 2 * error.max()
    assert sure.sum() > 1000
    same = outputs.argmax(axis=1) == made.predictions(DIGITS.x)
    assert same[sure].all()
    assert (file.samples, file.same) == (1797, same.sum())


def test_what_a_format_cannot_say_is_refused_with_what_to_use_instead(tmp_path):
    spec, weights, biases, x = problem(0, (4, 3, 2))
    relu = sigma_delta(spec, weights, biases, x)
    with pytest.raises(
        UnsupportedError, match=r"layer 1: NIR has no relu.*Try: --export FILE\.net"
    ):
        nir_graph.write(tmp_path / "a.nir", relu)
    linear = sigma_delta(NetworkSpec((4, 3, 2), activations="linear"), weights, biases, x)
    with pytest.raises(ValidationError, match=r"layer 1: .* are relu \(got 'linear'\)"):
        netx.write(tmp_path / "a.net", linear)
    nothing = sigma_delta(spec, [0 * w for w in weights], biases, x)
    with pytest.raises(ValidationError, match=r"layer 1 weights: .*all 0"):
        netx.write(tmp_path / "a.net", nothing)
    assert not list(tmp_path.iterdir())


def test_what_has_no_place_on_the_chip_is_named():
    spec, weights, biases, x = problem(0, (4, 3, 2))
    with pytest.raises(ValidationError, match=r"activation: .*got 'tanh'.*Try: relu"):
        sigma_delta(NetworkSpec((4, 3, 2), activations="tanh"), weights, biases, x)
    with pytest.raises(UnsupportedError, match="rule spiking"):
        sigma_delta(NetworkSpec((4, 3, 2), rule="spiking"), weights, biases, x)
    with pytest.raises(FixedPointError, match=r"layer 2 weights: .* does not fit into 8 bits"):
        sigma_delta(spec, [weights[0], 1e3 * weights[1]], biases, x)
    with pytest.raises(FixedPointError, match="leave no bits to inputs"):
        sigma_delta(spec, weights, biases, x * 1e9)
    with pytest.raises(ValidationError, match="at least 1 row"):
        sigma_delta(spec, weights, biases, x[:0])
    with pytest.raises(ValidationError, match="headroom"):
        sigma_delta(spec, weights, biases, x, headroom=-1)


def test_files_that_are_something_else_are_one_line(tmp_path):
    (tmp_path / "a.net").write_text("no")
    for read in (netx.run, nir_graph.run):
        with pytest.raises(ValidationError, match=r"file .*a\.net: "):
            read(tmp_path / "a.net", np.zeros((1, 4)))
    spec, weights, biases, x = problem(0, (4, 3, 2))
    netx.write(tmp_path / "b.net", sigma_delta(spec, weights, biases, x))
    with pytest.raises(ValidationError, match="the network has 4 inputs"):
        netx.run(tmp_path / "b.net", np.zeros((1, 5)))


@pytest.mark.parametrize("package", ["h5py", "nir"])
def test_without_the_packages_the_extra_is_named(monkeypatch, tmp_path, package):
    spec, weights, biases, x = problem(0, (4, 2))
    made = sigma_delta(spec, weights, biases, x)
    monkeypatch.setitem(sys.modules, package, None)
    module = {"h5py": netx, "nir": nir_graph}[package]
    with pytest.raises(UnsupportedError, match=rf"{package}.*lava_dyads\[export\]"):
        module.write(tmp_path / "a", made)


X, H = Node("x", "input", shape=(64,)), Node("h", "dense", "x", size=64, activation="relu")
Y = Node("y", "dense", "h", size=10)
NO_CHAINS = {
    "skip": [X, H, Node("s", "sum", ("x", "h"), activation="relu"),
             Node("y", "dense", "s", size=10)],
    "square": [X, H, Node("s", "product", ("h", "h"), activation="relu"),
               Node("y", "dense", "s", size=10)],
    "bare weights": [X, Node("w", "dense", "x", size=64), Node("y", "dense", "w", size=10)],
    "tree": [X, H, Node("a", "dense", "h", size=5), Node("b", "dense", "h", size=5)],
    "output inside": [X, Node("h", "dense", "x", size=8, loss="squared-error"),
                      Node("y", "dense", "h", size=10)],
    "output not linear": [X, H, Node("y", "dense", "h", size=10, activation="relu")],
    "image": [Node("x", "input", shape=(1, 8, 8)), Node("c", "conv", "x", channels=1, kernel=3,
              activation="relu"), Node("y", "dense", "c", size=10)],
    "pool": [Node("x", "input", shape=(1, 8, 8)), Node("c", "max-pool", "x", activation="relu"),
             Node("y", "dense", "c", size=10)],
}  # fmt: skip


@pytest.mark.parametrize("nodes", NO_CHAINS.values(), ids=NO_CHAINS)
def test_what_is_no_chain_is_not_made_one_of_its_sizes(nodes):
    spec = NetworkSpec(graph=Graph(nodes))
    begin = spec.initial_parameters()
    for attempt in (
        lambda: inference_spec(spec),
        lambda: sigma_delta(spec, *begin, DIGITS.x[:5]),
        lambda: learning_rules(spec, begin[0]),
    ):
        with pytest.raises(UnsupportedError, match=r"is a chain: .* \(got 'node \w+ from"):
            attempt()


def test_a_graph_that_is_a_chain_is_exported_as_one():
    graph = NetworkSpec(graph=Graph([Y, H, X]), seed=3)  # in any order
    chain = NetworkSpec((64, 64, 10), seed=3)
    assert inference_spec(graph).layers == chain.layers
    x = DIGITS.x[:50]
    parameters = chain.initial_parameters()
    made, other = (sigma_delta(spec, *parameters, x) for spec in (graph, chain))
    np.testing.assert_array_equal(made.outputs(x), other.outputs(x))
    assert learning_rules(graph, parameters[0]) == learning_rules(chain, parameters[0])
