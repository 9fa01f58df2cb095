"""Ledgers: true ones pass, whatever ran; changed ones and lost messages do not."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_dyads.choices import CODINGS
from lava_dyads.cli import main
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.errors import DataError, UnsupportedError
from lava_dyads.executors.latency import LATENCIES
from lava_dyads.executors.transport import Faults, Transport
from lava_dyads.experiments.settled import Verifier, verifier
from lava_dyads.files import opened_arrays, write_arrays
from lava_dyads.networks import Graph, NetworkSpec, Node
from lava_dyads.processes import Conductor, DatasetSource, Dyad, DyadNetwork
from lava_dyads.rules.optimisers import optimiser
from lava_dyads.runtime import DyadRunConfig, InProcessSession
from lava_dyads.runtime.ledger import LOSSES, _chained

pytestmark = pytest.mark.timeout(300)
GRAPH = Graph([
    Node("image", "input", shape=(2, 4, 4)),
    Node("features", "conv", "image", channels=3, kernel=3, padding=1, activation="relu"),
    Node("small", "average-pool", "features", kernel=2),
    Node("seen", "dense", "small", size=6, activation="relu"),
    Node("block", "dense", "seen", size=6, activation="tanh"),
    Node("again", "sum", ("seen", "block")),
    Node("both", "concat", ("again", "block")),
    Node("y", "dense", "both", size=4),
])  # fmt: skip


def ledger_of(path, spec, *, seed=0, lanes=1, batch=2, samples=7, rule=None, modes=(1, 0, 1),
              granularity="layer", transport=None, compiled=None):  # fmt: skip
    """Run some samples in some modes; return the file."""
    generator = np.random.default_rng(seed)
    network = spec.build(lanes=lanes, optimiser=rule or optimiser("sgd", 0.1))
    n_in, n_out = network.inputs["input_in"], network.inputs["target_in"]
    x = generator.normal(size=(samples, n_in)) * (generator.random((samples, n_in)) < 0.7)
    y = np.eye(n_out)[generator.integers(n_out, size=samples)]
    schedule = PresentationSchedule(1, lanes, batch * lanes)
    source = DatasetSource(x, y, lanes=lanes, schedule=schedule, name="source")
    process = DyadNetwork(network, schedule=schedule)
    source.x_out.connect(process.input_in)
    source.y_out.connect(process.target_in)
    Conductor(schedule).lead(source, process)
    config = DyadRunConfig(granularity, clock="async")
    with InProcessSession(
        process, config, transport=transport, ledger=path, compiled=compiled
    ) as session:
        for mode in modes:
            schedule.learn[0], schedule.window[:] = mode, (session.steps_done, samples)
            session.run(schedule.presentations(samples))
    return path


def faults(path):
    return list(verifier(path).faults())


def arrays_of(path):
    with opened_arrays(path) as file:
        return str(file["header"]), {n: file[n] for n in file.names if n != "header"}


@settings(max_examples=3, deadline=None)
@given(
    rule=st.sampled_from([("dp-transpose", 1.0), ("dp-transpose", 0.0), ("dp", 0.5)]),
    activation=st.sampled_from(["relu", "tanh", "hard-sigmoid"]),
    loss=st.sampled_from([*LOSSES, "huber:0.3"]),
    feedback=st.sampled_from(["tied", "random", "kolen_pollack"]),
    learner=st.sampled_from(["sgd", "momentum", "adam"]),
    decay=st.sampled_from([0.0, 0.01]),
    falling=st.booleans(),
    threshold=st.sampled_from([0.0, 0.02]),
    lanes=st.sampled_from([1, 3]),
    granularity=st.sampled_from(["neuron", "layer"]),
    coding=st.sampled_from(CODINGS),
    latency=st.sampled_from(list(LATENCIES)),
    compiled=st.sampled_from([None, False]),
    graph=st.sampled_from([False, False, True]),
    seed=st.integers(0, 10**6),
)
def test_true_ledgers_hold(tmp_path_factory, rule, activation, loss, feedback, learner, decay,
                           falling, threshold, lanes, granularity, coding, latency, compiled,
                           graph, seed):  # fmt: skip
    name, alpha = rule
    common = {"rule": name, "alpha": alpha, "beta": 0.05, "nudge": "linearised", "seed": seed}
    if graph:
        spec, granularity = NetworkSpec(graph=GRAPH, bias_deviation=0.1, **common), "layer"
    else:
        options = {"activations": activation, "loss": loss, "feedback": feedback}
        spec = NetworkSpec((5, 4, 3), threshold=threshold, bias_deviation=0.1, **options, **common)
    chosen = optimiser(learner, 0.02, decay=decay, horizon=9 if falling else 0)
    path = ledger_of(
        tmp_path_factory.mktemp("l") / "ledger.npz",
        spec,
        seed=seed,
        lanes=lanes,
        rule=chosen,
        granularity=granularity,
        transport=Transport(latency, seed=seed, coding=coding),
        compiled=compiled,
    )
    assert faults(path) == []


def test_no_number_can_be_changed(tmp_path):
    """Neither behind the hashes' back nor, where hashes are made anew, in what they protect."""
    path = ledger_of(tmp_path / "ledger.npz", NetworkSpec((5, 4, 3), seed=1, bias_deviation=0.1),
                     lanes=2, rule=optimiser("adam", 0.01))  # fmt: skip
    header, arrays = arrays_of(path)
    generator = np.random.default_rng(0)
    names = [n for n in arrays if arrays[n].size and not n.endswith("_updates")]
    for i in range(250):
        name = names[i % len(names)]
        changed = {n: a.copy() for n, a in arrays.items()}
        flat = changed[name].reshape(-1)
        place = int(generator.integers(flat.size))
        flat[place] += 1
        assert list(Verifier(header, changed).faults()), name
        if name == "hash":
            continue
        changed["hash"] = _chained(header, changed)
        bound = name.startswith(("end", "messages")) or (
            name.startswith(("kept", "input", "target")) and _valid(changed, name, place)
        )
        if bound:
            assert list(Verifier(header, changed).faults()), (name, place)
    header = header.replace('"beta": 0.1', '"beta": 0.2')
    assert list(Verifier(header, arrays).faults())


