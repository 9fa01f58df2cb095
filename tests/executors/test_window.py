"""The short cut of spiking chains against the elements, step by step: equal to the bit."""

from copy import deepcopy

import numpy as np
import pytest

from lava_dyads import NetworkSpec
from lava_dyads.elements.clock import Clock
from lava_dyads.rules.arithmetic import Float
from lava_dyads.rules.optimisers import Adam

LANES = 3


def networks(layers, numbers=None, **options):
    """Two equal networks; the second takes its steps element by element."""
    options = {"window": 48, "scale": 0.375, "bias_deviation": 0.1, **options}
    spec = NetworkSpec(layers, rule="spiking", **options)
    both = [spec.build(lanes=LANES, optimiser=Adam(), arithmetic=numbers) for _ in range(2)]
    both[1].window = None
    return both


def show(network, number, learn=True, valid=LANES):
    """Show a presentation; return the answer."""
    generator = np.random.default_rng(number)
    n_in, n_out = network.inputs["input_in"], network.inputs["target_in"]
    x = generator.uniform(size=(LANES, n_in)) * (np.arange(LANES) < valid)[:, None]
    y = np.eye(n_out)[generator.integers(n_out, size=LANES)] * (np.arange(LANES) < valid)[:, None]
    clock = Clock(number + 1, True, True, learn, valid, number * LANES, batch=valid)
    return network.after(clock, {"input_in": x, "target_in": y})


def assert_equal(short, long):
    for name, element in short.elements.items():
        for register, value in element.memory.items():
            expected = long.elements[name].memory[register]
            np.testing.assert_array_equal(value, expected, err_msg=f"{name}.{register}")
        assert element.counts == long.elements[name].counts, name


@pytest.mark.parametrize("layers", [(7, 3), (5, 8, 4), (6, 9, 7, 3)])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
def test_a_presentation_at_once_is_the_elements_steps_to_the_bit(layers, alpha):
    # Scale and window are no powers of two and weights learn: every sum here is rounded.
    short, long = networks(layers, alpha=alpha, beta=0.7)
    assert short.window is not None
    before = short.parameters()[0][0]
    for number, (learn, valid) in enumerate([(True, 3), (False, 3), (True, 2), (True, 3)]):
        ours, theirs = (show(network, number, learn, valid) for network in (short, long))
        assert ours.keys() == theirs.keys()
        np.testing.assert_array_equal(ours["output_out"], theirs["output_out"])
        assert_equal(short, long)
    assert sum(p.counts["spikes"] for p in short.populations.values()) > 100
    assert np.abs(short.parameters()[0][0] - before).max() > 1e-3


def test_it_computes_in_the_network_s_number_system():
    short, long = networks((6, 9, 4), numbers=Float(np.float32), alpha=0.5)
    for network in (short, long):
        show(network, 0)
    assert short.window is not None
    assert short.elements["population_1"].memory["v_plus"].dtype == np.float32
    assert_equal(short, long)


def test_registers_and_networks_may_move():
    """Runtimes put registers into shared memory, and networks are copied."""
    short, long = networks((6, 9, 4), alpha=0.5)
    short.map_memory(np.copy)
    short = deepcopy(short)
    for network in (short, long):
        show(network, 0)
    assert_equal(short, long)


def test_what_it_does_not_know_the_elements_do():
    assert networks((6, 9, 4), hysteresis=2)[0].window is None
    assert NetworkSpec((6, 9, 4)).build().window is None
