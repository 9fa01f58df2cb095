"""Sparse codes against scikit-learn's Lasso, at every granularity, clock and runtime."""

import json

import numpy as np
import pytest
from sklearn.linear_model import Lasso

from lava_dyads import SparseCode, SparseCoding, sparse_code
from lava_dyads.cli import main
from lava_dyads.elements import Sink, Source
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.elements.reactive import HOLD_TIME
from lava_dyads.errors import ValidationError
from lava_dyads.executors.latency import Latency
from lava_dyads.executors.sparse_code import (
    checked_rate,
    convolutional_code,
    curvature,
    kernel_curvature,
    lateral,
    rate_limit,
    safe_rate,
)
from lava_dyads.executors.transport import Transport
from lava_dyads.networks import Execution
from lava_dyads.rules.activations import ACTIVATIONS, soft_threshold
from lava_dyads.rules.arithmetic import Loihi2
from lava_dyads.rules.arithmetic.loihi2 import fitting_exponent
from lava_dyads.rules.losses import loss
from lava_dyads.training.backends import LavaBackend
from lava_dyads.training.dictionary import (
    DictionaryLearning,
    dictionary_gradient,
    drawn_atoms,
    learn_dictionary,
    unit_atoms,
)

ENTRIES, PENALTY = 64, 0.1
LATE = 2 / HOLD_TIME
"""Delay of a message in wake-ups: two latencies of mean 1, to the connection and from it."""


def problem(atoms, samples=3, seed=0):
    generator = np.random.default_rng(seed)
    dictionary = unit_atoms(generator.normal(size=(ENTRIES, atoms)))
    y = generator.normal(size=(samples, ENTRIES))
    return dictionary, y / np.linalg.norm(y, axis=1, keepdims=True)


def optimum(dictionary, y, sign, penalty=PENALTY):
    lasso = Lasso(penalty / len(dictionary), fit_intercept=False, positive=sign == "positive",
                  tol=1e-15, max_iter=10**6)  # fmt: skip
    return np.array([lasso.fit(dictionary, row).coef_ for row in y])


def carried_out(network, y, execution, **transport):
    """Return the outputs of a network that is shown some rows, and its events of means."""
    width, lanes = network.outputs["output_out"], network.lanes
    numbers = network.arithmetic
    sink = Sink(loss("squared-error"), width, lanes=lanes, capacity=len(y), keep=True,
                arithmetic=numbers)  # fmt: skip
    source = Source(y, np.zeros((len(y), width)), lanes=lanes, arithmetic=numbers)
    schedule = PresentationSchedule(1, lanes, lanes)
    backend = LavaBackend(source, network, sink, schedule, execution, **transport)
    backend.run(np.arange(len(y)), 0, lambda: None)
    backend.stop()
    population = network.populations["population"]
    return sink.memory["outputs"], sum(
        part.counts["events_mean"] for part in population.parts or [population]
    )


@pytest.mark.parametrize("sign", ["both", "positive"])
@pytest.mark.parametrize("atoms", [48, 128])
def test_the_code_is_the_lassos_optimum(atoms, sign):
    dictionary, y = problem(atoms)
    coding = SparseCoding(PENALTY, sign)
    network = sparse_code(dictionary, coding, lanes=len(y))
    assert network.settle(y, None).converged
    code, best = network.means()["population"], optimum(dictionary, y, sign)
    np.testing.assert_allclose(code, best, rtol=0, atol=1e-9)
    assert np.all(np.abs(coding.gap(dictionary, y, code)) < 1e-12)
    apart = coding.gap(dictionary, y, np.zeros_like(code))  # the bound holds where it is loose
    assert np.all(apart >= coding.objective(dictionary, y, 0 * code)
                  - coding.objective(dictionary, y, best))  # fmt: skip


