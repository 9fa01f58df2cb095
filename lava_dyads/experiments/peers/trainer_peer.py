"""The trainer of this library: dyads, or its numpy backprop."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from lava_dyads.data import Dataset
from lava_dyads.experiments.peers.protocol import job, parameters, serve
from lava_dyads.native.blas import library
from lava_dyads.native.registry import kernel
from lava_dyads.networks import Execution, NetworkSpec
from lava_dyads.training import Trainer, TrainingConfig


def main(folder: str, rule: str, skip_error: float, backend: str) -> None:
    """Train in turns with the others."""
    config, arrays = job(folder)
    spec = NetworkSpec(
        tuple(config["layers"]),
        activations=config["activation"],
        loss=config["loss"],
        rule=rule,
        beta=config["beta"],
    )
    x = np.concatenate([arrays["x"], arrays["test_x"]])
    labels = np.concatenate([arrays["y"].argmax(1), arrays["test_labels"]])
    data = Dataset(config["dataset"], x, labels, official_training_rows=len(arrays["x"]))
    weights, biases = (list(part) for part in zip(*parameters(arrays, spec.depth), strict=True))
    training = TrainingConfig(
        epochs=config["epochs"],
        batch_size=config["batch_size"],
        optimiser=config["optimiser"],
        learning_rate=config["learning_rate"],
        dtype="float32",
        skip_error=skip_error,
        counting=False,
    )
    orders = arrays["orders"].astype(np.int64)

    def opened() -> Trainer:
        execution = Execution(runtime="reference", backend="jax" if backend == "jax" else "numpy")
        return Trainer(spec, data, training, execution, parameters=(weights, biases))

    trainer = opened()
    begun = trainer.state()  # of its own: to restore is to write into these registers
    begun = replace(begun, arrays={name: array.copy() for name, array in begun.arrays.items()})
    trainer.run(orders[0][: 20 * training.batch_size], 1)  # imports, compiles, touches memory
    trainer.restore(begun)

    def train(number: int) -> None:
        trainer.run(orders[number], 1)

    def accuracy() -> float:
        return trainer.evaluate().accuracy

    accuracy()
    # scipy brings a library of its own; the products are numpy's.
    libraries = [i for i in threadpool_info() if "numpy" in i["filepath"]]
    blas: dict[str, Any] = libraries[0] if libraries else {}
    form = "optimiser in numpy"
    if backend == "jax":
        form = f"presentations in jax {version('jax')}"
    elif kernel("adam"):
        form = f"optimiser in numba, products by {library()}"
    facts = {
        "version": f"numpy {np.__version__}",
        "form": "" if rule == "backprop" else form,
        "blas": {k: blas.get(k) for k in ("internal_api", "version", "architecture")},
    }
    serve(facts, train, accuracy)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4])
