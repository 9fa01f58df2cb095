"""The command line, as a user types it."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from needs import NEEDS_LAVA, skip_for_lack_of_lava

from lava_dyads import load
from lava_dyads.cli import COMMANDS, main
from lava_dyads.data import Dataset
from lava_dyads.networks import Execution


def run(capsys, line):
    code = main(line.split())
    captured = capsys.readouterr()
    return code, captured.out, captured.err


QUICK = "train digits --layers 16 --epochs 2 --runtime reference"


def test_training_reports_the_contract_and_writes_a_run(capsys, tmp_path):
    out = tmp_path / "run"
    code, text, _ = run(capsys, f"{QUICK} --json --out {out}")
    result = json.loads(text)
    assert code == 0
    contract = {"dataset", "rule", "granularity", "clock", "precision", "runtime"}
    contract |= {"test_accuracy", "train_seconds", "samples_per_second", "events_per_sample"}
    contract |= {"synops_per_sample", "synops_vs_backprop", "synops_vs_zero_skipping"}
    assert contract <= set(result)
    assert 0.3 < result["test_accuracy"] <= 1
    assert result["synops_vs_zero_skipping"] == pytest.approx(1, abs=0.05)
    assert sorted(os.listdir(out)) == [
        "checkpoint.npz",
        "config.json",
        "learning_curve.png",
        "metrics.jsonl",
        "result.json",
    ]
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[-1]["test_accuracy"] == result["test_accuracy"]
    assert (out / "learning_curve.png").read_bytes().startswith(b"\x89PNG")

    code, text, _ = run(capsys, f"eval {out} --runtime reference --json")
    assert code == 0
    assert json.loads(text)["test_accuracy"] == result["test_accuracy"]

    code, text, _ = run(capsys, f"eval {out} --runtime reference --precision loihi2 --json")
    assert code == 0
    assert json.loads(text)["test_accuracy"] == pytest.approx(result["test_accuracy"], abs=0.01)

    code, _, error = run(capsys, f"{QUICK} --out {out}")
    assert code == 2
    assert "holds another run" in error
    assert run(capsys, f"{QUICK} --epochs 1 --out {out} --overwrite")[0] == 0


def few_digits(folder, rows=200):
    """Return the name of a file of some digits: an epoch of them on Lava takes a second."""
    digits = load("digits")
    np.savez(folder / "few.npz", x=digits.x[:rows], labels=digits.labels[:rows])
    return folder / "few.npz"


@pytest.mark.lava
@pytest.mark.parametrize("granularity", ["layer", "network"])
def test_training_and_evaluation_on_lava(capsys, tmp_path, granularity):
    line = f"train {few_digits(tmp_path)} --layers 16 --epochs 1 --granularity {granularity}"
    code, text, _ = run(capsys, f"{line} --json --out {tmp_path}/r")
    result = json.loads(text)
    assert (code, result["granularity"], result["runtime"]) == (0, granularity, "lava")
    code, text, _ = run(
        capsys, f"eval {tmp_path}/r/checkpoint.npz --granularity {granularity} --json"
    )
    assert json.loads(text)["test_accuracy"] == result["test_accuracy"]


def test_the_table_begins_with_what_is_asked_first_and_ends_with_what_to_do_next(capsys, tmp_path):
    out = tmp_path / "a run"
    line = f"train {few_digits(tmp_path)} --layers 4 --epochs 1 --runtime reference --out".split()
    assert main([*line, str(out)]) == 0
    _, *rows, last = capsys.readouterr().out.splitlines()
    names = [row.split()[1] for row in rows if "│" in row]
    scores = [name for name in names if name.startswith("test_") and name != "test_loss"]
    assert names[: len(scores) + 2] == [*scores, "train_seconds", "out"]
    assert len(set(names)) == len(names)
    assert last.endswith(f"lava-dyads predict '{out}' FILE")


CHIP = "train digits --precision loihi2 --runtime reference"
EVENTS = "--granularity neuron --clock async --runtime in-process"


@pytest.mark.sampled(2, group="long")
@NEEDS_LAVA
def test_asynchronous_neurons_train_as_network_does_and_leave_a_trace(capsys, tmp_path):
    line = f"train {few_digits(tmp_path, 300)} --layers 16 --epochs 2 --learning-rate 0.05"
    line += " --no-save --json"
    network = json.loads(run(capsys, f"{line} --runtime in-process")[1])
    code, text, _ = run(capsys, f"{line} {EVENTS} --trace {tmp_path}/trace.npz --profile")
    neurons = json.loads(text)
    assert code == 0
    assert network["test_accuracy"] > 0.6
    assert abs(neurons["test_accuracy"] - network["test_accuracy"]) <= 0.01
    assert neurons["settled"]
    seconds = neurons["profile"]["seconds in ProcessModels"]
    assert {"PyDyadModelEvent", "PyDyadDenseModelEvent"} <= seconds.keys()
    assert list(seconds.values()) == sorted(seconds.values(), reverse=True)
    # What a source sends to 16 neurons through one connection, entry by entry.
    operations = neurons["profile"]["traffic"]["source.x_out -> connection_1.mean_in"]
    messages, events, touched = (
        int(n.replace(",", "")) for n in re.findall(r"[\d,]+\d", operations)
    )
    assert messages < events
    assert touched == 16 * events
    assert sorted(os.listdir(tmp_path)) == ["few.npz", "trace.npz", "trace.png"]
    assert (tmp_path / "trace.png").read_bytes().startswith(b"\x89PNG")


@NEEDS_LAVA
def test_bench_faults_knows_which_faults_hurt(capsys, tmp_path, monkeypatch):
    digits = load("digits")
    some = Dataset("digits", digits.x[:450], digits.labels[:450])  # the study takes all of them
    monkeypatch.setattr("lava_dyads.experiments.faults.load", lambda name: some)
    line = "bench faults --layers 4 --kinds reorder drop --shares 0.5 --noises 1 --betas 0.1"
    code, text, _ = run(capsys, f"{line} --epochs 1 --json --plot {tmp_path}/faults.png")
    result = json.loads(text)
    assert code == 0
    rows = {(row["fault"], row["coding"]): row for row in result["faults"]}
    late = rows["reorder", "change"]["cosine"]
    assert late == pytest.approx(rows["reorder", "value"]["cosine"], abs=1e-12)  # not lost
    assert rows["drop", "change"]["cosine"] < late - 0.1
    assert result["noise"][0]["cosine"] < 0.9  # the noise is larger than the nudge
    assert (tmp_path / "faults.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("train digts", "Try: digits"),
        ("trian digits", "unknown command 'trian'. Try: train"),
        ("check gradeint", "Try: check gradient"),
        ("train", "required"),
        ("train digits --aplha 1", "Try: --alpha"),
        ("train digits --epochs x", "--epochs"),
        ("train digits --layers 3,x", "needs whole numbers with commas"),
        ("train digits --activation rleu", "relu"),
        ("train digits --rule db", "Try: dp"),
        ("train digits --alpha 2", "alpha: must lie in [0, 1] (got 2.0)"),
        (
            "train digits --rule dp --loss squared-error --alpha 0 --beta 1",
            "(1 - alpha) * beta < 1",
        ),
        (
            "train digits --granularity neuron --runtime lava",
            "is not supported: Lava's runtime has an OS process",
        ),
        ("train digits --granularity layer --drop 0.1", "--drop: needs simulated"),
        ("train digits --precision loihi2 --optimiser adam", "no room for other state"),
        ("train digits --precision loihi2 --batch-size 10", "learns one sample at a time"),
        ("train digits --precision loihi2 --activation tanh", "loihi2 knows relu, linear"),
        (f"train digits {EVENTS} --drop 1.5", "--drop: must lie in [0, 1] (got 1.5)"),
        (f"train digits {EVENTS} --latency exponental", "Try: exponential"),
        (f"train digits {EVENTS} --trace {{tmp}}/none/t.npz", "its folder does not exist"),
        (
            f"train digits {EVENTS} --compartment-noise -1",
            "--compartment-noise: must be",
        ),
        (f"train digits {EVENTS} --max-deliveries 0", "--max-deliveries: must be at least 1"),
        (
            "train digits --profile --runtime lava --no-save",
            "--profile: needs the in-process runtime",
        ),
        ("bench faults --kinds drip", "Try: drop"),
        ("bench faults --shares 2", "share: must lie in [0, 1] (got 2.0)"),
        ("train digits --clock async --granularity network", "exchanges no messages"),
        ("train digits --rule backprop --runtime lava", "no Lava Process"),
        ("train digits --layers 0", "sizes of at least 1"),
        ("train {tmp}/nan.npz", "x[1, 0]: must be finite"),
        ("train {tmp}/none.npz", "no such file"),
        ("eval {tmp}/none.npz", "no such file"),
        ("eval {tmp}/nan.npz", "not a checkpoint of lava_dyads"),
        ("eval {tmp}/run --dataset {tmp}/small.npz", "64 inputs, the data has 3 features"),
        ("check gradient --rule backprop", "what the others are compared with"),
        ("check gradient --updates -1", "updates: must be at least 0"),
        ("train digits --feedback kolen-pollack", "Try: kolen_pollack"),
        ("train digits --feedback random --decay 0.01", "decay: is for pairs of weights"),
        ("train digits --feedback kolen_pollack --decay 1", "decay: the share of a weight"),
        (
            f"{CHIP} --feedback kolen_pollack --decay 1e-6",
            "decay: the chip's smallest is 2^-16",
        ),
        ("train digits --rule backprop --feedback random", "feedback: backprop is a baseline"),
        ("check gradient --networks 0", "networks: must be at least 1"),
    ],
)
def test_bad_input_is_one_clear_line_and_writes_nothing(capsys, tmp_path, monkeypatch, line, text):
    monkeypatch.chdir(tmp_path)
    x = np.ones((8, 3))
    np.savez(tmp_path / "small.npz", x=x, labels=np.arange(8) % 2)
    x[1, 0] = np.nan
    np.savez(tmp_path / "nan.npz", x=x, labels=np.arange(8) % 2)
    if "/run" in line:
        assert run(capsys, f"{QUICK} --epochs 1 --out {tmp_path}/run")[0] == 0
    before = sorted(os.listdir(tmp_path))
    code, out, error = run(capsys, line.format(tmp=tmp_path))
    skip_for_lack_of_lava(error)
    assert code == 2
    assert out == ""
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert text in error
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("alpha", ["0", "0.5", "1"])
@pytest.mark.parametrize("beta", ["0.01", "0.5"])
def test_check_gradient_is_exact_on_linear_networks(capsys, alpha, beta):
    line = f"check gradient --activation linear --alpha {alpha} --beta {beta} --networks 5 --json"
    code, text, _ = run(capsys, line)
    result = json.loads(text)
    assert code == 0
    assert result["relative_error_max"] <= 1e-9


def test_check_gradient_on_relu_networks(capsys):
    cosines = []
    for beta in ("0.1", "0.01", "0.001"):
        code, text, _ = run(
            capsys, f"check gradient --networks 25 --gain 1.4142 --beta {beta} --json"
        )
        result = json.loads(text)
        cosines.append(result["cosine"])
        assert code == 0
        assert result["clean_samples"] > 20
        assert result["clean_relative_error"] <= 1e-9
        assert len(result["networks"]) == 25
    assert cosines[1] >= 0.999
    assert 1 - cosines[0] > 1 - cosines[1] > 1 - cosines[2]


def test_check_gradient_never_calls_what_diverged_a_result(capsys):
    line = (
        "check gradient --rule dp --activation linear --gain 2 --alpha {} --beta 0.5 --networks 3"
    )
    for alpha in ("0", "1"):
        code, text, _ = run(capsys, line.format(alpha) + " --json")
        result = json.loads(text)
        assert code == 1
        assert result["loop_gain"] > 1
        assert (result["converged"], result["not_converged"]) == (False, 3)
        assert result["cosine"] is result["relative_error"] is None
        assert all(n["cosine"] is None for n in result["networks"])
    code, text, _ = run(capsys, line.format("0"))
    assert code == 1
    assert "NOT CONVERGED, no result" in text


def test_training_reports_the_drift_of_feedback_per_epoch(capsys, tmp_path):
    line = f"{QUICK} --feedback kolen_pollack --decay 0.01 --json --out {tmp_path}/run"
    code, text, _ = run(capsys, line)
    result = json.loads(text)
    assert (code, result["feedback"], result["decay"]) == (0, "kolen_pollack", 0.01)
    assert list(result["feedback_drift"]) == list(result["feedback_angle"]) == ["2"]
    first, second = result["feedback_drift"]["2"]
    assert first > second > 0
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["feedback_drift_2"] for line in lines] == [first, second]
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["spec"]["feedback"], config["training"]["decay"]) == ("kolen_pollack", 0.01)
    for precision in ("float", "loihi2"):
        line = f"eval {tmp_path}/run --runtime reference --precision {precision} --json"
        code, text, _ = run(capsys, line)
        assert code == 0
        assert json.loads(text)["test_accuracy"] == pytest.approx(
            result["test_accuracy"], abs=0 if precision == "float" else 0.01
        )
    code, text, _ = run(capsys, f"{QUICK} --epochs 1 --no-save --json")
    assert "feedback_drift" not in json.loads(text)


def test_check_gradient_knows_feedback_of_its_own(capsys):
    line = "check gradient --networks 2 --json --feedback"
    found = {}
    for options in ("random", "kolen_pollack", "kolen_pollack --updates 400 --decay 0.02"):
        code, text, _ = run(capsys, f"{line} {options}")
        found[options] = result = json.loads(text)
        assert code == 0
        assert result["clean_samples"] > 0
        # Through B the gradient is exact, whatever B is.
        assert result["clean_relative_error"] <= 1e-9
        assert result["layers"][-1]["cosine"] == pytest.approx(1, abs=1e-12)
        assert "feedback_angle" not in result["layers"][0]
    assert found["random"]["cosine"] < 0.8
    assert found["kolen_pollack"]["cosine"] < 0.8
    assert found["kolen_pollack --updates 400 --decay 0.02"]["cosine_min"] > 0.99
    assert run(capsys, f"{line} random --min-cosine 0.99")[0] == 1


def test_check_gradient_prints_a_table(capsys):
    code, text, _ = run(capsys, "check gradient --networks 2 --rule activation-relaxation")
    assert code == 0
    assert "share of straddling dyads" in text


RUNTIMES = ["lava", "in-process"]


@pytest.mark.sampled(2, group="long")
@pytest.mark.lava
def test_check_equivalence_runs_the_support_table(capsys):
    line = "check equivalence --layers 4 --samples 8 --batch-size 4 --json"
    code, text, _ = run(capsys, line)
    result = json.loads(text)
    assert code == 0
    ran = {tuple(p["execution"].values())[:4] for p in result["pairs"]}
    assert {p["execution"]["backend"] for p in result["pairs"]} == {"numpy"}
    fine = itertools.product(["neuron", "layer"], ["sync", "async"], ["float"], RUNTIMES)
    fused = itertools.product(["network"], ["sync"], ["float"], RUNTIMES)
    chip = itertools.product(["neuron", "layer", "network"], ["sync"], ["loihi2"], RUNTIMES)
    assert ran == {*fine, *fused, *chip}
    for pair in result["pairs"]:
        assert pair["distance"] <= (1e-9 if pair["execution"]["precision"] == "float" else 0)
    assert len(result["unsupported"]) + len(ran) + 2 == 36
    assert run(capsys, "check equivalence --rule backprop")[0] == 2


@NEEDS_LAVA
def test_check_equivalence_fails_where_a_pair_disagrees(capsys, monkeypatch):
    from lava_dyads.training import Trainer

    original = Trainer.parameters

    def slightly_off(self):
        weights, biases = original(self)
        if self.execution.granularity == "neuron":
            weights[0][0, 0] += 1e-6
        return weights, biases

    monkeypatch.setattr(Trainer, "parameters", slightly_off)
    monkeypatch.setattr(
        "lava_dyads.experiments.equivalence.table",
        lambda: [(e, None) for e in IN_PROCESS],
    )
    code, text, _ = run(capsys, "check equivalence --layers 6 --samples 10")
    assert code == 1
    assert text.rstrip().endswith("holds: NO")


IN_PROCESS = [Execution(g, runtime="in-process") for g in ("network", "layer", "neuron")]


def test_info_lists_rules_data_and_support(capsys):
    code, text, _ = run(capsys, "info")
    assert code == 0
    for word in (
        "dp-transpose",
        "digits",
        "lava-nc",
        "in-process",
        "cores step together",
        "hard-sigmoid",
    ):
        assert word in text
    assert len(json.loads(run(capsys, "info --json")[1])["support"]) == 36


@pytest.mark.sampled(2, group="long")
@pytest.mark.lava
def test_bench_runtime_compares_both(capsys):
    code, text, _ = run(capsys, "bench runtime --processes 2,3 --dyads 64 --rounds 1 --json")
    result = json.loads(text)
    assert code == 0
    names = [c["name"] for c in result["comparisons"]]
    assert names[-1] == "step of a network 20-30-30-10"
    assert len(names) == 5
    for c in result["comparisons"]:
        assert c["ratio"] == pytest.approx(c["lava"] / c["in_process"])
        assert c["ratio"] > 0  # how large is a matter of the machine and its load
    rows = [(row["dyads"], row["clock"]) for row in result["scaling"]]
    assert rows == [(64, "sync"), (64, "async")]
    for row in result["scaling"]:
        assert min(row["build_seconds"], row["us_per_scalar"], row["loop_ns"]) > 0
        assert (row["interpreted_us"] is None) == (row["clock"] == "sync")
    assert run(capsys, "bench runtime --dyads 10")[0] == 2
    assert run(capsys, "bench runtime --rounds 0")[0] == 2


def test_help_names_every_command_and_option(capsys):
    code, text, _ = run(capsys, "--help")
    assert code == 0
    assert all(name in text for name in COMMANDS)
    code, text, _ = run(capsys, "check --help")
    assert code == 0
    assert "check gradient" in text
    assert "train" not in text
    for name in COMMANDS:
        with pytest.raises(SystemExit) as stop:
            main([*name.split(), "--help"])
        assert stop.value.code == 0
        assert "--json" in capsys.readouterr().out


@pytest.mark.lava
@pytest.mark.timeout(60)
def test_ctrl_c_ends_training_and_keeps_the_last_epoch(tmp_path):
    data = str(few_digits(tmp_path))
    command = [sys.executable, "-m", "lava_dyads", "train", data, "--epochs", "50000"]
    command += ["--granularity", "layer", "--layers", "16", "--out", str(tmp_path / "run")]
    child = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell's background job ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + 40
        while not (tmp_path / "run" / "checkpoint.npz").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        os.killpg(child.pid, signal.SIGINT)
        _, errors = child.communicate(timeout=20)
    finally:
        child.kill()
    assert child.returncode == 130
    assert errors.strip().endswith(f"to go on: lava-dyads train --resume {tmp_path / 'run'}")
    assert "Traceback" not in errors
    assert sorted(os.listdir(tmp_path / "run")) == [
        "checkpoint.npz",
        "config.json",
        "metrics.jsonl",
        "state.npz",
        "state.previous.npz",
    ]
    code = main(["eval", str(tmp_path / "run"), "--runtime", "reference", "--json"])
    assert code == 0


@pytest.mark.sampled(2, group="long")
def test_check_spiking_reports_three_comparisons_and_draws_them(capsys, tmp_path):
    pytest.importorskip("brian2")
    line = f"check spiking --steps 128 --windows 256,512,1024 --json --out {tmp_path}"
    code, text, _ = run(capsys, line)
    result = json.loads(text)
    assert (code, result["holds"]) == (0, True)
    for part in (result, result["trains"], result["counts"], result["rates"]):
        assert {"spike_mismatches", "relative_error", "slope"} <= set(part)
    assert result["spike_mismatches"] == 0
    assert result["slope"] == pytest.approx(-1, abs=0.15)
    ran = [s["simulator"] for s in result["trains"]["simulations"]]
    assert ran == ["numpy engine", "in-process, layer", "lava, layer", "brian2"]
    for name in ("raster", "membrane", "error_law"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@NEEDS_LAVA
def test_check_spiking_fails_where_a_comparison_does_not_hold(capsys):
    # A compartment that reports its error only after 64 spikes is too coarse for short windows.
    line = "check spiking --target none --steps 8 --hysteresis 64 --windows 256,512,1024"
    code, text, _ = run(capsys, line)
    assert code == 1
    assert "holds: NO (trains yes, counts NO, rates yes)" in text


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("--alpha 0.3", "alpha: must be a multiple of 2^-8"),
        ("--scale 1", "times every activity it has to stay below 1"),
        ("--all-layers 8,4 --dataset digits", "the network has 8 inputs"),
    ],
)
def test_check_spiking_refuses_in_one_line(capsys, options, text):
    code, _, error = run(capsys, f"check spiking --target none {options}")
    assert code == 2
    assert text in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "words", ["train digits --drp 1", "deploy --all-layers 64,10 --densty 0.5"]
)
def test_an_unknown_option_is_named(capsys, words):
    assert main(words.split()) == 2
    error = capsys.readouterr().err
    assert words.split()[-2] in error
    assert "--help" in error
    assert error.count("\n") == 1


ROOT = Path(__file__).parents[2]
GRAPHS = ROOT / "tutorials" / "graphs"


def test_networks_on_graphs_are_described_drawn_trained_and_read_back(capsys, tmp_path):
    picture, out = tmp_path / "graph.png", tmp_path / "run"
    graph = GRAPHS / "convolution.toml"
    code, text, _ = run(capsys, f"info --graph {graph} --plot {picture} --json")
    description = json.loads(text)
    # 12 kernels of 3 x 3, 24 of 12 x 3 x 3, 96 pixels to 10 digits, biases per channel
    assert code == 0
    assert description["parameters"] == 12 * 10 + 24 * 109 + 970
    assert [row["kind"] for row in description["rows"]][1:3] == ["DyadConv", "DyadMaxPool"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    options = "--epochs 2 --runtime reference --bias-deviation 0.05 --json"
    code, text, _ = run(capsys, f"train digits --graph {graph} {options} --out {out}")
    result = json.loads(text)
    assert code == 0
    assert json.loads((out / "config.json").read_text())["spec"]["bias_deviation"] == 0.05
    assert result["test_accuracy"] > 0.5
    code, text, _ = run(capsys, f"eval {out} --runtime reference --json")
    assert json.loads(text)["test_accuracy"] == result["test_accuracy"]


def test_what_a_graph_says_itself_is_not_said_beside_it(capsys, tmp_path):
    graph = GRAPHS / "residual.toml"
    code, _, error = run(capsys, f"train digits --graph {graph} --layers 3")
    assert code == 2
    assert "--layers: with --graph" in error
    (tmp_path / "bad.toml").write_text('[nodes.x]\nkind = "inputt"\nshape = [64]\n')
    code, _, error = run(capsys, f"info --graph {tmp_path / 'bad.toml'}")
    assert code == 2
    assert "node x: kind: unknown name (got 'inputt'). Try: input" in error
    code, _, error = run(capsys, f"train digits --graph {graph} --rule spiking")
    assert code == 2
    assert "spikes are counted in chains" in error


def test_every_rule_is_trained_by_one_command_and_put_into_a_table(capsys, tmp_path):
    table = tmp_path / "rules.md"
    table.write_text((ROOT / "docs" / "rules.md").read_text())
    page = table.read_text().splitlines()
    options = f"--layers 16 --epochs 4 --seeds 1 --rules dp feedback-alignment --table {table}"
    code, text, _ = run(capsys, f"bench rules {options} --json")
    assert code == 0
    found = {entry["rule"]: entry for entry in json.loads(text)["rules"]}
    assert list(found) == ["backprop", "feedback-alignment", "dp"]
    assert found["backprop"]["behind"] == 0
    assert found["dp"]["settings"] == {"alpha": 0.5}
    assert abs(found["dp"]["behind"]) < 0.05 < found["dp"]["accuracy"] - 0.5
    assert found["backprop"]["operations"] == 1 > found["dp"]["operations"]
    lines = table.read_text().splitlines()
    rows = [line.split("|")[1].strip() for line in lines if line.startswith("| `")]
    assert rows == [f"`{name}`" for name in found]
    prose = [line for line in lines if not line.startswith("|")]
    assert prose == [line for line in page if not line.startswith("|")]


@pytest.mark.slow  # two workers are started, and nothing depends on it but time
def test_rules_as_a_study_are_those_one_after_the_other_and_are_kept(capsys, tmp_path):
    options = "--layers 8 --epochs 1 --seeds 2 --rules dp --json"
    _, plain, _ = run(capsys, f"bench rules {options}")
    out = tmp_path / "s"
    for _ in range(2):
        code, text, _ = run(capsys, f"bench rules {options} --out {out} --workers 2")
        assert code == 0
        for one, other in zip(json.loads(plain)["rules"], json.loads(text)["rules"], strict=True):
            assert {k: v for k, v in one.items() if k != "seconds"} == {
                k: v for k, v in other.items() if k != "seconds"
            }
    assert len(list((out / "runs").iterdir())) == 4


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("bench rules --workers 2", "--workers"),
        ("bench rules --table {file}/rules.md", "--table"),
        ("info --graph {graph} --plot {file}/graph.png", "--plot"),
    ],
)
def test_what_could_not_be_written_is_refused_before_the_work(capsys, tmp_path, line, words):
    file = tmp_path / "file"
    file.touch()
    code, text, error = run(capsys, line.format(file=file, graph=GRAPHS / "residual.toml"))
    assert code == 2
    assert words in error
    assert not text
    assert list(tmp_path.iterdir()) == [file]
