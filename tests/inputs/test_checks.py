"""Types at the boundary, by what Python says about the values themselves."""

import math
from collections import OrderedDict
from dataclasses import FrozenInstanceError, fields
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from lava_dyads.checks import Count, Share, checked, real_array, taken
from lava_dyads.data.encoders import Latency as LatencyCode
from lava_dyads.data.encoders import LevelCrossing, Rate
from lava_dyads.errors import ValidationError, message, nearest, shown
from lava_dyads.executors.latency import Latency
from lava_dyads.executors.transport import Faults, Transport
from lava_dyads.networks import Execution, Graph, NetworkSpec, Node
from lava_dyads.rules.arithmetic import Loihi2
from lava_dyads.rules.optimisers import SGD, Adam, Momentum
from lava_dyads.training import Interval, TrainingConfig


class Hostile:
    """Fails at whatever it is asked."""

    def __repr__(self):
        raise RuntimeError("no")

    def __bool__(self):
        raise RuntimeError("no")

    def __index__(self):
        raise RuntimeError("no")

    def __float__(self):
        raise RuntimeError("no")

    def __eq__(self, other):
        raise RuntimeError("no")

    __hash__ = None


class Nameless:
    """Fails even where it is asked for its class."""

    @property
    def __class__(self):
        raise RuntimeError("no")


def nested(depth):
    made = []
    for _ in range(depth):
        made = [made]
    return made


WRONG: list[Any] = [
    object(), Hostile(), b"bytes", {}, {"a": 1}, set(), [[1], [2, 3]], nested(3000), 1j, 10**30,
    10**5000, "text\n\x1b[31m\udc80" * 50, np.zeros((2, 2)), np.zeros(0), np.array(["a"]),
    np.array([1, None]), np.float64("nan"), float("nan"), -1, -1.5, math.inf, np.datetime64("nat"),
    lambda: 1, int, NotImplemented, Decimal("nan"), [Hostile()], "", (), [None], True,
]  # fmt: skip
"""Values that hardly any parameter takes."""

RECORDS: list[tuple[type, dict[str, Any]]] = [
    (NetworkSpec, {"layers": (4, 3, 2)}),
    (NetworkSpec, {"layers": (4, 3, 2), "rule": "spiking"}),
    (NetworkSpec, {"layers": (4, 3, 2), "rule": "backprop"}),
    (TrainingConfig, {}),
    (Execution, {}),
    (Node, {"name": "x", "kind": "dense", "sources": "y"}),
    (Graph, {}),
    (Latency, {}),
    (Transport, {}),
    (Faults, {}),
    (Interval, {}),
    (Loihi2, {}),
    (SGD, {}),
    (Momentum, {}),
    (Adam, {}),
    (Rate, {}),
    (LatencyCode, {}),
    (LevelCrossing, {}),
]


def refusal(cls, options):
    """Return why it cannot be made; empty: it can."""
    try:
        cls(**options)
    except ValidationError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("cls", "given"), RECORDS)
def test_a_record_takes_a_value_of_its_kind_or_says_so_in_one_line(cls, given):
    for field in fields(cls):
        for value in WRONG:
            text = refusal(cls, {**given, field.name: value})
            assert text.isprintable(), (field.name, text)
            assert len(text) < 1500, (field.name, text)


@pytest.mark.parametrize(("cls", "given"), RECORDS)
def test_no_field_takes_true_for_a_number_nor_a_number_for_a_text(cls, given):
    made = cls(**given) if given or cls is not Graph else None
    for field in fields(cls) if made else ():
        held = getattr(made, field.name)
        if isinstance(held, bool):
            wrong: Any = 1
        elif isinstance(held, int | float):
            wrong = True
        elif isinstance(held, str):
            wrong = 1
        else:
            continue
        with pytest.raises(ValidationError, match=rf"\b{field.name}: must "):
            cls(**{**given, field.name: wrong})


