"""Values that hardly anybody expects, and ways to spoil what is right."""

from __future__ import annotations

import datetime
import io
import json
import math
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np

Rng = random.Random


class Hostile:
    """Fails at whatever it is asked."""

    __hash__ = None  # type: ignore[assignment]

    def _no(self, *_: object) -> Any:
        raise RuntimeError("no")

    __repr__ = __str__ = __bool__ = __index__ = __float__ = __eq__ = __len__ = __iter__ = _no
    __lt__ = __array__ = _no


def nested(depth: int) -> list[Any]:
    """Return a list in a list in a list."""
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


def nothing(*_: object, **__: object) -> None:
    """Take anything."""


TEXTS = (
    "", " ", "relu", "digits", "no such name", "a\nb", "x" * 100_000, "\0", "\udc80", "\u202e",
    "[/x]", "$\\frac$", "../..", "/dev/null", "-1", "nan", "1e400", "None", "a,b", "%s{}", "*", "é",
)  # fmt: skip

PLAIN: tuple[Callable[[Rng], Any], ...] = (
    lambda r: None,
    lambda r: r.random() < 0.5,
    lambda r: r.choice((0, 1, -1, 2, 3, 255, 2**31, 2**63, 10**30, -(10**30), 10**6)),
    lambda r: r.choice((0.0, -0.0, 0.5, 2.5, -1.5, 1e-300, 1e300, math.nan, math.inf, -math.inf)),
    lambda r: r.choice(TEXTS),
    lambda r: [],
    lambda r: {},
    lambda r: [r.choice((1, "a", None, 2.5, True, [1], {}))] * r.randint(1, 3),
    lambda r: {r.choice(("a", "nodes", "")): r.choice((1, "b", None, [], {}))},
    lambda r: nested(r.choice((1, 5, 200))),
)
"""What JSON can say, and TOML almost."""

PYTHON: tuple[Callable[[Rng], Any], ...] = (
    *PLAIN,
    lambda r: object(),
    lambda r: Hostile(),
    lambda r: r.choice((b"", b"relu", bytearray(3), memoryview(b"abc"))),
    lambda r: r.choice((1j, Decimal("0.5"), Decimal("nan"), 10**5000, NotImplemented, ...)),
    lambda r: r.choice((int, len, nothing, Rng, print)),
    lambda r: r.choice((set(), {1, 2}, frozenset("a"), range(3), (1, 2), ("a",), (4, 3, 2), ())),
    lambda r: r.choice(
        (np.float64("nan"), np.float32(0.5), np.int8(-1), np.uint64(2**64 - 1), np.bool_(True),
         np.str_("relu"), np.datetime64("nat"), np.complex64(1j), np.longdouble("1e4000"))
    ),
    lambda r: array(r),
    lambda r: array(r),
    lambda r: nested(5000),
    lambda r: (x for x in (1, 2)),
    lambda r: datetime.datetime(2000, 1, 1),
    lambda r: np.random.default_rng(0),
    lambda r: [Hostile()],
)  # fmt: skip
"""What Python can say."""


def array(rng: Rng) -> Any:
    """Return an array that is hardly ever what is asked for."""
    shape = rng.choice(((), (0,), (1,), (3,), (2, 2), (2, 3), (0, 3), (1, 1, 1), (2, 2, 2, 2)))
    kind = rng.choice(("f8", "f4", "i8", "u1", "?", "c16", "U3", "S2", "O", "M8[s]", "V4", "f2"))
    try:
        made = np.ones(shape, kind)
    except (TypeError, ValueError):
        made = np.zeros(shape, kind)
    if made.dtype.kind == "f" and made.size and rng.random() < 0.5:
        made = made.copy()
        made.reshape(-1)[0] = rng.choice((math.nan, math.inf, -1e300))
    return made


