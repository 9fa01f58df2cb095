"""Recursive least squares against ridge regression, by hand, everywhere it runs and does not."""

import numpy as np
import pytest

from lava_dyads import Execution, Graph, NetworkSpec, Node, Trainer, TrainingConfig
from lava_dyads.cli import main
from lava_dyads.data import Dataset, load
from lava_dyads.elements.clock import Clock
from lava_dyads.errors import DivergedError, ValidationError
from lava_dyads.executors.build import chain
from lava_dyads.executors.recurrent import ReadOut, recurrent
from lava_dyads.rules.losses import loss
from lava_dyads.rules.ops.structured import STRUCTURES
from lava_dyads.rules.optimisers import RLS, SGD
from lava_dyads.rules.units import RULES
from lava_dyads.training.checks import check_learns

ROWS = np.random.default_rng(2)


def classes(samples=48, shape=(6,)):
    x = ROWS.normal(size=(samples, int(np.prod(shape))))
    return Dataset("drawn", x, (x[:, 0] > x[:, 1]).astype(int) + (x[:, 2] > 1))


def trained(spec, data, execution, epochs=2, batch_size=8, **options):
    lanes = 1 if execution.clock == "async" else batch_size
    config = TrainingConfig(epochs=epochs, batch_size=batch_size, lanes=lanes, optimiser="rls",
                            optimiser_options=options, seed=4)  # fmt: skip
    with Trainer(spec, data, config, execution) as trainer:
        trainer.fit()
        return [p for part in trainer.network.parameters() for p in part]


@pytest.mark.parametrize("remembered", [1.0, 0.97])
def test_sample_by_sample_a_linear_network_is_ridge_regression(remembered):
    samples, n, n_out = 60, 7, 3
    x, y = ROWS.normal(size=(samples, n)), ROWS.normal(size=(samples, n_out))
    begin = ROWS.normal(size=(n_out, n))
    network = chain([begin], [np.zeros(n_out)], activations=[], loss=loss("squared-error"),
                    rule=RULES["dp-transpose"], optimiser=RLS(remembered=remembered))  # fmt: skip
    network.populations["population_1"].plasticity.optimiser = None  # no bias
    clock = Clock(1, True, True, True, 1, batch=1)
    for row, target in zip(x, y, strict=True):
        network.after(clock, {"input_in": row[None], "target_in": target[None]})
    # argmin |W - W0|^2 lambda^n / 2 + sum lambda^(n - i) |y_i - W x_i|^2 / 2
    share = remembered ** np.arange(samples - 1, -1, -1)
    normal = remembered**samples * np.eye(n) + (x * share[:, None]).T @ x
    ridge = np.linalg.solve(normal, remembered**samples * begin.T + (x * share[:, None]).T @ y).T
    np.testing.assert_allclose(network.parameters()[0][0], ridge, rtol=0, atol=1e-10)


def test_a_batch_uses_its_mean_and_a_bias_has_one_number():
    gradient, x = np.array([[1.0, -2.0]]), np.array([0.5, 1.0])
    p = np.array([[1.0, 0.2], [0.2, 2.0]])
    u = np.array([0.7, 2.1])
    h = 0.9 + 0.5 * (0.5 * 0.7 + 2.1)
    after = (p - 0.5 / h * np.outer(u, u)) / 0.9
    made = RLS(average=0.5, remembered=0.9).decorrelated(gradient, p, x)
    np.testing.assert_allclose(made, [[0.6 / h, -3.8 / h]])
    np.testing.assert_allclose(p, after)


def test_windows_of_an_image_are_averaged_over_places():
    """One convolution, whose gradient and input by hand meet P."""
    nodes = [Node("x", "input", shape=(1, 3, 3)), Node("y", "conv", "x", channels=2, kernel=2)]
    spec = NetworkSpec(graph=Graph(nodes), loss="squared-error", seed=1)
    x, y = ROWS.normal(size=(2, 9)), ROWS.normal(size=(2, 8))
    network = spec.build(lanes=2, optimiser=RLS())
    begin = network.parameters()[0][0].copy()
    network.settle(x, y)
    gradient = network.gradients()[0][0].reshape(2, 4)
    network.after(Clock(1, True, True, True, 2, batch=2), {"input_in": x, "target_in": y})
    windows = np.lib.stride_tricks.sliding_window_view(x.reshape(2, 3, 3), (2, 2), axis=(1, 2))
    mean = windows.reshape(2, 4, 4).mean(axis=(0, 1))
    moved = RLS().decorrelated(gradient, np.eye(4), mean)
    learnt = network.parameters()[0][0]
    np.testing.assert_allclose(learnt, begin - moved.reshape(begin.shape), atol=1e-9)


@pytest.mark.lava
@pytest.mark.timeout(120)
def test_weights_are_the_same_wherever_it_runs():
    data, spec = classes(), NetworkSpec((6, 5, 3), seed=3)
    reference = trained(spec, data, Execution(runtime="reference"))
    for execution, close in (
        (Execution("network", runtime="in-process"), 0),
        (Execution("layer", runtime="in-process"), 0),
        (Execution("layer", runtime="lava"), 0),
        (Execution("layer", "async", runtime="in-process"), 1e-9),
    ):
        for mine, theirs in zip(trained(spec, data, execution), reference, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=close)


