"""Results as tables: for notebooks, and as frames."""

import sys
from html.parser import HTMLParser

import pytest

from lava_dyads import NetworkSpec, describe
from lava_dyads.errors import UnsupportedError
from lava_dyads.runtime.usage import ChannelUsage, Usage
from lava_dyads.tables import LONGEST
from lava_dyads.training.metrics import Cost, History


class Cells(HTMLParser):
    """The texts of a table's cells, row by row."""

    def __init__(self, text):
        super().__init__()
        self.rows = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        self.rows[-1][-1] += data


def history(epochs):
    return History([{"epoch": e, "test_loss": 1 / e} for e in range(1, epochs + 1)])


def test_a_history_has_a_row_per_epoch():
    rows = Cells(history(3)._repr_html_()).rows
    assert rows == [["epoch", "test_loss"], ["1", "1"], ["2", "0.5"], ["3", "0.333333"]]


def test_of_a_long_history_the_first_and_the_last_rows_are_shown():
    rows = Cells(history(1000)._repr_html_()).rows[1:]
    assert len(rows) == LONGEST + 1
    assert [rows[0][0], rows[LONGEST // 2][0], rows[-1][0]] == ["1", "...", "1000"]


def test_an_empty_history_is_a_table_too():
    assert Cells(History()._repr_html_()).rows == [[]]


def test_a_single_row_stands_upright_and_text_is_no_markup():
    assert Cells(Cost(None, None, 2.0, 3, 4.0)._repr_html_()).rows[1] == ["events", "None"]
    usage = Usage([ChannelUsage("<a>.b", "c.d", 1, 2), ChannelUsage("e.f", "g.h", 3, 4, 5)], {})
    assert Cells(usage._repr_html_()).rows[1][0] == "<a>.b"


def test_a_description_is_shown_once():
    spec = NetworkSpec((4, 3, 2))
    quiet, printed = describe(spec, quiet=True), describe(spec)
    assert printed._repr_html_() is None
    assert printed == quiet
    names = [row[0] for row in Cells(quiet._repr_html_()).rows[1:]]
    assert names == [row.name for row in quiet.rows]


def test_frames_are_those_of_pandas():
    pytest.importorskip("pandas")
    frame = history(3).to_frame()
    assert list(frame.columns) == ["epoch", "test_loss"]
    assert frame["test_loss"].tolist() == [1.0, 0.5, 1 / 3]


def test_without_pandas_a_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UnsupportedError, match=r"^to_frame: .*pip install 'lava_dyads\[tables\]'$"):
        history(1).to_frame()
