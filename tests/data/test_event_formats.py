"""Event files of every format, written by hand or by another program, are read in full."""

import struct
import time
from itertools import pairwise

import numpy as np
import pytest

from lava_dyads.data.event_formats import formats, is_event_file, read_events, read_recording
from lava_dyads.data.events import EVENT
from lava_dyads.errors import DataError


def drawn(count=500, shape=(34, 34), step=50, seed=0):
    """Some events in the order of time."""
    generator = np.random.default_rng(seed)
    events = np.zeros(count, EVENT)
    events["t"] = np.cumsum(generator.integers(0, step, count))
    events["y"], events["x"] = (generator.integers(0, n, count) for n in shape)
    events["polarity"] = generator.choice([-1, 1], count)
    return events


def nmnist(events):
    """40 bits: column, row, polarity and 23 bits of time; a mark whenever 2^13 us have passed."""
    rows, passed = [], 0
    for t, x, y, polarity in events.tolist():
        while t - passed >= 1 << 23:
            passed += 1 << 13
            rows.append((0, 240, 0, 0))
        rows.append((x, y, int(polarity > 0), t - passed))
    return b"".join(
        struct.pack(">BBBH", x, y, on << 7 | t >> 16, t & 0xFFFF) for x, y, on, t in rows
    )


def jaer(events, camera="", order=">"):
    """AEDAT 2: text, then addresses and times of 32 bits."""
    head = b"#!AER-DAT2.0\r\n# This is a raw AE data file\r\n"
    if camera:
        head += f"# AEChip: eu.seebetter.ini.chips.davis.{camera}\r\n".encode()
    x, y = events["x"].astype(np.uint32), events["y"].astype(np.uint32)
    on = (events["polarity"] > 0).astype(np.uint32)
    address = y << 22 | x << 12 | on << 11 if camera else y << 8 | x << 1 | 1 - on
    stamps = (events["t"] % 2**32).astype(np.uint32)
    return head + np.column_stack([address, stamps]).astype(f"{order}u4").tobytes()


