"""Who carries a plan out: each executor says why it cannot, and the first that can is taken."""

import re

import numpy as np
import pytest

from lava_dyads import Graph, NetworkSpec, Node
from lava_dyads.errors import UnsupportedError, ValidationError
from lava_dyads.executors.registry import EXECUTORS, choose_executor
from lava_dyads.rules.arithmetic import Float, Loihi2
from lava_dyads.rules.units import RULES

LAYERS = (5, 4, 3)


def chosen(arithmetic=None, **options):
    return choose_executor(NetworkSpec(LAYERS, **options).plan, arithmetic or Float()).name


def test_the_quickest_that_can():
    assert chosen() == chosen(alpha=0.0) == chosen(rule="activation-relaxation") == "sweep"
    assert chosen(rule="spiking") == "window"
    for options, why in (({"alpha": 0.5}, "round trip"), ({"rule": "dp"}, "round trip"),
                         ({"repeats": 1}, "round trip"), ({"anneal": 2.0}, "steps|round trip"),
                         ({"feedback": "random"}, "weights of its own"),
                         ({"compartment_noise": 0.1}, "noise"),
                         ({"rule": "derivative-free-relaxation"}, "other signals")):  # fmt: skip
        assert chosen(**options) == "step"
        plan = NetworkSpec(LAYERS, **options).plan
        assert re.search(why, EXECUTORS["sweep"].why_not(plan, Float()))
    numbers = Loihi2(weight_exponents=(6, 6))
    assert chosen(numbers) == "step"
    assert chosen(rule="spiking", hysteresis=2) == "step"


@pytest.mark.parametrize("name", RULES)
def test_every_rule_has_one_and_every_refusal_a_reason(name):
    if RULES[name].lifted:
        with pytest.raises(UnsupportedError, match="there is no plan"):
            _ = NetworkSpec(LAYERS, rule=name).plan
        return
    activations = (*RULES[name].activations, "relu")[0]
    spec = NetworkSpec(LAYERS, rule=name, activations=activations)
    for executor, entry in EXECUTORS.items():
        reason = entry.why_not(spec.plan, Float())
        if reason is None:
            network = spec.build(executor=executor)
            assert network.executor == executor
        else:
            with pytest.raises(UnsupportedError, match="Try: executor='step'"):
                spec.build(executor=executor)


def test_an_unknown_executor_is_named():
    with pytest.raises(ValidationError, match=r"executor: unknown name \(got 'swep'\).*sweep"):
        NetworkSpec(LAYERS).build(executor="swep")


def test_a_plan_is_data_that_knows_when_each_part_speaks():
    nodes = [
        Node("x", "input", shape=(4,)),
        Node("a", "dense", "x", size=3, activation="relu"),
        Node("b", "dense", "a", size=3, activation="relu"),
        Node("both", "sum", ("a", "b")),
        Node("y", "dense", "both", size=2),
    ]
    plan = NetworkSpec(graph=Graph(nodes)).plan
    assert list(plan.units) == ["a", "b", "y"]
    assert plan.weighted == ["a_op", "b_op", "y_op"]
    # By hand: x -1-> a_op -2-> a; a -2-> b_op -3-> b; a and b meet at y_op in steps 2 and 3.
    assert [plan.arrival(name, "basal_in") for name in ("a", "b", "y")] == [2, 3, 4]
    assert plan.awaits("y_op") == {"mean_in": 3}
    assert plan.awaits("a") == {"apical_in": 7}  # y answers in 5, its op in 6, b's op in 7
    assert plan.timing.read_step == 4


def test_plans_of_equal_specifications_are_equal_and_copies_run_alike():
    one, other = NetworkSpec(LAYERS), NetworkSpec(LAYERS)
    assert one.plan.links == other.plan.links
    assert one.plan.timing == one.timing == other.timing
    x = np.ones((1, 5))
    results = [spec.build(executor=e).settle(x, None) for spec in (one, other)
               for e in ("sweep", "step")]  # fmt: skip
    assert len({result.steps for result in results}) == 1
