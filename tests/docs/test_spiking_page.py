"""docs/spiking.md, 'The model, complete': a simulator written from the page spikes as ours does."""

import numpy as np
import pytest

from lava_dyads import Dataset, NetworkSpec, Trainer, TrainingConfig
from lava_dyads.experiments.spike_trains import random_problem, simulate
from lava_dyads.networks import Execution
from lava_dyads.rules.arithmetic import on_grid

OFFSET = 1.0


class Page:
    """One sample in one network, by the page alone; nothing of lava_dyads is used."""

    def __init__(self, weights, biases, alpha, beta, scale, window, hysteresis):
        self.w, self.b, self.alpha, self.beta = weights, biases, alpha, beta
        self.c, self.window, self.h = scale, window, hysteresis

    def present(self, x, y=None):
        """Return the spikes, [layer][side, step, unit]; y only while learning."""
        depth = len(self.w)
        steps = self.window + depth - 1
        sizes = [len(b) for b in self.b]
        v = [np.full((2, n), 0.5) for n in sizes]
        self.counts = [np.zeros((2, n)) for n in sizes]
        gap, self.reported = ([np.zeros(n) for n in sizes] for _ in range(2))
        m, r = ([np.zeros(n) for n in sizes] for _ in range(2))
        spikes = [np.zeros((2, steps, n), bool) for n in sizes]
        for n in range(1, steps + 1):
            before_m, before_r = [a.copy() for a in m], [a.copy() for a in r]
            for k in range(1, depth + 1):
                if n < k:
                    continue
                i, last = k - 1, k == depth
                bias = self.b[i] + (OFFSET if last else 0.0)
                if k == 1:
                    d = self.c * (self.w[0] @ x + bias)
                else:
                    d = self.w[i] @ before_m[i - 1] + self.c * bias
                u = np.zeros(sizes[i])
                if y is not None and last and n > depth:
                    u = self.beta * (self.c * (y + OFFSET) - before_m[i])
                elif y is not None and not last:
                    u = self.w[k].T @ before_r[k]
                v[i] += [d + (1 - self.alpha) * u, d - self.alpha * u]
                s = v[i] >= 1
                v[i] -= s
                self.counts[i] += s
                spikes[i][:, n - 1] = s
                m[i] = self.alpha * s[0] + (1 - self.alpha) * s[1]
                gap[i] += s[0].astype(float) - s[1]
                r[i] = np.where(np.abs(gap[i]) >= self.h, gap[i], 0.0)
                self.reported[i] += r[i]
                gap[i] -= r[i]
        return spikes

    def means(self):
        rate = self.c * self.window
        return [(self.alpha * n[0] + (1 - self.alpha) * n[1]) / rate for n in self.counts]

    def gradients(self, x):
        below = [x, *self.means()[:-1]]
        errors = [-d / (self.c * self.window) / self.beta for d in self.reported]
        return [np.outer(e, a) for e, a in zip(errors, below, strict=True)], errors


@pytest.mark.parametrize("sizes", [(6, 4), (6, 7, 4), (6, 9, 5, 4)])
@pytest.mark.parametrize(("alpha", "hysteresis"), [(0.5, 1), (0.0, 1), (1.0, 2), (0.25, 3)])
def test_the_page_spikes_as_the_package_does(sizes, alpha, hysteresis):
    numbers = {"alpha": alpha, "beta": 0.5, "scale": 0.25, "window": 32, "hysteresis": hysteresis}
    spec = NetworkSpec(sizes, rule="spiking", bias_deviation=0.1, seed=3, **numbers)
    problem = random_problem(spec, samples=3)
    steps = 32 + len(sizes) - 2
    ours = simulate(problem, steps).trains
    for sample, (x, y) in enumerate(zip(problem.x, problem.y, strict=True)):
        trains = Page(problem.weights, problem.biases, **numbers).present(x, y)
        for mine, theirs in zip(ours, trains, strict=True):
            assert theirs.any()
            assert np.array_equal(mine[:, :, sample], theirs)


@pytest.mark.parametrize("sizes", [(6, 4), (6, 9, 5, 4)])
@pytest.mark.parametrize(("alpha", "hysteresis"), [(0.5, 1), (0.25, 2)])
def test_the_page_learns_and_answers_as_the_package_does(sizes, alpha, hysteresis):
    numbers = {"alpha": alpha, "beta": 0.5, "scale": 0.25, "window": 32, "hysteresis": hysteresis}
    spec = NetworkSpec(sizes, rule="spiking", bias_deviation=0.1, seed=3, **numbers)
    problem = random_problem(spec, samples=40)
    data = Dataset("few", problem.x, np.arange(40) % 4)
    rate = 0.25
    config = TrainingConfig(epochs=1, batch_size=30, optimiser="sgd", learning_rate=rate)
    begin = [on_grid(w) for w in problem.weights], [on_grid(b) for b in problem.biases]
    execution = Execution(runtime="reference")
    with Trainer(spec, data, config, execution, parameters=begin) as trainer:
        page = Page(*begin, **numbers)
        right = 0
        for row in trainer.test_rows:
            page.present(data.x[row])
            right += int(np.argmax(page.means()[-1] - OFFSET) == data.labels[row])
        assert trainer.evaluate().accuracy == pytest.approx(right / len(trainer.test_rows))
        rows = trainer.train_rows
        trainer.fit()
        after = trainer.parameters()
    sums = [[np.zeros_like(a) for a in kind] for kind in begin]
    for row in rows:
        page.present(data.x[row], np.eye(4)[data.labels[row]])
        for kind, found in zip(sums, page.gradients(data.x[row]), strict=True):
            for total, gradient in zip(kind, found, strict=True):
                total += gradient
    assert len(rows) == 30
    for kind, start, end in zip(sums, begin, after, strict=True):
        for total, a, b in zip(kind, start, end, strict=True):
            np.testing.assert_allclose(b, a - rate * total / len(rows), atol=1e-12)
            assert np.any(a != b)
