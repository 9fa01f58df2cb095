"""Recordings as sequences of frames: by plain counting, from folders, from spikes."""

import hashlib
import importlib.util
import json
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from lava_dyads import load
from lava_dyads.cli import main
from lava_dyads.data.archives import Archive, ArchivedEvents
from lava_dyads.data.binning import Binning
from lava_dyads.data.encoders import GESTURES, EventCamera, Gestures, gesture
from lava_dyads.data.event_formats.shd import is_shd, read_words
from lava_dyads.data.event_sets import is_event_set, load_events
from lava_dyads.data.events import EVENT
from lava_dyads.errors import DataError, ValidationError

spec = importlib.util.spec_from_file_location(
    "event_files", Path(__file__).with_name("test_event_formats.py")
)
files = importlib.util.module_from_spec(spec)
spec.loader.exec_module(files)


def counted(events, bins, sensor, of):
    """Return the counts (bins, 2, rows, columns), one event after the other."""
    made = np.zeros((bins, 2, *sensor), int)
    for number, (_, x, y, polarity) in enumerate(events.tolist()):
        made[of(number), int(polarity < 0), y, x] += 1
    return made


def test_bins_of_time_and_of_counts_hold_each_event_once():
    events, sensor = files.drawn(300, (6, 7)), (6, 7)
    t = events["t"] - events["t"][0]
    length = t[-1] + 1
    by_time = counted(events, 5, sensor, lambda n: t[n] * 5 // length)
    by_count = counted(events, 5, sensor, lambda n: n // 60)
    for edges, expected in (("time", by_time), ("count", by_count)):
        binning = Binning(5, edges=edges, accumulate=False)
        np.testing.assert_array_equal(binning.counts(events, sensor), expected)
        summed = Binning(5, edges=edges, peak=3).frames(events, sensor)
        np.testing.assert_allclose(summed, np.minimum(np.cumsum(expected, axis=0), 3) / 3)
        sign = Binning(5, edges=edges, values="sign").frames(events, sensor)
        np.testing.assert_array_equal(sign, np.cumsum(expected, axis=0) > 0)
    windows = Binning(window=1000, accumulate=False).counts(events, sensor)
    expected = counted(events, -(-int(length) // 1000), sensor, lambda n: t[n] // 1000)
    np.testing.assert_array_equal(windows, expected)


def test_pixels_are_brought_together():
    events = files.drawn(300, (5, 7))
    fine = Binning(3).counts(events, (5, 7))
    coarse = Binning(3, shrink=2).counts(events, (5, 7))
    assert coarse.shape == (3, 2, 3, 4)
    padded = np.pad(fine, ((0, 0), (0, 0), (0, 1), (0, 1)))
    blocks = padded.reshape(3, 2, 3, 2, 4, 2).sum(axis=(3, 5))
    np.testing.assert_array_equal(coarse, blocks)
    assert not Binning(3).counts(events[:0], (5, 7)).any()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"bins": 0}, "bins: must be at least 1"),
        ({"edges": "space"}, "edges: must be time or count"),
        ({"values": "sum"}, "values: must be count or sign"),
    ],
)
def test_a_bad_binning_is_refused(options, text):
    with pytest.raises(ValidationError, match=text):
        Binning(**options)
    with pytest.raises(ValidationError, match="more than 1000 bins"):
        Binning(window=1).counts(files.drawn(300), (34, 34))


def folder_of(path, suffix, write, parts=("",), shape=(34, 34)):
    """Two classes, three recordings each, in each part; return the recordings in order."""
    made = []
    for part in parts:
        for label, name in enumerate(("cat", "dog")):
            place = path / part / name
            place.mkdir(parents=True)
            for number in range(3):
                events = files.drawn(80 + number, shape, seed=len(made))
                (place / f"{number}{suffix}").write_bytes(write(events))
                made.append((events, label))
    return made