@pytest.mark.lava
@pytest.mark.timeout(120)
@pytest.mark.parametrize("sign", ["both", "positive"])
@pytest.mark.parametrize(
    ("granularity", "clock", "runtime"),
    [
        ("network", "sync", "in-process"),
        ("layer", "sync", "in-process"),
        ("neuron", "sync", "in-process"),
        ("layer", "async", "in-process"),
        ("neuron", "async", "in-process"),
        ("layer", "sync", "lava"),
    ],
)
def test_processes_find_the_same_code(granularity, clock, runtime, sign):
    dictionary, y = problem(48, samples=2)
    asynchronous = clock == "async"
    coding = SparseCoding(PENALTY, sign, together=granularity != "neuron" or not asynchronous,
                          delay=LATE * asynchronous, steps=350)  # fmt: skip
    network = sparse_code(dictionary, coding)
    code, _ = carried_out(network, y, Execution(granularity, clock, runtime=runtime))
    np.testing.assert_allclose(code, optimum(dictionary, y, sign), rtol=0, atol=1e-9)


@pytest.mark.lava
def test_send_on_change_needs_few_events_for_a_small_gap():
    dictionary, y = problem(128)
    coding = SparseCoding(PENALTY, together=False, delay=LATE)
    assert checked_rate(curvature(dictionary), coding) == 1.0
    network = sparse_code(dictionary, coding, threshold=1e-3)
    code, events = carried_out(network, y, Execution("neuron", "async", runtime="in-process"))
    assert events <= 20 * 128 * len(y)
    best = coding.objective(dictionary, y, optimum(dictionary, y, "both"))
    assert np.all(coding.objective(dictionary, y, code) <= best * (1 + 2e-4))


@pytest.mark.lava
@pytest.mark.parametrize("delay", [1.0, 4.0])
@pytest.mark.parametrize("granularity", ["neuron", "layer"])
def test_below_the_limit_late_messages_do_no_harm(granularity, delay):
    """Also where a neuron has stopped talking on its way: it goes on until it is there."""
    dictionary, y = problem(48, samples=1)
    together = granularity == "layer"
    rate = 0.9 * rate_limit(curvature(dictionary), together, delay)
    coding = SparseCoding(PENALTY, rate=rate, together=together, delay=delay)
    network = sparse_code(dictionary, coding, threshold=1e-5)
    transport = Transport(Latency("exponential", delay * HOLD_TIME / 2))
    code, _ = carried_out(network, y, Execution(granularity, "async", runtime="in-process"),
                          transport=transport)  # fmt: skip
    np.testing.assert_allclose(code, optimum(dictionary, y, "both"), rtol=0, atol=3e-4)


def test_limits_of_rates():
    """Of ISTA, of descent with a whole delay, of coordinate descent, of a delay equation."""
    dictionary, _ = problem(128)
    largest = curvature(dictionary)
    assert largest == pytest.approx(np.linalg.eigvalsh(dictionary.T @ dictionary)[-1])
    assert rate_limit(curvature(dictionary)) == pytest.approx(2 / largest)
    # x(t + 1) = x(t) - r L x(t - 1) has its roots on the unit circle at r L = 1.
    assert rate_limit(curvature(dictionary), delay=1.0) == pytest.approx(1 / largest)
    assert safe_rate(curvature(dictionary), together=False) == 1.0
    limit, late = rate_limit(curvature(dictionary), together=False, delay=1.5), 1.5
    # x' = -r x - r q x(t - d) at the limit: exp(i w t) is a solution.
    q = largest - 1
    w = limit * np.sqrt(q**2 - 1)
    left = 1j * w + limit + limit * q * np.exp(-1j * w * late)
    assert abs(left) < 1e-12


def test_a_dictionary_with_atoms_of_other_norms_and_twice_the_same():
    dictionary, y = problem(6)
    dictionary = np.hstack([dictionary * 0.5, 2.0 * dictionary[:, :1], dictionary[:, :1]])
    network = sparse_code(dictionary, SparseCoding(0.02), lanes=len(y))
    assert network.settle(y, None).converged
    code = network.means()["population"]
    assert np.all(SparseCoding(0.02).gap(dictionary, y, code) < 1e-9)


