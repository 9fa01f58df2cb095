"""Granularities on Lava's own runtime: the same weights, and messages as counted by hand."""

import numpy as np
import pytest
from lava.magma.core.run_configs import Loihi2SimCfg

from lava_dyads import (
    DyadRunConfig,
    InProcessSession,
    LavaSession,
    NetworkSpec,
    Trainer,
    TrainingConfig,
    load,
)
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.models import connect, layer_processes
from lava_dyads.networks import Execution, describe
from lava_dyads.plan.plan import OUTSIDE, Link
from lava_dyads.processes import DatasetSource, DyadNetwork, MetricSink
from lava_dyads.rules.optimisers import Adam

pytestmark = [pytest.mark.lava, pytest.mark.timeout(120)]
DIGITS = load("digits")


def trained(spec, granularity, *, samples, runtime="lava", **training):
    config = TrainingConfig(**training)
    with Trainer(spec, DIGITS, config, Execution(granularity, runtime=runtime)) as trainer:
        metrics = trainer.run(trainer.train_rows[:samples], True)
        before = [p.copy() for part in trainer.parameters() for p in part]
        registers = [
            (e, k) for e in trainer.network.elements.values() for k in e.memory if "_state" in k
        ]
        states = [e.memory[k].copy() for e, k in registers]
        trainer.run(trainer.test_rows[:8], False)
        # Evaluation changes no weight, no bias and no optimiser state.
        for old, new in zip(
            before, [p for part in trainer.parameters() for p in part], strict=True
        ):
            np.testing.assert_array_equal(old, new)
        for old, (element, key) in zip(states, registers, strict=True):
            np.testing.assert_array_equal(old, element.memory[key])
        return np.concatenate([p.ravel() for p in before]), metrics


@pytest.mark.sampled(2)
@pytest.mark.parametrize("loss", ["squared-error", "cross-entropy"])
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_layer_and_network_learn_the_same_weights(alpha, optimiser, loss):
    spec = NetworkSpec((64, 24, 16, 10), alpha=alpha, loss=loss)
    # 43 samples in batches of 10: the last one is partial, and lanes accumulate.
    options = {"samples": 43, "batch_size": 10, "lanes": 5, "optimiser": optimiser}
    fine, counted = trained(spec, "layer", **options)
    fused, fused_counted = trained(spec, "network", runtime="in-process", **options)
    initial = np.concatenate([p.ravel() for part in spec.initial_parameters() for p in part])
    assert np.linalg.norm(fine - initial) > 0.01
    assert np.linalg.norm(fine - fused) <= 1e-9 * np.linalg.norm(fused)
    assert (counted.events, counted.operations) == (fused_counted.events, fused_counted.operations)
    assert counted.residual == fused_counted.residual == 0


RULES = [
    ("dp", "proximal", {"alpha": 0.5}),
    ("dp", "linearised", {"alpha": 0.5}),
    ("activation-relaxation", "", {}),
    ("derivative-free-relaxation", "", {}),
    ("predictive-coding", "", {}),
    ("predictive-coding-free", "", {}),
    ("dp-transpose", "", {"alpha": 0.5}),
]
FEW = {"samples": 20, "batch_size": 8}


def spec_of(rule, nudge, own):
    numbers = {"beta": 0.02, "threshold": 1e-3, **own}
    return NetworkSpec((64, 12, 10), rule=rule, nudge=nudge, activations="tanh", **numbers)


@pytest.mark.parametrize(("rule", "nudge", "own"), RULES)
def test_every_rule_runs_at_every_granularity(rule, nudge, own):
    spec = spec_of(rule, nudge, own)
    fine, fused, reference = (
        trained(spec, granularity, runtime=runtime, **FEW)[0]
        for granularity, runtime in (
            ("layer", "in-process"), ("network", "in-process"), ("network", "reference")
        )
    )  # fmt: skip
    # Where one sweep is all, the fused network sums up in another order, and leaves zeros out.
    for summed in (fused, reference):
        np.testing.assert_allclose(fine, summed, rtol=0, atol=1e-13)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("granularity", ["layer", "network"])
@pytest.mark.parametrize("case", RULES, ids=lambda case: "-".join(filter(None, case[:2])))
def test_a_rule_does_the_same_on_lava_as_in_process(case, granularity):
    spec = spec_of(*case)
    lavas, ours = (
        trained(spec, granularity, runtime=runtime, **FEW)[0] for runtime in ("lava", "in-process")
    )
    np.testing.assert_array_equal(ours, lavas)


