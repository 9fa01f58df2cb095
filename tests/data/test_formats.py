"""Files of every format: what was written comes back, and what is wrong is one line."""

import csv
import io
import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_dyads.data.contents import MISSING, How
from lava_dyads.data.formats import formats, read, suffixes
from lava_dyads.data.formats.delimited import parse
from lava_dyads.data.frames import table_of
from lava_dyads.errors import DataError, ValidationError

WORDS = st.text(string.ascii_letters + " ,;\"'éß|\n\t", min_size=1, max_size=6).map(
    lambda text: f"x{text.strip()}"
)
"""Texts that are neither numbers, truth values nor missing; signs that have to be quoted, too."""

NUMBERS = st.one_of(st.integers(-(10**6), 10**6).map(float), st.floats(allow_nan=False, width=32))
NAMES = WORDS.map(lambda text: " ".join(text.split()))


@st.composite
def tables(draw):
    """Names, separator and columns: of numbers, of texts, of truth values, with gaps."""
    rows = draw(st.integers(1, 6))
    names = draw(st.lists(NAMES, min_size=2, max_size=4, unique=True))
    kinds = [draw(st.sampled_from(["numbers", "texts", "truths"])) for _ in names]
    columns = []
    for kind in kinds:
        value = {"numbers": NUMBERS, "texts": WORDS, "truths": st.booleans()}[kind]
        # A gap in every line but one would leave nothing to tell the kind by.
        values = [draw(value), *(draw(st.none() | value) for _ in range(rows - 1))]
        columns.append(values)
    return names, kinds, columns, draw(st.sampled_from([",", ";", "\t"]))


@given(tables(), st.sampled_from(["", "NA", "nan", "?"]), st.sampled_from(["\n", "\r\n"]))
@settings(max_examples=60, deadline=None)
def test_a_table_that_pythons_csv_has_written_is_read_back(table, gap, end):
    names, kinds, columns, mark = table
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=mark, lineterminator=end, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(names)
    cells = [[gap if value is None else value for value in column] for column in columns]
    writer.writerows(zip(*cells, strict=True))
    made = parse("t.csv", text.getvalue(), "yes")
    assert made.rows == len(columns[0])
    assert made.names == tuple(name.strip() for name in names)
    for column, kind, values in zip(made.columns, kinds, columns, strict=True):
        assert column.missing.tolist() == [value is None for value in values]
        there = [value for value in values if value is not None]
        found = column.values[~column.missing]
        if kind == "texts":
            assert found.tolist() == [value.strip() for value in there]
        else:
            np.testing.assert_array_equal(found.astype(float), np.array(there, float))
        if kind == "truths":
            assert column.levels == (str(False), str(True))


@pytest.mark.parametrize("text", sorted(MISSING))
def test_a_gap_in_numbers_and_in_texts_is_missing(text):
    made = parse("t.csv", f"a,b\n1,red\n{text},{text.upper()}\n")
    assert [column.missing.tolist() for column in made.columns] == [[False, True]] * 2


def test_a_column_whose_first_text_comes_late_is_read_as_texts():
    lines = ["a,b", *(f"{k},{k}" for k in range(2500)), "2500,late"]
    made = parse("t.csv", "\n".join(lines))
    assert made.columns[1].values.tolist() == [*(str(k) for k in range(2500)), "late"]
    np.testing.assert_array_equal(made.columns[0].values, np.arange(2501))


def test_names_that_stand_twice_are_told_apart_and_lines_are_counted():
    made = parse("t.csv", "# by hand\na,a,a.1\n\n1,2,3\n4,5,6\n")
    assert made.names == ("a", "a.1", "a.1.1")
    assert made.place(1, "a") == "t.csv, line 5, column 'a'"


FRAMES = {
    "n": [1.5, None, -2.0], "i": [3, 1, 2], "t": ["red", None, "blue"], "b": [True, False, True],
}  # fmt: skip


def same(table, names=tuple(FRAMES)):
    assert table.names == names
    by_name = {column.name: column for column in table.columns}
    np.testing.assert_array_equal(by_name["n"].values, [1.5, np.nan, -2.0])
    np.testing.assert_array_equal(by_name["i"].values, [3, 1, 2])
    assert by_name["t"].values.tolist() == FRAMES["t"]
    np.testing.assert_array_equal(by_name["b"].values, [1, 0, 1])
    assert by_name["b"].levels == ("False", "True")
    assert not any(column.unusable for column in table.columns)


def test_frames_of_pandas_polars_and_parquet_hold_the_same(tmp_path):
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(FRAMES)
    same(table_of(frame))
    same(table_of(frame.convert_dtypes()))  # with pandas' own kinds, which know NA
    same(table_of(pl.DataFrame(FRAMES)))
    frame.to_parquet(tmp_path / "a.parquet")
    pl.DataFrame(FRAMES).write_parquet(tmp_path / "b.pq")
    frame.set_index("i").to_csv(tmp_path / "c.csv")
    for name in ("a.parquet", "b.pq"):
        same(read(tmp_path / name))
    same(read(tmp_path / "c.csv"), ("i", "n", "t", "b"))