def caer(events, per_packet=40, order="<", others=True):
    """AEDAT 3.1: packets; between them such of other types, and events that are not valid."""
    made = [b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DAVIS346\r\n#!END-HEADER\r\n"]
    for begin in range(0, len(events), per_packet):
        piece = events[begin : begin + per_packet]
        x, y = piece["x"].astype(np.uint32), piece["y"].astype(np.uint32)
        bits = x << 17 | y << 2 | (piece["polarity"] > 0).astype(np.uint32) << 1 | 1
        body = np.column_stack([bits, piece["t"] & 0x7FFFFFFF]).astype(np.uint32)
        full = int(piece["t"][0] >> 31)
        assert (piece["t"] >> 31 == full).all()
        if others:
            body = np.insert(body, 1, (0xFFFFFFFE, 7), axis=0)
            made.append(struct.pack(f"{order}2h6i", 0, 1, 8, 4, 0, 1, 1, 1) + bytes(8))
            made.append(struct.pack(f"{order}2h6i", 3, 1, 36, 4, 0, 2, 2, 2) + bytes(72))
        n = len(body)
        made.append(struct.pack(f"{order}2h6i", 1, 1, 8, 4, full, n, n, len(piece)))
        made.append(body.astype(f"{order}u4").tobytes())
    return b"".join(made)


def dat(events, order="<", head=b"% Version 2\n% Width 304\n% Height 240\n"):
    x, y = events["x"].astype(np.uint32), events["y"].astype(np.uint32)
    bits = (events["polarity"] > 0).astype(np.uint32) << 28 | y << 14 | x
    stamps = (events["t"] % 2**32).astype(np.uint32)
    mark = bytes([12, 8]) if head else b""
    return head + mark + np.column_stack([stamps, bits]).astype(f"{order}u4").tobytes()


def evt2(events, order="<"):
    words, high = [], -1
    for t, x, y, polarity in events.tolist():
        if t >> 6 != high:
            high = t >> 6
            words.append(8 << 28 | high & 0xFFFFFFF)
        words.append(int(polarity > 0) << 28 | (t & 0x3F) << 22 | x << 11 | y)
    head = b"% evt 2.0\n% geometry 640x480\n% end\n"
    return head + np.array(words).astype(f"{order}u4").tobytes()


def evt3(events, order="<"):
    """One word per change; what lies side by side at once becomes vectors of 12 and of 8."""
    words, high, low, row = [], -1, -1, -1
    columns = events["x"].tolist()
    rest = [tuple(e) for e in events[["t", "y", "polarity"]].tolist()]
    place = 0
    while place < len(events):
        t, y, polarity = rest[place]
        stop = place + 1
        while (
            stop < len(events) and rest[stop] == rest[place] and columns[stop] > columns[stop - 1]
        ):
            stop += 1
        if t >> 12 != high:
            high, low = t >> 12, -1
            words.append(8 << 12 | high & 0xFFF)
        if t & 0xFFF != low:
            low = t & 0xFFF
            words.append(6 << 12 | low)
        if y != row:
            row = y
            words.append(y)
        on, run = int(polarity > 0) << 11, columns[place:stop]
        if len(run) < 2:
            words.append(2 << 12 | on | run[0])
        else:
            words.append(3 << 12 | on | run[0])
            first, widths = run[0], [12, 8, 12, 8] * 50
            for width in widths:
                mask = sum(1 << x - first for x in run if first <= x < first + width)
                words.append((4 if width == 12 else 5) << 12 | mask)
                first += width
                if first > run[-1]:
                    break
        place = stop
    head = b"% evt 3.0\n% format EVT3;height=480;width=640\n% end\n"
    return head + np.array(words).astype(f"{order}u2").tobytes()


def side_by_side(count=400):
    """Events of whole rows at once, among single ones."""
    events = drawn(count, (480, 600))
    events["t"] = np.sort(events["t"] // 200 * 200)
    events["y"][count // 4 : count // 2] = 7
    events["polarity"][count // 4 : count // 2] = 1
    return np.unique(events)[[*EVENT.names]]


WRITERS = {
    "e.bin": (nmnist, drawn(), (34, 34)),
    "jaer.aedat": (jaer, drawn(shape=(128, 128)), (128, 128)),
    "davis.aedat": (lambda e, **o: jaer(e, "DAVIS240C", **o), drawn(shape=(180, 240)), (180, 240)),
    "caer.aedat": (caer, drawn(shape=(260, 346)), (260, 346)),
    "e.dat": (dat, drawn(shape=(240, 304)), (240, 304)),
    "evt2.raw": (evt2, drawn(shape=(480, 640)), (480, 640)),
    "evt3.raw": (evt3, side_by_side(), (480, 640)),
}
EACH = pytest.mark.parametrize("name", WRITERS)


def of(name, tmp_path, **options):
    write, events, _ = WRITERS[name]
    path = tmp_path / name
    path.write_bytes(write(events, **options))
    return path


@EACH
def test_what_was_written_is_read_in_full(name, tmp_path):
    recording = read_recording(of(name, tmp_path))
    assert recording.events.dtype == EVENT
    np.testing.assert_array_equal(recording.events, WRITERS[name][1])
    assert recording.sensor == WRITERS[name][2]
    assert is_event_file(tmp_path / name)


@EACH
def test_clocks_that_were_full_go_on(name, tmp_path):
    write, events, _ = WRITERS[name]
    late = events.copy()
    bits = {"e.bin": 23, "jaer.aedat": 32, "davis.aedat": 32, "caer.aedat": 31, "e.dat": 32,
            "evt2.raw": 34, "evt3.raw": 24}[name]  # fmt: skip
    half, first = len(events) // 2 // 40 * 40, 0 if name != "caer.aedat" else 1
    late["t"] += (first << bits) + (1 << bits) - late["t"][half]
    (tmp_path / name).write_bytes(write(late))
    read = read_events(tmp_path / name)
    np.testing.assert_array_equal(np.diff(read["t"]), np.diff(late["t"]))
    np.testing.assert_array_equal(read[["x", "y", "polarity"]], late[["x", "y", "polarity"]])


def one_line(call):
    with pytest.raises(DataError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    return text


@EACH
def test_a_file_that_is_cut_off_is_one_line(name, tmp_path):
    path = of(name, tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    text = one_line(lambda: read_events(path))
    assert str(path) in text
    assert "is truncated" in text
    assert "byte" in text


@EACH
def test_the_other_byte_order_is_found_out(name, tmp_path):
    path = of(name, tmp_path)
    if name == "e.bin":
        raw = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, 5)
        path.write_bytes(raw[:, ::-1].tobytes())
    else:
        usual = ">" if name in ("jaer.aedat", "davis.aedat") else "<"
        of(name, tmp_path, order={"<": ">", ">": "<"}[usual])
    assert "must be in the byte order of the format (got 'the other one')" in one_line(
        lambda: read_events(path)
    )


@EACH
def test_a_time_that_goes_back_is_one_line_or_put_in_order(name, tmp_path):
    write, events, _ = WRITERS[name]
    wrong = events.copy()
    wrong["t"] = np.arange(len(events)) * 5
    wrong["t"][99:101] = wrong["t"][100:98:-1]
    (tmp_path / name).write_bytes(write(wrong))
    text = one_line(lambda: read_events(tmp_path / name))
    assert f"time must not go back from {wrong['t'][99]} us (got '{wrong['t'][100]} us')" in text
    assert "event 100 at byte " in text
    right = wrong[np.argsort(wrong["t"])]
    np.testing.assert_array_equal(read_events(tmp_path / name, sort=True), right)


@EACH
def test_an_event_outside_the_sensor_is_one_line(name, tmp_path):
    path, events = of(name, tmp_path), WRITERS[name][1]
    shape = (int(events["y"].max()), 1000)
    first = int((events["y"] >= shape[0]).argmax())
    text = one_line(lambda: read_events(path, shape))
    assert f"event {first} at byte " in text
    assert f"must lie within the sensor {shape} (got ({shape[0]}, {events['x'][first]}))" in text


@pytest.mark.parametrize(("name", "place"), [("e.bin", 5), ("jaer.aedat", 8), ("e.dat", 8)])
def test_the_byte_that_is_named_is_that_of_the_event(name, place, tmp_path):
    """Records of one size: event k lies at the end less what follows it."""
    path, events = of(name, tmp_path), WRITERS[name][1]
    shape = (int(events["y"].max()), 1000)
    first = int((events["y"] >= shape[0]).argmax())
    byte = path.stat().st_size - (len(events) - first) * place
    assert f"event {first} at byte {byte}:" in one_line(lambda: read_events(path, shape))


def test_files_without_an_event_are_one_line(tmp_path):
    for name, (write, events, _) in WRITERS.items():
        path = tmp_path / name
        path.write_bytes(b"")
        assert "is empty" in one_line(lambda path=path: read_events(path))
        head = write(events[:0])
        path.write_bytes(head)
        assert ("holds no event" if head else "is empty") in one_line(lambda p=path: read_events(p))


def test_what_is_no_event_file_is_one_line(tmp_path):
    for name, content, text in (
        ("e.txt", b"hello", "of a known format"),
        ("e.aedat", b"hello", "must begin with the mark of aedat 2 or aedat 3.1"),
        ("e.raw", b"% nothing\n", "must begin with the mark of raw"),
        ("e.dat", b"% Version 2\n\x05\x09", "must be events of pixels"),
        ("e.dat", b"% Version 2\n", "is truncated"),
        ("e.raw", b"% evt 2.1\n% end\n", "must be EVT 2.0 or 3.0"),
        ("e.aedat", b"#!AER-DAT3.1\r\n", "must end with #!END-HEADER"),
        ("e.aedat", b"#!AER-DAT3.1", "must end with #!END-HEADER"),
        ("e.aedat", caer(drawn())[:-3], "the packet at byte"),
        ("e.aedat", caer(drawn(40), others=False) + bytes(9), "the header of a packet at byte"),
        ("e.aedat", caer(drawn(40)) + struct.pack("<2h6i", 1, 1, 9, 4, 0, 1, 1, 1), "of a size"),
        ("e.aedat4", b"#!AER-DAT4.0\r\n\x09", "its header must be whole"),
    ):
        (tmp_path / name).write_bytes(content)
        assert text in one_line(lambda name=name: read_events(tmp_path / name)), name
    assert "cannot be read" in one_line(lambda: read_events(tmp_path / "nowhere.bin"))
    assert "cannot be read" in one_line(lambda: read_events(tmp_path))


def test_what_a_davis_says_of_frames_and_motion_is_passed_over(tmp_path):
    events = drawn(60, (180, 240))
    content = bytearray(jaer(events, "DAVIS240C"))
    for record, bit in ((3, 31), (10, 10)):
        place = len(content) - 8 * (len(events) - record)
        (address,) = struct.unpack_from(">I", content, place)
        struct.pack_into(">I", content, place, address | 1 << bit)
    (tmp_path / "e.aedat").write_bytes(content)
    np.testing.assert_array_equal(read_events(tmp_path / "e.aedat"), np.delete(events, [3, 10]))


def faery_written(path, events, shape, **options):
    faery = pytest.importorskip("faery")
    theirs = np.zeros(len(events), faery.EVENTS_DTYPE)
    for ours, name in (("t", "t"), ("x", "x"), ("y", "y")):
        theirs[name] = events[ours]
    theirs["on"] = events["polarity"] > 0
    faery.events_stream_from_array(theirs, shape[::-1]).to_file(path, zero_t0=False, **options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("e.aedat4", {}),
        ("plain.aedat4", {"compression": None}),
        ("e.dat", {}),
        ("evt2.raw", {"version": "evt2"}),
        ("evt3.raw", {"version": "evt3"}),
    ],
)
def test_what_another_program_wrote_is_read_in_full(name, options, tmp_path):
    events, shape = side_by_side(3000), (480, 640)
    faery_written(tmp_path / name, events, shape, **options)
    recording = read_recording(tmp_path / name)
    np.testing.assert_array_equal(recording.events, events)
    assert recording.sensor == shape
    if name.endswith("aedat4"):
        content = (tmp_path / name).read_bytes()
        for size in (len(content) // 2, 200, 20):
            (tmp_path / name).write_bytes(content[:size])
            assert "is truncated" in one_line(lambda: read_events(tmp_path / name))
        spoilt = bytearray(content)
        spoilt[len(spoilt) // 2 :] = bytes(len(spoilt) - len(spoilt) // 2)
        (tmp_path / name).write_bytes(spoilt)
        if name == "e.aedat4":  # without compression there is nothing that would tell
            one_line(lambda: read_events(tmp_path / name))


def test_a_new_format_is_one_file():
    assert {"nmnist", "aedat 2", "aedat 3.1", "aedat 4", "dat", "raw"} <= set(formats())
    for one, other in pairwise(formats().values()):
        assert one.name != other.name
        assert all(suffix.startswith(".") for suffix in one.suffixes)


@pytest.mark.parametrize("name", ["e.bin", "jaer.aedat", "caer.aedat", "e.dat"])
def test_reading_costs_a_few_times_what_numpy_needs_for_the_same_bytes(name, tmp_path):
    """Five million events a second are 25 times slower than this; see benchmarks/event_files.py."""
    write, events = WRITERS[name][0], drawn(50_000, (34, 34), 3)
    path, options = tmp_path / name, {"per_packet": 4000} if name == "caer.aedat" else {}
    path.write_bytes(write(events, **options))

    def best(call):
        spent = []
        for _ in range(5):
            begin = time.process_time()
            call()
            spent.append(time.process_time() - begin)
        return min(spent)

    def by_numpy():
        raw = np.fromfile(path, np.uint8)
        raw = raw[: len(raw) // 8 * 8].view(">u4").astype(np.int64)
        np.cumsum(np.sort(raw))

    assert best(lambda: read_events(path)) < 10 * best(by_numpy) + 0.01
