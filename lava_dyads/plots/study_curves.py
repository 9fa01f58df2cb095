"""The results of a study: a metric over an option, with a band of one standard deviation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lava_dyads.errors import invalid, nearest
from lava_dyads.files import AnyPath
from lava_dyads.plots.canvas import canvas, finished, verbatim
from lava_dyads.studies import StudyResults
from lava_dyads.studies.comparison import SettingResult
from lava_dyads.studies.space import text_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 10
"""Lines of a picture; of more, those with the best settings."""


def study_curves(
    results: StudyResults, x: str = "", metric: str = "", path: AnyPath | None = None
) -> Figure:
    """Draw the settings of a study: a line for each setting of the other options.

    Where no option has several numbers, or ``x`` has texts, there is a point for each of its
    values, and a bar in the place of the band.

    Parameters
    ----------
    results : StudyResults
    x : str
        Option to the right; empty: the one with the most different numbers.
    metric : str
        Of the results; empty: that of the study.
    path : str, path or None
        Picture (PNG, PDF, SVG), written atomically.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValidationError
        If no run is finished, or there is no such option.
    """
    found = [one for one in results.settings(metric) if one.values]
    if not found:
        invalid("--plot", "no run is finished", str(results.folder), "later")
    if x and x not in results.options:
        hint = nearest(x, results.options)
        invalid("--x", "is no option of the study", x, hint)
    x = x or _right(found, results.options)
    lines: dict[str, list[SettingResult]] = {}
    for one in found:  # best first, and so are the lines
        others = [f"{k} {text_of(v)}" for k, v in one.setting.items() if k != x]
        lines.setdefault(", ".join(others), []).append(one)
    left = len(lines) - MOST
    lines = dict(list(lines.items())[:MOST])
    shown = [one for members in lines.values() for one in members]
    figure = canvas(6.4, 4.2 + 0.16 * len(lines))
    axes = figure.subplots()
    places = _places(shown, x)
    for i, (name, members) in enumerate(lines.items()):
        _draw(axes, places, sorted(members, key=lambda one: places[_value(one, x)]), x,
              verbatim(name), i)  # fmt: skip
    numbers = all(_is_number(one.setting.get(x)) for one in shown)
    if numbers and _by_logarithm(sorted(set(places.values()))):
        axes.set_xscale("log")
    if not numbers:
        axes.set_xticks(list(places.values()), [verbatim(name) for name in places])
        axes.margins(x=0.1)
    axes.set_xlabel(x.replace("_", " "))
    axes.set_ylabel(found[0].metric.replace("_", " "))
    axes.grid(alpha=0.3)
    seeds = max(one.runs for one in shown)
    rest = f"; {left} settings more, all below" if left > 0 else ""
    axes.set_title(f"mean of {seeds} seeds ± one standard deviation{rest}" if seeds > 1
                   else f"one seed{rest}", fontsize=9)  # fmt: skip
    if len(lines) > 1:
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", frameon=False, fontsize=8)
    return finished(figure, path)


def _draw(
    axes: Any, places: dict[str, float], members: list[SettingResult], x: str, name: str, i: int
) -> None:
    from matplotlib import colormaps

    colour = colormaps["tab10"](i % 10)
    at = np.array([places[_value(one, x)] for one in members])
    mean = np.array([one.mean for one in members])
    spread = np.array([one.deviation for one in members])
    if all(_is_number(one.setting.get(x)) for one in members) and len(members) > 1:
        axes.plot(at, mean, "o-", color=colour, markersize=3, label=name)
        there = np.isfinite(spread)
        axes.fill_between(at[there], (mean - spread)[there], (mean + spread)[there], color=colour,
                          alpha=0.2, linewidth=0)  # fmt: skip
    else:
        # Beside each other: bars at the same place would hide each other.
        beside = 0.0 if _is_number(members[0].setting.get(x)) else 0.06 * (i - (MOST - 1) / 2)
        axes.errorbar(at + beside, mean, np.nan_to_num(spread), fmt="o", color=colour, capsize=3,
                      markersize=4, label=name)  # fmt: skip


def _right(found: list[SettingResult], options: list[str]) -> str:
    """Return the option with the most different numbers, or the first there is."""
    counts = {
        name: len({one.setting.get(name) for one in found})
        for name in options
        if all(_is_number(one.setting.get(name)) for one in found)
    }
    return max(counts, key=lambda name: counts[name]) if counts else options[0]


def _places(found: list[SettingResult], x: str) -> dict[str, float]:
    """Return where each value of an option stands: numbers at their place, others in order."""
    if all(_is_number(one.setting.get(x)) for one in found):
        return {_value(one, x): float(one.setting[x]) for one in found}
    names = dict.fromkeys(_value(one, x) for one in sorted(found, key=lambda one: one.number))
    return {name: float(i) for i, name in enumerate(names)}


def _value(one: SettingResult, x: str) -> str:
    return text_of(one.setting.get(x))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _by_logarithm(values: list[float]) -> bool:
    """Tell whether numbers spread over more than a decade."""
    return len(values) > 2 and values[0] > 0 and values[-1] / values[0] >= 10
