"""From tables, frames and arrays to data sets: targets, names, gaps, scaling and splits."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_dyads.data import Dataset, load
from lava_dyads.data.contents import Column, Table
from lava_dyads.data.outcome import outcome_of, outcome_of_array
from lava_dyads.data.preparation import Preparation, chosen
from lava_dyads.data.reading import Reading
from lava_dyads.data.schema import Schema, learn
from lava_dyads.errors import DataError, ValidationError


def csv(tmp_path, text, name="t.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("values", "names", "labels"),
    [
        ([1, 5, 9, 5], ("1", "5", "9"), [0, 1, 2, 1]),
        ([0.0, 1.0, 2.0, 1.0], (), [0, 1, 2, 1]),
        ([-1, 1, -1, 1], ("-1", "1"), [0, 1, 0, 1]),
        ([True, False, True, True], ("False", "True"), [1, 0, 1, 1]),
        (["b", "a", "c", "a"], ("a", "b", "c"), [1, 0, 2, 0]),
        (np.eye(3)[[2, 0, 1, 0]], ("0", "1", "2"), [2, 0, 1, 0]),
        (np.array([b"no", b"yes", b"no", b"no"]), ("no", "yes"), [0, 1, 0, 0]),
    ],
)
def test_labels_of_every_kind_become_classes_from_0_on(values, names, labels):
    made = load(np.arange(8.0).reshape(4, 2), np.asarray(values))
    assert (made.task, made.class_names, made.labels.tolist()) == ("classes", names, labels)
    assert made.classes == len(set(labels))


def test_categories_of_pandas_keep_their_order():
    pd = pytest.importorskip("pandas")
    sizes = pd.Categorical(["s", "l", "s", "m"], categories=["s", "m", "l"])
    made = load(pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "size": sizes}), "size")
    assert (made.class_names, made.labels.tolist()) == (("s", "m", "l"), [0, 2, 0, 1])


@given(st.lists(st.text("abc", min_size=1), min_size=1, max_size=20))
@settings(max_examples=30)
def test_names_of_classes_say_what_the_texts_said(texts):
    texts = [f"t{text}" for text in texts]
    values = np.empty(len(texts), object)
    values[:] = texts
    made = outcome_of([Column("y", values)], "t")
    assert [made.class_names[k] for k in made.labels] == texts
    assert len(made.class_names) == len(set(texts))
    again = outcome_of([Column("y", values[::-1])], "t", known=made.class_names)
    assert [made.class_names[k] for k in again.labels] == texts[::-1]


def test_what_is_learned_is_plain_from_the_values_or_said():
    real, many = np.linspace(0, 1, 50), np.arange(50.0)
    assert outcome_of_array(real, "t").task == outcome_of_array(many, "t").task == "values"
    assert outcome_of_array(many % 20, "t").task == "classes"
    assert outcome_of_array(many % 20, "t", "values").task == "values"
    several = np.array([[1, 1], [0, 1], [0, 0]])
    assert outcome_of_array(several, "t").task == "labels"
    assert outcome_of_array(several[:2] * 0.5, "t").task == "values"
    with pytest.raises(DataError, match="labels must be 0 or 1"):
        outcome_of_array(several * 2, "t", "labels")
    with pytest.raises(DataError, match="always one of them is 1"):
        outcome_of_array(several, "t", "classes")
    with pytest.raises(DataError, match=r"row 1: has no target"):
        outcome_of_array(np.array([1.0, np.nan]), "t")


TEXT = "width,colour,kind,length\n1,red,a,10\n2,blue,b,20\n3,red,a,30\n4,blue,b,40\n"


def test_columns_are_taken_by_name_and_by_number(tmp_path):
    path = csv(tmp_path, TEXT)
    by_name = load(path, "kind")
    assert by_name.class_names == ("a", "b")
    assert by_name.feature_names == ("width", "colour=blue", "colour=red", "length")
    np.testing.assert_array_equal(by_name.x[1], [2, 1, 0, 20])
    np.testing.assert_array_equal(load(path, "2").x, by_name.x)
    np.testing.assert_array_equal(load(path, -2).x, by_name.x)
    assert load(path, task="values").output_names == ("length",)  # the last one
    with pytest.raises(DataError, match=r"--target: .* no such column .got 'kid'.. Try: kind"):
        load(path, "kid")


def test_the_usual_name_of_a_target_is_taken_wherever_it_stands(tmp_path):
    made = load(csv(tmp_path, "a,Species,b\n1,x,2\n3,y,4\n5,x,6\n7,y,8\n"))
    assert made.class_names == ("x", "y")
    assert "target 'Species': 2 classes: x, y" in made.told


def test_several_targets_are_values(tmp_path):
    made = load(csv(tmp_path, "a,p,q\n1,2.5,3\n4,5,6.5\n"), ["p", "q"])
    assert made.output_names == ("p", "q")
    np.testing.assert_array_equal(made.targets, [[2.5, 3], [5, 6.5]])
    np.testing.assert_array_equal(made.x, [[1], [4]])


def test_row_numbers_of_pandas_are_no_feature(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [0.5, 0.25, 0.75], "y": ["p", "q", "p"]})
    frame.to_csv(tmp_path / "t.csv")
    assert load(tmp_path / "t.csv").feature_names == ("a",)


GAPS = "a,b,y\n1,2,x\n3,,y\n5,6,x\n7,NA,y\n"


def test_gaps_are_named_by_line_and_column_or_filled_or_left_out(tmp_path):
    path = csv(tmp_path, GAPS)
    with pytest.raises(DataError, match=r"t.csv, line 3, column 'b': is missing.*--missing mean"):
        load(path)
    np.testing.assert_array_equal(load(path, missing="drop").x, [[1, 2], [5, 6]])
    made = load(path, missing="mean")
    assert np.isnan(made.x[[1, 3], 1]).all()
    learnt = made.preparation.learnt(made.x[[0, 1]])
    np.testing.assert_array_equal(learnt.means, [2, 2])  # of the training part alone
    with pytest.raises(DataError, match=r"line 2, column 'y': has no target"):
        load(csv(tmp_path, "a,y\n1,\n2,p\n"))
    x = np.array([[1.0, np.nan], [2.0, 3.0], [4.0, 5.0]])
    with pytest.raises(DataError, match=r"x\[0, 1\]: must be finite .got nan.. Try: --missing"):
        load(x, [0, 1, 0])
    assert len(load(x, [0, 1, 0], missing="drop").x) == 2


def test_what_can_be_no_input_is_said_with_its_column(tmp_path):
    pd = pytest.importorskip("pandas")
    with pytest.raises(DataError, match=r"line 4, column 'a': must be a number.*got 'x'.*--ignore"):
        load(csv(tmp_path, "a,y\n1,p\n2,q\nx,p\n"))
    names = "\n".join(f"n{k},{k % 2}" for k in range(150))
    with pytest.raises(DataError, match=r"column 'name': has 150 different texts.*--ignore name"):
        load(csv(tmp_path, f"name,y\n{names}\n"))
    frame = pd.DataFrame({"day": pd.to_datetime(["2020-01-01"] * 4), "y": [0, 1, 0, 1]})
    with pytest.raises(DataError, match=r"column 'day': can be no input.*datetime"):
        load(frame)
    frame["a"] = 1.0
    assert load(frame, "y", ignore="day").feature_names == ("a",)


NUMBER_TABLES = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).normal(5, 3, (12, 3))
)


@given(NUMBER_TABLES)
@settings(max_examples=20)
def test_scaling_is_scikit_learns_and_comes_back_from_json(x):
    processing, impute = pytest.importorskip("sklearn.preprocessing"), pytest.importorskip(
        "sklearn.impute"
    )  # fmt: skip
    train, rest = x[:8], x[8:]
    theirs = {"standard": processing.StandardScaler(), "min-max": processing.MinMaxScaler()}
    for kind, scaler in theirs.items():
        learnt = Preparation(kind).learnt(train)
        # A value at the mean is 0, or what rounding the mean leaves of it.
        rounding = np.finfo(float).eps * np.abs(x).max() / learnt.scaling.scale.min()
        scaled = scaler.fit(train).transform(rest)
        np.testing.assert_allclose(learnt(rest), scaled, atol=4 * rounding)
        kept = Preparation.from_dict(json.loads(json.dumps(learnt.as_dict())))
        np.testing.assert_array_equal(kept(rest), learnt(rest))
        assert kept.learnt(rest) is kept
    gaps = np.where(x > 6, np.nan, x)
    if not np.isnan(gaps[:8]).all(axis=0).any():
        learnt = Preparation("standard", fills=True).learnt(gaps[:8])
        rounding = np.finfo(float).eps * np.abs(x).max() / learnt.scaling.scale.min()
        imputer = impute.SimpleImputer().fit(gaps[:8])
        scaler = theirs["standard"].fit(imputer.transform(gaps[:8]))
        scaled = scaler.transform(imputer.transform(gaps[8:]))
        np.testing.assert_allclose(learnt(gaps[8:]), scaled, atol=4 * rounding)


def test_constant_columns_stay_and_columns_without_values_are_named():
    x = np.array([[3.0, 0.1], [3.0, 0.1]])
    for kind in ("standard", "min-max"):
        np.testing.assert_allclose(Preparation(kind).learnt(x)(x), 0, atol=1e-12)
    with pytest.raises(DataError, match="feature 1: has no value in the training part"):
        Preparation("none", fills=True).learnt(np.array([[1.0, np.nan]]))
    with pytest.raises(ValidationError, match="has to be learnt"):
        Preparation("standard")(x)


def test_the_scaling_that_fits_is_taken():
    random = np.random.default_rng(0)
    shares = random.random((5, 4))
    assert chosen(shares, False) == "none"
    assert chosen(shares * 9, False) == "standard"
    assert chosen(np.rint(shares * 255), True) == "bytes"
    assert chosen(np.rint(shares * 255), False) == "standard"  # four numbers, no image
    assert chosen(np.rint(random.random((5, 784)) * 255), False) == "bytes"


def test_images_are_laid_out_channel_by_channel_and_divided_by_255(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3)).astype("u1")
    np.savez(tmp_path / "a.npz", images=pixels, y=[0, 1, 2] * 2)
    made = load(tmp_path / "a.npz")
    np.testing.assert_array_equal(made.x, np.moveaxis(pixels, 3, 1).reshape(6, -1))
    assert made.schema.image == (3, 4, 5)
    assert made.preparation.kind == "bytes"
    shown = made.preparation.learnt(made.x)(made.x)
    np.testing.assert_array_equal(shown, made.x / 255)


def test_a_test_part_of_its_own_is_read_like_the_training_part(tmp_path):
    train, test = csv(tmp_path, TEXT), csv(
        tmp_path, "kind,extra,length,colour,width\nb,0,50,red,5\n", "test.csv"
    )  # fmt: skip
    made = load(train, "kind", test=test)
    assert made.official_training_rows == 4
    np.testing.assert_array_equal(made.x[4], [5, 0, 1, 50])
    assert made.labels[4] == 1
    csv(tmp_path, "kind,length,colour,width\nc,50,red,5\n", "test.csv")
    with pytest.raises(DataError, match=r"none of the classes of the training .got 'c'"):
        load(train, "kind", test=test)
    csv(tmp_path, "kind,length,colour,width\na,50,green,5\n", "test.csv")
    with pytest.raises(DataError, match=r"'colour': must be one of blue, red .got 'green'"):
        load(train, "kind", test=test)
    csv(tmp_path, "kind,length,width\na,50,5\n", "test.csv")
    with pytest.raises(DataError, match=r"test.csv: needs a column 'colour'"):
        load(train, "kind", test=test)


@given(st.integers(0, 1000), st.floats(0.1, 0.6), st.floats(0.1, 0.6))
@settings(max_examples=25)
def test_parts_are_apart_and_keep_groups_and_time(seed, test_share, validation_share):
    random = np.random.default_rng(seed)
    x, labels = random.random((60, 2)), np.arange(60) % 2
    plain = Dataset("d", x, labels)
    grouped = Dataset("d", x, labels, groups=random.integers(0, 9, 60))
    ordered = Dataset("d", x, labels, ordered=True)
    for data in (plain, grouped, ordered):
        parts = data.parts(seed, test_share, validation_share)
        np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(60))
        assert min(map(len, parts)) > 0
        whole = np.concatenate(data.split(seed, test_share))
        assert set(data.split(seed, test_share)[1]) == set(parts[2])
        assert len(whole) == 60
    groups = [set(grouped.groups[part]) for part in grouped.parts(seed, test_share, 0.3)]
    assert not (groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2])
    train, validation, test = ordered.parts(seed, test_share, validation_share)
    assert train.max() < validation.min() <= validation.max() < test.min()


def test_time_and_groups_are_columns(tmp_path):
    path = csv(tmp_path, "day,who,a,y\n3,p,30,0\n1,q,10,1\n2,p,20,0\n4,q,40,1\n")
    made = load(path, "y", split="time:day", ignore="who")
    np.testing.assert_array_equal(made.x.ravel(), [10, 20, 30, 40])
    np.testing.assert_array_equal(made.split(5, 0.25)[1], [3])
    made = load(path, "y", group="who", ignore="day")
    assert made.feature_names == ("a",)
    train, test = made.split(0, 0.5)
    assert set(made.groups[train]) != set(made.groups[test])
    with pytest.raises(DataError, match="1 group"):
        Dataset("d", made.x, made.labels, groups=np.zeros(4, int)).split(0)


def test_a_class_of_one_sample_is_named(tmp_path):
    made = load(csv(tmp_path, "a,y\n1,p\n2,p\n3,rare\n4,p\n"))
    with pytest.raises(DataError, match=r"class 'rare' has a single sample, row 2"):
        made.split(0)


def test_schemas_and_readings_come_back_from_json(tmp_path):
    made = load(csv(tmp_path, TEXT), "kind", scaling="min-max", missing="mean")
    schema = json.loads(json.dumps(made.schema.as_dict()))
    assert Schema.from_dict(schema) == made.schema
    reading = json.loads(json.dumps(made.reading.as_dict()))
    assert reading == {"target": ["kind"], "scaling": "min-max", "missing": "mean"}
    assert Reading.from_dict(reading) == made.reading
    for wrong in ({"features": [{"levels": []}]}, {"image": "x"}, {"features": 3}):
        with pytest.raises(ValidationError):
            Schema.from_dict(wrong)


def test_columns_of_texts_are_one_hot_and_gaps_in_them_too():
    values = np.array(["u", None, "v"], object)
    table = Table("t", (Column("c", values), Column("n", np.array([1.0, 2.0, 3.0]))), 3, "")
    schema = Schema(learn(table), True)
    x, _ = schema.encode(table)
    np.testing.assert_array_equal(x, [[1, 0, 1], [np.nan, np.nan, 2], [0, 1, 3]])
    mirrored = Table("t", table.columns[::-1], 3, "")
    np.testing.assert_array_equal(schema.encode(mirrored)[0], x)


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("missing", "no", "missing: must be error or mean or drop"),
        ("scaling", "z", "scaling: must be none or standard"),
        ("task", "guess", "task: must be classes or labels"),
        ("split", "random", "split: unknown name"),
        ("channels", 2, "channels: must be 0 or 1 or 3"),
        ("image_size", (1, 2, 3), "image_size: must be height and width"),
        ("test", "", "test: must name a file"),
        ("group", "who", "group: needs a table"),
    ],
)
def test_wrong_options_are_one_line(option, value, told):
    with pytest.raises(ValidationError, match=told):
        load(np.ones((4, 2)), [0, 1, 0, 1], **{option: value})


def test_built_in_sets_take_a_scaling_and_nothing_else():
    assert load("digits", scaling="standard").preparation.kind == "standard"
    with pytest.raises(ValidationError, match="target: digits has its own"):
        load("digits", "label")


def test_nothing_is_warned_of_while_a_table_is_read(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(csv(tmp_path, GAPS), missing="mean")
