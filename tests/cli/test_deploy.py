"""``lava-dyads deploy``, as a user types it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from needs import skip_for_lack_of_lava

from lava_dyads import Execution, NetworkSpec, Trainer, TrainingConfig, load
from lava_dyads.cli import main
from lava_dyads.loihi import netx
from lava_dyads.training import Checkpoint


def run(capsys, line):
    code = main(line.split())
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a run directory, as ``train`` leaves it, and its test accuracy."""
    out = tmp_path_factory.mktemp("deploy") / "run"
    spec = NetworkSpec((64, 32, 10))
    config = TrainingConfig(epochs=4, learning_rate=0.005)
    with Trainer(spec, load("digits"), config, Execution(runtime="reference")) as trainer:
        trainer.fit()
        Checkpoint.of(trainer, "digits", out).save(out / "checkpoint.npz")
        return out, trainer.evaluate().accuracy


def test_784_512_512_10_by_hand(capsys):
    code, text, _ = run(capsys, "deploy --all-layers 784,512,512,10 --json")
    result = json.loads(text)
    assert code == 0
    # tests/loihi/test_placement.py does the division.
    assert [layer["cores"] for layer in result["layers"]] == [4, 2, 1]
    assert result["synapse_bytes"] == 784 * 512 + 512 * 512 + 512 * 10
    assert result["utilisation"]["cores"] == 7 / 128
    assert result["input_axons"] == 4 * 784 + 2 * 512 + 512
    assert result["output_axons"] == 512 * 2 + 512 + 10
    assert result["worst_messages_per_sample"] == 784 + 512 + 512 + 10
    assert result["messages_per_sample"] is None
    assert (result["fits"], result["violations"], result["chips_needed"]) == (True, [], 1)
    assert not result["limits"]["synapse_bytes"]["verified"]
    assert "technology brief" in result["limits"]["synapse_bytes"]["source"]


def test_what_does_not_fit_ends_with_exit_code_1_and_the_table(capsys):
    code, text, error = run(capsys, "deploy --all-layers 784,4096,4096,10 --json")
    result = json.loads(text)
    assert (code, error) == (1, "")
    assert [layer["cores"] for layer in result["layers"]] == [128, 128, 1]
    assert [v["text"] for v in result["violations"]] == ["chip: cores 257 of 128 (200.8 %)"]
    assert result["chips_needed"] == 3
    assert run(capsys, "deploy --all-layers 784,4096,4096,10 --chips 3")[0] == 0
    code, text, _ = run(capsys, "deploy --all-layers 784,5000,10 --learning")
    assert code == 1
    assert f"{5000 * 784 + 5000 * 10 + 10 * 5000 + 10:,}" in text  # W, feedback, W, loss
    assert "does not fit: layer 2: input axons of a core 5,010 of 4,096 (122.3 %)" in text


def test_a_trained_network_is_measured_and_exported(capsys, tmp_path, trained):
    pytest.importorskip("h5py")
    path = tmp_path / "digits.net"
    folder, float_accuracy = trained
    code, text, _ = run(capsys, f"deploy {folder} --export {path} --json")
    result = json.loads(text)
    assert code == 0
    assert result["exports"] == [{"path": str(path), "format": "netx", "samples": 450, "same": 450}]
    data = load("digits")
    assert result["trained_in"] == "float"
    assert result["measured"]["accuracy"] == pytest.approx(float_accuracy, abs=0.01)
    # A message is an entry that is not 0; all of them leave 0 once.
    test = data.split(0)[1]
    assert result["measured"]["input"] == np.count_nonzero(data.x[test]) / 450
    assert 0 < result["measured"]["layers"][0] <= 32
    assert result["messages_per_sample"] < result["worst_messages_per_sample"] == 64 + 32 + 10
    outputs = netx.run(path, data.x[test])
    accuracy = np.mean(outputs.argmax(axis=1) == data.labels[test])
    assert accuracy == result["measured"]["accuracy"]


def test_the_table_for_people_says_how_lava_dl_reads_the_file(capsys, tmp_path, trained):
    pytest.importorskip("h5py")
    code, text, _ = run(capsys, f"deploy {trained[0]} --learning --export {tmp_path}/a.h5")
    assert code == 0
    assert "450 of 450 predictions the same" in text
    assert "input_message_bits=24, spike_exp=-1" in text
    assert "layer 1 learns by: dw = " in text
    assert "counted" in text


