"""How far the states of random spiking networks stay from the rate fixed point, in spikes."""

from itertools import product

import numpy as np
from rich.console import Console
from rich.table import Table

from lava_dyads import NetworkSpec
from lava_dyads.errors import ValidationError
from lava_dyads.experiments import random_problem, simulate
from lava_dyads.experiments.spiking import (
    BOUND,
    BURN_IN,
    PHASES,
    WINDOWS,
    deviations,
    rate_fixed_point,
)

NETWORKS = {(8, 16, 12, 4): ("", 334), (64, 32, 10): ("digits", 4), (64, 64, 10): ("digits", 4)}
"""Layers: data set and number of seeds."""


def run(alphas: tuple[float, ...] = (0.0, 0.5, 1.0)) -> np.ndarray:
    """Print how many networks keep the bound, with single and with averaged counts."""
    found = []
    for (layers, (dataset, seeds)), alpha in product(NETWORKS.items(), alphas):
        for seed in range(seeds):
            spec = NetworkSpec(
                layers,
                rule="spiking",
                alpha=alpha,
                beta=0.25,
                scale=0.25,
                window=WINDOWS[-1],
                bias_deviation=0.1,
                seed=seed,
            )
            problem = random_problem(spec, 16, dataset)
            try:
                fixed_point = rate_fixed_point(problem)
            except ValidationError:  # an activity that takes more than a spike per step
                continue
            trains = simulate(problem, BURN_IN + WINDOWS[-1] + PHASES).trains
            both = [deviations(problem, trains, WINDOWS, fixed_point, n) for n in (1, PHASES)]
            found.append(np.max(both, axis=1))
    worst = np.array(found)
    table = Table(title=f"{len(worst)} networks, largest error of a state")
    for column in ("", f"within {BOUND:g} spikes", "median", "largest"):
        table.add_column(column, justify="right")
    for name, errors in zip(("single counts", f"mean of {PHASES} windows"), worst.T, strict=True):
        held = np.count_nonzero(errors <= BOUND)
        table.add_row(name, str(held), f"{np.median(errors):.2f}", f"{errors.max():.2f}")
    Console().print(table)
    return worst
