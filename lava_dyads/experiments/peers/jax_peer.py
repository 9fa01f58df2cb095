"""Backprop in jitted JAX, in the form that is fastest here.

Whole epochs by lax.scan or a call per batch, weights (out, in) or (in, out); a batch of one is a
vector.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import Any

import numpy as np

Carry = Any


class Learner:
    """A network, its loss and its updates; ``turned``: weights stand (in, out), not (out, in)."""

    def __init__(self, config: dict[str, Any], arrays: dict[str, Any]) -> None:
        # In here, so that the module can be looked at where there is no such framework.
        import jax
        import jax.numpy as jnp

        self.jax, self.jnp, self.config = jax, jnp, config
        self.depth, self.batch = len(config["layers"]) - 1, config["batch_size"]
        self.activate = {"relu": jax.nn.relu, "tanh": jnp.tanh}[config["activation"]]
        self.x, self.y = jnp.asarray(arrays["x"]), jnp.asarray(arrays["y"])
        self.singles = {
            turned: jax.jit(partial(self.update, turned), donate_argnums=0)
            for turned in (False, True)
        }

    def outputs(self, layers: Any, z: Any, turned: bool) -> Any:
        """Return the outputs of a sample, or of the samples in the rows of z."""
        for k, (w, b) in enumerate(layers):
            z = (z @ w if turned else w @ z if z.ndim == 1 else z @ w.T) + b
            z = self.activate(z) if k + 1 < self.depth else z
        return z

    def cost(self, layers: Any, z: Any, target: Any, turned: bool) -> Any:
        """Return the mean loss."""
        jnp, out = self.jnp, self.outputs(layers, z, turned)
        if self.config["loss"] == "squared-error":
            return 0.5 * jnp.mean(jnp.sum((out - target) ** 2, axis=-1))
        return -jnp.mean(jnp.sum(target * self.jax.nn.log_softmax(out), axis=-1))

    def update(self, turned: bool, carry: Carry, rows: Any) -> tuple[Carry, Any]:
        """Learn from a batch; return what is carried on, and the loss."""
        layers, first, second, t = carry
        gradient = self.jax.value_and_grad(self.cost)
        value, g = gradient(layers, self.x[rows], self.y[rows], turned)
        each, rate = self.jax.tree_util.tree_map, self.config["learning_rate"]
        if self.config["optimiser"] == "sgd":
            return (each(lambda w, d: w - rate * d, layers, g), first, second, t), value
        t = t + 1
        first = each(lambda m, d: 0.9 * m + 0.1 * d, first, g)
        second = each(lambda v, d: 0.999 * v + 0.001 * d * d, second, g)
        size, root, sqrt = rate / (1 - 0.9**t), 1 / (1 - 0.999**t), self.jnp.sqrt
        layers = each(lambda w, m, v: w - size * m / (sqrt(v * root) + 1e-8), layers, first, second)
        return (layers, first, second, t), value

    def scanned(self, turned: bool) -> Any:
        """Return the form that takes a whole epoch by lax.scan."""
        jax = self.jax

        @partial(jax.jit, donate_argnums=0)
        def run(carry: Carry, order: Any) -> Any:
            return jax.lax.scan(partial(self.update, turned), carry, order)

        return run

    def called(self, turned: bool) -> Any:
        """Return the form that makes a call per batch."""

        def run(carry: Carry, order: Any) -> tuple[Carry, Any]:
            value = None
            for rows in order:
                carry, value = self.singles[turned](carry, rows)
            return carry, value

        return run

    def fresh(self, pairs: list[Any], turned: bool) -> Carry:
        """Return the state that an epoch begins with at some weights and biases."""
        jnp, each = self.jnp, self.jax.tree_util.tree_map
        layers = [(jnp.array(w.T if turned else w), jnp.array(b)) for w, b in pairs]
        return layers, each(jnp.zeros_like, layers), each(jnp.zeros_like, layers), jnp.float32(0)

    def epoch(self, form: Any, turned: bool, carry: Carry, order: Any) -> Carry:
        """Learn from the samples of an epoch."""
        whole = len(order) // self.batch * self.batch
        one = self.batch == 1  # a single sample is a vector, three times faster
        carry, value = form(carry, order[:whole].reshape((-1,) if one else (-1, self.batch)))
        if whole < len(order):
            carry, value = self.singles[turned](carry, order[whole:])
        self.jax.block_until_ready(value)
        return carry


def fastest(learner: Learner, pairs: list[Any], order: Any) -> tuple[str, Any, bool]:
    """Return the form that is fastest here: its name, itself, and how weights stand."""
    forms = {
        f"{name}, weights {'(in, out)' if turned else '(out, in)'}": (make(turned), turned)
        for name, make in (("a call per batch", learner.called), ("lax.scan", learner.scanned))
        for turned in (False, True)
    }
    trial = order[: max(40 * learner.batch, 200)]
    seconds: dict[str, float] = {}
    for attempt in range(4):
        for name, (form, turned) in forms.items():
            begin = time.perf_counter()
            learner.epoch(form, turned, learner.fresh(pairs, turned), trial)
            spent = time.perf_counter() - begin
            if attempt:  # the first one compiles
                seconds[name] = min(seconds.get(name, spent), spent)
    best = min(seconds, key=lambda name: seconds[name])
    return best, *forms[best]


def main(folder: str) -> None:
    """Train in turns with the others."""
    from protocol import job, parameters, serve  # type: ignore[import-not-found]

    config, arrays = job(folder)
    learner = Learner(config, arrays)
    jax, jnp, orders = learner.jax, learner.jnp, arrays["orders"]
    pairs = list(parameters(arrays, learner.depth))
    best, form, turned = fastest(learner, pairs, orders[0])
    # Compiled at the size that is timed.
    learner.epoch(form, turned, learner.fresh(pairs, turned), orders[0])
    state = learner.fresh(pairs, turned)
    test_x, test_labels = jnp.asarray(arrays["test_x"]), arrays["test_labels"]
    judge = jax.jit(lambda layers: jnp.argmax(learner.outputs(layers, test_x, turned), axis=1))
    judge(state[0]).block_until_ready()

    def train(number: int) -> None:
        nonlocal state
        state = learner.epoch(form, turned, state, orders[number])

    def accuracy() -> float:
        return float(np.mean(np.asarray(judge(state[0])) == test_labels))

    serve({"version": f"jax {jax.__version__}", "form": best}, train, accuracy)


if __name__ == "__main__":
    main(sys.argv[1])
