"""The command line. Commands are imported when they are called, so that help is quick."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any, Protocol

from lava_dyads.cli.ending import Ending
from lava_dyads.cli.terminal import any_terminal, nobody_reads
from lava_dyads.errors import DyadsError, ValidationError, invalid, nearest, one_line
from lava_dyads.suggestions import near


class Command(Protocol):
    """A command: a dataclass of its options, and what it does."""

    def run(self) -> int:
        """Do it; return the exit code."""


COMMANDS: dict[str, tuple[str, str]] = {
    "info": ("lava_dyads.cli.info:Info", "versions, rules, data sets, what is supported"),
    "install-lava": (
        "lava_dyads.cli.install_lava:InstallLava",
        "bring Lava into this environment, where pip has not (Python 3.11 and newer)",
    ),
    "train": ("lava_dyads.cli.train:Train", "train a network on a data set"),
    "runs": ("lava_dyads.cli.runs:Runs", "list runs; what they differ in"),
    "rerun": ("lava_dyads.cli.rerun:RerunCommand", "do a run again, and compare the weights"),
    "study": (
        "lava_dyads.cli.study:StudyCommand",
        "grids and searches over options of train, times seeds, in parallel",
    ),
    "study show": (
        "lava_dyads.cli.study_show:StudyShow",
        "results of a study: means, deviations, differences, a figure",
    ),
    "plot": (
        "lava_dyads.cli.plot:Plot",
        "learning curves of runs with bands over seeds, confusion, weights, as PNG, PDF or SVG",
    ),
    "report": ("lava_dyads.cli.report:Report", "write the page of a run, one file of HTML"),
    "debug": (
        "lava_dyads.cli.debug:Debug",
        "write the page of a trace: messages in flight, one by one, in a browser",
    ),
    "import": (
        "lava_dyads.cli.import_network:Import",
        "make a checkpoint of a network that another framework has trained",
    ),
    "eval": ("lava_dyads.cli.evaluate:Evaluate", "measure a checkpoint on its test data"),
    "predict": (
        "lava_dyads.cli.predict:Predict",
        "classes of new rows of a file, by a trained network",
    ),
    "sparse": (
        "lava_dyads.cli.sparse:Sparse",
        "code data sparsely by dyads: gap to the optimum, events, operations",
    ),
    "deploy": (
        "lava_dyads.cli.deploy:Deploy",
        "cores, memory and messages on Loihi 2; export for lava-dl and NIR",
    ),
    "export": (
        "lava_dyads.cli.export_network:Export",
        "write a trained network for other frameworks: ONNX, safetensors",
    ),
    "data list": ("lava_dyads.cli.data:DataList", "data sets, and which are on this machine"),
    "data get": ("lava_dyads.cli.data:DataGet", "fetch data sets, verified by checksum"),
    "data verify": ("lava_dyads.cli.data:DataVerify", "compare data sets with their checksums"),
    "check gradient": (
        "lava_dyads.cli.check_gradient:CheckGradient",
        "compare the gradients of settled networks with backprop",
    ),
    "check equivalence": (
        "lava_dyads.cli.check_equivalence:CheckEquivalence",
        "every supported way to run a network learns the same weights",
    ),
    "check spiking": (
        "lava_dyads.cli.check_spiking:CheckSpiking",
        "spikes in four simulators, counts against rates, rates against backprop",
    ),
    "check settled": (
        "lava_dyads.cli.check_settled:CheckSettled",
        "an asynchronous run had settled and learned what it should have, by its ledger",
    ),
    "reproduce": ("lava_dyads.cli.reproduce:Reproduce", "measure a figure of a paper again"),
    "bench runtime": (
        "lava_dyads.cli.bench_runtime:BenchRuntime",
        "time the in-process runtime against Lava's own",
    ),
    "bench async": (
        "lava_dyads.cli.bench_async:BenchAsync",
        "time a message of an asynchronous network, compiled and interpreted",
    ),
    "bench training": (
        "lava_dyads.cli.bench_training:BenchTraining",
        "compare the dyads with backprop in numpy, JAX and PyTorch",
    ),
    "bench events": (
        "lava_dyads.cli.bench_events:BenchEvents",
        "synaptic operations of learning with thresholds, against backprop's",
    ),
    "bench rules": (
        "lava_dyads.cli.bench_rules:BenchRules",
        "accuracy, time and cost of every rule on the same network",
    ),
    "bench stream": (
        "lava_dyads.cli.bench_stream:BenchStream",
        "what a frame of a stream costs, against one seen alone",
    ),
    "bench faults": (
        "lava_dyads.cli.bench_faults:BenchFaults",
        "what faults of messages and analog noise do to learning",
    ),
}
"""Every command: where it is and what it does in a line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``lava-dyads``; return the exit code.

    0: done. 1: a check did not hold or a run failed. 2: bad input. 130: Ctrl-C (128 and its
    number for other signals that ask to end).
    """
    with any_terminal(), _plain_warnings(), Ending() as ending:
        try:
            code = _called(list(sys.argv[1:] if arguments is None else arguments))
            sys.stdout.flush()
        except BaseException as error:
            ending.over = True
            if not ending.number and not isinstance(error, KeyboardInterrupt):
                return _told(error)
            code = ending.code
            hints = error.args if isinstance(error, KeyboardInterrupt) else ()
            with contextlib.suppress(OSError):  # the terminal may be gone
                print("; ".join(["interrupted", *hints]), file=sys.stderr)
    return code


@contextlib.contextmanager
def _plain_warnings() -> Iterator[None]:
    """Say warnings in a line each, without the place in the program."""
    usual = warnings.showwarning

    def show(text: Any, kind: Any, *place: Any, **others: Any) -> None:
        if kind is UserWarning:
            print(f"warning: {one_line(str(text))}", file=sys.stderr)
        else:
            usual(text, kind, *place, **others)

    warnings.showwarning = show  # type: ignore[assignment]
    try:
        yield
    finally:
        warnings.showwarning = usual


def _called(words: list[str]) -> int:
    """Do what the words of a command line say; return the exit code."""
    if not words or words[0] in ("-h", "--help") or words == ["help"]:
        print(_help())
        return 0 if words else 2
    if words[0] in ("-V", "--version") or words == ["version"]:
        from lava_dyads import __version__

        print(f"lava-dyads {__version__}")
        return 0
    group = [name for name in COMMANDS if name.startswith(f"{words[0]} ")]
    if group and words[0] not in COMMANDS and words[1:] in ([], ["-h"], ["--help"]):
        print(_help(group))
        return 0 if words[1:] else 2
    name = _command(words)
    command = _parse(name, words[len(name.split()) :])
    try:
        return command.run()
    except ValidationError as error:
        raise type(error)(_as_written(str(error), command)) from error


def _as_written(text: str, command: Any) -> str:
    """Return a message with an option, ``NetworkSpec.skip_error``, as it is on the command line."""
    what = re.match(r"(?:\w+\.)*(\w+): ", text)
    if what and what[1] in {f.name for f in dataclasses.fields(command)}:
        return f"--{what[1].replace('_', '-')}: {text[what.end() :]}"
    return text


def _told(error: BaseException) -> int:
    """Say in a line what has gone wrong; return the exit code, or raise what nobody expects."""
    if isinstance(error, ValidationError):
        return _fail(error, 2)
    if isinstance(error, DyadsError):
        return _fail(error, 1)
    if isinstance(error, BrokenPipeError):  # e.g. piped into head
        nobody_reads()
        return 1
    if isinstance(error, MemoryError):
        why = f" ({error})" if str(error) else ""
        return _fail(
            f"not enough memory{why}. Try: a smaller network, or fewer samples at a time", 1
        )
    if isinstance(error, OSError):
        from lava_dyads.files import DISK, NAMED  # costs numpy, which help does without

        where = f"{error.filename}: " if error.filename else ""
        why = error.strerror or str(error)
        if error.errno in DISK:
            return _fail(f"{where}cannot be written ({why}). Try: make room, then again", 1)
        return _fail(f"{where}{why}", 2 if error.errno in NAMED else 1)
    raise error


def _parse(name: str, words: list[str]) -> Command:
    import tyro

    from lava_dyads.cli.grouping import grouped

    where, _ = COMMANDS[name]
    module, _, attribute = where.partition(":")
    cls = getattr(importlib.import_module(module), attribute)
    _refuse_no_path(cls, words)
    config = (tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes)
    begins_from = getattr(cls, "begins_from", None)
    default = begins_from(words) if begins_from else None
    whole, there, back = grouped(cls)
    options = {} if default is None else {"default": there(default)}
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            given = tyro.cli(whole, args=words, prog=f"lava-dyads {name}", config=config, **options)
    except SystemExit as stop:
        if not stop.code:  # --help has been printed
            sys.stdout.flush()
            raise
        known = [f"--{f.name.replace('_', '-')}" for f in dataclasses.fields(cls)]
        raise ValidationError(_one_line(complaint.getvalue(), name, known)) from None
    command: Command = back(given)
    return command


def _refuse_no_path(cls: Any, words: list[str]) -> None:
    """Raise where an option for a file is given an empty text, which a path takes for here."""
    paths = {
        f"--{f.name.replace('_', '-')}" for f in dataclasses.fields(cls) if "Path" in str(f.type)
    }
    for word, following in zip_longest(words, words[1:]):
        option, equals, given = word.replace("_", "-").partition("=")
        if option in paths and (not given if equals else following == ""):
            invalid(option, "must name a file or a folder", "")


def _one_line(complaint: str, name: str, there: Sequence[str]) -> str:
    """Turn the parser's framed text into what, and what to try."""
    framed = complaint.lstrip()[:1] == "╭"
    lines = [line.strip(" │") for line in complaint.splitlines() if line[:1] not in "╭╰"]
    rules = [i for i, line in enumerate(lines) if line and set(line) <= set("─-")]
    if rules and rules[0] == 1 and not framed:  # a title above
        lines, rules = lines[2:], [i - 2 for i in rules[1:]]
    end = rules[0] if rules else len(lines)
    what = " ".join(lines[:end]).rstrip(". ")
    options = [line.split()[0] for line in lines[end:] if line[:2] == "--" and line[2:3].isalpha()]
    unknown = re.match(r"Unrecognized options: (--[\w-]+)", what)
    if unknown:
        options = near(unknown[1], there)
    hints = [*dict.fromkeys(options[:3]), f"lava-dyads {name} --help"]
    return f"{what}. Try: {', '.join(hints)}"


def _command(words: list[str]) -> str:
    for length in (2, 1):
        name = " ".join(words[:length])
        if name in COMMANDS:
            return name
    longer = [name for name in COMMANDS if name.startswith(f"{words[0]} ")]
    got = " ".join(words[:2]) if longer else words[0]
    raise ValidationError(
        f"lava-dyads: unknown command {got!r}. Try: {nearest(got, longer or COMMANDS)}"
    )


def _fail(error: Exception | str, code: int) -> int:
    text = one_line(error) if isinstance(error, str) else str(error)
    print(f"error: {text}", file=sys.stderr)
    return code


def _help(names: Sequence[str] = tuple(COMMANDS)) -> str:
    lines = [
        "usage: lava-dyads COMMAND [OPTIONS]     (lava-dyads COMMAND --help for its options)",
        "",
        "Networks whose every neuron is a dyad, on Intel Lava.",
        "",
        *(f"  {name:18} {COMMANDS[name][1]}" for name in names),
        "",
        "With --json a command prints one JSON object on standard output and nothing else there.",
        "lava-dyads --version prints the version.",
        "Exit codes: 0 done, 1 a check did not hold or a run failed, 2 bad input.",
    ]
    return "\n".join(lines)
