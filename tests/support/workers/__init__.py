"""What a worker is given to do: it can be imported wherever it is."""

import pickle

import numpy as np

from lava_dyads import Dataset, Execution, NetworkSpec, Trainer, TrainingConfig

RUNTIMES = ("reference", "in-process", "lava")


def training_data():
    """Return a data set."""
    return Dataset("rows", np.random.default_rng(0).random((24, 4)), np.arange(24) % 3)


def train(runtime):
    """Return the learnt weights, as bytes."""
    data = training_data()
    granularity = "network" if runtime == "reference" else "layer"
    config = TrainingConfig(epochs=2, batch_size=6)
    with Trainer(
        NetworkSpec((4, 3, 3)), data, config, Execution(granularity, runtime=runtime)
    ) as t:
        t.fit()
        return b"".join(w.tobytes() for w in t.parameters()[0])


def resume(sent):
    """Return the weights of a trainer that was sent, once it has done the rest."""
    with pickle.loads(sent) as trainer:
        return fitted(trainer)


def fitted(trainer):
    """Return the weights after the rest of the epochs."""
    trainer.fit()
    return b"".join(w.tobytes() for w in trainer.parameters()[0])
