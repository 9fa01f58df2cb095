"""The page of a trace: every entry in it, the graph laid out, small and quick in a browser."""

import base64
import json
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from itertools import pairwise

import numpy as np
import pytest

from lava_dyads.cli import main
from lava_dyads.errors import DataError, ValidationError
from lava_dyads.reports.messages import message_page
from lava_dyads.runtime.trace import COLUMNS, Trace

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHAIN = [
    ("source.x_out", "dense <1>.mean_in"),
    ("dense <1>.basal_out", "layer.basal_in"),
    ("layer.difference_out", "dense <1>.difference_in"),
    ("conductor.command_out", "layer.command_in"),
    ("layer.report_out", "conductor.report_in"),
]


def trace(entries=500, channels=CHAIN, seed=0, lanes=3, presentations=4):
    generator = np.random.default_rng(seed)
    arrived = np.sort(generator.random(entries) * 50)
    columns = {
        "arrived": arrived,
        "sent": arrived - generator.exponential(1, entries),
        "presentation": np.sort(generator.integers(1, 1 + presentations, entries)),
        "channel": generator.integers(0, len(channels), entries),
        "lane": generator.integers(0, lanes, entries),
        "index": generator.integers(0, 64, entries),
        "payload": generator.normal(size=entries),
    }
    return Trace({n: columns[n].astype(code) for n, code in COLUMNS.items()}, list(channels))


def held(page):
    """Return what the page holds: its description, and the columns."""
    text = page.read_text()
    meta = json.loads(re.search(r'id="meta" type="application/json">(.*?)</script>', text)[1])
    found = dict(re.findall(r'id="column-(\w+)" type="text/plain">(.*?)</script>', text))
    columns = {
        name: np.frombuffer(base64.b64decode(data), f"<{meta['kinds'][name]}")
        for name, data in found.items()
    }
    return meta, columns


def test_every_entry_is_in_the_page_as_it_was(tmp_path):
    made = trace()
    meta, columns = held(message_page(made, tmp_path / "t.html"))
    for name in ("arrived", "channel", "index", "lane"):
        np.testing.assert_array_equal(columns[name], made.columns[name])
    np.testing.assert_allclose(columns["payload"], made.columns["payload"], rtol=1e-6)
    sent = columns["arrived"] - columns["latency"]
    np.testing.assert_allclose(sent, made.columns["sent"], atol=1e-6)
    assert meta["longest"] == pytest.approx(columns["latency"].max())
    edges = [*meta["starts"], len(made)]
    for number, begin, end in zip(meta["numbers"], edges[:-1], edges[1:], strict=True):
        assert (made.columns["presentation"][begin:end] == number).all()
    names = meta["processes"]
    assert [
        (f"{names[a]}.{b}", f"{names[c]}.{d}") for a, b, c, d in meta["channels"]
    ] == made.channels  # fmt: skip


def test_the_graph_goes_from_the_source_on_and_conductors_stand_beside(tmp_path):
    meta, _ = held(message_page(trace(), tmp_path / "t.html"))
    place = dict(zip(meta["processes"], meta["places"], strict=True))
    assert place["source"][0] < place["dense <1>"][0] < place["layer"][0]
    assert place["conductor"][1] == 0
    assert all(0 <= v <= 1 for spot in place.values() for v in spot)


def test_names_are_escaped_and_a_lane_alone_takes_no_room(tmp_path):
    page = message_page(trace(lanes=1), tmp_path / "t.html", note="</script><b>wrong</b>")
    text = page.read_text()
    assert "<b>wrong" not in text
    assert "dense <1>" not in text
    assert "lane" not in held(page)[1]


def test_it_opens_where_it_is_asked_to(tmp_path):
    made = trace()
    made.columns["payload"][123] = np.nan
    for at, place in (("start", -1), ("end", 499), ("nan", 123)):
        assert held(message_page(made, tmp_path / "t.html", at=at))[0]["goTo"] == place
    assert held(message_page(trace(), tmp_path / "t.html", at="nan"))[0]["goTo"] == -1


def test_the_command_writes_it_and_refuses_what_is_no_trace(tmp_path, capsys):
    trace().save(tmp_path / "run.npz")
    assert main(["debug", str(tmp_path / "run.npz"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["page"] == str(tmp_path / "run.html")
    assert main(["debug", str(tmp_path / "none.npz")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(ValidationError, match="holds no message"):
        message_page(trace(0), tmp_path / "t.html")
    with pytest.raises(ValidationError, match=r"unknown place .*'middle'"):
        message_page(trace(), tmp_path / "t.html", at="middle")
    with pytest.raises(DataError, match="not a readable trace"):
        message_page(tmp_path / "run.html")


def said(page, seconds=60):
    """Return what the page says of itself in a real browser: times, or an error."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--remote-debugging-port={port}"]
    options.append(f"--user-data-dir={page.parent / 'profile'}")
    browser = subprocess.Popen(
        [CHROMIUM, *options, f"{page.as_uri()}#measure"], stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(2 * seconds):
            time.sleep(0.5)
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as reply:
                    titles = [p["title"] for p in json.load(reply) if p["type"] == "page"]
            except OSError:
                continue
            if titles and titles[0].startswith(("{", "&")):
                return json.loads(titles[0].replace("&quot;", '"'))
        pytest.fail("the page has not said that it is open")
    finally:
        browser.kill()
        browser.wait()


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_opens_it_without_an_error(tmp_path):
    made = trace()
    made.columns["payload"][7] = np.inf
    found = said(message_page(made, tmp_path / "t.html", at="nan"))
    assert "failed" not in found
    assert float(found["frames"]) > 0


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_two_million_entries_open_in_two_seconds_and_move_at_thirty_frames(tmp_path):
    layers = [[f"layer {i}.{j}" for j in range(n)] for i, n in enumerate((64, 32, 10))]
    ends = [
        (f"{a}.mean_out", f"{b}.basal_in")
        for low, high in pairwise(layers)
        for a in low
        for b in high
    ]
    made = trace(2_000_000, ends, lanes=1, presentations=300)
    found = said(message_page(made, tmp_path / "t.html"))
    assert float(found["opened"]) < 2000
    assert float(found["frames"]) >= 30
