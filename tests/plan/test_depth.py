"""What depth asks of a network: its first branches, its nudge, and gradients that stay right."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from lava_dyads import Graph, NetworkSpec, Node
from lava_dyads.elements.clock import Clock
from lava_dyads.experiments.gradient import check_gradient
from lava_dyads.plan.depth import branch_scales, default_beta, longest_way
from lava_dyads.rules.arithmetic import Float


def blocks(count, n=12, end="relu", activation="relu"):
    """Residual blocks: of one layer, of two, or with relu on the sum."""
    nodes, below = [Node("x", "input", shape=(n,)), Node("n0", "dense", "x", size=n)], "n0"
    for k in range(1, count + 1):
        branch = Node(f"w{k}", "dense", below, size=n, activation=activation)
        if end == "linear":
            nodes.append(branch)
            branch = Node(f"v{k}", "dense", f"w{k}", size=n)
        elif end == "sum":
            branch = Node(f"w{k}", "dense", below, size=n)
        nodes.append(branch)
        sources = (branch.name, below)
        on_sum = {"activation": activation} if end == "sum" else {}
        nodes.append(Node(f"n{k}", "sum", sources, **on_sum))
        below = f"n{k}"
    return Graph([*nodes, Node("y", "dense", below, size=4)])


KINDS = pytest.mark.parametrize("end", ["relu", "linear", "sum"])


@KINDS
def test_the_last_weights_of_every_branch_are_scaled_and_no_others(end):
    spec = NetworkSpec(graph=blocks(16, end=end))
    last = "v" if end == "linear" else "w"
    assert branch_scales(spec.vertices) == {f"{last}{k}": 1 / 8 for k in range(1, 17)}
    chain = NetworkSpec((3,) * 30)
    branches = [
        Node("x", "input", shape=(3,)),
        Node("a", "dense", "x", size=3, activation="relu"),
        Node("b", "dense", "x", size=3, activation="relu"),
        Node("both", "sum", ("a", "b")),
        Node("y", "dense", "both", size=2),
    ]
    for plain in (chain, NetworkSpec(graph=Graph(branches))):
        assert branch_scales(plain.vertices) == {}


@KINDS
def test_activities_of_deep_blocks_stay_of_the_size_of_the_input(end):
    for count in (8, 100):
        spec = NetworkSpec(graph=blocks(count, end=end, n=30))
        x = np.random.default_rng(0).normal(size=(20, 30))
        output = spec.backpropagate(x, np.eye(4)[[0] * 20], *spec.initial_parameters()).output
        assert 0.3 < np.sqrt(np.mean(output**2)) < 2 * np.e**2


def test_a_gain_that_is_given_is_that_of_all_weights():
    graph = blocks(16, n=40)
    weights = NetworkSpec(graph=graph, gain=0.25).initial_parameters()[0]
    for w in weights:
        assert np.std(w) * np.sqrt(w.shape[1]) == pytest.approx(0.25, rel=0.1)


def test_the_longest_way_counts_populations():
    assert longest_way(NetworkSpec((3, 4, 5, 2)).vertices) == 3
    assert longest_way(NetworkSpec(graph=blocks(20, end="relu")).vertices) == 21
    assert longest_way(NetworkSpec(graph=blocks(500, end="linear")).vertices) == 501


def test_the_nudge_of_a_shallow_network_is_its_rules_and_a_given_one_stays():
    assert NetworkSpec((4,) * 8).rule.beta == NetworkSpec((4, 3)).rule.beta == 0.1
    assert NetworkSpec((4,) * 33).rule.beta == default_beta(0.1, 32) == pytest.approx(0.1 / 64)
    assert NetworkSpec((4,) * 33, beta=0.1).rule.beta == 0.1
    spiking = [NetworkSpec(sizes, rule="spiking").rule for sizes in ((4,) * 33, (4, 3))]
    assert spiking[0] == spiking[1]
    betas = [default_beta(0.1, depth) for depth in range(1, 2000)]
    assert betas == sorted(betas, reverse=True)
    assert betas[-1] == 1e-5


@pytest.mark.sampled(2)
@KINDS
@pytest.mark.parametrize("seed", [0, 1])
def test_at_defaults_128_blocks_have_backprops_gradient(end, seed):
    found = check_gradient(
        NetworkSpec(graph=blocks(128, end=end), seed=seed), networks=1, samples=4
    )
    assert found.converged
    assert found.cosine >= 0.999


@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_a_deep_network_costs_no_more_than_backprop_and_two_messages_per_neuron(dtype):
    lanes = 5
    spec = NetworkSpec(graph=blocks(128, activation="tanh"))
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(lanes, 12)), np.eye(4)[generator.integers(4, size=lanes)]
    network = spec.build(lanes=lanes, arithmetic=Float(dtype))
    clock = Clock(1, True, True, True, lanes, batch=lanes)
    network.after(clock, {"input_in": x, "target_in": y})
    operations = 0
    for element in network.elements.values():
        operations += sum(element.counts.get(c, 0) for c in ("forward", "backward", "learning"))
    assert operations <= lanes * spec.dense_operations
    for population in network.populations.values():
        events = {c: population.counts[f"events_{c}"] for c in ("mean", "difference")}
        assert max(events.values()) <= lanes * population.n
        if dtype == "f8":  # in single precision one or another is rounding
            assert min(events.values()) == lanes * population.n


@pytest.mark.parametrize("depth", [300, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_chain_of_hundreds_of_layers_is_checked(depth):
    spec = NetworkSpec((4,) * (depth + 1), activations="linear", gain=1.0)
    found = check_gradient(spec, networks=1, samples=2)
    assert found.converged
    assert found.holds


def test_a_small_nudge_converges_where_only_rounding_is_left():
    """The difference of two compartments is known to a rounding of their size, over beta."""
    for beta in (1e-3, 1e-5, 1e-7):
        found = check_gradient(NetworkSpec((6, 20, 20, 3), beta=beta), networks=2)
        assert found.converged


def test_what_moves_by_a_tenth_has_not_converged_however_large_it_is():
    """A loop of gain above one: all channels grow by the same share in every round."""
    spec = NetworkSpec((3, 3, 3), rule="dp", alpha=0.0, beta=3.0, activations="linear",
                       loss="squared-error", nudge="linearised", gain=3.0)  # fmt: skip
    network = spec.build(lanes=1)
    with np.errstate(all="ignore"):
        settled = network.settle(np.ones((1, 3)), np.zeros((1, 3)), max_steps=300)
    assert not settled.converged
    assert settled.residual > 1e-3


def test_the_script_writes_a_graph_that_is_one(tmp_path):
    """The file that the README names, smaller."""
    folder = Path(__file__).parents[2] / "tutorials" / "graphs"
    path = tmp_path / "blocks.toml"
    path.write_text(runpy.run_path(str(folder / "blocks.py"))["toml"](3, size=8))
    spec = NetworkSpec(graph=Graph.load(path))
    assert spec.layers == (64, 8, 8, 8, 8, 10)
    assert check_gradient(spec, networks=1).cosine > 0.9