def test_a_resumed_run_is_the_same_to_the_bit():
    data, spec = classes(), NetworkSpec((6, 5, 3), seed=3)
    config = TrainingConfig(epochs=4, batch_size=8, optimiser="rls", seed=4,
                            optimiser_options={"remembered": 0.99})  # fmt: skip
    reference = Execution(runtime="reference")
    with Trainer(spec, data, config, reference) as whole:
        whole.fit()
        kept = whole.state().arrays
    with Trainer(spec, data, config, reference) as half:
        half.fit(epochs=2)
        state = half.state()
    assert not np.array_equal(state.arrays["3.weights_decorrelation"], np.eye(6))
    with Trainer(spec, data, config, reference) as other:
        other.restore(state)
        other.fit()
        again = other.state().arrays
    for name in ("3.weights_decorrelation", "1.weights_1", "6.bias_decorrelation"):
        np.testing.assert_array_equal(again[name], kept[name])


def test_a_recurrent_population_learns_by_it():
    w = STRUCTURES["any"].random(6, 0.5, seed=1)
    x, y = ROWS.normal(size=(8, 4)), ROWS.normal(size=(8, 2))
    lost = {}
    for optimiser in (RLS(), SGD(0.05)):
        network = recurrent(w, inputs=np.ones((6, 4)) / 4, read_out=ReadOut(np.eye(2, 6)),
                            f="tanh", lanes=8, optimiser=optimiser)  # fmt: skip
        clock = Clock(1, True, True, True, 8, batch=8)
        for _ in range(30):
            out = network.after(clock, {"input_in": x, "target_in": y})["output_out"]
        lost[optimiser.name] = loss("squared-error").value(out, y).mean()
    assert lost["rls"] < 0.8 * lost["sgd"]
    with pytest.raises(ValidationError, match="optimiser rls: learns weights that every neuron"):
        recurrent(STRUCTURES["symmetric"].random(3, 0.5), kind="symmetric", optimiser=RLS())


def test_a_read_out_of_a_stream_learns_without_a_rate():
    """A system whose answer to a noisy input it finds in one pass, sample by sample."""
    generator = np.random.default_rng(8)
    signal, answer = generator.normal(size=300), np.array([0.5, -1.0, 0.25, 2.0])
    x = np.lib.stride_tricks.sliding_window_view(signal, 4)
    data = Dataset("stream", x, targets=x @ answer + 0.01 * generator.normal(size=len(x)),
                   official_training_rows=280)  # fmt: skip
    spec = NetworkSpec((4, 1), loss="squared-error", beta=1.0)
    config = TrainingConfig(epochs=1, batch_size=1, optimiser="rls", stream=True,
                            optimiser_options={"remembered": 0.98},
                            learn_at="frame", scale_targets=False)  # fmt: skip
    with Trainer(spec, data, config, Execution(runtime="reference")) as trainer:
        trainer.fit()
        np.testing.assert_allclose(trainer.network.parameters()[0][0], answer[None], atol=0.005)


def test_what_forgets_stops_before_its_matrix_overflows():
    p = np.eye(2)

    def forget():
        for _ in range(1000):
            RLS(remembered=0.9).decorrelated(np.zeros((1, 2)), p, np.zeros(2))

    with pytest.raises(DivergedError, match=r"rls: P has grown .*Try: remembered=1"):
        forget()


def test_elsewhere_it_is_refused_in_a_line(capsys):
    for words, line in (
        (["--granularity", "neuron"], "optimiser: granularity neuron: the neurons of a layer"),
        (["--precision", "loihi2", "--batch-size", "1"], "optimiser: precision loihi2 learns by"),
        (["--rule", "backprop"], "optimiser rls: is for networks of neurons"),
        (["--weight-format", "ste"], "optimiser: weights of one bit learn by"),
        (["--remembered", "0"], "--remembered: must lie in (0, 1] (got 0.0)"),
        (["--density", "0.5"], "optimiser rls: learns weights that every neuron has"),
    ):
        assert main(["train", "digits", "--optimiser", "rls", "--no-save", *words]) == 2
        assert line in capsys.readouterr().err
    with pytest.raises(ValidationError, match="optimiser: backend jax compiles sweeps"):
        check_learns(Execution(backend="jax"), TrainingConfig(optimiser="rls"))


def test_it_learns_digits_in_half_of_the_epochs():
    """And what that costs: P x, x^T P x and the step of P for each batch, G P for each weight."""
    data, spec = load("digits"), NetworkSpec((64, 100, 10), seed=0)
    found = {}
    for name, epochs, rate in (("rls", 2, None), ("adam", 4, 3e-3)):
        config = TrainingConfig(epochs=epochs, optimiser=name, learning_rate=rate)
        with Trainer(spec, data, config, Execution(runtime="reference")) as trainer:
            found[name] = trainer.fit().column("test_accuracy")[-1]
    assert found["rls"] > 0.95
    assert found["rls"] > found["adam"] - 0.01
