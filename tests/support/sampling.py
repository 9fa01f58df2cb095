"""A part of a large matrix of cases, another one every day: what the marker ``sampled`` does."""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from typing import Any


def dimensions(parameters: Mapping[str, Any]) -> dict[Hashable, Hashable]:
    """Return what a case is made of: plain values, the entries of tuples, objects as such."""
    found: dict[Hashable, Hashable] = {}
    for name, value in parameters.items():
        for place, part in enumerate(value if isinstance(value, tuple) else (value,)):
            plain = isinstance(part, str | int | float | None)
            found[name, place] = part if plain else id(part)
    return found


def sample_of_the_day(cases: Sequence[Mapping], one_in: int, seed: str) -> list[int]:
    """Return the positions of about one in ``one_in`` cases, in order.

    Every value that a dimension has is in the sample, however many cases that takes; pairs of
    values that are not in it yet go first. A dimension that differs in every case is none.
    """
    names = {name for case in cases for name in case}
    several = [name for name in names if len({case.get(name) for case in cases}) < len(cases)]
    values = [{(name, case[name]) for name in several if name in case} for case in cases]
    pairs = [set(combinations(sorted(v, key=lambda item: item[0]), 2)) for v in values]
    new_values, new_pairs = set().union(*values), set().union(*pairs)
    order = list(range(len(cases)))
    random.Random(seed).shuffle(order)
    drawn: list[int] = []
    while order and (new_values or len(drawn) * one_in < len(cases)):
        best = max(order, key=lambda i: (len(values[i] & new_values), len(pairs[i] & new_pairs)))
        order.remove(best)
        drawn.append(best)
        new_values -= values[best]
        new_pairs -= pairs[best]
    return sorted(drawn)
