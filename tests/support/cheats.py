"""Twelve learning rules that look local and are not, and some that are."""

import numpy as np


class World:
    """What a network knows, and a synapse does not."""

    label = 3
    loss = 0.7
    forward = np.array([[0.4, -0.3, 0.8], [1.1, 0.2, -0.5], [0.3, 0.9, 0.1], [-0.6, 0.5, 0.7]])
    layers = []  # noqa: RUF012
    seen = {"error": 0.0}  # noqa: RUF012


class Hebb:
    """W <- W + rate post pre'."""

    rate = 0.1

    def __init__(self, n_post, n_pre):
        self.weights = np.zeros((n_post, n_pre))

    def update(self, pre, post):
        self.weights = self.weights + self.rate * np.outer(post, pre)


class WeightTransport(Hebb):
    def update(self, pre, post):
        rows, columns = self.weights.shape
        self.weights = (
            self.weights + self.rate * np.outer(post, pre) * World.forward[:rows, :columns]
        )


class GlobalSum(Hebb):
    def update(self, pre, post):
        super().update(pre, post / (1 + abs(post).sum()))


class Label(Hebb):
    def update(self, pre, post):
        super().update(pre, post * World.label)


class NeighboursState(Hebb):
    def update(self, pre, post):
        super().update(pre, post - 0.1 * np.roll(post, 1))


class RowNorm(Hebb):
    def update(self, pre, post):
        super().update(pre, post)
        self.weights = self.weights / np.linalg.norm(self.weights, axis=1, keepdims=True)


class AdaptiveRate(Hebb):
    """A rate that falls with the mean size of all changes."""

    size = 0.0

    def update(self, pre, post):
        change = np.outer(post, pre)
        self.weights = self.weights + self.rate / (1 + self.size) * change
        self.size = 0.9 * self.size + 0.1 * abs(change).mean()


class WinnerTakesAll(Hebb):
    def update(self, pre, post):
        super().update(pre, post * (post == post.max()))


class CentredInput(Hebb):
    def update(self, pre, post):
        super().update(pre - pre.mean(), post)


class GlobalLoss(Hebb):
    def update(self, pre, post):
        super().update(pre, post * World.loss)


class OtherLayer(Hebb):
    """Reads the weights of whichever layer has been made first, by a list of the class."""

    layers = [np.array([2.0, 0.5])]  # noqa: RUF012

    def update(self, pre, post):
        super().update(pre, post * self.layers[0].sum())


class SharedError(Hebb):
    """Passes a number on to itself by a dictionary of the module."""

    def update(self, pre, post):
        super().update(pre, post * (1 + World.seen["error"]))


class Dice(Hebb):
    """Draws from numpy's global generator, which nobody has seeded."""

    def update(self, pre, post):
        super().update(pre, post * np.random.random())


CHEATS = {
    WeightTransport: "hidden values",
    GlobalSum: "locality",
    Label: "hidden values",
    NeighboursState: "locality",
    RowNorm: "locality",
    AdaptiveRate: "locality",
    WinnerTakesAll: "locality",
    CentredInput: "locality",
    GlobalLoss: "hidden values",
    OtherLayer: "hidden values",
    SharedError: "hidden values",
    Dice: "determinism",
}


class Oja(Hebb):
    """W <- W + rate post (pre - post W): each synapse reads its own weight only."""

    def update(self, pre, post):
        change = np.outer(post, pre) - (post**2)[:, None] * self.weights
        self.weights = self.weights + self.rate * change


class EqProp(Hebb):
    """Contrastive: W <- W + rate / beta (post pre' nudged - post pre' free)."""

    def update(self, pre, post, pre_free, post_free):
        change = np.outer(post, pre) - np.outer(post_free, pre_free)
        self.weights = self.weights + self.rate / 0.5 * change


class EligibilityTraces(Hebb):
    """As in e-prop: a filtered trace at each synapse, and a signal to each neuron or to all."""

    def __init__(self, n_post, n_pre):
        super().__init__(n_post, n_pre)
        self.trace = np.zeros((n_post, n_pre))

    def update(self, pre, post, signal):
        self.trace = 0.8 * self.trace + np.outer(post, pre)
        self.weights = self.weights + self.rate * signal * self.trace


class IntegerHebb(Hebb):
    """Saturating integers of 8 bits."""

    def update(self, pre, post):
        change = (np.outer(post, pre).astype(np.int64)) >> 6
        self.weights = np.clip(self.weights.astype(np.int64) + change, -128, 127)


class Batched(Hebb):
    """Samples side by side: the mean of their changes."""

    def update(self, pre, post):
        pre, post = np.atleast_2d(pre), np.atleast_2d(post)
        self.weights = self.weights + self.rate * post.T @ pre / len(pre)


class Mixing(Batched):
    """Samples side by side that change each other: the product of means."""

    def update(self, pre, post):
        pre, post = np.atleast_2d(pre).mean(0), np.atleast_2d(post).mean(0)
        self.weights = self.weights + self.rate * np.outer(post, pre)


class Overwriting(Hebb):
    """Changes the message that it was given."""

    def update(self, pre, post):
        super().update(pre, post)
        post *= 0


class Forgetful(Hebb):
    """Keeps a trace that a copy does not take along."""

    def __init__(self, n_post, n_pre):
        super().__init__(n_post, n_pre)
        self.trace = np.zeros((n_post, n_pre))

    def __getstate__(self):
        return {"weights": self.weights}

    def __setstate__(self, state):
        self.weights, self.trace = state["weights"], np.zeros_like(state["weights"])

    def update(self, pre, post):
        self.trace = 0.5 * self.trace + np.outer(post, pre)
        self.weights = self.weights + self.rate * self.trace