def test_categories_keep_their_order_and_dates_are_said_to_be_none(tmp_path):
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    sizes = pd.Categorical(["s", "l", None], categories=["s", "m", "l"])
    frame = pd.DataFrame({"size": sizes, "day": pd.to_datetime(["2020-03-01"] * 3)})
    frame.to_parquet(tmp_path / "a.parquet")
    enum = pl.DataFrame({"size": ["s", "l", None]}, schema={"size": pl.Enum(["s", "m", "l"])})
    for table in (table_of(frame), read(tmp_path / "a.parquet"), table_of(enum)):
        assert table.columns[0].values.tolist() == ["s", "l", None]
        assert table.columns[0].levels == ("s", "l")
    assert table_of(frame).columns[1].unusable.startswith("datetime64")
    assert table_of(frame).columns[1].values[0].startswith("2020-03-01")


X, Y = np.random.default_rng(0).random((6, 4)), np.array([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize("sample", ["x", "X", "data", "images", "features"])
@pytest.mark.parametrize("target", ["labels", "y", "target"])
def test_archives_have_samples_and_targets_under_any_usual_name(tmp_path, sample, target):
    h5py = pytest.importorskip("h5py")
    arrays = {"extra": np.zeros(2), sample: X, target: Y}
    np.savez(tmp_path / "a.npz", **arrays)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array
    for name in ("a.npz", "a.h5"):
        made = read(tmp_path / name)
        np.testing.assert_array_equal(made.x, X)
        np.testing.assert_array_equal(made.y, Y)


def test_archives_with_a_test_part_and_with_names(tmp_path):
    h5py = pytest.importorskip("h5py")
    np.savez(tmp_path / "k.npz", x_train=X, y_train=Y, x_test=X[:2], y_test=Y[:2])
    made = read(tmp_path / "k.npz")
    assert (made.training_rows, len(made.x), len(made.y)) == (6, 8, 8)
    with h5py.File(tmp_path / "n.hdf5", "w") as file:
        file["X"], file["y"] = X, ["a", "b", "c"] * 2
        file["feature_names"] = list("pqrs")
    made = read(tmp_path / "n.hdf5")
    assert made.y.tolist() == ["a", "b", "c"] * 2
    assert made.feature_names == ("p", "q", "r", "s")


@pytest.fixture
def pictures(tmp_path):
    """Six pictures of two classes, and their pixels."""
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(1).integers(0, 256, (6, 5, 4, 3)).astype("u1")
    for k, picture in enumerate(pixels):
        folder = tmp_path / "p" / ("cat", "dog")[k % 2]
        folder.mkdir(parents=True, exist_ok=True)
        image.fromarray(picture).save(folder / f"{k}.png")
    (tmp_path / "p" / "notes.txt").write_text("by hand")
    return tmp_path / "p", pixels


def test_a_folder_of_pictures_is_read_by_class(pictures):
    folder, pixels = pictures
    made = read(folder)
    assert made.class_names == ("cat", "dog")
    assert made.y.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_array_equal(np.moveaxis(made.x, 1, -1), pixels[[0, 2, 4, 1, 3, 5]])
    grey = read(folder, How(channels=1)).x
    luma = pixels[[0, 2, 4, 1, 3, 5]] @ [0.299, 0.587, 0.114]  # ITU-R 601, as Pillow says
    assert np.abs(grey - luma).max() <= 1
    assert read(folder, How(image_size=(2, 3))).x.shape == (6, 3, 2, 3)
    assert read(folder / "dog").y is None  # for prediction


def test_a_folder_with_a_test_part_and_one_with_pictures_of_two_sizes(pictures, tmp_path):
    folder, _ = pictures
    (tmp_path / "q").mkdir()
    for part in ("train", "test"):
        (tmp_path / "q" / part).symlink_to(folder)
    made = read(tmp_path / "q")
    assert (made.training_rows, made.y.tolist()) == (6, [0, 0, 0, 1, 1, 1] * 2)
    image = pytest.importorskip("PIL.Image")
    image.new("L", (3, 3)).save(folder / "cat" / "z.png")
    with pytest.raises(DataError, match=r"z.png: all pictures must have one size.*--image-size"):
        read(folder)
    assert len(read(folder, How(image_size=(3, 3))).x) == 7


WRONG = {
    "a.csv": b"", "b.csv": b"a,b\n", "c.csv": b"1,2\n3\n", "d.csv": b"\xff\xfe\x00", "a.npy": b"no",
    "a.npz": b"no", "a.h5": b"\x89HDF\r\n\x1a\n", "a.parquet": b"PAR1 no PAR1", "a.doc": b"",
    "e.tsv": b'"' + b"x" * 200_000, "p/c/a.png": b"no picture",
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_of_every_kind_is_one_line(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(WRONG[name])
    with pytest.raises(ValidationError) as caught:
        read(path if path.parent == tmp_path else tmp_path / "p")
    assert "\n" not in str(caught.value)
    assert "Try: " in str(caught.value)


def test_an_archive_without_a_usual_name_says_what_is_in_it(tmp_path):
    np.savez(tmp_path / "a.npz", spikes=X, when=Y)
    with pytest.raises(DataError, match=r"needs an array x or X.*spikes, when"):
        read(tmp_path / "a.npz")


def test_missing_packages_missing_files_and_devices_are_one_line(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValidationError, match=r"pip install 'lava_dyads\[tables\]'"):
        read(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "b.csv")
    with pytest.raises(DataError, match="must end in"):
        read("/dev/null")
    with pytest.raises(DataError, match="is a folder of none of the kinds"):
        read(tmp_path)


def test_every_format_has_its_own_endings():
    assert len(set(suffixes())) == len(suffixes())
    assert {"delimited", "parquet", "npy", "npz", "hdf5", "images"} <= set(formats())
