"""Images as streams of events: what comes out can be turned back; and files of events."""

import struct

import numpy as np
import pytest

from lava_dyads.data.encoders import Latency, LevelCrossing, Rate, saccades
from lava_dyads.data.event_formats import read_events
from lava_dyads.data.events import EVENT
from lava_dyads.errors import DataError, ValidationError

IMAGE = np.random.default_rng(0).random((9, 7)) * (np.random.default_rng(1).random((9, 7)) > 0.4)
ENCODERS = [Latency(), Rate(), LevelCrossing(0.1, step=500)]


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda e: type(e).__name__)
def test_events_are_columns_in_the_order_of_time_and_the_same_again(encoder):
    events = encoder.encode(IMAGE)
    assert events.dtype == EVENT
    assert len(events) > 20
    assert (np.diff(events["t"]) >= 0).all()
    assert set(np.unique(events["polarity"])) <= {-1, 1}
    np.testing.assert_array_equal(events, encoder.encode(IMAGE))
    assert len(encoder.encode(np.zeros((4, 4)))) == 0


def test_a_latency_gives_the_value_back():
    code = Latency(duration=1000)
    events = code.encode(IMAGE)
    assert len(events) == np.count_nonzero(IMAGE)
    np.testing.assert_allclose(code.decode(events, IMAGE.shape), IMAGE, atol=0.5 / 1000 + 1e-12)
    bright = Latency(threshold=0.5).encode(IMAGE)
    assert (IMAGE[bright["y"], bright["x"]] > 0.5).all()


def test_rates_estimate_the_values_within_the_binomial_deviation():
    code = Rate(duration=2_000_000, bin=1000, rate=500)
    estimate = code.decode(code.encode(IMAGE), IMAGE.shape)
    deviation = np.sqrt(IMAGE * (1 - code.probability * IMAGE) / (code.bins * code.probability))
    assert (np.abs(estimate - IMAGE) <= 5 * deviation).all()
    another = Rate(2_000_000, 1000, 500, seed=1)
    assert (another.decode(another.encode(IMAGE), IMAGE.shape) != estimate).any()


def test_a_pixel_crosses_levels_where_the_ramp_does():
    """A bright column that moves right by a pixel in 1 s: v = 1 - t on it, t beside it."""
    image = np.zeros((1, 3))
    image[0, 1] = 1.0
    path = np.array([[0, 0, 0], [1_000_000, 1, 0]])
    events = LevelCrossing(0.25, path, step=100_000).encode(image)
    for column, polarity in ((1, -1), (2, 1)):
        here = events[events["x"] == column]
        assert here["t"].tolist() == [250_000, 500_000, 750_000, 1_000_000]
        assert set(here["polarity"]) == {polarity}
    assert len(events) == 8


@pytest.mark.parametrize("threshold", [0.07, 0.3])
def test_crossings_follow_the_moving_image_within_the_threshold(threshold):
    code = LevelCrossing(threshold, saccades(3.0, 60_000), step=500)
    events = code.encode(IMAGE)
    for time in code.times()[::7]:
        error = code.decode(events, IMAGE, time + 0.5) - code.moved(IMAGE, time)
        assert np.abs(error).max() <= threshold + 1e-6
    np.testing.assert_allclose(code.moved(IMAGE, 60_000), IMAGE)  # back where it began


def test_the_moving_image_is_shifted_right_and_down():
    image = np.zeros((5, 5))
    image[1, 1] = 1.0
    code = LevelCrossing(path=np.array([[0, 0, 0], [100, 2, 1]]))
    np.testing.assert_array_equal(np.argwhere(code.moved(image, 100)), [[2, 3]])
    half = code.moved(image, 50)  # half a row down, a column to the right
    assert half[1, 2] == half[2, 2] == 0.5


def written(path, rows):
    """The format, by hand: x, y, polarity bit and 23 bits of time."""
    bits = b"".join(struct.pack(">BBBH", x, y, p << 7 | t >> 16, t & 0xFFFF) for x, y, p, t in rows)
    path.write_bytes(bits)
    return path


def test_a_file_of_events_is_read(tmp_path):
    rows = [(1, 33, 1, 5), (0, 2, 0, 70_000), (33, 0, 1, (1 << 23) - 1)]
    events = read_events(written(tmp_path / "e.bin", rows))
    assert events.dtype == EVENT
    assert events["x"].tolist() == [1, 0, 33]
    assert events["y"].tolist() == [33, 2, 0]
    assert events["polarity"].tolist() == [1, -1, 1]
    assert events["t"].tolist() == [5, 70_000, 8_388_607]


def test_a_clock_that_overflowed_goes_on(tmp_path):
    rows = [(1, 1, 1, 8000), (0, 240, 0, 8191), (2, 1, 1, 10), (0, 240, 0, 8191), (3, 1, 0, 7)]
    events = read_events(written(tmp_path / "e.bin", rows))
    assert events["t"].tolist() == [8000, 8192 + 10, 2 * 8192 + 7]


def test_a_broken_file_of_events_is_one_line(tmp_path):
    path = written(tmp_path / "e.bin", [(1, 2, 1, 3), (4, 50, 0, 6)])
    with pytest.raises(
        DataError, match=r"event 1 at byte 5: .* within the sensor \(34, 34\) \(got \(50, 4"
    ):
        read_events(path)
    assert len(read_events(path, (180, 240))) == 2
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(
        DataError, match=r"truncated: .* records of 5 bytes \(got '8 bytes, 3"
    ) as caught:
        read_events(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="cannot be read"):
        read_events(tmp_path / "nowhere.bin")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Latency(0), "duration: must be positive"),
        (lambda: Latency(threshold=1), r"must lie in \[0, 1\)"),
        (lambda: Rate(1500), "multiple of bin"),
        (lambda: Rate(rate=2000), r"rate \* bin must lie in \(0, 1\]"),
        (lambda: LevelCrossing(0), "threshold: must be positive"),
        (lambda: LevelCrossing(step=0), "step: must be at least 1"),
        (lambda: LevelCrossing(path=np.zeros((2, 2))), "time, shift right, shift down"),
        (lambda: LevelCrossing(path=np.zeros((2, 3))), "begin at 0 and grow"),
        (lambda: Latency().encode(np.ones(3)), r"shape \(rows, columns\)"),
        (lambda: Rate().encode([[0.5, 7.0]]), r"image\[0, 1\]: must lie in \[0, 1\] \(got 7.0\)"),
    ],
)
def test_bad_input_is_one_line(make, text):
    with pytest.raises(ValidationError, match=text) as caught:
        make()
    assert "\n" not in str(caught.value)
