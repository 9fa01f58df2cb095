"""Replicas: sums of gradients learn as one network does, and gossip as its closed form says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lava_dyads import Dataset, Execution, NetworkSpec, Reporter, Trainer, TrainingConfig, load, run
from lava_dyads.cli import main
from lava_dyads.errors import LavaRuntimeError, ValidationError
from lava_dyads.starts import told
from lava_dyads.training.replicas import Replicas
from lava_dyads.training.replicas.config import mixing
from lava_dyads.training.replicas.gossip import Gossip
from lava_dyads.training.replicas.places import Here, LostError
from lava_dyads.training.replicas.trainer import ReplicaTrainer
from lava_dyads.training.trainer import LEARN

REFERENCE = Execution("network", runtime="reference")


def rows(samples=70):
    x = np.random.default_rng(0).random((samples, 5))
    return Dataset("rows", x, (x[:, 0] > 0.5) + 2 * (x[:, 1] > 0.5))


DATA = rows()


def learnt(spec, config, replicas=None, **options):
    given = {"replicas": replicas, "reporters": [], **options}
    return run(spec, DATA, config, REFERENCE, **given)


def apart(one, other):
    pairs = [
        *zip(one.checkpoint.weights, other.checkpoint.weights, strict=True),
        *zip(one.checkpoint.biases, other.checkpoint.biases, strict=True),
    ]
    return max(np.abs(a - b).max() for a, b in pairs)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(
    ("network", "training"),
    [
        ({}, {"optimiser": "sgd"}),
        ({}, {"optimiser": "adam", "lr_schedule": "linear", "weight_decay": 0.1}),
        ({"rule": "dp", "repeats": 3}, {"optimiser": "momentum"}),
        ({"feedback": "kolen_pollack"}, {"optimiser": "adam"}),
        ({"weight_format": "ste"}, {"optimiser": "adam"}),
        ({}, {"class_weight": "balanced", "repeats_per_batch": 2, "lanes": 4}),
    ],
    ids=lambda value: " ".join(map(str, value.values())) or "-" if isinstance(value, dict) else "",
)
def test_sums_of_gradients_learn_what_one_network_does(count, network, training):
    spec = NetworkSpec((5, 6, 4), seed=1, **network)
    config = TrainingConfig(epochs=2, batch_size=8, seed=2, **training)
    one, many = learnt(spec, config), learnt(spec, config, Replicas(count))
    assert apart(one, many) < 1e-12
    for ours, theirs in zip(many.history.epochs, one.history.epochs, strict=True):
        assert ours.pop("replicas") == count
        for name, value in theirs.items():  # what was counted and measured, too
            if "seconds" not in name and "messages" not in name:
                assert ours[name] == pytest.approx(value, rel=1e-9, abs=1e-12), name


@pytest.mark.parametrize("count", [2, 5])
def test_all_with_all_after_every_step_is_one_network_with_all_their_batches(count):
    spec = NetworkSpec((5, 6, 4), seed=1)
    config = TrainingConfig(epochs=1, batch_size=3, optimiser="sgd", seed=4, test_share=0.0)
    data = rows(3 * count * 4)  # whole rounds
    with ReplicaTrainer(spec, data, config, REFERENCE, Replicas(count, "complete")) as many:
        order = many._gossip.order(np.random.default_rng(4))
        many.fit()
        ours = many.parameters()
    whole = TrainingConfig(**{**vars(config), "batch_size": 3 * count})
    with Trainer(spec, data, whole, REFERENCE) as one:
        one.run(order, LEARN)
        theirs = one.parameters()
    for a, b in zip([*ours[0], *ours[1]], [*theirs[0], *theirs[1]], strict=True):
        assert np.abs(a - b).max() < 1e-12


@given(st.integers(2, 9), st.sampled_from(["ring", "complete"]), st.data())
def test_replicas_combine_by_a_doubly_stochastic_matrix_that_joins_all(count, topology, data):
    living = data.draw(st.lists(st.integers(0, count - 1), min_size=1, unique=True).map(sorted))
    a = mixing(topology, living, count)
    np.testing.assert_array_equal(a, a.T)
    np.testing.assert_allclose(a.sum(axis=1), 1.0)
    assert (a >= 0).all()
    reached = np.linalg.matrix_power(a, count)[np.ix_(living, living)]
    assert (reached > 0).all()
    others = [k for k in range(count) if k not in living]
    np.testing.assert_array_equal(a[others], np.eye(count)[others])


@pytest.mark.parametrize(("late", "lost"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.4, 0.3)])
def test_what_was_heard_last_counts(late, lost):
    """Beside a simulation that keeps whole queues of messages."""
    count, generator = 4, np.random.default_rng(1)
    replicas = Replicas(count, "ring", late=late, lost=lost, seed=7)
    gossip = Gossip(replicas, np.arange(16), DATA, 2)
    start = generator.random(3)
    gossip.begin([start])
    a, heard = mixing("ring", [0, 1, 2, 3], count), {}
    arriving = {}  # by round: (to, from, value)
    for number in range(6):
        psi = generator.random((count, 3))
        found = gossip.combine({k: [psi[k]] for k in range(count)}, [0, 1, 2, 3], number)
        chances = np.random.default_rng([7, 1, number]).random((count, count))
        for k, m, value in arriving.pop(number, []):
            heard[k, m] = value
        for k in range(count):
            for m in range(count):
                if k != m and chances[k, m] >= late + lost:
                    heard[k, m] = psi[m]
                elif k != m and chances[k, m] < late:
                    arriving.setdefault(number + 1, []).append((k, m, psi[m]))
        for k in range(count):
            expected = a[k, k] * psi[k]
            expected += sum(a[k, m] * heard.get((k, m), start) for m in range(count) if m != k)
            np.testing.assert_allclose(found[k][0], expected)
        if late == lost == 0:
            mean = np.mean([found[k][0] for k in range(count)], axis=0)
            np.testing.assert_allclose(mean, psi.mean(axis=0))


@pytest.mark.parametrize("shards", ["drawn", "classes"])
@given(count=st.integers(2, 7), batch=st.integers(1, 5), every=st.integers(1, 3))
def test_an_epoch_shows_every_row_once_to_the_replica_it_belongs_to(shards, count, batch, every):
    replicas = Replicas(count, "ring", every=every, shards=shards)
    gossip = Gossip(replicas, np.arange(len(DATA.x)), DATA, batch)
    order = gossip.order(np.random.default_rng(0))
    assert sorted(order) == list(range(len(DATA.x)))
    shown = [[] for _ in range(count)]
    for begin in range(0, len(order), gossip.rows):
        part = order[begin : begin + gossip.rows]
        for k, place in enumerate(gossip.parts(begin, len(part))):
            assert place.stop - place.start <= batch * every
            shown[k] += part[place].tolist()
    assert [sorted(s) for s in shown] == [sorted(s) for s in gossip.shards]
    assert np.ptp([len(s) for s in shown]) <= 1


def test_gossip_with_half_of_the_messages_late_learns_as_well_as_one_network():
    data, spec = load("digits"), NetworkSpec((64, 64, 10), seed=1)
    options = {"epochs": 20, "optimiser": "sgd", "learning_rate": 0.3, "seed": 1}
    one = run(spec, data, TrainingConfig(batch_size=40, **options), REFERENCE, reporters=[])
    replicas = Replicas(5, "complete", late=0.5, shards="classes")
    config = TrainingConfig(batch_size=8, **options)
    with ReplicaTrainer(spec, data, config, REFERENCE, replicas) as trainer:
        kinds = [set(data.labels[shard].tolist()) for shard in trainer._gossip.shards]
        assert sum(map(len, kinds)) <= 2 * 5 + 10  # a slice may end within a class
        trainer.fit()
        accuracy = trainer.history.column("test_accuracy")[-1]
    assert accuracy > one.table["test_accuracy"] - 0.01
    assert trainer.history.column("replica_distance")[-1] > 0


class Mortal(Here):
    """Replicas of which one is gone from some question on."""

    def __init__(self, here, number, after):
        self.members, self.number, self.left, self.after = here.members, number, after, after

    def ask(self, number, method, *arguments):
        if number == self.number:
            self.left -= 1
            if self.left < 0:

                def gone():
                    raise LostError(f"killed {self.after}")

                return gone
        return super().ask(number, method, *arguments)


@pytest.mark.parametrize("after", range(6))
def test_the_others_go_on_without_one_that_is_lost_and_it_is_said(after):
    spec, config = NetworkSpec((5, 6, 4), seed=1), TrainingConfig(epochs=2, batch_size=8, seed=2)
    said = []
    with told(said.append), ReplicaTrainer(spec, DATA, config, REFERENCE, Replicas(3)) as many:
        many.place = Mortal(many.place, 1, after)
        many.fit()
    with Trainer(spec, DATA, config, REFERENCE) as one:
        one.fit()
    for a, b in zip(many.parameters()[0], one.parameters()[0], strict=True):
        assert np.abs(a - b).max() < 1e-12
    assert said == [f"replica 2 is lost (killed {after}): 2 of 3 go on"]
    assert many.history.column("replicas")[-1] == 2


def test_those_that_gossip_go_on_without_its_samples_and_none_is_an_error():
    spec, config = NetworkSpec((5, 6, 4), seed=1), TrainingConfig(epochs=2, batch_size=4, seed=2)
    replicas = Replicas(3, "ring", late=0.5)
    with ReplicaTrainer(spec, DATA, config, REFERENCE, replicas) as many:
        many.place = Mortal(many.place, 2, 7)
        many.fit()
    assert many.living == [0, 1]
    assert many.history.epochs[-1]["train_samples"] == sum(map(len, many._gossip.shards[:2]))
    with ReplicaTrainer(spec, DATA, config, REFERENCE, Replicas(2)) as many:
        many.place = Mortal(Mortal(many.place, 0, 3), 1, 3)
        many.place.ask = lambda number, *_: Mortal.ask(Mortal(many.place, number, 0), number, "")
        with pytest.raises(LavaRuntimeError, match="all of them are lost"):
            many.fit()


class Interrupting(Reporter):
    def __init__(self, checkpoints):
        self.left = checkpoints

    def on_progress(self, done, total):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


@pytest.mark.parametrize("replicas", [Replicas(3), Replicas(3, "ring", late=0.4, lost=0.2)])
def test_a_run_that_was_interrupted_goes_on_to_the_same_weights(tmp_path, replicas):
    spec, config = NetworkSpec((5, 6, 4), seed=1), TrainingConfig(epochs=3, batch_size=4, seed=2)
    one = learnt(spec, config, replicas)
    with pytest.raises(KeyboardInterrupt):
        learnt(spec, config, replicas, out=tmp_path / "r", checkpoint_every="2",
               reporters=[Interrupting(17)])  # fmt: skip
    rest = learnt(spec, config, replicas, resume=tmp_path / "r", checkpoint_every="2")
    assert apart(one, rest) == 0
    assert rest.history.column("test_loss") == one.history.column("test_loss")


@pytest.mark.parametrize("replicas", [Replicas(2), Replicas(3, "ring", late=0.5, every=2)])
def test_replicas_on_workers_of_dask_learn_what_those_in_this_process_do(replicas):
    distributed = pytest.importorskip("distributed")
    spec, config = NetworkSpec((5, 6, 4), seed=1), TrainingConfig(epochs=1, batch_size=8, seed=2)
    here = learnt(spec, config, replicas)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        there = Replicas(**{**vars(replicas), "scheduler": cluster.scheduler_address})
        assert apart(here, learnt(spec, config, there)) == 0


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--replicas", "0"], "Replicas.count: must be at least 2"),
        (["--topology", "ring"], "--topology: needs several replicas"),
        (["--replicas", "2", "--late", "0.5"], "--late: is for replicas that gossip"),
        (["--replicas", "2", "--topology", "ring", "--late", "2"], "--late: must lie in [0, 1]"),
        (["--replicas", "2", "--topology", "ring", "--late", "0.7", "--lost", "0.7"], "--lost: "),
        (["--replicas", "2", "--topology", "star"], "--topology"),
        (["--replicas", "40"], "replicas: share a batch, of which each needs a sample (got 32)"),
        (["--replicas", "2", "--precision", "loihi2"], "replicas: need precision float"),
        (["--replicas", "2", "--rule", "backprop"], "replicas share what synapses learn from"),
        (["--replicas", "2", "--topology", "ring", "--lr-schedule", "linear"], "has to stay"),
        (["--replicas", "2000", "--topology", "ring"], "need a sample each"),
        (["--replicas", "2", "--scheduler", "nowhere"], "--scheduler: cannot be reached"),
    ],
)
def test_what_replicas_cannot_do_is_said_in_a_line(capsys, words, error):
    pytest.importorskip("distributed")
    assert main(["train", "digits", "--no-save", "--epochs", "1", *words]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: ")
    assert error in said


@pytest.mark.lava
@pytest.mark.parametrize(
    "execution",
    [
        Execution("layer", runtime="in-process"),
        Execution("neuron", runtime="in-process"),
        pytest.param(Execution("network", runtime="lava"), marks=pytest.mark.slow),
    ],
)
def test_replicas_are_networks_of_any_granularity_on_any_runtime(execution):
    spec, config = NetworkSpec((5, 6, 4), seed=1), TrainingConfig(epochs=1, batch_size=16, seed=2)
    for replicas in (Replicas(2), Replicas(2, "ring")):
        there = run(spec, DATA, config, execution, replicas=replicas, reporters=[])
        assert apart(learnt(spec, config, replicas), there) < 1e-12


def test_what_is_of_one_network_is_refused():
    spec, config = NetworkSpec((5, 6, 4)), TrainingConfig(epochs=1)
    with pytest.raises(ValidationError, match=r"run.trace: is of one network"):
        learnt(spec, config, Replicas(2), trace="t.npz")
    messages = Execution("layer", "async", runtime="in-process")
    with pytest.raises(ValidationError, match="replicas: take steps together"):
        run(spec, DATA, config, messages, replicas=Replicas(2))


def test_a_run_of_replicas_keeps_what_it_was(tmp_path, capsys):
    words = ["train", "digits", "--layers", "4", "--epochs", "1", "--json"]
    gossip = ["--replicas", "3", "--topology", "ring", "--late", "0.5", "--shards", "classes"]
    out = tmp_path / "r"
    assert main([*words, *gossip, "--out", str(out)]) == 0
    capsys.readouterr()
    assert main(["rerun", str(out), "--json"]) == 0
    with pytest.raises(ValidationError):
        Replicas(1)