def test_the_lateral_weights_of_unit_atoms_have_no_loop_to_themselves():
    dictionary, _ = problem(48)
    w = lateral(dictionary)
    assert not np.diag(w).any()
    np.testing.assert_array_equal(w, w.T)


def test_the_gradient_through_the_code_is_the_slope_of_the_reconstruction_error():
    dictionary, y = problem(10)
    dictionary = unit_atoms(dictionary[:6])
    y = 3 * y[:, :6]
    coding = SparseCoding(0.2, beta=1e-4)

    def cost(d):
        network = sparse_code(d, coding, read_out=True, lanes=len(y))
        network.settle(y, None)
        return ((network.means()["read_out_population"] - y) ** 2).sum() / 2 / len(y)

    network = sparse_code(dictionary, coding, read_out=True, lanes=len(y))
    assert network.settle(y, y, tolerance=1e-9).converged
    gradient = dictionary_gradient(network, dictionary)
    assert np.abs(dictionary_gradient(network, dictionary, False) - gradient).max() > 1e-3
    for place in ((0, 0), (2, 3), (5, 9)):
        step = np.zeros_like(dictionary)
        step[place] = 1e-5
        slope = (cost(dictionary + step) - cost(dictionary - step)) / 2e-5
        assert gradient[place] == pytest.approx(slope, abs=1e-5)


def test_a_dictionary_that_learns_reconstructs_better():
    generator = np.random.default_rng(3)
    true = unit_atoms(generator.normal(size=(8, 12)))
    data = (generator.random((256, 12)) < 0.2) * generator.normal(size=(256, 12)) @ true.T
    errors = []
    learning = DictionaryLearning(epochs=4, batch_size=64, learning_rate=0.03)
    found = learn_dictionary(data, 12, SparseCoding(0.05, steps=150), learning,
                             report=lambda epoch, error: errors.append(error))  # fmt: skip
    np.testing.assert_allclose(np.linalg.norm(found, axis=0), 1.0)
    assert errors[-1] < 0.8 * errors[0]


def test_bad_input_gets_one_line():
    dictionary, y = problem(48)
    for change, words in (
        ({"penalty": 0.0}, "SparseCoding.penalty: must be positive"),
        ({"sign": "negative"}, "SparseCoding.sign"),
        ({"delay": -1.0}, "SparseCoding.delay: must be at least 0"),
        ({"rate": 1.5}, r"SparseCoding.rate: must lie in \(0, 1\] .*Try: 0.3"),
        ({"rate": 0.7}, r"must be below 0.6\d* for \|D\|\^2 = 3.3\d* \(got 0.7\). Try: 0.3"),
        ({"rate": 0.9, "together": False, "delay": 4.0}, "a mean delay of 4 wake-ups"),
    ):
        with pytest.raises(ValidationError, match=words):
            sparse_code(dictionary, SparseCoding(**change))
    with pytest.raises(ValidationError, match=r"every atom must .*\(got 'atom 1'\)"):
        sparse_code(np.array([[1.0, 0.0]]))
    with pytest.raises(ValidationError, match="dictionary"):
        sparse_code(np.array([[1.0, np.nan]]))
    with pytest.raises(ValidationError, match="soft-threshold width: must be at least 0"):
        soft_threshold(-0.1)
    with pytest.raises(ValidationError, match="atoms: cannot exceed the 3 different rows"):
        drawn_atoms(y, 4)
    with pytest.raises(ValidationError, match="batch_size: cannot exceed the 3 rows"):
        learn_dictionary(y, 2)


@pytest.mark.lava
def test_the_process_says_what_it_is():
    dictionary, _ = problem(5)
    process = SparseCode(dictionary, SparseCoding(0.2), read_out=True, lanes=2)
    assert process.input_in.shape == process.output_out.shape == (2, ENTRIES)
    np.testing.assert_array_equal(process.read("weights_1"), dictionary.T)
    np.testing.assert_array_equal(process.read("weights_3"), dictionary)