def test_what_users_pass_is_taken_as_the_plain_type():
    spec = NetworkSpec(
        [np.int64(4), np.uint8(3), 2], alpha=1, beta=np.float32(0.5), seed=np.int32(3)
    )
    assert spec == NetworkSpec((4, 3, 2), alpha=1.0, beta=0.5, seed=3)
    assert [type(n) for n in spec.layers] == [int, int, int]
    assert (type(spec.rule.alpha), type(spec.rule.beta), type(spec.seed)) == (float, float, int)
    assert NetworkSpec(np.array([4, 3, 2])).layers == (4, 3, 2)
    assert NetworkSpec((4, 3, 3, 2), ["relu", np.str_("tanh")]).activations == ("relu", "tanh")
    assert NetworkSpec((4, 3, 2), density=[1, 0.5]).density == (1.0, 0.5)
    assert TrainingConfig(counting=np.bool_(False)).counting is False
    assert Faults(killed=["a", "b"]).killed == ("a", "b")
    assert Transport(OrderedDict({"*": "constant"})).latency == {"*": "constant"}
    assert taken(Fraction(1, 2), float, "x") == 0.5
    assert taken(np.array(3), int, "x") == 3
    assert taken("a/b", Path, "x") == Path("a/b")
    assert taken(Path("a"), str | Path, "x") == Path("a")
    assert Graph(
        node for node in [Node("x", "input", shape=[3]), Node("y", "dense", ["x"], size=2)]
    )


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (True, int), (2.0, int), ("3", int), (np.array([3]), int), (np.bool_(1), int), (2**63, int),
        (True, float), ("1.0", float), (1j, float), (math.nan, float), (math.inf, float),
        (10**400, float), (np.array([1.0]), float), (b"a", str), (None, str), (1, bool),
        ("ab", tuple[str, ...]), ({1, 2}, tuple[int, ...]), ({1: 2}, tuple[int, ...]),
        (np.ones((1, 2)), tuple[float, ...]), ((1, 2, 3), tuple[int, int]), (1, tuple[int, ...]),
        ("x", Literal["a", "b"]), (1, Literal["a"]), ("a\0b", Path),
        (b"a", Path), (3, Path), (2, Share), (0, Count), ({1: "a"}, dict[str, str]), (None, int),
    ],
)  # fmt: skip
def test_what_is_of_another_kind_is_refused(value, annotation):
    with pytest.raises(ValidationError, match=r"^what: must .* \(got .*\). Try: "):
        taken(value, annotation, "what")


@pytest.mark.parametrize(
    "annotation",
    [int, float, bool, str, Path, Share, SGD, int | None, tuple[int, ...], dict[str, int]],
)
def test_what_hides_its_class_is_refused(annotation):
    with pytest.raises(ValidationError, match=r"^what: must .* \(got <.*Nameless.*>\). Try: "):
        taken(Nameless(), annotation, "what")


def test_a_function_takes_its_arguments_in_the_same_way():
    @checked
    def repeat(text: str, times: Count = 1, *rest: Any, gap: float | None = None) -> str:
        """Repeat."""
        return text * times

    assert repeat(np.str_("ab"), times=np.int8(2)) == "abab"
    assert repeat("ab", gap=None) == "ab"
    with pytest.raises(ValidationError, match=r"repeat.times: must be at least 1 \(got 0\)"):
        repeat("ab", 0)
    with pytest.raises(ValidationError, match=r"repeat.gap: must be a finite number or None"):
        repeat("ab", gap="x")
    with pytest.raises(TypeError, match="unexpected keyword"):
        repeat("ab", gab=1)


def test_arrays_are_finite_real_numbers_or_refused():
    assert real_array([[1, 2]], "x").dtype == np.float64
    assert real_array(np.float32([1]), "x", 1).tolist() == [1.0]
    for wrong in (
        None,
        "a",
        [[1], [2, 3]],
        [1j],
        [None],
        [math.nan],
        [math.inf],
        [True],
        Hostile(),
    ):
        with pytest.raises(ValidationError, match=r"^x(\[0\])?: must "):
            real_array(wrong, "x")
    with pytest.raises(ValidationError, match="does not fit into memory"):
        real_array(np.broadcast_to(1.0, (2**24, 2**24)), "x")
    with pytest.raises(ValidationError, match=r"must have 2 axes \(got 'shape \(2,\)'\)"):
        real_array([1, 2], "x", 2)


@pytest.mark.parametrize("value", WRONG, ids=range(len(WRONG)))
def test_every_value_can_stand_in_a_message(value):
    text = message("what", "must be something", value, "something")
    assert len(text) < 1000
    assert text.startswith("what: must be something (got ")
    assert nearest(value, ["relu", "tanh"]) in ("relu, tanh", "relu", "tanh")


def test_numpys_numbers_are_shown_as_numbers_and_arrays_as_what_they_are():
    for number in (np.float64(8.3), np.float32(8.3), np.float16(8.3)):
        assert shown(number).startswith("8.3")
    assert shown((np.float64(0.5), np.int64(3), np.str_("a"))) == "(0.5, 3, 'a')"
    assert shown(np.bool_(True)) == "True"
    assert shown(np.ones((2, 3), np.float32)) == "array of float32, shape (2, 3)"
    assert shown("dp-tranpose") == "'dp-tranpose'"


def test_a_validation_error_is_one_line_whatever_it_was_made_from():
    assert str(ValidationError("a\nb\r\n\x1b[31m \udc80")) == "a b \\x1b[31m \\udc80"


def test_records_stay_frozen():
    with pytest.raises(FrozenInstanceError):
        NetworkSpec((2, 2)).seed = 1  # type: ignore[misc]
