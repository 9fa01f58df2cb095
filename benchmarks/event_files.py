"""Events per second of every reader of event files, beside numpy's own sum of the same bytes."""

import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from lava_dyads.data.event_formats import read_events
from lava_dyads.data.event_formats.aedat4 import import_faery
from lava_dyads.data.events import EVENT, Events

SENSOR = (34, 34)


def run(count: int = 5_000_000, rounds: int = 3) -> dict[str, float]:
    """Print millions of events per second of CPU time, best of some rounds; return them."""
    events, found = _drawn(count), {}
    table = Table(title=f"{count:,} events", title_justify="left")
    for column in ("file", "bytes per event", "M events/s", "times numpy's"):
        table.add_column(column, justify="left" if column == "file" else "right")
    with tempfile.TemporaryDirectory() as folder:
        for name, write in WRITERS.items():
            path = Path(folder, name)
            write(events, path)
            assert np.array_equal(read_events(path, SENSOR), events)
            seconds = _best(lambda path=path: read_events(path, SENSOR), rounds)
            beside = _best(lambda path=path: _by_numpy(path), rounds)
            found[name] = count / seconds / 1e6
            size = path.stat().st_size / count
            table.add_row(name, f"{size:.1f}", f"{found[name]:.1f}", f"{seconds / beside:.1f}")
            path.unlink()
    Console().print(table)
    return found


def _drawn(count: int) -> Events:
    """Return events all over the sensor, one in a microsecond: some 3 at once."""
    generator = np.random.default_rng(0)
    events = np.zeros(count, EVENT)
    events["t"] = np.cumsum(generator.integers(0, 3, count))
    events["y"], events["x"] = generator.integers(0, 34, (2, count))
    events["polarity"] = generator.choice([-1, 1], count)
    return events


def _columns(events: Events) -> tuple[np.ndarray, ...]:
    on = (events["polarity"] > 0).astype(np.uint32)
    return events["t"], events["x"].astype(np.uint32), events["y"].astype(np.uint32), on


def _nmnist(events: Events, path: Path) -> None:
    t, x, y, on = _columns(events)
    # The clock has 23 bits: marks, as many as it takes, where it would be full.
    high = t >> 23
    t = t & 0x7FFFFF
    made = np.column_stack([x, y, on << 7 | t >> 16, t >> 8 & 255, t & 255]).astype(np.uint8)
    where = np.repeat(np.flatnonzero(np.diff(high, prepend=0)), 1 << 10)
    path.write_bytes(np.insert(made, where, (0, 240, 0, 0, 0), axis=0).tobytes())


def _aedat2(events: Events, path: Path) -> None:
    t, x, y, on = _columns(events)
    raw = np.column_stack([y << 8 | x << 1 | 1 - on, t]).astype(">u4")
    path.write_bytes(b"#!AER-DAT2.0\r\n# AEChip: DVS128\r\n" + raw.tobytes())


def _aedat3(events: Events, path: Path, packet: int = 500) -> None:
    t, x, y, on = _columns(events)
    raw = np.column_stack([x << 17 | y << 2 | on << 1 | 1, t]).astype("<u4")
    with path.open("wb") as file:
        file.write(b"#!AER-DAT3.1\r\n#!END-HEADER\r\n")
        for begin in range(0, len(raw), packet):
            part = raw[begin : begin + packet]
            n = len(part)
            file.write(struct.pack("<2h6i", 1, 0, 8, 4, 0, n, n, n) + part.tobytes())


def _by_faery(**options: str) -> Callable[[Events, Path], None]:
    def write(events: Events, path: Path) -> None:
        faery = import_faery()
        theirs = np.zeros(len(events), faery.EVENTS_DTYPE)
        for name in ("t", "x", "y"):
            theirs[name] = events[name]
        theirs["on"] = events["polarity"] > 0
        stream = faery.events_stream_from_array(theirs, SENSOR[::-1])
        stream.to_file(path, zero_t0=False, **options)

    return write


WRITERS: dict[str, Callable[[Events, Path], None]] = {
    "nmnist.bin": _nmnist,
    "aedat2.aedat": _aedat2,
    "aedat31.aedat": _aedat3,
    "aedat4.aedat4": _by_faery(),
    "prophesee.dat": _by_faery(),
    "evt2.raw": _by_faery(version="evt2"),
    "evt3.raw": _by_faery(version="evt3"),
}


def _by_numpy(path: Path) -> None:
    """Read the bytes as numbers of 32 bits, widen them and sum them up."""
    raw = np.fromfile(path, np.uint8)
    np.cumsum(raw[: len(raw) // 4 * 4].view("<u4").astype(np.int64))


def _best(call: Callable[[], object], rounds: int) -> float:
    spent = []
    for _ in range(rounds):
        begin = time.process_time()
        call()
        spent.append(time.process_time() - begin)
    return min(spent)
