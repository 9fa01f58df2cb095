"""Neurons stepped at once against the same neurons stepped one by one, to the bit."""

from itertools import product

import numpy as np
import pytest

from lava_dyads.elements import Population
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.elements.population import Noise
from lava_dyads.elements.stacked_populations import StackedPopulations, kind
from lava_dyads.options import with_options
from lava_dyads.rules.activations import activation
from lava_dyads.rules.losses import loss
from lava_dyads.rules.nudges import NUDGES
from lava_dyads.rules.optimisers import SGD, Adam, Momentum
from lava_dyads.rules.send_on_change import Thresholds
from lava_dyads.rules.units import RULES
from lava_dyads.rules.units import rule as make_rule

N = 7


def hidden(rule, f="tanh", **parameters):
    return make_rule(rule, parameters).hidden(activation(f))


def proximal(rule):
    return make_rule(rule, {"alpha": 0.5}).output(loss("squared-error"))


CASES = {
    "dyad": (hidden("dp-transpose", "relu"), {"optimiser": Adam(0.1)}),
    "smooth": (hidden("dp-transpose", alpha=0.3), {"optimiser": Momentum(0.1)}),
    "plain dp": (hidden("dp", "hard-sigmoid", alpha=0.5), {"thresholds": Thresholds(0.1)}),
    "annealed": (hidden("dp-transpose", "linear"), {"thresholds": Thresholds(0.5, anneal=2.0)}),
    "output": (proximal("dp"), {"optimiser": SGD(0.1), "first_step": 3}),
    "relaxing": (hidden("activation-relaxation", rate=0.3), {"optimiser": SGD(0.1)}),
    "spiking": (hidden("spiking", "relu", alpha=0.5, window=8), {"optimiser": SGD(0.1)}),
}


def units():
    """Return every unit a rule puts anywhere, where its neurons can be cut apart, by name."""
    other, found = {"alpha": 0.25, "rate": 0.4, "window": 8}, {}
    for name, plain in RULES.items():
        rule = with_options(plain, {k: v for k, v in other.items() if hasattr(plain, k)})
        hidden = ("relu", "tanh", "hard-sigmoid", "linear")
        made = {f: rule.hidden(activation(f)) for f in rule.activations or hidden}
        made["first"] = rule.above_input(next(iter(made.values())))
        made["read-out"] = rule.read_out()
        for nudge in (nudge for nudge in rule.nudges if not NUDGES[nudge].head):
            made[nudge] = rule.output(loss("squared-error"), NUDGES[nudge].frozen)
        options = {"optimiser": Adam(0.1)}
        found |= {f"{name}, {place}": (unit, options) for place, unit in made.items()}
    return {name: (unit, o) for name, (unit, o) in found.items() if not unit.blocks}


EVERY = CASES | units()


def alone(unit, options, cut, lanes=1):
    """Return neurons of their own, or those of a layer that was cut up, and the layer."""
    bias = np.random.default_rng(1).normal(size=N)
    options = {**options, "beta": 0.2, "lanes": lanes}
    if cut:
        layer = Population(unit, bias, **options)
        return layer.split(), layer
    return [Population(unit, bias[i : i + 1], **options) for i in range(N)], None


def messages(generator, steps, lanes):
    """Return per step and port the entries of all neurons; most hear nothing, some steps all."""
    shape = (steps, 2, lanes, N)
    sizes = generator.normal(size=shape) * 10.0 ** generator.integers(-3, 3, shape)
    sizes[generator.random(sizes.shape) < 0.6] = 0.0
    sizes[generator.random(steps) < 0.3] = 0.0
    return sizes


def one_by_one(members, clock, rows):
    """Return what each says; a neuron that hears nothing gets no message."""
    outboxes = [
        member.after(clock, {p: r[:, i : i + 1] for p, r in rows.items() if r[:, i].any()})
        for i, member in enumerate(members)
    ]
    return {
        port: np.hstack([o.get(port, np.zeros((members[0].lanes, 1))) for o in outboxes])
        for port in members[0].outputs
    }


