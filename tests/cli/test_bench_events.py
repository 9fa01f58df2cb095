"""``bench events``: what is counted, against backprop's own products."""

import json

import pytest

from lava_dyads.cli import main


def test_operations_fall_with_what_is_not_sent(capsys, tmp_path):
    line = "bench events digits --layers 24 --epochs 3 --batch-size 10 --thresholds 0 0.3 "
    line += f"--skip-errors 0 0.8 --beta 1e-3 --plot {tmp_path}/events.png --json"
    assert main(line.split()) == 0
    result = json.loads(capsys.readouterr().out)
    rows = {(s["threshold"], s["skip_error"]): s for s in result["settings"]}
    dense = rows[0, 0]
    assert result["dense"] == 2 * (64 * 24 + 240) + 240
    # The dense run does what backprop does that leaves out zeros, up to how the weights move.
    assert dense["vs_zero_skipping"] == pytest.approx(1, abs=0.1)
    for row in rows.values():
        parts = row["forward"] + row["backward"] + row["learning"]
        assert row["operations"] == pytest.approx(parts)
        assert row["vs_dense"] == pytest.approx(parts / result["dense"])
    # A silent sample goes up and no further.
    assert rows[0, 0.8]["learning"] < 0.8 * dense["learning"]
    assert rows[0, 0.8]["forward"] == pytest.approx(dense["forward"], rel=0.1)
    assert rows[0.3, 0]["forward"] < dense["forward"]
    assert (tmp_path / "events.png").read_bytes().startswith(b"\x89PNG")
    assert main(["bench", "events", "digits", "--thresholds", "0.1"]) == 2
    assert "needs threshold 0" in capsys.readouterr().err