def spoil_tree(tree: Any, rng: Rng, values: tuple[Callable[[Rng], Any], ...] = PLAIN) -> Any:
    """Return a nested value with one to three places of it spoilt."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        tree = _spoilt(tree, rng, values)
    return tree


def _spoilt(tree: Any, rng: Rng, values: tuple[Callable[[Rng], Any], ...]) -> Any:
    deeper = isinstance(tree, dict | list) and len(tree) and rng.random() < 0.85
    if not deeper:
        return rng.choice(values)(rng)
    if isinstance(tree, dict):
        made = dict(tree)
        key = rng.choice(list(made))
        how = rng.random()
        if how < 0.1:
            del made[key]
        elif how < 0.17:
            made[rng.choice(("unknown", key + "x", "", "a b", "x" * 300))] = made[key]
        elif how < 0.22:
            made[key] = made[rng.choice(list(made))]
        else:
            made[key] = _spoilt(made[key], rng, values)
        return made
    entries = list(tree)
    i = rng.randrange(len(entries))
    how = rng.random()
    if how < 0.1:
        del entries[i]
    elif how < 0.2:
        entries.insert(i, entries[i])
    else:
        entries[i] = _spoilt(entries[i], rng, values)
    return entries


def spoil_bytes(data: bytes, rng: Rng) -> bytes:
    """Return bytes with bits flipped, cut off, put in, taken out or repeated."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        if not made:
            return bytes(made)
        at = rng.randrange(len(made))
        how = rng.randrange(7)
        if how == 0:
            made[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            made[at] = rng.choice((0, 0xFF, 0x80, 0x22, 0x5B, 0x0A, 0x7B))
        elif how == 2:
            del made[at:]
        elif how == 3:
            del made[at : at + rng.randint(1, 64)]
        elif how == 4:
            made[at:at] = rng.randbytes(rng.randint(1, 16))
        elif how == 5:
            made[at:at] = made[at : at + rng.randint(1, 256)]
        else:
            size = rng.choice((2, 4, 8))
            made[at : at + size] = rng.choice((b"\xff", b"\x00", b"\x7f")) * size
    return bytes(made)


def spoil_arrays(arrays: dict[str, Any], rng: Rng) -> bytes:
    """Return an .npz file of arrays, some of which are not what they should be."""
    how = rng.random()
    made = {name: np.array(value) for name, value in arrays.items()}
    if how < 0.35:
        return spoil_bytes(npz(made), rng)
    name = rng.choice(list(made))
    if how < 0.43:
        return npz(made, claims={name: rng.choice(CLAIMS)})
    if how < 0.44:
        return npz(made, bomb=name)
    if how < 0.5:
        return npz(made, raw={name: rng.choice((b"", b"\x93NUMPY", b"PK", rng.randbytes(200)))})
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice(list(made))
        made[name] = _other(made[name], rng)
        if rng.random() < 0.1:
            del made[name]
            made["extra"] = np.ones(3)
            break
    return npz(made)


def _other(value: Any, rng: Rng) -> Any:
    how = rng.randrange(9)
    if how == 0:
        return array(rng)
    if how == 1 and value.dtype.kind in "fiu?U":
        return value.astype("U8")
    if how == 2 and value.size and value.dtype.kind == "f":
        spoilt = value.copy()
        spoilt.reshape(-1)[rng.randrange(value.size)] = rng.choice((math.nan, math.inf, -math.inf))
        return spoilt
    if how == 3:
        return value.reshape(-1)
    if how == 4:
        return value[None]
    if how == 5 and value.dtype.kind in "fiu":
        return value.astype(rng.choice(("c16", "i4", "f4", "?", "f2", "O", "u1")))
    if how == 6 and value.ndim:
        return value.T if value.ndim > 1 else value[:0]
    if how == 7:
        return -value if value.dtype.kind in "fi" else array(rng)
    return np.full(value.shape, rng.choice((1e308, -1.0, 2.0**40)))


CLAIMS = (
    (10**12,), (2**31, 2**31), (2**63,), (-1,), (10**9, 10), (3 * 2**28,), (0, 10**18), (1,) * 40,
)  # fmt: skip
"""Shapes that a small file cannot hold."""


def npz(
    arrays: dict[str, Any],
    claims: dict[str, Any] | None = None,
    raw: dict[str, bytes] | None = None,
    bomb: str = "",
) -> bytes:
    """Return an .npz file; of some arrays with other shapes in their heads, or other contents."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, value in arrays.items():
            inner = io.BytesIO()
            np.lib.format.write_array(inner, np.asanyarray(value), allow_pickle=True)
            content = inner.getvalue()
            if claims and name in claims:
                head = _head(np.asanyarray(value).dtype, claims[name])
                content = head + content[128:]
            if raw and name in raw:
                content = raw[name]
            if name != bomb:
                file.writestr(f"{name}.npy", content)
    return _with_bomb(buffer.getvalue(), f"{bomb}.npy") if bomb else buffer.getvalue()


def _head(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    text = repr({"descr": dtype.str, "fortran_order": False, "shape": shape}).encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


_bomb: list[tuple[bytes, int, int]] = []


def _with_bomb(data: bytes, name: str) -> bytes:
    """Return a zip file with 3 GiB of zeros in it, in 3 MB."""
    floats = 3 << 27
    if not _bomb:
        head, piece = _head(np.dtype("f8"), (floats,)), bytes(1 << 24)
        packer = zlib.compressobj(1, zlib.DEFLATED, -15)
        packed = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
        crc = zlib.crc32(head)
        block = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)
        for _ in range(floats * 8 // len(piece)):
            crc = zlib.crc32(piece, crc)
        packed += block * (floats * 8 // len(piece))
        _bomb.append((packed + b"\x03\x00", crc, len(head) + floats * 8))
    packed, crc, size = _bomb[0]
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        entries = [(info, old.read(info.filename)) for info in old.infolist()]
    made, directory = bytearray(), bytearray()
    parts = [(i.filename, zlib.crc32(c), 0, c, len(c)) for i, c in entries]
    for inner, sum_, method, content, full in [*parts, (name, crc, 8, packed, size)]:
        encoded = inner.encode()
        fields = (20, 0, method, 0, 0x21, sum_, len(content), full, len(encoded), 0)
        at = len(made)
        made += b"PK\x03\x04" + struct.pack("<5H3I2H", *fields) + encoded + content
        directory += b"PK\x01\x02" + struct.pack("<6H3I5H2I", 20, *fields, 0, 0, 0, 0, at) + encoded
    end = struct.pack("<4H2IH", 0, 0, len(parts) + 1, len(parts) + 1, len(directory), len(made), 0)
    return bytes(made + directory + b"PK\x05\x06" + end)


def spoil_json(tree: Any, rng: Rng) -> bytes:
    """Return JSON that is spoilt as a tree, or as a text."""
    how = rng.random()
    if how < 0.08:
        return b"[" * 100_000 + b"]" * 100_000
    if how < 0.12:
        return b'{"a":' * 20_000
    if how < 0.16:
        return json.dumps(tree).encode().replace(b"1", b"9" * 6000, 1)
    text = json.dumps(spoil_tree(tree, rng)).encode("utf-8", "surrogatepass")
    return spoil_bytes(text, rng) if how < 0.35 else text


def toml(values: dict[str, Any]) -> str:
    """Return TOML; what it cannot say is written as a text."""
    if not isinstance(values, dict):
        return f"values = {_inline(values)}"
    lines = []
    for name, table in values.items():
        if not isinstance(table, dict):
            lines.append(f"{_key(name)} = {_inline(table)}")
    for name, table in values.items():
        if isinstance(table, dict):
            for inner, options in table.items():
                if isinstance(options, dict) and name:
                    lines.append(f"[{_key(name)}.{_key(inner)}]")
                    lines += [f"{_key(k)} = {_inline(v)}" for k, v in options.items()]
                else:
                    lines.insert(0, f"{_key(name)}.{_key(inner)} = {_inline(options)}")
    return "\n".join(lines) + "\n"


def _key(name: object) -> str:
    return json.dumps(str(name))


def _inline(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(k)} = {_inline(v)}' for k, v in value.items())}}}"
    return json.dumps(str(value), ensure_ascii=False)