@pytest.mark.parametrize(
    ("suffix", "write", "shape"),
    [(".bin", files.nmnist, (34, 34)), (".aedat", files.caer, (260, 346))],
)
def test_a_folder_of_event_files_by_class_is_sequences(tmp_path, suffix, write, shape):
    made = folder_of(tmp_path / "pets", suffix, write, ("Train", "Test"), shape)
    (tmp_path / "pets" / "Train" / "cat" / "notes.txt").write_text("a note")
    assert is_event_set(tmp_path / "pets")
    binning = Binning(4, shrink=8)
    data = load_events(tmp_path / "pets", binning)
    assert (data.frames, data.class_names, data.official_training_rows) == (4, ("cat", "dog"), 6)
    assert data.labels.tolist() == [label for _, label in made]
    for row, (events, _) in zip(data.x, made, strict=True):
        np.testing.assert_array_equal(row, binning.frames(events, shape).ravel())
    assert load_events(tmp_path / "pets" / "Test").official_training_rows is None


def test_recordings_of_different_length_hold_their_last_frame(tmp_path):
    made = folder_of(tmp_path, ".bin", files.nmnist)
    data = load_events(tmp_path, Binning(window=500, shrink=17))
    frames = [Binning(window=500, shrink=17).frames(e, (34, 34)) for e, _ in made]
    assert data.frames == max(map(len, frames)) > min(map(len, frames))
    for row, shown in zip(data.x.reshape(6, data.frames, -1), frames, strict=True):
        flat = shown.reshape(len(shown), -1)
        np.testing.assert_array_equal(row[: len(shown)], flat)
        assert (row[len(shown) :] == flat[-1]).all()