# With 8 lanes and more numpy adds up in pairs.
@pytest.mark.parametrize(
    ("case", "cut", "lanes"),
    [
        *product(CASES, (False,), (1, 19)),
        *product(CASES, (True,), (1, 3)),
        *((case, i % 2 == 0, (1, 3, 19)[i % 3]) for i, case in enumerate(units())),
    ],
)
def test_at_once_and_one_by_one_are_bit_equal(case, cut, lanes):
    unit, options = EVERY[case]
    single, _ = alone(unit, options, cut, lanes)
    members, layer = alone(unit, options, cut, lanes)
    stacked = StackedPopulations(members)
    ours, theirs = (PresentationSchedule(6, lanes, 2 * lanes) for _ in range(2))
    for schedule in (ours, theirs):
        schedule.window[:] = 0, 5 * lanes - lanes // 2  # a last presentation that is not full
    spoken = 0
    for k, row in enumerate(messages(np.random.default_rng(2), 36, lanes)):
        if k == 24:
            ours.learn[:] = theirs.learn[:] = 0  # evaluation
        rows = dict(zip(("basal_in", "apical_in"), row, strict=True))
        expected = one_by_one(single, theirs.at(k + 1), rows)
        inbox = {p: r for p, r in rows.items() if r.any()}
        outbox = stacked.after(ours.at(k + 1), inbox)
        for port, values in expected.items():
            found = outbox.get(port, np.zeros((lanes, N)))
            np.testing.assert_array_equal(found, values, err_msg=port)
            spoken += np.count_nonzero(values)
    assert spoken > 50
    for one, member in zip(single, members, strict=True):
        for name, register in one.memory.items():
            np.testing.assert_array_equal(register, member.memory[name], err_msg=name)
        assert one.counts == member.counts
    if layer is not None:  # still sees what its neurons do
        np.testing.assert_array_equal(
            layer.memory["bias"], [one.memory["bias"].item() for one in single]
        )


def test_a_bias_that_is_set_and_counts_of_updates_that_differ():
    unit, options = CASES["dyad"]
    single, _ = alone(unit, options, cut=False)
    members, _ = alone(unit, options, cut=False)
    stacked, schedule = StackedPopulations(members), PresentationSchedule(steps=2)
    for neurons in (single, members):
        neurons[2].memory["bias_updates"][:] = 5
        neurons[3].memory["bias"][:] = 0.25
    for k in range(4):
        rows = {"basal_in": np.ones((1, N)), "apical_in": np.full((1, N), 0.1)}
        one_by_one(single, schedule.at(k + 1), rows)
        stacked.after(schedule.at(k + 1), rows)
    for name in ("bias", "bias_updates", "bias_state"):
        found, expected = ([m.memory[name] for m in neurons] for neurons in (members, single))
        np.testing.assert_array_equal(found, expected)
    assert members[2].memory["bias_updates"] == 7


def test_what_is_alike_and_what_is_not():
    unit, _ = CASES["dyad"]
    plain = kind(Population(unit, np.zeros(1)))
    assert plain is not None
    assert plain == kind(Population(unit, np.ones(1)))
    assert plain != kind(Population(unit, np.zeros(1), thresholds=Thresholds(0.1)))
    assert plain != kind(Population(CASES["smooth"][0], np.zeros(1)))
    assert plain != kind(Population(unit, np.zeros(1), lanes=2))
    assert kind(Population(unit, np.zeros(2))) is None
    assert kind(Population(unit, np.zeros(1), noise=Noise(0.1))) is None
    blocks = RULES["lrrn"].hidden(activation("relu"))
    assert kind(Population(blocks, np.zeros(1))) is None  # a message is not one number each


@pytest.mark.parametrize("case", ["derivative-free-relaxation, tanh", "unfrozen-relaxation, tanh"])
def test_a_bias_learns_from_the_teacher_where_the_error_is_another(case):
    """By hand: the learning error is f'(a) x, the error x, or that of a drive that has moved."""
    unit, _ = EVERY[case]
    members = [Population(unit, np.zeros(1), beta=0.5, optimiser=SGD(1.0)) for _ in range(N)]
    stacked, schedule = StackedPopulations(members), PresentationSchedule(steps=4)
    drives = np.linspace(-1, 1, N)[None]
    for k in range(4):
        ports = ("basal_in", "apical_in", "basal_in")
        inbox = {port: drives if port[0] == "b" else np.ones((1, N)) for port in ports[k : k + 1]}
        stacked.after(schedule.at(k + 1), inbox)
    # Drives are twice as large by the end; the unfrozen one keeps the slope of its forward pass.
    slope = 1 - np.tanh((2 if "free" in case else 1) * drives[0]) ** 2
    expected = slope * stacked.memory["relaxation"][0] / 0.5
    np.testing.assert_allclose([m.memory["bias"].item() for m in members], expected)
    assert not np.allclose(stacked.memory["sent_error"], stacked.memory["sent_learning_error"])


def test_neurons_of_a_layer_stay_where_they_are():
    unit, options = CASES["dyad"]
    members, _ = alone(unit, options, cut=True)
    with pytest.raises(ValueError, match="not side by side"):
        StackedPopulations([members[0], members[1], members[5]])
    stacked = StackedPopulations(members[2:6])  # a part of it will do
    stacked.memory["bias"][:] = 3.0
    assert [m.memory["bias"].item() == 3.0 for m in members] == [2 <= i < 6 for i in range(N)]