def _valid(arrays, name, place):
    """Whether a place belongs to a lane with a sample."""
    presentation, lane, _ = np.unravel_index(place, arrays[name].shape)
    return lane < arrays["clock"][presentation, 0]


@pytest.mark.parametrize(("compiled", "seeds"), [(None, 16), (False, 6)])
def test_a_message_that_is_lost_in_secret_is_found(tmp_path, compiled, seeds):
    """By its count, where messages carry changes; and by what is missing, whatever they carry."""
    spec, alone = NetworkSpec((5, 4, 3), seed=1), 0
    for seed in range(seeds):
        transport = Transport(seed=seed, faults=Faults(drop=0.003))
        path = ledger_of(
            tmp_path / "l.npz", spec, transport=transport, compiled=compiled, modes=(1,)
        )
        header, arrays = arrays_of(path)
        sent, arrived = np.moveaxis(arrays["messages"][:, -1], -1, 0)
        lost = int((sent - arrived).sum())
        assert bool(faults(path)) == bool(lost)
        silent = header.replace('"coding": "change"', '"coding": "value"')
        arrays["hash"] = _chained(silent, arrays)
        assert bool(list(Verifier(silent, arrays).faults())) == bool(lost)
        alone += lost == 1
    assert alone >= seeds // 6


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_thousand_ledgers_hold_and_a_hundred_thousand_changed_ones_do_not(tmp_path):
    generator = np.random.default_rng(0)
    for seed in range(1000):
        sizes = tuple(int(n) for n in generator.integers(1, 9, size=generator.integers(2, 5)))
        lanes = int(generator.integers(1, 4))
        rule = optimiser(("sgd", "momentum", "adam")[seed % 3], 0.01)
        spec = NetworkSpec(sizes, seed=seed, bias_deviation=0.1, loss="squared-error")
        granularity = ("neuron", "layer")[seed % 2]
        transport = Transport(list(LATENCIES)[seed % 4], seed=seed, coding=CODINGS[seed % 3])
        path = ledger_of(tmp_path / "l.npz", spec, seed=seed, lanes=lanes, rule=rule,
                         granularity=granularity, transport=transport)  # fmt: skip
        header, arrays = arrays_of(path)
        assert list(Verifier(header, arrays).faults()) == []
        names = [n for n in arrays if arrays[n].size]
        for _ in range(100):
            name = names[generator.integers(len(names))]
            content = np.frombuffer(arrays[name].tobytes(), np.uint8).copy()
            content[generator.integers(content.size)] ^= 1 << generator.integers(8)
            changed = content.view(arrays[name].dtype).reshape(arrays[name].shape)
            with np.errstate(all="ignore"):
                assert next(Verifier(header, {**arrays, name: changed}).faults(), None), name


def test_the_command(tmp_path, capsys):
    path = tmp_path / "ledger.npz"
    line = "train digits --layers 6 --granularity neuron --clock async --epochs 1"
    assert main([*line.split(), "--out", str(tmp_path / "run"), "--ledger", str(path)]) == 0
    capsys.readouterr()
    assert main(["check", "settled", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["holds"]
    header, arrays = arrays_of(path)
    arrays["kept/population_1/s_plus"][3, 2, 1] += 1e-6
    write_arrays(path, header, {**arrays, "hash": _chained(header, arrays)})
    assert main(["check", "settled", str(path)]) == 1
    assert "presentation 3: population_1.s_plus[2, 1]" in capsys.readouterr().out


def test_what_is_no_ledger_gets_one_line(tmp_path, capsys):
    path = tmp_path / "other.npz"
    for content in (None, b"PK nonsense"):
        if content:
            path.write_bytes(content)
        with pytest.raises(DataError, match="not a readable ledger") as raised:
            verifier(path)
        assert "\n" not in str(raised.value)
    np.savez(path, header=np.array("[1]"), clock=np.zeros(3))
    assert main(["check", "settled", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_what_cannot_be_verified_is_refused_before_it_runs(tmp_path):
    path = tmp_path / "l.npz"
    for spec, text in (
        (NetworkSpec((3, 2), rule="activation-relaxation"), "of another kind"),
        (NetworkSpec((3, 2), rule="dp", nudge="proximal"), "of another kind|NoHead|Proximal"),
        (NetworkSpec((3, 4, 2), weight_format="adaste"), "learner by"),
    ):
        with pytest.raises(UnsupportedError, match=text) as raised:
            ledger_of(path, spec)
        assert "\n" not in str(raised.value)
    with pytest.raises(UnsupportedError, match="needs one DyadNetwork"):
        InProcessSession(Dyad((1,)), DyadRunConfig(), ledger=path)
