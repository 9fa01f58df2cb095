"""The steps of a spiking presentation as compiled code.

Imported where numba is installed only, see :mod:`lava_dyads.native.registry`. All of it stands in
one file, for numba keeps what it has compiled until the file of a function changes. What the dyads
do comes as programs (``native.programs``); here it is only said when, and what a spike reaches.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from lava_dyads.array_types import AnyArray

INSTRUCTIONS = ("add", "subtract", "multiply", "less_equal", "constant")
"""Those that it carries out, by number."""

BLOCK = 128
"""Dyads at a time: their values stay in the cache."""

_compiled: Any = njit(nogil=True, error_model="numpy", cache=True)


@_compiled
def _carry_out(program: Any, given: AnyArray, low: int, high: int) -> None:
    """Run a program on the columns low .. high of what is given; constants are there already."""
    rows, _, made = program
    inputs, n = len(given), high - low
    for k in range(len(rows)):
        code, x, y = rows[k, 0], rows[k, 1], rows[k, 2]
        if code == 4:
            continue
        a = given[x, low:high] if x < inputs else made[x - inputs, :n]
        b = given[y, low:high] if y < inputs else made[y - inputs, :n]
        to = made[k, :n]
        if code == 0:
            for i in range(n):
                to[i] = a[i] + b[i]
        elif code == 1:
            for i in range(n):
                to[i] = a[i] - b[i]
        elif code == 2:
            for i in range(n):
                to[i] = a[i] * b[i]
        else:
            for i in range(n):
                to[i] = 1 if a[i] <= b[i] else 0


@_compiled
def _copy(values: AnyArray, to: AnyArray) -> None:
    for i in range(to.size):
        to[i] = values[i]


@_compiled
def _advance(dyads: Any, drives: AnyArray, end: int, fired: AnyArray) -> None:
    """Move the potentials, and note who spikes; what has arrived is used up."""
    _, results, made = dyads
    plus, minus = made[results[2]], made[results[3]]
    for low in range(0, end, BLOCK):
        high = min(low + BLOCK, end)
        _carry_out(dyads, drives, low, high)
        _copy(made[results[0]], drives[0, low:high])
        _copy(made[results[1]], drives[1, low:high])
        drives[2, low:high] = 0
        drives[4, low:high] = 0
        here = fired[low:high]
        for i in range(here.size):
            here[i] = (plus[i] > 0) + 2 * (minus[i] > 0)


@_compiled
def _add(weights: AnyArray, size: Any, to: AnyArray) -> None:
    for i in range(to.size):
        to[i] += size * weights[i]


@_compiled
def _spiking(fired: AnyArray, who: AnyArray) -> Any:
    """Write the numbers of those that spike, without a branch; return how many there are."""
    count = 0
    for i in range(fired.size):
        who[count] = i
        count += fired[i] != 0
    return count


@_compiled
def _tell(
    k: int, wiring: Any, fired: AnyArray, who: AnyArray, rises: AnyArray, sums: AnyArray,
    drives: AnyArray, change: AnyArray, events: AnyArray,
) -> None:  # fmt: skip
    """Count the spikes of a layer, and add to what the dyads above and below receive."""
    ends, widths, starts, up, down = wiring
    above, below = widths[k + 1] if k + 1 < len(widths) else 0, widths[k - 1] if k else 0
    width, lane, begin = widths[k], 0, 0
    for number in range(_spiking(fired[ends[k] : ends[k + 1]], who)):
        i = who[number]
        while i >= begin + width:
            lane, begin = lane + 1, begin + width
        both, j = fired[ends[k] + i], i - begin
        for row in range(4):
            sums[ends[k] + i, row] += rises[row, both]
        mean, difference = rises[2, both], rises[3, both]
        if mean != 0:
            events[k, 0] += 1
            if above:
                to, at = ends[k + 1] + lane * above, starts[k + 1] + j * above
                _add(up[at : at + above], mean, drives[2, to : to + above])
            else:
                change[i] = mean
        if difference != 0:
            events[k, 1] += 1
            if below:
                to, at = ends[k - 1] + lane * below, starts[k] + j * below
                _add(down[at : at + below], difference, drives[4, to : to + below])


@_compiled
def _nudge(output: Any, pulls: AnyArray, apical: AnyArray) -> None:
    """Set pull and apical drive of the output by its aim and the change of its mean."""
    _, results, made = output
    for low in range(0, apical.size, BLOCK):
        high = min(low + BLOCK, apical.size)
        _carry_out(output, pulls[:2], low, high)
        pulls[2, low:high] = made[results[0], : high - low]
        apical[low:high] = made[results[1], : high - low]


@_compiled
def take_steps(
    dyads: Any, output: Any, wiring: Any, drives: AnyArray, pulls: AnyArray, sums: AnyArray,
    rises: AnyArray, room: Any, events: AnyArray, trains: AnyArray, learn: bool,
) -> None:  # fmt: skip
    """Take the steps from the second one on.

    Parameters
    ----------
    dyads, output : tuples
        Programs: instructions; where the results are made; and room for what is made,
        (instructions, BLOCK). From V+, V-, basal, steady and apical drive to V+, V-, S+ and S-;
        and from aim and change of the mean to pull and apical drive of the output.
    wiring : tuple
        Where layers begin and end, (layers + 1,); their widths; and the weights from each dyad to
        all above, and to all below (of the feedback), all layers end to end, after where those
        begin in them that layer k and the one below share, (layers,).
    drives : array, shape (5, n)
        What the first program is given, of all layers end to end: each (lanes, width).
    pulls : array, shape (3, lanes * width of the output)
        Aim, change of the mean, pull.
    sums : array, shape (n, 4)
        s+, s-, mean and difference.
    rises : array, shape (4, 4)
        By how much they rise where [nothing, plus, minus, both] spikes.
    room : tuple
        Arrays of shape (n,): uint8, zeros; and int.
    events : int array, shape (steps, layers, 2)
        Takes how many means and differences have changed.
    trains : bool array, shape (steps or 0, 2, n)
        Takes the spikes.
    learn : bool
        Whether the output is nudged.
    """
    ends, depth, (fired, who) = wiring[0], events.shape[1], room
    for step in range(len(events)):
        arrived = min(step + 1, depth)  # layers that the wave has reached
        _advance(dyads, drives, ends[arrived], fired)
        pulls[1] = 0
        for k in range(arrived):
            _tell(k, wiring, fired, who, rises, sums, drives, pulls[1], events[step])
        if learn and arrived == depth:
            _nudge(output, pulls, drives[4, ends[depth - 1] :])
        if len(trains):
            for i in range(ends[arrived]):
                trains[step, 0, i] = fired[i] & 1
                trains[step, 1, i] = fired[i] > 1
