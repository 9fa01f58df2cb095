"""Presentations as functions of arrays: what numpy's sweep and the steps of the elements do.

The namespace is numpy's by another name, so nothing takes numpy's short cuts, and arrays that are
given cannot be written to.
"""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from sweeps import SETTINGS, clocks, compare, rows, show, specification

from lava_dyads.elements.clock import FROZEN
from lava_dyads.executors.array_sweep import ArraySweep, why_not
from lava_dyads.networks import NetworkSpec
from lava_dyads.plan.plan import OUTSIDE
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.rules.arithmetic import Float, Loihi2
from lava_dyads.rules.namespaces import Into
from lava_dyads.rules.optimisers import OPTIMISERS
from lava_dyads.rules.units import RULES

PLAIN = SimpleNamespace(**{name: getattr(np, name) for name in dir(np)})


def sealed(array):
    array = np.array(array)
    array.flags.writeable = False
    return array


def train(network, x, y, clocks):
    """Show rows by an ArraySweep; write what it learns and counts to the registers."""
    sweep = ArraySweep(network, PLAIN)
    outputs, sums = [], {}
    for connection in network.connections.values():
        connection.plasticity.show(exact=not clocks[0].learn)
    for clock in clocks:
        parameters = {
            port: (sealed(r.element.memory[port[1]]),
                   tuple(map(sealed, r.element.memory[f"{port[1]}_state"][: r.slots])))
            for port, r in sweep.registers.items()
        }  # fmt: skip
        shown = [np.zeros((network.lanes, v.shape[1]), network.arithmetic.dtype) for v in (x, y)]
        for padded, values in zip(shown, (x, y), strict=True):
            padded[: clock.valid] = values[clock.start : clock.start + clock.valid]
        there = sealed(np.arange(network.lanes)[:, None] < clock.valid)
        values, counts = sweep.show(
            parameters, *map(sealed, shown), learn=clock.learn, there=there, samples=clock.valid
        )
        outputs.append(values[OUTSIDE, "output_out"][: clock.valid])
        for (name, counter), amount in counts.items():
            network.elements[name].count(counter, int(amount))
        if not clock.learn or clock.frozen:
            continue
        found = sweep.products(values)
        sums = {port: sums[port] + v if port in sums else v for port, v in found.items()}
        if not clock.batch:
            continue
        numbers = {}
        for port in sums:
            register = sweep.registers[port]
            register.element.memory[f"{port[1]}_updates"] += 1
            step = int(register.element.memory[f"{port[1]}_updates"][0])
            scale = -1.0 / (register.beta * clock.batch)
            learner = register.learner
            numbers[port] = learner.kept(step), *learner.numbers(step, scale)
        for port, (value, state) in sweep.learn(parameters, sums, numbers).items():
            memory = sweep.registers[port].element.memory
            memory[port[1]][...] = value
            for slot, new in zip(memory[f"{port[1]}_state"], state, strict=False):
                slot[...] = new
        sums = {}
    return np.concatenate(outputs)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("optimiser", [n for n, o in OPTIMISERS.items() if not o.decorrelates])
@pytest.mark.parametrize("name", [*SETTINGS, "graph"])
def test_a_presentation_is_a_function_of_arrays(name, optimiser, dtype):
    spec = specification(name)
    x, labels = rows(spec)
    y = np.eye(5)[labels]
    mine, theirs = (
        spec.build(
            lanes=4,
            optimiser=OPTIMISERS[optimiser](weight_decay=0.01, horizon=9),
            arithmetic=Float(dtype),
        )
        for _ in range(2)
    )
    for mode in (1, 1, FROZEN, 0):
        schedule = clocks(4, 8, len(x), mode)
        outputs = train(mine, x, y, schedule), show(theirs, x, y, schedule)
        np.testing.assert_allclose(*outputs, rtol=0, atol=1e-12 if dtype == "float64" else 1e-4)
    compare(mine, theirs, 1e-11 if dtype == "float64" else 1e-4)


def test_every_rule_that_settles_in_one_sweep_is_tried():
    tried = {options.get("rule", "dp-transpose") for options in SETTINGS.values()}
    specs = {name: NetworkSpec((3, 2), rule=name, activations="tanh") for name in RULES
             if "tanh" in (RULES[name].activations or ("tanh",))}  # fmt: skip
    assert tried == {name for name, s in specs.items() if why_not(s.plan, Float()) is None}


@pytest.mark.parametrize(
    ("options", "numbers", "reason"),
    [
        ({"rule": "dp"}, Float(), "round trip"),
        ({"alpha": 0.5}, Float(), "round trip"),
        ({"anneal": 5.0, "threshold": 0.1}, Float(), "round trip|steps"),
        ({"compartment_noise": 0.1}, Float(), "noise"),
        ({}, Loihi2(), "loihi2"),
    ],
)
def test_what_needs_more_is_refused_with_the_reason(options, numbers, reason):
    found = why_not(NetworkSpec((3, 2), **options).plan, numbers)
    assert found
    assert re.search(reason, found)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_writing_over_the_argument_does_not_change_a_response(name):
    a, u = np.random.default_rng(0).normal(size=(2, 3, 4))
    for gain in (0.0, 1.0, -1.0, 0.3):
        register = np.zeros_like(a)
        Float().respond(register, ACTIVATIONS[name], a, gain, u)
        np.testing.assert_array_equal(register, ACTIVATIONS[name].f(a + gain * u))
    assert Into(register).add(a, u) is register
