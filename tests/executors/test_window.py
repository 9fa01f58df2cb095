"""The short cut of spiking chains against the elements, step by step: equal to the bit.

Numpy adds up what a dyad receives in an order of its own, compiled code in that of the senders. So
where sums are exact compiled code has to be equal to the bit in everything, and where they are
rounded in all but the potentials: the same spikes, so the same counts, gradients and weights.
"""

from copy import deepcopy
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_dyads import NetworkSpec
from lava_dyads.elements.clock import Clock
from lava_dyads.executors import compiled_window
from lava_dyads.rules.arithmetic import Float
from lava_dyads.rules.optimisers import Adam
from lava_dyads.rules.units.spiking import SpikingOutput

LANES = 3


def networks(layers, numbers=None, **options):
    """Two equal networks; the second takes its steps element by element."""
    options = {"window": 48, "scale": 0.375, "bias_deviation": 0.1, **options}
    spec = NetworkSpec(layers, rule="spiking", **options)
    both = [spec.build(lanes=LANES, optimiser=Adam(), arithmetic=numbers) for _ in range(2)]
    both[1].window = None
    if both[0].window is not None:
        both[0].window.compiled = None
    return both


def show(network, number, learn=True, valid=LANES):
    """Show a presentation; return the answer."""
    generator = np.random.default_rng(number)
    n_in, n_out = network.inputs["input_in"], network.inputs["target_in"]
    x = generator.uniform(size=(LANES, n_in)) * (np.arange(LANES) < valid)[:, None]
    y = np.eye(n_out)[generator.integers(n_out, size=LANES)] * (np.arange(LANES) < valid)[:, None]
    clock = Clock(number + 1, True, True, learn, valid, number * LANES, batch=valid)
    return network.after(clock, {"input_in": x, "target_in": y})


def assert_equal(short, long, tolerance=0.0):
    """Compare all registers to the bit, but for potentials, where there is a tolerance."""
    for name, element in short.elements.items():
        for register, value in element.memory.items():
            expected = long.elements[name].memory[register]
            allowed = tolerance if register in ("v_plus", "v_minus") else 0.0
            same = np.allclose(value, expected, rtol=0, atol=allowed)
            assert same, f"{name}.{register}: {np.abs(value - expected).max()}"
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
    short.window.compiled = None
    for network in (short, long):
        show(network, 0)
    assert_equal(short, long)


def test_what_it_does_not_know_the_elements_do():
    assert networks((6, 9, 4), hysteresis=2)[0].window is None
    assert NetworkSpec((6, 9, 4)).build().window is None


compiled = pytest.mark.skipif(find_spec("numba") is None, reason="needs numba")
powers = st.integers(-3, -2).map(lambda k: 2.0**k)


def coarse(values):
    """Round to what single precision adds up exactly."""
    return np.round(32 * values) / 32


def presented(network, compiled, steps, samples):
    """Show samples in turn, learning and not; return their trains."""
    if not compiled:
        network.window.compiled = None
    assert (network.window.compiled is not None) == compiled
    trains = np.zeros((len(samples), steps - 1, 2, network.window.layers[-1].here.stop), bool)
    for number, (x, y, learn) in enumerate(samples):
        clock = Clock(steps, True, True, learn, len(x), number * len(x), batch=len(x))
        network.window.present(clock, {"input_in": x, "target_in": y}, steps, trains[number])
    return trains


@compiled
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_compiled_steps_are_numpy_s(data):
    layers = tuple(data.draw(st.lists(st.integers(1, 9), min_size=2, max_size=5), "layers"))
    lanes, exact = data.draw(st.integers(1, 4), "lanes"), data.draw(st.booleans(), "exact")
    alpha = data.draw(st.sampled_from((0.0, 0.25, 0.5, 1.0) if exact else (0.0, 0.3, 0.5, 1.0)))
    scale = data.draw(powers) * (1 if exact else 1.3)
    window = 2 ** data.draw(st.integers(1, 6)) if exact else data.draw(st.integers(1, 64), "window")
    beta = data.draw(st.sampled_from((0.25, 1.0) if exact else (0.1, 0.7)))
    spec = NetworkSpec(
        layers, rule="spiking", alpha=alpha, beta=beta, scale=scale, window=window,
        bias_deviation=0.3, feedback=data.draw(st.sampled_from(("tied", "random"))),
        seed=data.draw(st.integers(0, 99), "seed"),
    )  # fmt: skip
    dtype = data.draw(st.sampled_from((np.float64, np.float32))) if exact else np.float64
    made = []
    generator = np.random.default_rng(spec.seed)
    shape = lanes, spec.layers[-1]
    samples = [
        (generator.uniform(size=(lanes, layers[0])), generator.integers(0, 2, shape) + 0.0, learn)
        for learn in data.draw(st.lists(st.booleans(), min_size=1, max_size=3), "learn")
    ]
    if exact:
        samples = [(coarse(x).astype(dtype), y.astype(dtype), learn) for x, y, learn in samples]
    for compiled in (True, False):
        learner = None if exact else Adam()
        network = spec.build(lanes=lanes, optimiser=learner, arithmetic=Float(dtype))
        for element in network.elements.values() if exact else ():
            for name in {"weights", "feedback", "bias"} & element.memory.keys():
                element.memory[name][...] = coarse(element.memory[name])
        steps = window + len(layers) - 1
        made.append((network, presented(network, compiled, steps, samples)))
    (ours, our_trains), (theirs, their_trains) = made
    np.testing.assert_array_equal(our_trains, their_trains)
    assert_equal(ours, theirs, tolerance=0.0 if exact else 1e-12)
    for one, other in zip(ours.gradients(), theirs.gradients(), strict=True):
        for gradient, expected in zip(one, other, strict=True):
            np.testing.assert_array_equal(gradient, expected)


@compiled
def test_compiled_steps_go_on_where_registers_move_and_weights_change():
    short, long = networks((6, 9, 4), alpha=0.5)
    del short.window.compiled
    show(short, 0)
    show(long, 0)
    short.map_memory(np.copy)
    short = deepcopy(short)
    for network in (short, long):
        network.connections["connection_2"].memory["weights"][...] *= 0.5
        show(network, 1)
    assert short.window.compiled is not None
    assert_equal(short, long, tolerance=1e-12)


def test_without_numba_it_works_slowly_and_says_so_once(monkeypatch, caplog):
    monkeypatch.setattr(compiled_window, "spiking_steps", lambda: None)
    compiled_window._say.cache_clear()
    with caplog.at_level("WARNING"):
        for _ in range(2):
            short, long = networks((6, 9, 4), alpha=0.5)
            del short.window.compiled
            for network in (short, long):
                show(network, 0)
            assert short.window.compiled is None
            assert_equal(short, long)
    (said,) = [record.message for record in caplog.records if "numba" in record.message]
    assert "lava-dyads[fast]" in said


def test_an_equation_that_no_instruction_stands_for_runs_in_numpy(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setattr(SpikingOutput, "nudge", lambda self, pull: pull**3)
    short, long = networks((6, 9, 4), alpha=0.5)
    del short.window.compiled
    for network in (short, long):
        show(network, 0)
    assert short.window.compiled is None
    assert_equal(short, long)
