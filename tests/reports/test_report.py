"""The page of a run: whole, escaped, alone, and right about where the network errs."""

import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

from lava_dyads import Execution, NetworkSpec, TrainingConfig, load, report, run
from lava_dyads.cli import main
from lava_dyads.data import Dataset
from lava_dyads.reports.errors_made import errors_of

WHERE = Execution("network", runtime="reference")
NASTY = "<script>alert(1)</script>"
VOID = {"meta", "link", "br", "img", "path", "use", "rect", "circle", "line", "image"}


class Page(HTMLParser):
    """Keeps the tags, and whether each is closed where it should be."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.links, self.wrong = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.links += [v for k, v in attrs if k in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        if tag not in VOID and (not self.open or self.open.pop() != tag):
            self.wrong.append(tag)


def whole(path):
    text = path.read_text()
    page = Page(text)
    assert (page.open, page.wrong) == ([], [])
    assert "script" not in page.tags
    assert all(link.startswith(("data:", "#")) for link in page.links), page.links
    return text


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("page")
    digits = load("digits")
    np.savez(made / f"{NASTY.replace('/', '')}.npz", x=digits.x[:200], labels=digits.labels[:200])
    (data,) = made.glob("*.npz")
    line = ["train", str(data), "--layers", "6", "--epochs", "2", "--runtime", "reference"]
    assert main([*line, "--out", str(made / "run"), "--report", "--json"]) == 0
    return made


def test_the_page_is_whole_alone_and_escaped(folder):
    text = whole(folder / "run" / "report.html")
    assert "&lt;script&gt;" in text
    assert text.count("<svg") == 1
    assert text.count("data:image/png;base64,") > 0
    assert "test accuracy" in text


def test_it_says_where_the_network_errs(folder):
    from lava_dyads import Checkpoint

    checkpoint = Checkpoint.load(folder / "run")
    data = checkpoint.data(folder / "run")
    found = errors_of(checkpoint, data)
    rows = data.parts(**checkpoint.split)[-1]
    said = checkpoint.decision(data.x[rows]).argmax(axis=1)
    assert found.tested == len(rows)
    assert found.wrong == int((said != data.labels[rows]).sum())
    assert np.sum(found.confusion) == len(rows)
    assert np.trace(found.confusion) == len(rows) - found.wrong
    by_row = dict(zip(rows.tolist(), said.tolist(), strict=True))
    for sample in found.samples:
        assert (sample.truth, sample.said) == (
            str(data.labels[sample.row]),
            str(by_row[sample.row]),
        )
        assert sample.truth != sample.said


def test_real_values_and_data_that_are_gone(tmp_path, capsys):
    generator = np.random.default_rng(0)
    x = generator.random((40, 3))
    data = Dataset(NASTY, x, targets=x.sum(axis=1), feature_names=("a", "<b>", "c"))
    spec = NetworkSpec((3, 4, 1), loss="squared-error")
    made = run(spec, data, TrainingConfig(epochs=1, batch_size=8), WHERE, out=tmp_path / "r")
    found = errors_of(made.checkpoint, data)
    assert (found.wrong, found.names, found.tested) == (-1, [], 10)
    assert found.samples[0].values.keys() == {"a", "<b>", "c"}
    assert main(["report", str(tmp_path / "r"), "--out", str(tmp_path / "page.html")]) == 0
    text = whole(tmp_path / "page.html")
    assert "Not shown: the run names no data set" in text
    assert "&lt;script&gt;" in text
    assert main(["report", str(tmp_path)]) == 2
    assert "holds no run" in capsys.readouterr().err


def test_rows_that_are_no_pictures_are_shown_as_rows(tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    x = generator.random((60, 3))
    np.savez(tmp_path / "t.npz", x=x, labels=generator.integers(0, 3, 60))
    spec = NetworkSpec((3, 4, 3))
    run(spec, tmp_path / "t.npz", TrainingConfig(epochs=1), WHERE, out=tmp_path / "r")
    text = whole(report(tmp_path / "r"))
    assert re.search(r"<th scope=.col.>truth</th>", text)
    assert "data:image/png" not in text


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("width", [360, 1400])
@pytest.mark.parametrize("scheme", [0, 1])  # dark, light
def test_a_browser_opens_it_in_both_schemes(folder, tmp_path, width, scheme):
    picture = tmp_path / "page.png"
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--screenshot={picture}",
               f"--window-size={width},1500", f"--blink-settings=preferredColorScheme={scheme}",
               "--hide-scrollbars"]  # fmt: skip
    page = (folder / "run" / "report.html").as_uri()
    done = subprocess.run([CHROMIUM, *options, page], capture_output=True, text=True, timeout=60)
    assert "CONSOLE" not in done.stderr
    from matplotlib.image import imread

    corner = imread(picture)[:4, :4, :3].mean()
    assert (corner < 0.2) if scheme == 0 else (corner > 0.9)