def test_learning_finds_the_smallest_rate_the_engine_has_a_rule_for(capsys):
    line = "deploy --all-layers 64,32,10 --learning --json"
    result = json.loads(run(capsys, line)[1])
    rate = result["learning_rate"]
    assert run(capsys, f"{line} --learning-rate {rate}")[0] == 0
    code, text, error = run(capsys, f"{line} --learning-rate {rate / 2}")
    assert (code, text) == (2, "")
    assert "the learning engine has no rule" in error
    assert "Try: a larger one" in error


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("deploy", "needs a run directory or --all-layers"),
        ("deploy nowhere --all-layers 3,2", "needs a run directory or --all-layers"),
        ("deploy nowhere", "no such file"),
        ("deploy --all-layers 64,32,10 --activation tanh", "got 'tanh'). Try: relu"),
        ("deploy --all-layers 64,32,10 --rule spiking", "rule spiking"),
        ("deploy --all-layers 64,32,10 --rule backprop --learning", "backprop has no place on"),
        ("deploy --all-layers 64,32,10 --rule dp --learning", "nudge: precision loihi2"),
        ("deploy --all-layers 64", "layers: needs two or more"),
        ("deploy --all-layers 64,10 --export a.net", "needs a trained network"),
        ("deploy --all-layers 64,10 --chips 0", "chips: must be at least 1"),
        ("deploy --all-layers 64,10 --samples 5", "--samples: needs a trained network"),
        ("deploy --all-layers 64,10 --learning-rate 0.1", "--learning-rate: needs --learning"),
        ("deploy {run} --beta 1", "--beta: needs --all-layers: a run has its own"),
        ("deploy --all-layers 64,10 --learning --learning-rate 0", "must be positive"),
        ("deploy --all-layers 64,10 --device loihi2", "lava-loihi) is not installed"),
        ("deploy {run} --export a.txt", "knows files by their ends"),
        ("deploy {run} --export a.nir", "NIR has no relu"),
        ("deploy {run} --dataset mnist.npz --export a.net", "mnist.npz"),
        ("deploy {run} --samples 0", "--samples: must be at least 1"),
    ],
)
def test_bad_input_is_one_line(capsys, trained, line, words):
    code, text, error = run(capsys, line.format(run=trained[0]))
    skip_for_lack_of_lava(error)
    assert (code, text) == (2, "")
    assert words in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def checkpoint(path, scale=1.0, dtype=np.float64, meta=None):
    spec = NetworkSpec((64, 10))
    weights, biases = spec.initial_parameters()
    arrays = [(scale * w).astype(dtype) for w in weights], [b.astype(dtype) for b in biases]
    Checkpoint(spec, *arrays, {"dataset": "digits"} if meta is None else meta).save(path)
    return path


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"scale": 1e3}, "does not fit into 8 bits"),
        ({"dtype": np.int8, "scale": 50}, "should be real numbers"),
        ({"meta": {"precision": "float"}}, "names no data set"),
    ],
)
def test_checkpoints_that_have_no_place_are_one_line(capsys, tmp_path, others, words):
    path = checkpoint(tmp_path / "checkpoint.npz", **others)
    code, text, error = run(capsys, f"deploy {path} --export {tmp_path}/a.net")
    assert (code, text) == (2, "")
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "a.net").exists()


@pytest.mark.parametrize("meta", [{"dataset": "gone.npz"}, {}])
def test_without_its_data_a_network_is_placed_and_not_measured(capsys, tmp_path, meta):
    path = checkpoint(tmp_path / "checkpoint.npz", meta=meta)
    code, text, _ = run(capsys, f"deploy {path} --json")
    result = json.loads(text)
    assert (code, result["cores"], result["messages_per_sample"]) == (0, 1, None)
    assert result["not_measured"]
    assert "messages not counted: " in run(capsys, f"deploy {path}")[1]


def test_feedback_that_learns_brings_its_decay_into_the_rules(capsys, tmp_path):
    spec = NetworkSpec((64, 16, 10), feedback="kolen_pollack", beta=1.0)
    made = Checkpoint(spec, *spec.initial_parameters(), {"dataset": "digits"})
    replace(made, feedback=spec.initial_feedback()).save(tmp_path / "c.npz")
    line = f"deploy {tmp_path}/c.npz --learning --samples 20 --json"
    code, text, _ = run(capsys, line)
    result = json.loads(text)
    assert code == 0
    first, second = result["learning_rules"]
    assert "w" not in first  # above the input there is no feedback, and no decay
    assert second.endswith(" - 2^-7*u8*w")  # 2^-15
    assert result["messages_per_sample"] > 0
