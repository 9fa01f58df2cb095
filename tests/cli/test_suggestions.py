"""What is suggested exists, and is what was meant."""

import dataclasses
import importlib
import re
from pathlib import Path

import pytest

import lava_dyads
from lava_dyads.cli import COMMANDS, main
from lava_dyads.data import available
from lava_dyads.errors import nearest
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.rules.feedback import FEEDBACK
from lava_dyads.rules.losses import LOSSES
from lava_dyads.rules.optimisers import OPTIMISERS
from lava_dyads.rules.units import RULES
from lava_dyads.suggestions import OTHER_WORDS, near

PACKAGE = Path(lava_dyads.__file__).parent
RULE_NAMES = [*RULES, "backprop", "feedback-alignment"]


def options(name):
    module, _, attribute = COMMANDS[name][0].partition(":")
    fields = dataclasses.fields(getattr(importlib.import_module(module), attribute))
    return {f"--{f.name.replace('_', '-')}" for f in fields}


EVERY = {option for name in COMMANDS for option in options(name)} | {"--help", "--version"}

FOREIGN = {
    "--no-deps", "--ignore-requires-python", "--python", "--loglevel", "--fsys-tarfile",
    "--shm-size", "--xla", "--system", "--results",
}  # fmt: skip
"""Of other programs."""


def test_every_option_that_a_text_of_the_package_names_exists():
    named, plugin = {}, (PACKAGE / "pytest_plugin.py").read_text()
    of_pytest = set(re.findall(r'addoption\(\s*"(--[a-z-]+)"', plugin))
    for file in PACKAGE.rglob("*.py"):
        if file.name == "suggestions.py":
            continue
        for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]", file.read_text()):
            named.setdefault(option, file.name)
    assert {o: f for o, f in named.items() if o not in EVERY | FOREIGN | of_pytest} == {}


def test_other_words_are_those_of_names_there_are():
    known = {*RULE_NAMES, *LOSSES, *ACTIVATIONS, *OPTIMISERS, *FEEDBACK, *available(), *COMMANDS}
    assert {name for name in OTHER_WORDS if name not in known | EVERY} == set()


@pytest.mark.parametrize(
    ("written", "known", "meant"),
    [
        ("dual-propagation", RULE_NAMES, "dp"),
        ("Dual Propagation", RULE_NAMES, "dp"),
        ("dp_transpose", RULE_NAMES, "dp-transpose"),
        ("DP", RULE_NAMES, "dp"),
        ("ar", RULE_NAMES, "activation-relaxation"),
        ("pc", RULE_NAMES, "predictive-coding"),
        ("backpropagation", RULE_NAMES, "backprop"),
        ("unfrozen", RULE_NAMES, "unfrozen-relaxation"),
        ("predictive-codign", RULE_NAMES, "predictive-coding"),
        ("snn", RULE_NAMES, "spiking"),
        ("mse", LOSSES, "squared-error"),
        ("softmax", LOSSES, "cross-entropy"),
        ("sigmoid", ACTIVATIONS, "hard-sigmoid"),
        ("adamw", OPTIMISERS, "adam"),
        ("fashion", available(), "fashion-mnist"),
        ("infer", COMMANDS, "predict"),
        ("evaluate", COMMANDS, "eval"),
        ("trian", COMMANDS, "train"),
        ("gradient", COMMANDS, "check gradient"),
        ("--lr", options("train"), "--learning-rate"),
        ("--hidden", options("train"), "--layers"),
        ("--learning", options("train"), "--learning-rate"),
        ("--aplha", options("train"), "--alpha"),
    ],
)
def test_what_was_meant_comes_first(written, known, meant):
    assert near(written, known)[0] == meant


@pytest.mark.parametrize("written", ["elephant", "zzz", "", "42", "quantum-annealing", 3, None])
def test_where_nothing_is_near_nothing_is_guessed(written):
    assert near(written, RULE_NAMES) == []
    assert nearest(written, ["b", "a"]) == "a, b"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("evaluate", "Try: eval"),
        ("train digits --lr 0.1", "Try: --learning-rate, lava-dyads train --help"),
        ("train digits --hidden 3", "Try: --layers, lava-dyads train --help"),
        ("deploy --layers 6,2", "Try: --all-layers, lava-dyads deploy --help"),
        ("check gradient --layers 6,2", "Try: --all-layers, lava-dyads check gradient --help"),
        ("train digits --all-layers 6,2", "Try: --layers, lava-dyads train --help"),
        ("train digits --elephant", "Try: lava-dyads train --help"),
        ("train digits --rule dual-propagation", "Try: dp or dp-transpose"),
    ],
)
def test_a_wrong_command_line_says_what_was_meant(capsys, line, text):
    assert main(line.split()) == 2
    error = capsys.readouterr().err
    assert error.rstrip().endswith(text)
    assert error.count("\n") == 1


@pytest.mark.parametrize("word", ["help", "version"])
def test_words_that_everybody_tries_are_understood(capsys, word):
    assert main([word]) == 0
    said = capsys.readouterr().out
    assert main([f"--{word}"]) == 0
    assert capsys.readouterr().out == said