def one_line(call):
    with pytest.raises(DataError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_wrong_in_a_folder_is_one_line_with_the_file(tmp_path):
    assert not is_event_set(tmp_path)
    assert "holds no event files by class" in one_line(lambda: load_events(tmp_path))
    folder_of(tmp_path, ".bin", files.nmnist)
    broken = tmp_path / "dog" / "1.bin"
    broken.write_bytes(broken.read_bytes()[:-1])
    text = one_line(lambda: load_events(tmp_path))
    assert str(broken) in text
    assert "is truncated" in text
    broken.unlink()
    large = tmp_path / "dog" / "1.dat"
    large.write_bytes(files.dat(files.drawn(50, (240, 304))))
    assert "same sensor as the others, (34, 34)" in one_line(lambda: load_events(tmp_path))
    large.write_bytes(files.dat(files.drawn(50), head=b""))
    for file in tmp_path.glob("*/*.bin"):
        file.unlink()
    text = one_line(lambda: load_events(tmp_path))
    assert "does not say rows and columns of its sensor" in text
    assert load_events(tmp_path, sensor=(34, 34)).inputs == 2 * 34 * 34


def words(path, times, units, labels, keys=("zero", "one", "two")):
    """Write the arrays of SHD."""
    with h5py.File(path, "w") as file:
        spikes = file.create_group("spikes")
        for name, rows, kind in (("times", times, np.float32), ("units", units, np.uint16)):
            made = spikes.create_dataset(name, (len(rows),), dtype=h5py.vlen_dtype(kind))
            for k, row in enumerate(rows):
                made[k] = row
        file["labels"] = np.asarray(labels)
        file["extra/keys"] = [key.encode() for key in keys]
    return path


def spoken(seed, samples=5):
    generator = np.random.default_rng(seed)
    sizes = generator.integers(20, 60, samples)
    times = [np.sort(generator.random(n)).astype(np.float32) for n in sizes]
    return times, [generator.integers(0, 700, n) for n in sizes], np.arange(samples) % 3


def test_spikes_of_words_are_read_in_full(tmp_path):
    made = [spoken(seed) for seed in (0, 1)]
    for part, arrays in zip(("train", "test"), made, strict=True):
        words(tmp_path / f"shd_{part}.h5", *arrays)
    assert is_shd(tmp_path / "shd_train.h5")
    assert is_event_set(tmp_path)
    read = read_words(tmp_path / "shd_train.h5")
    for events, seconds, units in zip(read.events, *made[0][:2], strict=True):
        assert events.dtype == EVENT
        np.testing.assert_array_equal(events["t"], np.rint(seconds.astype(float) * 1e6))
        np.testing.assert_array_equal(events["x"], units)
    data = load_events(tmp_path, Binning(6, shrink=10, accumulate=False, peak=1))
    assert (data.frames, data.inputs, data.official_training_rows) == (6, 70, 5)
    assert data.class_names == ("zero", "one", "two")
    assert data.labels.tolist() == [0, 1, 2, 0, 1] * 2
    seconds, units = made[1][0][2].astype(float), made[1][1][2]
    us = np.rint(seconds * 1e6).astype(int)
    bins = (us - us[0]) * 6 // (us[-1] - us[0] + 1)
    expected = np.zeros((6, 70))
    expected[bins, units // 10] = 1
    np.testing.assert_array_equal(data.x[5 + 2].reshape(6, 70), expected)
    assert load_events(tmp_path / "shd_test.h5").official_training_rows is None


def test_reading_spikes_costs_a_few_times_what_h5py_needs_for_them(tmp_path):
    generator = np.random.default_rng(0)
    times = [np.sort(generator.random(5000)).astype(np.float32) for _ in range(30)]
    path = words(tmp_path / "shd_train.h5", times, [np.arange(5000) % 700] * 30, np.arange(30) % 3)

    def by_h5py():
        with h5py.File(path, "r") as file:
            return file["spikes/times"][()], file["spikes/units"][()]

    def best(call):
        spent = []
        for _ in range(5):
            begin = time.process_time()
            call()
            spent.append(time.process_time() - begin)
        return min(spent)

    assert best(lambda: read_words(path)) < 10 * best(by_h5py) + 0.01


def test_spikes_that_cannot_be_are_one_line(tmp_path):
    times, units, labels = spoken(0)
    path = tmp_path / "shd_train.h5"

    def refused(times=times, units=units, labels=labels):
        return one_line(lambda: read_words(words(path, times, units, labels)))

    outside, late, early = ([*rows] for rows in (units, times, times))
    outside[1] = units[1].copy()
    outside[1][3] = 700
    assert "sample 1, spike 3: time must lie in 0 .. 3600 s and unit in 0 .. 699" in refused(
        units=outside
    )
    for rows, value in ((late, 1e9), (early, -1.0)):
        rows[2] = times[2].copy()
        rows[2][0] = value
        text = refused(times=rows)
        assert "sample 2, spike 0: time must lie in 0 .. 3600 s" in text
        assert f"(got '{value:g} s" in text
    shorter = [*times]
    shorter[4] = times[4][:-1]
    assert "sample 4: must have spikes, as many times as units" in refused(times=shorter)
    shorter[4], empty = times[4][:0], [*units]
    empty[4] = units[4][:0]
    assert "sample 4: must have spikes" in refused(times=shorter, units=empty)
    assert "as many times and units as labels" in refused(labels=labels[:-1])
    with h5py.File(path, "w") as file:
        file["x"] = np.zeros(3)
    assert "no spikes/times" in one_line(lambda: read_words(path))
    content = words(path, times, units, labels).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "cannot be read" in one_line(lambda: read_words(path))
    assert not is_shd(path)


def test_a_camera_sends_an_event_per_threshold_of_the_logarithm():
    """A pixel whose log light rises by 10 thresholds, evenly, and falls by 4; one that stays."""
    camera = EventCamera(threshold=0.1, spread=0, refractory=0, noise=0, dark=0.1)
    logs = np.array([0.0, 1.0, 0.6])
    video = np.full((3, 1, 2), 0.05)
    video[:, 0, 1] = 0.1 * (np.exp(logs) - 1)
    events = camera.record(video, 20_000)
    assert set(events["x"]) == {1}
    assert events["polarity"].tolist() == [1] * 10 + [-1] * 4
    np.testing.assert_allclose(
        events["t"], [*np.arange(1, 11) * 1000, *(10_000 + np.arange(1, 5) * 2500)], atol=1
    )


def test_a_refractory_pixel_loses_none_of_the_change_and_no_event_comes_too_early():
    camera = EventCamera(threshold=0.1, spread=0, refractory=3000, noise=0, dark=0.1)
    video = 0.1 * (np.exp(np.array([0.0, 1.0])) - 1)[:, None, None]
    events = camera.record(video, 10_000)
    assert (np.diff(events["t"]) >= 3000).all()
    assert events["t"][0] == 1000
    assert 3 <= len(events) <= 4
    free = EventCamera(threshold=0.1, spread=0, refractory=0, noise=0, dark=0.1)
    assert len(free.record(video, 10_000)) == 10


def test_noise_has_its_rate_and_what_stands_still_is_silent_without():
    still = np.full((2, 40, 40), 0.5)
    assert len(EventCamera(noise=0).record(still, 1_000_000)) == 0
    count = len(EventCamera(noise=2.0).record(still, 5_000_000))
    assert abs(count - 2 * 5 * 1600) < 5 * np.sqrt(2 * 5 * 1600)


def test_recordings_are_the_same_again_and_by_themselves():
    made = Gestures(per_class=2)
    recordings, labels = made.recordings()
    again, _ = Gestures(per_class=2).recordings()
    assert labels.tolist() == [*range(8)] * 2
    for events, other in zip(recordings, again, strict=True):
        np.testing.assert_array_equal(events, other)
    alone = made.camera.record(gesture("down", 2), made.duration, 2)
    np.testing.assert_array_equal(recordings[list(GESTURES).index("down")], alone)
    other, _ = Gestures(per_class=1, seed=1).recordings()
    assert len(other[0]) != len(recordings[0])


def test_gestures_move_as_their_names_say():
    def centre(name, k):
        image = gesture(name, 3)[k]
        weights = image - image.min()
        y, x = np.indices(image.shape)
        return np.array([(weights * x).sum(), (weights * y).sum()]) / weights.sum()

    for name, axis, sign in (("right", 0, 1), ("left", 0, -1), ("down", 1, 1), ("up", 1, -1)):
        assert sign * (centre(name, -1) - centre(name, 0))[axis] > 5
    light = [gesture(name, 3).sum(axis=(1, 2)) for name in ("expand", "contract")]
    assert light[0][-1] > light[0][0]
    assert light[1][-1] < light[1][0]
    for name, sense in (("clockwise", 1), ("counterclockwise", -1)):
        path = np.array([centre(name, k) for k in range(15, 40)]) - 11.5
        turned = np.diff(np.unwrap(np.arctan2(path[:, 1], path[:, 0])))
        assert sense * turned.sum() > 0.5  # rows are counted downwards
    with pytest.raises(ValidationError, match="gesture: unknown name"):
        gesture("wave", 0)


def test_a_video_that_is_none_is_refused():
    for video, text in (
        (np.zeros((3, 3)), "two images or more"),
        (np.zeros((1, 3, 3)), "two images or more"),
        (np.full((2, 3, 3), 2.0), r"must lie in \[0, 1\]"),
    ):
        with pytest.raises(ValidationError, match=text):
            EventCamera().record(video, 1000)


def test_a_folder_is_trained_on_and_measured_again_as_it_was_read(tmp_path, capsys):
    folder_of(tmp_path / "pets", ".bin", files.nmnist, ("train", "test"))
    run = str(tmp_path / "run")
    line = f"train {tmp_path / 'pets'} --bins 3 --shrink 17 --peak 2 --bin-by count --layers 6"
    line += f" --epochs 2 --batch-size 3 --out {run} --runtime reference --json"
    assert main([*line.split(), "--readout", "mean"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert (table["layers"], table["frames"]) == ([8, 6, 2], 3)
    assert 1 <= table["test_delay"] <= 3
    assert main(["eval", run, "--json", "--runtime", "reference"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["test_accuracy"] == pytest.approx(table["test_accuracy"])
    assert (
        main(
            [
                *line.split()[:-5],
                "--runtime",
                "reference",
                "--alone",
                "--no-save",
                "--json",
                "--learn-at",
                "last",
            ]
        )
        == 0
    )
    capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("train digits --bins 8", "bins: digits has its own"),
        ("train gestures --sensor 9,9", "sensor: gestures has its own"),
        ("train gestures --bins 0", "bins: must be at least 1"),
        ("train gestures --header yes", "header: gestures has its own"),
        ("train {folder} --target 3", "holds recordings of events"),
        ("train {folder} --sensor 3", "sensor: must be rows and columns"),
        ("train {folder} --sensor 9,9", "must lie within the sensor"),
        ("train {folder} --bins 3 --clock async", "sequences: need the clock"),
        ("train {folder} --rule dp", "stream: needs a rule that settles in one sweep"),
        ("train {table} --bins 3", "bins: {table} holds no recordings of events"),
    ],
)
def test_options_that_do_not_fit_are_one_line(words, text, tmp_path, capsys):
    folder_of(tmp_path / "pets", ".bin", files.nmnist)
    table = tmp_path / "rows.csv"
    table.write_text("a,label\n1,x\n2,y\n")
    names = {"folder": tmp_path / "pets", "table": table}
    assert main([*words.format(**names).split(), "--no-save"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert text.format(**names) in line


def test_gestures_are_a_data_set_by_name(monkeypatch):
    from lava_dyads.data import gestures

    monkeypatch.setattr(gestures, "Gestures", lambda: Gestures(per_class=2))
    data = load("gestures", bins=2, shrink=8, peak=1)
    assert data.x.shape == (16, 2 * 2 * 3 * 3)
    assert (data.frames, data.class_names) == (2, tuple(GESTURES))
    with pytest.raises(ValidationError, match=r"load\.bin: unknown option"):
        load("gestures", bin=3)


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return Archive(path.as_uri(), hashlib.md5(path.read_bytes()).hexdigest())


def tiny(tmp_path):
    """N-MNIST's two archives with six recordings each."""
    made = []
    for part in ("Train", "Test"):
        members = {f"{part}/{k % 2}/{k}.bin": files.nmnist(files.drawn(60, seed=k))
                   for k in range(6)}  # fmt: skip
        made.append(zipped(tmp_path / f"{part}.zip", members))
    return ArchivedEvents("tiny", tuple(made), "ask somebody")


def test_archives_are_fetched_verified_and_unpacked_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = tiny(tmp_path)
    assert source.state().status == "absent"
    said = []
    assert source.get(said.append).status == "ready"
    assert any("bytes" in text for text in said)
    data = source.load(Binning(2, shrink=17))
    assert (data.frames, data.official_training_rows, data.class_names) == (2, 6, ("0", "1"))
    expected = Binning(2, shrink=17).frames(files.drawn(60, seed=2), (34, 34))
    np.testing.assert_array_equal(data.x[1], expected.ravel())  # 0, 2, 4 are of the first class
    for archive in ("Train", "Test"):
        (tmp_path / f"{archive}.zip").rename(tmp_path / f"{archive}.gone")
    assert source.get().status == "ready"  # nothing is asked for again
    (source.folder / "Test" / "1" / "3.bin").write_bytes(b"12345")
    state = source.state()
    assert state.status == "damaged"
    assert "3.bin is missing, or not as it was unpacked" in state.problem
    assert "not fetched" in one_line(source.get)
    (tmp_path / "Test.gone").rename(tmp_path / "Test.zip")
    assert source.get().status == "ready"


def test_archives_that_are_others_or_reach_outside_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = tiny(tmp_path)
    other = zipped(tmp_path / "Train.zip", {"Train/0/1.bin": b"12345"})
    text = one_line(source.get)
    assert f"its MD5: must be {source.archives[0].md5} (got '{other.md5}')" in text
    assert not list(source.folder.rglob("*.bin"))
    for name, content in (("../out.bin", b"1"), ("/out.bin", b"1"), ("0/zeros.bin", bytes(10**7))):
        bad = ArchivedEvents("bad", (zipped(tmp_path / "bad.zip", {name: content}),), "ask")
        assert "cannot be unpacked" in one_line(bad.get)
    assert not list(tmp_path.rglob("out.bin"))
    (tmp_path / "bad.zip").write_bytes(b"no archive")
    md5 = hashlib.md5(b"no archive").hexdigest()
    none = ArchivedEvents("none", (Archive((tmp_path / "bad.zip").as_uri(), md5),), "ask")
    assert "cannot be unpacked" in one_line(none.get)
