"""Studies on the command line: files that are refused, and what is shown."""

import csv
import io
import json

import numpy as np
import pytest

from lava_dyads.cli import main
from lava_dyads.cli.study import StudyFile
from lava_dyads.studies import StudyResults
from lava_dyads.studies.results import Entry, as_json

TRAIN = '[train]\ndataset = "digits"\nepochs = 1\nruntime = "reference"\n'


def told(capsys, *words, code=0):
    capsys.readouterr()
    assert main(list(words)) == code
    return capsys.readouterr()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seeds = ", "cannot be read"),
        ("layers = [3]", "unknown key (got 'layers')"),
        ("train = 3", "[train] must be a table"),
        ("[space]\nlearning_rate = [0.1]", "names no data set"),
        (TRAIN, "space: must hold options to try"),
        (TRAIN + "[space]\nlr = [0.1]", "unknown option (got 'lr'). Try: learning-rate"),
        (TRAIN + "[space]\nseed = [1, 2]", "Try: seeds = 3"),
        (TRAIN + "[space]\nout = ['a']", "Try: to leave it out"),
        (TRAIN + "[space]\nepochs = [1, 2]", "is both in [train] and in [space] (got 'epochs')"),
        (TRAIN + "[space]\nlearning_rate = [0.1, -1]", "learning_rate -1: "),
        (TRAIN + "[space]\nrule = ['dp', 'elephant']", "rule elephant: "),
        (TRAIN + "[space]\nbatch_size = ['x']", "batch_size x: train.batch_size: must be a whole"),
        ("[space]\ndataset = ['digits', 'none.csv']", "study: dataset none.csv: "),
        ("seeds = 'x'\n" + TRAIN + "[space]\nlearning_rate = [0.1]", "study.seeds: must be"),
        ("search = 'x'\n" + TRAIN + "[space]\nlearning_rate = [0.1]", "Search.method"),
        ("trials = 3\n" + TRAIN + "[space]\nlearning_rate = [0.1]", "trials: a grid tries all"),
        ("metric = 3\n" + TRAIN + "[space]\nlearning_rate = [0.1]", "metric: must be a text"),
    ],
)
def test_a_file_that_is_no_study_is_refused_in_a_line(tmp_path, capsys, text, words):
    (tmp_path / "s.toml").write_text(text)
    out = tmp_path / "out"
    error = told(capsys, "study", str(tmp_path / "s.toml"), "--out", str(out), code=2).err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert words in error
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["study", "none.toml"], "none.toml cannot be read"),
        (["study", "show", "none"], "study: holds no study (got 'none')"),
        (["study", "show", ".", "--csv", "--json"], "--csv: one form at a time"),
    ],
)
def test_what_is_not_there_is_said(capsys, words, error):
    assert error in told(capsys, *words, code=2).err


def test_help_of_study_is_that_of_the_command(capsys):
    with pytest.raises(SystemExit):
        main(["study", "--help"])
    assert "--scheduler" in capsys.readouterr().out


def test_a_job_is_what_train_would_do(tmp_path):
    text = TRAIN + '[space]\nlayers = ["5,4", [6]]\nalpha = [0.5]\nscaling = ["standard"]'
    (tmp_path / "s.toml").write_text(text)
    file = StudyFile.read(tmp_path / "s.toml")
    assert file.space["layers"] == [[5, 4], [6]]
    job = file.job(seed=3, layers=[5, 4], alpha=0.5, scaling="standard")
    assert job.spec.layers == (64, 5, 4, 10)
    assert (job.spec.seed, job.config.seed, job.config.epochs) == (3, 3, 1)
    assert job.spec.rule.alpha == 0.5
    assert job.data.reading.scaling == "standard"
    assert job.run["options"]["layers"] == (5, 4)


@pytest.fixture
def made(tmp_path):
    """A study of two rates and two rules, three seeds each, whose accuracies are known."""
    generator, entries = np.random.default_rng(0), []
    for rate in (0.001, 0.01):
        for name in ("dp", "spiking"):
            for seed in range(3):
                entry = Entry(f"{rate}-{name}-{seed}", {"learning_rate": rate, "rule": name}, seed)
                entries.append(entry)
                folder = tmp_path / "runs" / entry.name
                folder.mkdir(parents=True)
                score = 0.9 + (rate > 0.005) * 0.05 + 0.001 * generator.normal()
                kept = {"test_accuracy": score, "train_seconds": 1.0, "settled": True}
                (folder / "result.json").write_text(json.dumps(kept))
    (tmp_path / "study.json").write_text(as_json(entries, {}))
    return tmp_path


def test_settings_are_shown_best_first_in_every_form(made, capsys):
    told_json = json.loads(told(capsys, "study", "show", str(made), "--json").out)
    best = told_json["settings"][0]
    results = StudyResults.read(made)
    values = [r["test_accuracy"] for n, r in results.results.items()
              if n.startswith(f"{best['learning_rate']}-{best['rule']}-")]  # fmt: skip
    assert best["test_accuracy"] == pytest.approx(np.mean(values))
    assert best["deviation"] == pytest.approx(np.std(values, ddof=1))
    assert (best["p"], best["runs"], len(told_json["settings"])) == (None, 3, 4)
    assert all(one["test"] == "paired" for one in told_json["settings"][1:])

    rows = list(csv.DictReader(io.StringIO(told(capsys, "study", "show", str(made), "--csv").out)))
    assert [int(row["setting"]) for row in rows] == [s["setting"] for s in told_json["settings"]]
    lines = told(capsys, "study", "show", str(made), "--markdown").out.splitlines()
    assert lines[0].startswith("| setting | learning_rate | rule | runs | test_accuracy |")
    assert len(lines) == 6
    text = told(capsys, "study", "show", str(made)).out
    assert f"{best['test_accuracy']:.4f} ± {best['deviation']:.4f}" in text
    assert "paired t-test" in text
    assert "chosen by the test part" in text
    every = told(capsys, "study", "show", str(made), "--runs", "--csv").out
    assert len(every.splitlines()) == 13
    assert (
        "--metric: no run has measured it"
        in told(capsys, "study", "show", str(made), "--metric", "accuracy", code=2).err
    )


def test_a_picture_has_a_line_per_setting_of_the_other_options(made, capsys):
    from lava_dyads.plots import study_curves

    told(capsys, "study", "show", str(made), "--plot", str(made / "s.svg"))
    assert (made / "s.svg").read_text().startswith("<?xml")
    results = StudyResults.read(made)
    axes = study_curves(results).axes[0]
    assert {line.get_label() for line in axes.lines} == {"rule dp", "rule spiking"}
    for line in axes.lines:
        name = line.get_label().split()[1]
        for rate, mean in zip(*line.get_data(), strict=True):
            values = [results.results[f"{rate:g}-{name}-{k}"]["test_accuracy"] for k in range(3)]
            assert mean == pytest.approx(np.mean(values))
    assert len(study_curves(results, x="rule").axes[0].containers) == 2
    assert (
        "--x: is no option of the study"
        in told(
            capsys, "study", "show", str(made), "--plot", str(made / "s.png"), "--x", "rate", code=2
        ).err
    )
