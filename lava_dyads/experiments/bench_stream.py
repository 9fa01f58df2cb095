"""What a frame of a stream costs, against the same frame seen alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lava_dyads.array_types import Array
from lava_dyads.data import load
from lava_dyads.data.dataset import Dataset
from lava_dyads.data.encoders import LevelCrossing
from lava_dyads.elements.clock import Clock
from lava_dyads.errors import invalid
from lava_dyads.executors.step import Network
from lava_dyads.executors.stream import FrameStream
from lava_dyads.executors.sweep import SweptNetwork
from lava_dyads.networks.node_graph import Graph
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.networks.support import Execution
from lava_dyads.rules.optimisers import SGD
from lava_dyads.rules.targets import OneHot
from lava_dyads.training import Trainer, TrainingConfig

PATH = ((0, 0), (1, 1), (2, 2), (3, 1), (4, 0), (3, 0), (2, 0), (1, 0))
"""Shifts right and down of an image, pixels: the triangle of three saccades, a pixel at a time."""


@dataclass(frozen=True)
class StreamCost:
    """One stream, in which the image moves by a pixel every ``hold`` frames.

    Attributes
    ----------
    hold : int
    frames : int
    events, operations : float
        Per frame: graded events, synaptic operations.
    alone_events, alone_operations : float
        The same for these frames seen alone, each from 0.
    seconds, alone_seconds : float
        Per frame, mean over all, least of three turns; alone in the fastest way there is for one
        frame at a time (one sweep).
    difference : float
        Largest difference of an output between the two.
    learning_operations, alone_learning_operations : float
        Operations per frame where every frame is learnt from, gradient descent.
    weight_difference : float
        Largest difference of a weight after that.
    """

    hold: int
    frames: int
    events: float
    alone_events: float
    operations: float
    alone_operations: float
    seconds: float
    alone_seconds: float
    difference: float
    learning_operations: float
    alone_learning_operations: float
    weight_difference: float

    @property
    def share(self) -> float:
        """Operations per frame, as a share of those of a frame seen alone."""
        return self.operations / self.alone_operations


@dataclass(frozen=True)
class StreamBench:
    """All streams."""

    streams: list[StreamCost]
    facts: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        streams = [{**asdict(s), "share": s.share} for s in self.streams]
        return {"streams": streams, "facts": self.facts}


def moving(image: Array, hold: int, speck: int = 0) -> Array:
    """Return frames of an image that goes once round ``PATH``, (8 hold, rows, columns).

    Parameters
    ----------
    image : array (rows, columns)
        Values in [0, 1].
    hold : int
        Frames per pixel that it moves.
    speck : int
        Not 0: the image stands still, and a white square of so many pixels moves over it.
    """
    if speck:
        seen = [image.copy() for _ in PATH]
        for frame, (right, down) in zip(seen, PATH, strict=True):
            frame[1 + down : 1 + down + speck, 1 + right : 1 + right + speck] = 1.0
    else:
        paths = [np.array([(0, *shift), (1, *shift)], float) for shift in PATH]
        seen = [LevelCrossing(path=path).moved(image, 0) for path in paths]
    return np.repeat(seen, hold, axis=0)


def bench_stream(
    dataset: str = "mnist",
    hidden: tuple[int, ...] = (512, 512),
    holds: tuple[int, ...] = (1, 2, 5, 10, 20),
    images: int = 5,
    epochs: int = 1,
    seed: int = 0,
    graph: Graph | None = None,
    speck: int = 0,
    on_stream: Callable[[str], None] | None = None,
) -> StreamBench:
    """Train a network, then show it images that move, as a stream and frame by frame.

    Parameters
    ----------
    dataset : str
        Of square images.
    hidden : tuple of int
    holds : tuple of int
        Frames per pixel that an image moves.
    images : int
        Test images that are shown, one after the other.
    epochs : int
        Of training before; 0: initial weights.
    seed : int
        Of weights and images.
    graph : Graph or None
        A network on a graph, in the place of ``hidden``.
    speck : int
        See :func:`moving`.
    on_stream : callable or None
        Called with a line on what is measured next.

    Raises
    ------
    ValidationError
        If a value is out of range or images are not square.
    """
    for name, least, value in (("holds", 1, min(holds)), ("images", 1, images),
                               ("epochs", 0, epochs), ("speck", 0, speck)):  # fmt: skip
        if value < least:
            invalid(name, f"must be at least {least}", value)
    data = load(dataset)
    side = round(data.x.shape[1] ** 0.5)
    if side * side != data.x.shape[1]:
        invalid("dataset", "needs square images", f"{data.x.shape[1]} features", "mnist")
    layers = (data.x.shape[1], *hidden, data.classes)
    spec = NetworkSpec(graph=graph, seed=seed) if graph else NetworkSpec(layers, seed=seed)
    if on_stream:
        on_stream("training")
    parameters, rows = _trained(spec, data, epochs, seed)
    chosen = np.random.default_rng(seed).choice(rows, images, replace=False)
    streams = []
    for hold in holds:
        if on_stream:
            on_stream(f"{hold} frames per pixel")
        seen = [moving(data.x[row].reshape(side, side), hold, speck) for row in chosen]
        x = np.concatenate(seen).reshape(-1, side * side)
        y = OneHot(np.repeat(data.classes_of(chosen), len(PATH) * hold), data.classes)[:]
        streams.append(_measured(spec, parameters, hold, x, y))
    facts = {"dataset": dataset, "layers": list(spec.layers), "images": images, "epochs": epochs,
             "seed": seed, "speck": speck}  # fmt: skip
    return StreamBench(streams, facts)


def _trained(spec: NetworkSpec, data: Dataset, epochs: int, seed: int) -> tuple[Any, Any]:
    config = TrainingConfig(max(1, epochs), 100, seed=seed, counting=False)
    with Trainer(spec, data, config, Execution(runtime="reference")) as trainer:
        if epochs:
            trainer.fit()
        return trainer.parameters(), trainer.test_rows


def _measured(spec: NetworkSpec, parameters: Any, hold: int, x: Array, y: Array) -> StreamCost:
    """Show all frames, as a stream and alone, with and without learning."""

    def built(**options: Any) -> Network:
        network = spec.build(parameters=parameters, **options)
        assert isinstance(network, Network)
        return network

    rate = SGD(0.01)
    swept, seconds = built(optimiser=rate), []
    if isinstance(swept, SweptNetwork):
        swept.counting = False
    for _ in range(3):
        stream = FrameStream(built(executor="step"))
        begin = time.perf_counter()
        outputs = [stream.show(frame) for frame in x]
        middle = time.perf_counter()
        alone = [_alone(swept, frame) for frame in x]
        seconds.append((middle - begin, time.perf_counter() - middle))
    counted = FrameStream(built(executor="step"))
    alone_cost = np.zeros(2)
    for frame in x:
        # A new stream per frame: nothing is kept, everything counts.
        one = FrameStream(counted.network)
        one.show(frame)
        alone_cost += one.cost
    learner, lone = FrameStream(built(executor="step", optimiser=rate)), built(optimiser=rate)
    for frame, target in zip(x, y, strict=True):
        learner.show(frame, target)
        _alone(lone, frame, target)
    n = len(x)
    pairs = zip(learner.network.parameters()[0], lone.parameters()[0], strict=True)
    counts = [element.counts for element in lone.elements.values()]
    lone_operations = sum(c.get(k, 0) for c in counts for k in ("forward", "backward", "learning"))
    return StreamCost(
        hold,
        n,
        stream.cost.events / n,
        alone_cost[0] / n,
        stream.cost.operations / n,
        alone_cost[1] / n,
        min(own for own, _ in seconds) / n,
        min(other for _, other in seconds) / n,
        float(np.abs(np.array(outputs) - np.array(alone)).max()),
        learner.cost.operations / n,
        lone_operations / n,
        max(float(np.abs(w - v).max()) for w, v in pairs),
    )


def _alone(network: Network, frame: Array, target: Array | None = None) -> Array:
    """Show one frame from 0, by one sweep; return the output (n_out,)."""
    learn = target is not None
    inbox = {"input_in": frame[None], "target_in": target[None] if target is not None else None}
    clock = Clock(1, True, True, learn, 1, batch=int(learn), read=True)
    output = network.after(clock, inbox)["output_out"]
    assert output is not None
    return np.asarray(output[0])
