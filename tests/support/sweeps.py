"""One training in two executors: how a network is shown rows of data, a run at a time."""

import numpy as np

from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.networks import Graph, NetworkSpec, Node

LAYERS = (12, 17, 9, 5)

EVERYTHING = Graph([
    Node("image", "input", shape=(2, 6, 6)),
    Node("features", "conv", "image", channels=3, kernel=3, padding=1, activation="relu"),
    Node("pooled", "max-pool", "features", kernel=3, stride=1),
    Node("strided", "conv", "pooled", channels=2, kernel=2, stride=2, activation="tanh"),
    Node("smooth", "average-pool", "features", kernel=2),
    Node("seen", "dense", "smooth", size=6, activation="relu"),
    Node("gate", "dense", "strided", size=6, activation="hard-sigmoid"),
    Node("gated", "product", ("seen", "gate")),
    Node("block", "dense", "gated", size=6, activation="relu"),
    Node("again", "sum", ("gated", "block")),
    Node("both", "concat", ("again", "strided")),
    Node("y", "dense", "both", size=5),
])  # fmt: skip
"""Every kind of node, skips of several lengths, biases that pixels share."""

SETTINGS = {
    "alpha 1": {"threshold": 0.1, "error_threshold": 0.01},
    "alpha 0": {"alpha": 0.0, "activations": "tanh", "loss": "squared-error"},
    "relaxation": {"rule": "activation-relaxation", "activations": "hard-sigmoid"},
    "predictive": {"rule": "predictive-coding"},
    "no derivative": {"rule": "derivative-free-learning"},
    "derivative in the update": {"rule": "derivative-free-relaxation", "activations": "tanh"},
    "feedback that learns": {"feedback": "kolen_pollack"},
    "adaste": {"weight_format": "adaste"},
    "a mask": {"density": 0.5},
}
"""Of NetworkSpec: each rule that settles in one sweep, and whatever else changes what is done."""


def specification(name):
    if name == "graph":
        return NetworkSpec(graph=EVERYTHING, bias_deviation=0.1)
    return NetworkSpec(LAYERS, bias_deviation=0.1, **SETTINGS[name])


def rows(spec, samples=29):
    """Inputs, and classes."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(samples, spec.layers[0]))
    x *= generator.random(x.shape) > 0.4
    return x, generator.integers(spec.layers[-1], size=samples)


def clocks(lanes, batch_size, samples, mode):
    schedule = PresentationSchedule(1, lanes, batch_size)
    schedule.learn[0], schedule.window[:] = mode, (0, samples)
    return [schedule.at(t) for t in range(1, schedule.presentations(samples) + 1)]


def show(network, x, y, clocks):
    """Present rows in lanes, the last presentation partly filled; return the outputs."""
    outputs = []
    for clock in clocks:
        inbox = {}
        for port, values in (("input_in", x), ("target_in", y)):
            message = network.arithmetic.zeros((network.lanes, values.shape[1]))
            message[: clock.valid] = values[clock.start : clock.start + clock.valid]
            inbox[port] = message
        outputs.append(network.after(clock, inbox)["output_out"][: clock.valid].copy())
    return np.concatenate(outputs)


def show_all(network, x, y, mode=1, batch_size=None):
    """Present all rows in a mode, by default in batches of two presentations."""
    size = batch_size or 2 * network.lanes
    return show(network, x, y, clocks(network.lanes, size, len(x), mode))


def compare(mine, theirs, atol, counted=True):
    """Both have learnt and counted the same."""
    for name, element in mine.elements.items():
        other = theirs.elements[name]
        if counted:
            assert element.counts == other.counts, name
        for register in ("weights", "bias", "feedback"):
            for part in (register, f"{register}_state", f"{register}_updates"):
                if part in element.memory:
                    found, expected = element.memory[part], other.memory[part]
                    np.testing.assert_allclose(found, expected, rtol=0, atol=atol, err_msg=name)