def build(spec, samples, lanes, leave_out=lambda link: False):
    """Source, network at layer granularity and sink as separate Processes, with chosen links."""
    schedule = PresentationSchedule(1, lanes)
    network = spec.build(lanes=lanes, optimiser=Adam(0.01))
    processes, links = layer_processes(network, schedule)
    schedule.window[:] = 0, samples
    targets = DIGITS.one_hot
    source = DatasetSource(DIGITS.x, targets, lanes=lanes, schedule=schedule, name="source")
    sink = MetricSink(10, loss=spec.loss, lanes=lanes, schedule=schedule, capacity=samples)
    links = [link for link in links if OUTSIDE not in (link.source, link.target)] + [
        *(
            Link("source", {"input_in": "x_out", "target_in": "y_out"}[link.output], *link[2:])
            for link in links
            if link.source == OUTSIDE
        ),
        *(
            link._replace(target="sink", input="output_in")
            for link in links
            if link.target == OUTSIDE
        ),
        Link("source", "y_out", "sink", "target_in"),
    ]
    everything = {**processes, "source": source, "sink": sink}
    connect(everything, [link for link in links if not leave_out(link)])
    return everything, links, schedule


SPEC = NetworkSpec((64, 16, 10), loss="squared-error", activations="tanh", gain=0.7)


def learn(leave_out=lambda link: False, *, samples, session_of=LavaSession):
    """Return the share of correct classes among the last 200 of the samples, seen once."""
    processes, links, schedule = build(SPEC, samples, 10, leave_out)
    order = np.random.default_rng(0).permutation(len(DIGITS.labels))[:samples]
    processes["source"].element.memory["order"][:samples] = order
    with session_of(processes["source"]) as session:
        session.run(schedule.presentations(samples) * schedule.steps)
    predicted = processes["sink"].read("predicted")[-200:]
    return np.mean(predicted == DIGITS.labels[order][-200:]), processes, links, schedule


SPEC_NAMES = tuple(SPEC.build().elements)


def test_messages_at_the_ports_equal_their_closed_form():
    _, processes, links, schedule = learn(samples=100)
    presentations, steps = 10, 2 * 2 + 2
    assert schedule.steps == steps
    sent = sum(int(process.read("sends").sum()) for process in processes.values())
    outputs = {link[:2] for link in links}
    assert sent == len(outputs) * steps * presentations
    inside = {link[:2] for link in links if link.source != "source"}
    assert len(inside) * steps == describe(SPEC, quiet=True).port_messages
    spoken = 0
    for name in SPEC_NAMES:
        counts = processes[name].element.counts
        spoken += sum(n for key, n in counts.items() if key.startswith("messages"))
    assert spoken == describe(SPEC, quiet=True).spoken_messages * presentations
    for name, n in (("population_1", 16), ("population_2", 10)):
        counts = processes[name].element.counts  # tanh: no activity and no error is exactly 0
        assert counts["events_mean"] == counts["events_difference"] == n * 100


def test_intact_it_learns_and_with_any_one_connection_taken_out_it_does_not():
    # Which messages come to whom is the same on both runtimes; see above.
    assert learn(samples=700, session_of=InProcessSession)[0] > 0.8
    for gone in ("connection_1", "connection_2"):

        def cut(link, gone=gone):
            return gone in (link.source, link.target)

        assert learn(cut, samples=250, session_of=InProcessSession)[0] < 0.25


LINKS = [
    link
    for link in build(SPEC, 10, 10)[1]
    if link.target != "sink"  # the sink only watches
]


def moved_parameters(leave_out=lambda link: False):
    """Return the weights and biases after one presentation of ten samples."""
    processes, _, schedule = build(SPEC, 10, 10, leave_out)
    # A link that is the only one to a part cuts it off: start both halves' worth of time.
    with InProcessSession(processes["population_1"]) as session:
        session.run(schedule.steps)
    held = ((name, processes[name].element.memory) for name in SPEC_NAMES)
    return {
        (name, key): memory[key].copy()
        for name, memory in held
        for key in ("weights", "bias")
        if key in memory
    }


@pytest.fixture(scope="module")
def whole():
    return moved_parameters()


@pytest.mark.parametrize(
    "cut", LINKS, ids=lambda link: f"{link.source}.{link.output}-{link.target}"
)
def test_no_single_link_can_be_cut_without_losing_the_gradient(cut, whole):
    parts = moved_parameters(lambda link: link == cut)
    assert max(np.abs(whole[key] - parts[key]).max() for key in whole) > 1e-3


def test_lavas_own_run_configuration_runs_the_layers():
    process = DyadNetwork(NetworkSpec((3, 4, 2)).build())
    config = Loihi2SimCfg(select_tag="floating_pt", select_sub_proc_model=True)
    with LavaSession(process, config) as session:
        session.run(6)
        assert len(process.procs.members) == 5  # two connections, two populations, a head


def test_vars_of_the_hierarchical_process_are_those_of_its_parts():
    for granularity in ("layer", "network"):
        process = DyadNetwork(NetworkSpec((3, 4, 2)).build())
        with LavaSession(process, DyadRunConfig(granularity)) as session:
            session.run(2)
            np.testing.assert_array_equal(process.weights_2.get(), process.read("weights_2"))
            process.biases_1.set(np.array([1.0, 2.0, 3.0, 4.0]))
            np.testing.assert_array_equal(process.read("biases_1"), [1, 2, 3, 4])
            process.learn.set(np.array([0]))
            assert process.schedule.learn[0] == 0
