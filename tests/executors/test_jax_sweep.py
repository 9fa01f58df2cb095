"""Presentations in jitted JAX against those of numpy: outputs, weights, states, counts."""

import numpy as np
import pytest
from sweeps import SETTINGS, clocks, compare, rows, show, specification

from lava_dyads.elements.clock import FROZEN
from lava_dyads.executors.jax_sweep import BATCHES, JaxSweep
from lava_dyads.rules.arithmetic import Float
from lava_dyads.rules.optimisers import OPTIMISERS

jax = pytest.importorskip("jax", reason="needs jax")

SWEPT = [name for name, kind in OPTIMISERS.items() if not kind.decorrelates]
KINDS = [(optimiser, dtype) for dtype in ("float64", "float32") for optimiser in SWEPT]
NAMES = [*SETTINGS, "graph"]
SAMPLE = {(name, *KINDS[i % len(KINDS)]) for i, name in enumerate(NAMES)}
"""Each is compiled, which takes seconds; of the others the functions of arrays are tested."""

CASES = [
    pytest.param(name, *kind, marks=() if (name, *kind) in SAMPLE else pytest.mark.slow)
    for name in NAMES
    for kind in KINDS
]


@pytest.fixture(autouse=True)
def _quickly_compiled():
    """Have what is compiled once, and runs for milliseconds, not optimised as if for hours."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def pair(name, optimiser="adam", dtype="float64", lanes=8):
    """Return the same network twice."""
    spec = specification(name)
    learner = OPTIMISERS[optimiser](weight_decay=0.01, horizon=150)
    options = {"lanes": lanes, "optimiser": learner, "arithmetic": Float(dtype)}
    return spec, spec.build(**options), spec.build(**options)


def run(sweep, order, schedule):
    return np.concatenate([outputs for _, outputs in sweep.run(order, schedule)])


@pytest.mark.parametrize(("name", "optimiser", "dtype"), CASES)
def test_a_hundred_updates_are_those_of_numpy(name, optimiser, dtype):
    spec, mine, theirs = pair(name, optimiser, dtype)
    x, labels = rows(spec, 32)
    sweep = JaxSweep(mine, x, labels, batch_size=8)
    schedule = clocks(8, 8, 32, 1)
    # AdaSTE magnifies rounding without bound: numpy, off by 1e-15, ends .06 from itself.
    epochs = 10 if name == "adaste" else 25
    for epoch in range(epochs):
        order = np.random.default_rng(epoch).permutation(32)
        outputs = run(sweep, order, schedule), show(theirs, x[order], np.eye(5)[labels[order]],
                                                    schedule)  # fmt: skip
    exact = dtype == "float64"
    np.testing.assert_allclose(*outputs, rtol=0, atol=1e-9 if exact else 1e-2)
    compare(mine, theirs, 1e-9 if exact else 1e-2, counted=exact)
    assert int(next(iter(mine.connections.values())).memory["weights_updates"][0]) == 4 * epochs


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_parts_of_batches_empty_lanes_and_passes_that_learn_nothing(dtype):
    spec, mine, theirs = pair("alpha 1", dtype=dtype, lanes=4)
    x, labels = rows(spec, 8 * (BATCHES + 1) + 5)  # more than one call, and a rest
    y = np.eye(5)[labels]
    sweep = JaxSweep(mine, x, labels, batch_size=8)
    for mode in (1, FROZEN, 0):
        schedule = clocks(4, 8, len(x), mode)
        shown = [done for done, _ in sweep.run(np.arange(len(x)), schedule[:0])]
        assert not shown
        outputs = run(sweep, np.arange(len(x)), schedule), show(theirs, x, y, schedule)
        exact = dtype == "float64"
        np.testing.assert_allclose(*outputs, rtol=0, atol=1e-11 if exact else 1e-2)
    compare(mine, theirs, 1e-11 if exact else 1e-2, counted=exact)


def test_samples_that_are_silent_teach_nothing():
    spec, mine, theirs = pair("alpha 1")
    x, labels = rows(spec, 32)
    targets = np.eye(5)[labels]
    sweep = JaxSweep(mine, x, targets, batch_size=8, skip_error=0.75)
    theirs.skip_error = 0.75
    schedule = clocks(8, 8, 32, 1)
    run(sweep, np.arange(32), schedule)
    show(theirs, x, targets, schedule)
    head = mine.elements["head"].counts["events_drive"]
    assert 0 < head < 32 * 5
    compare(mine, theirs, 1e-12)


def test_the_callers_jax_stays_as_it_is():
    spec, mine, _ = pair("alpha 1")
    x, labels = rows(spec, 16)
    before = jax.config.jax_enable_x64, jax.config.jax_default_matmul_precision
    for _, outputs in JaxSweep(mine, x, labels, batch_size=8).run(
        np.arange(16), clocks(8, 8, 16, 0)
    ):
        assert outputs.dtype == np.float64
        assert (jax.config.jax_enable_x64, jax.config.jax_default_matmul_precision) == before
        assert jax.numpy.ones(1).dtype == np.float32