@pytest.mark.parametrize("name", ["relu", "hard-sigmoid", "linear", "soft-threshold"])
def test_a_part_of_the_way_keeps_the_fixed_point(name):
    f, a = ACTIVATIONS[name], np.linspace(-2, 2, 41)
    for rate in (0.1, 0.7, 1.0):
        part = f.partly(rate)
        np.testing.assert_allclose(part.f((1 - rate) * f.f(a) + rate * a), f.f(a), atol=1e-15)


def test_the_gain_of_a_soft_threshold_keeps_the_variance():
    z = np.random.default_rng(0).normal(size=10**6)
    for width in (0.1, 1.0):
        shrunk = soft_threshold(width)
        assert (shrunk.gain * shrunk.f(z)).var() == pytest.approx(1.0, rel=5e-3)
    assert ACTIVATIONS["tanh"].partly(0.5) is None


@pytest.mark.lava
def test_the_command_compares_ways_with_the_optimum(capsys, tmp_path):
    words = ["sparse", "digits", "--patch", "3", "--atoms", "12", "--samples", "2", "--json"]
    file = tmp_path / "codes.npz"
    assert (
        main(
            [
                *words,
                "--epochs",
                "1",
                "--steps",
                "40",
                "--granularities",
                "layer",
                "neuron",
                "--out",
                str(file),
            ]
        )
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert [row["granularity"] for row in found["ways"]] == [
        "layer", "neuron", "layer", "neuron"]  # fmt: skip
    assert all(-1e-9 < row["gap"] <= row["worst_gap"] for row in found["ways"])
    assert found["ways"][0]["events"] == found["ways"][1]["events"]
    told = found["sparse"]
    assert told["reconstruction_error_learnt"] < told["reconstruction_error_before"]
    with np.load(file) as kept:
        assert kept["dictionary"].shape == (9, 12)
        np.testing.assert_allclose(
            optimum(kept["dictionary"], kept["y"], "both"), kept["codes"], atol=1e-6
        )
    for option, value, line in (
        ("--atoms", "0", "--atoms: must be at least 1 (got 0)"),
        ("--patch", "9", "--patch: cannot exceed the 8 pixels of a side (got 9)"),
        ("--rate", "2", "--rate: must lie in (0, 1] (got 2.0)"),
        ("--penalty", "0", "--penalty: must be positive (got 0.0)"),
        ("--latency", "-1", "--latency: must be at least 0 (got -1.0)"),
    ):
        assert main(["sparse", "digits", option, value]) == 2
        assert capsys.readouterr().err.startswith(f"error: {line}")


def ricker(width, samples):
    t = np.linspace(-1, 1, samples) / width
    return (1 - t**2) * np.exp(-(t**2) / 2)


def fista(forward, back, y, penalty, largest, shape):
    """Minimise the Lasso by Beck and Teboulle's accelerated steps, with restarts."""
    x = z = np.zeros(shape)
    momentum = 1.0
    for _ in range(200_000):
        step = z - back(forward(z) - y) / largest
        new = np.sign(step) * np.maximum(np.abs(step) - penalty / largest, 0)
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        if ((z - new) * (new - x)).sum() > 0:
            following, z = 1.0, new
        else:
            z = new + (momentum - 1) / following * (new - x)
        moved = np.abs(new - x).max()
        x, momentum = new, following
        if moved < 1e-12:
            break
    return x


def test_the_convolutional_code_of_ricker_traces_is_fistas():
    generator = np.random.default_rng(5)
    kernels = np.array([ricker(0.15, 11), ricker(0.3, 11)])
    kernels /= np.linalg.norm(kernels, axis=1, keepdims=True)
    spikes = (generator.random((2, 2, 40)) < 0.05) * generator.normal(size=(2, 2, 40))
    image = (1, 1, 50)

    def forward(x):
        return sum(np.convolve(row, kernel) for row, kernel in zip(x, kernels, strict=True))

    def back(r):
        return np.array([np.correlate(r, kernel, "valid") for kernel in kernels])

    y = np.array([forward(x) for x in spikes]) + 0.02 * generator.normal(size=(2, 50))
    network = convolutional_code(kernels[:, None, None], image, SparseCoding(0.1), lanes=2)
    assert network.connections["recurrent"].weights.size == 2 * 2 * 21
    assert network.settle(y, None, max_steps=60_000).converged
    largest = kernel_curvature(kernels[:, None, None], image)
    best = np.array([fista(forward, back, row, 0.1, largest, (2, 40)).ravel() for row in y])
    np.testing.assert_allclose(network.means()["population"], best, rtol=0, atol=1e-6)


def test_the_convolution_of_images_is_the_dictionary_of_moved_kernels():
    generator = np.random.default_rng(6)
    kernels, image = generator.normal(size=(3, 2, 2, 3)), (2, 5, 4)
    columns = []
    for kernel in kernels:
        for i in range(4):
            for j in range(2):
                atom = np.zeros(image)
                atom[:, i : i + 2, j : j + 3] = kernel
                columns.append(atom.ravel())
    dictionary, y = np.array(columns).T, generator.normal(size=(2, 40))
    coding = SparseCoding(0.5, "positive")
    network = convolutional_code(kernels, image, coding, lanes=2)
    assert network.settle(y, None).converged
    np.testing.assert_allclose(
        network.means()["population"], optimum(dictionary, y, "positive", 0.5), atol=1e-9
    )
    assert kernel_curvature(kernels, image) >= curvature(dictionary)
    with pytest.raises(ValidationError, match=r"kernels: must be \(atoms, 2, height, width\)"):
        convolutional_code(kernels[:, :1], image)


@pytest.mark.parametrize("sign", ["both", "positive"])
def test_in_integers_the_gap_is_within_its_bound(sign):
    """Roundings at rest are wrong slopes, and a gap is at most the slope times the way."""
    dictionary, y = problem(48)
    coding, fraction = SparseCoding(PENALTY, sign), 12
    exponent = fitting_exponent(np.hstack([lateral(dictionary), dictionary.T]))
    network = sparse_code(dictionary, coding, lanes=len(y),
                          arithmetic=Loihi2(fraction, (exponent,)))  # fmt: skip
    assert network.settle(y, None).converged
    code = network.means()["population"]
    rate = safe_rate(curvature(dictionary))
    unit, weight, gain = 2.0**-fraction, 2.0 ** -(exponent + 1), round(rate * 128) / 128
    own = 1.5 * unit + abs(rate - gain) * PENALTY  # two scalings, and the width of f
    length = np.abs(code).sum(axis=1)
    slope = own / gain + unit  # of the sum, of the bias
    slope += weight * (np.abs(y).sum(axis=1) + length)  # of weights
    slope += unit / 2 * np.abs(dictionary).sum(axis=0).max()  # of data
    most = slope * (length + coding.objective(dictionary, y, code) / PENALTY)
    best = coding.objective(dictionary, y, optimum(dictionary, y, sign))
    gap = coding.objective(dictionary, y, code) - best
    assert np.all(gap <= most)
    assert np.all(gap <= 3e-4 * best)  # far below it


@pytest.mark.lava
@pytest.mark.parametrize("granularity", ["layer", "neuron"])
def test_integers_are_the_same_at_every_granularity(granularity):
    dictionary, y = problem(48, samples=2)
    exponent = fitting_exponent(np.hstack([lateral(dictionary), dictionary.T]))
    numbers, coding = Loihi2(12, (exponent,)), SparseCoding(PENALTY, steps=80)
    found = [
        carried_out(sparse_code(dictionary, coding, arithmetic=numbers), y, Execution(
            g, precision="loihi2", runtime="in-process"))[0]
        for g in ("network", granularity)
    ]  # fmt: skip
    assert found[0].any()
    np.testing.assert_array_equal(*found)
