"""How often data are copied on their way from the data set into a network."""

import tracemalloc

import numpy as np
import pytest
from lava.magma.core.decorator import implements, requires
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_dyads import DyadRunConfig, InProcessSession, NetworkSpec, Trainer, TrainingConfig
from lava_dyads.data import Dataset
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.networks import Execution
from lava_dyads.processes import DatasetSource

IN_PROCESS = Execution("network", runtime="in-process")


def images(rows, columns, classes=4):
    generator = np.random.default_rng(0)
    labels = np.arange(rows) % classes
    return Dataset("images", generator.random((rows, columns)), labels, rows - rows // 4)


def test_rows_in_order_reach_the_network_without_a_copy():
    data = images(64, 30)
    config = TrainingConfig(epochs=1, batch_size=8)
    with Trainer(NetworkSpec((30, 5, 4)), data, config, IN_PROCESS) as trainer:
        present, seen = trainer.network.present, []

        def watched(x, y, *others):
            seen.append((x.copy(), np.shares_memory(x, data.x), x.flags.writeable))
            return present(x, y, *others)

        trainer.network.present = watched
        trainer.run(trainer.test_rows, 0)
    assert [shared for _, shared, _ in seen] == [True, True]
    assert not any(writeable for _, _, writeable in seen)
    np.testing.assert_array_equal(np.concatenate([x for x, _, _ in seen]), data.x[48:])


def test_single_samples_are_never_copied_and_shuffled_batches_once():
    data = images(64, 30)
    rows = np.random.default_rng(1).permutation(48)
    for size, views in ((1, True), (8, False)):
        config = TrainingConfig(epochs=1, batch_size=size, optimiser="sgd")
        with Trainer(NetworkSpec((30, 5, 4)), data, config, IN_PROCESS) as trainer:
            sent, got = [], []
            before, present = trainer.source._rows, trainer.network.present

            def rows_of(name, values, chosen, before=before, sent=sent):
                made = before(name, values, chosen)
                if name == "x":
                    sent.append(made)
                return made

            def watched(x, y, *others, present=present, got=got):
                got.append(x)
                return present(x, y, *others)

            trainer.source._rows, trainer.network.present = rows_of, watched
            trainer.run(rows, 1)
        # The very array that the source has made, or a piece of the data set.
        assert len(sent) == len(got) == 48 // size
        assert all(np.shares_memory(a, b) for a, b in zip(sent, got, strict=True))
        assert all(np.shares_memory(a, data.x) == views for a in sent)
        for batch, x in zip(rows.reshape(-1, size), got, strict=True):
            np.testing.assert_array_equal(x, data.x[batch])


@pytest.mark.parametrize("granularity", ["network", "layer"])
def test_training_makes_no_copy_of_the_data_set(granularity):
    data = images(4000, 200)
    execution = Execution(granularity, runtime="in-process")

    def train(samples):
        config = TrainingConfig(epochs=1, batch_size=50)
        with Trainer(NetworkSpec((200, 4, 4)), data, config, execution) as trainer:
            trainer.run(trainer.train_rows[:samples], 1)

    train(50)  # compiled code is loaded when it is first needed
    tracemalloc.start()
    try:
        train(500)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 0.5 * data.x.nbytes


KEPT = []
"""A global of a module, which all models of one OS process share."""


class Keeper(AbstractProcess):
    def __init__(self, width):
        super().__init__(width=width)
        self.x_in = InPort((width,))


@implements(proc=Keeper, protocol=LoihiProtocol)
@requires(CPU)
class PyKeeperModel(PyLoihiProcessModel):
    x_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)

    def run_spk(self):
        message = self.x_in.recv()
        message += 1000.0  # its own: it may do so
        KEPT.append(message)


def test_other_peoples_models_may_keep_and_change_what_they_get():
    x = np.arange(12.0).reshape(4, 3)
    source = DatasetSource(x, np.ones((4, 1)), schedule=PresentationSchedule(1))
    keepers = [Keeper(3), Keeper(3)]
    KEPT.clear()
    for keeper in keepers:
        source.x_out.connect(keeper.x_in)
    with InProcessSession(source, DyadRunConfig()) as session:
        session.run(4)
    kept = np.array(KEPT).reshape(4, 2, 3)
    for k in range(2):
        np.testing.assert_array_equal(kept[:, k], np.arange(12.0).reshape(4, 3) + 1000.0)
    np.testing.assert_array_equal(x, np.arange(12.0).reshape(4, 3))
