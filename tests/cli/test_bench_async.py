"""``bench async``: both engines, the same messages."""

import json

import pytest

from lava_dyads.cli import main
from tests.support.needs import NEEDS_LAVA

pytest.importorskip("numba")
pytestmark = [NEEDS_LAVA, pytest.mark.timeout(120)]


def test_both_engines_are_timed_on_the_same_messages(capsys):
    line = "bench async --all-layers 6,5,3 --samples 3 --rounds 1 --lanes 2 --json"
    assert main(line.split()) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["layers"] == [6, 5, 3]
    assert [cost["granularity"] for cost in found["costs"]] == ["neuron", "layer"]
    for cost in found["costs"]:
        assert cost["messages"] > 6
        assert cost["ratio"] == pytest.approx(cost["interpreted"] / cost["compiled"])
        assert cost["simpy"] is None or cost["simpy"] > 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--samples", "0"], "at least 1"),
        (["--granularities", "network"], "granularities are neuron, layer"),
        (["--lanes", "30"], "as many lanes"),
    ],
)
def test_what_it_cannot_measure_is_refused(capsys, arguments, text):
    assert main(["bench", "async", "--all-layers", "4,3", *arguments]) == 2
    error = capsys.readouterr().err
    assert text in error
    assert len(error.strip().splitlines()) == 1
