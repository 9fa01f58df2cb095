"""The schedule of samples that are sequences, against a plain count."""

import numpy as np
import pytest

from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.errors import ValidationError


@pytest.mark.parametrize("learn_at", ["end", "frame", "last"])
@pytest.mark.parametrize(
    ("samples", "lanes", "batch", "frames"),
    [(7, 1, 1, 3), (7, 2, 4, 3), (8, 4, 4, 2), (5, 3, 6, 4), (3, 4, 4, 2), (9, 2, 2, 1)],
)
def test_batches_hold_each_frame_that_teaches_once(learn_at, samples, lanes, batch, frames):
    schedule = PresentationSchedule(1, lanes, batch, stream=True, frames=frames, learn_at=learn_at)
    schedule.window[:] = 5, samples * frames
    count = schedule.presentations(samples * frames)
    assert count == -(-samples // lanes) * frames
    clocks = [schedule.at(6 + p) for p in range(count)]
    shown, waiting, updates = [], 0, []
    for number, clock in enumerate(clocks):
        group, frame = divmod(number, frames)
        width = min(lanes, samples - group * lanes)
        assert clock.valid == width
        assert clock.start == len(shown)
        shown += [None] * width
        assert (clock.kept, clock.final) == (frame > 0, frame == frames - 1)
        assert clock.learn == (learn_at != "last" or clock.final)
        waiting += width * clock.learn
        if clock.batch:
            updates.append(clock.batch)
            assert clock.batch == waiting  # all that was nudged since, and nothing else
            waiting = 0
    assert len(shown) == samples * frames
    assert waiting == 0
    per_update = {"end": batch * frames, "last": batch, "frame": batch}[learn_at]
    assert all(n <= per_update for n in updates)
    if learn_at == "end":
        assert len(updates) == -(-samples // batch)


def test_without_sequences_it_is_as_ever():
    schedule = PresentationSchedule(2, 2, 4, stream=True)
    schedule.window[:] = 0, 7
    clocks = [schedule.at(t) for t in range(1, 9)]
    assert [c.batch for c in clocks] == [0, 0, 0, 4, 0, 0, 0, 3]
    assert [c.kept for c in clocks[::2]] == [False, True, True, True]
    assert not any(c.final for c in clocks)
    assert [c.goes_on for c in clocks] == [True] * 8
    alone = PresentationSchedule(2, 2, 4)
    assert [alone.at(t).goes_on for t in (1, 2)] == [True, False]
    with pytest.raises(ValidationError, match="learn_at: must be end or frame or last"):
        PresentationSchedule(learn_at="never")


def test_samples_are_shown_side_by_side_frame_by_frame():
    schedule = PresentationSchedule(1, 2, frames=3)
    rows = schedule.rows(np.array([4, 0, 2]))
    assert rows.tolist() == [12, 0, 13, 1, 14, 2, 6, 7, 8]
    assert PresentationSchedule(1, 2).rows(np.array([4, 0])).tolist() == [4, 0]
