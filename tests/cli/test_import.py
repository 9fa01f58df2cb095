"""``lava-dyads import``, as a user types it."""

import json
import warnings

import numpy as np
import pytest

from lava_dyads import Checkpoint, Trainer, TrainingConfig, load
from lava_dyads.cli import main

onnx = pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A perceptron that scikit-learn has trained a little on digits, as ONNX."""
    from onnx import helper, numpy_helper
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    data = load("digits")
    rows = data.parts(seed=0)[0]
    labels = data.labels[rows]
    model = MLPClassifier((24,), max_iter=4, random_state=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(data.x[rows], labels)
    arrays = dict(zip("abcd", (*model.coefs_, *model.intercepts_), strict=True))
    nodes = [helper.make_node("Gemm", ["x", "a", "c"], ["h"], "first"),
             helper.make_node("Relu", ["h"], ["z"], "neurons"),
             helper.make_node("Gemm", ["z", "b", "d"], ["s"], "second"),
             helper.make_node("Softmax", ["s"], ["y"], "read-out")]  # fmt: skip
    double = onnx.TensorProto.DOUBLE
    ends = [helper.make_tensor_value_info(name, double, ["batch", size])
            for name, size in (("x", 64), ("y", 10))]  # fmt: skip
    stored = [numpy_helper.from_array(value, name) for name, value in arrays.items()]
    graph = helper.make_graph(nodes, "perceptron", ends[:1], ends[1:], stored)
    file = tmp_path_factory.mktemp("onnx") / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), file)
    return file, model


def test_an_imported_network_is_measured_predicts_and_goes_on_learning(written, tmp_path, capsys):
    file, model = written
    assert main(["import", str(file), "--out", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["layers"] == [64, 24, 10]
    assert told["task"] == "classes"
    assert len(told["taken"]) == 3
    assert main(["eval", str(tmp_path), "--dataset", "digits", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    data = load("digits")
    test = data.parts(seed=0)[2]
    assert found["test_accuracy"] == model.score(data.x[test], data.labels[test])
    checkpoint = Checkpoint.load(tmp_path)
    wanted = model.predict_proba(data.x[test])
    np.testing.assert_allclose(checkpoint.predict_proba(data.x[test]), wanted, atol=1e-9)
    begin = {"parameters": (checkpoint.weights, checkpoint.biases)}
    with Trainer(checkpoint.spec, data, TrainingConfig(epochs=1), **begin) as trainer:
        trainer.fit()
        assert trainer.evaluate().accuracy > found["test_accuracy"]


def test_a_checkpoint_is_not_replaced_and_other_files_are_named(written, tmp_path, capsys):
    assert main(["import", str(written[0]), "--out", str(tmp_path)]) == 0
    report = capsys.readouterr().out
    assert "taken   Gemm first: dense, 64 to 24" in report
    assert "folded  read-out: the read-out, which the loss has" in report
    assert main(["import", str(written[0]), "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: --out: holds a checkpoint")
    assert main(["import", str(tmp_path / "net.pb")]) == 2
    assert "knows files by their ends" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "none.onnx")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
