"""What a user's type checker and editor know of the public names."""

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import lava_dyads

PROGRAM = """
from pathlib import Path

import numpy as np
from lava_dyads import (
    SGD, Adam, Checkpoint, Dataset, DualPropagation, Dyad, DyadConv, DyadDense, DyadNetwork,
    DyadRunConfig, Execution, Faults, Graph, InProcessSession, LavaSession, Momentum, NetworkSpec,
    Node, PresentationSchedule, Trace, Trainer, TrainingConfig, Transport, ValidationError,
    check_gradient, describe, in_process, load,
)


def train() -> float:
    spec = NetworkSpec((64, 32, 10), rule="dp-transpose", alpha=1.0, beta=0.1)
    reveal_type(spec.layers)  # tuple[int, ...]
    reveal_type(spec.rule)  # Rule
    reveal_type(NetworkSpec((2, 2), rule=DualPropagation(alpha=0.5)))  # NetworkSpec
    reveal_type(describe(spec).rows)  # tuple[Row, ...]
    reveal_type(Execution("layer").clock)  # the clocks
    data = load("digits")
    reveal_type(data)  # Dataset
    config = TrainingConfig(epochs=5, optimiser="adam")
    with Trainer(spec, data, config, Execution("layer")) as trainer:
        reveal_type(trainer)  # Trainer
        history = trainer.fit(on_epoch=lambda epoch: print(epoch["test_accuracy"]))
        reveal_type(history.column("test_accuracy"))  # list[float]
        reveal_type(trainer.evaluate().accuracy)  # float
        weights, biases = trainer.stored()
        Checkpoint(spec, weights, biases, {"dataset": "digits"}).save(Path("checkpoint.npz"))
    reveal_type(Checkpoint.load(Path("checkpoint.npz")).spec)  # NetworkSpec
    reveal_type(check_gradient(spec))  # GradientCheck
    graph = Graph([Node("x", "input", size=2), Node("y", "dense", "x", loss="squared-error")])
    reveal_type(NetworkSpec(graph=graph))  # NetworkSpec
    return trainer.evaluate().loss


def play() -> None:
    dyad = Dyad((2,), bias=[0.5, -0.5])
    dense = DyadDense(np.eye(2), optimiser=Adam(), schedule=PresentationSchedule())
    dyad.mean_out.connect(dense.mean_in)
    reveal_type(dyad.mean_out)  # OutPort
    reveal_type(dyad.basal_in.shape)  # tuple[int, ...]
    reveal_type(dyad.s_plus)  # Var
    reveal_type(dyad.name)  # str
    reveal_type(DyadNetwork(NetworkSpec((2, 2)).build()).weights_1)  # Var
    with LavaSession(dyad) as session:
        reveal_type(session)  # LavaSession
        reveal_type(session.run(1))  # int
    with InProcessSession(dyad, DyadRunConfig("layer")) as other:
        reveal_type(other.run(1))  # int
        reveal_type(other.usage().seconds)  # dict[str, float]
    with in_process():
        dyad.stop()
    reveal_type(Transport(faults=Faults(drop=0.1)))  # Transport
    try:
        reveal_type(Trace.load(Path("trace.npz")))  # Trace
    except ValidationError as error:
        reveal_type(error.args)  # tuple[Any, ...]


NetworkSpec("wrong")  # error
NetworkSpec((2, 2), alpha="one")  # error
Trainer(NetworkSpec((2, 2)))  # error
Dyad((2,)).no_such_port  # error
Execution("layr")  # error
Execution(runtime="loihi")  # error
TrainingConfig(dtype="float16")  # error
TrainingConfig(lr_schedule="cosine")  # error
Transport(coding="values")  # error
DyadRunConfig(clock="asink")  # error
lava_dyads.NoSuchName  # error
from lava_dyads import NoSuchName  # error
"""


def whole_api():
    """Yield a program that asks for the type of every public name, and of what classes have."""
    for name in lava_dyads.__all__:
        value = getattr(lava_dyads, name)
        yield f"reveal_type(lava_dyads.{name})  # a type"
        members = [m for m in vars(value) if m[0] != "_"] if inspect.isclass(value) else []
        if members:
            yield f"def with_{name}(it: lava_dyads.{name}) -> None:"
            yield from (f"    reveal_type(it.{member})  # a type" for member in members)


def said_by_mypy(folder, cache):
    """Return what mypy says of the program: a kind and a text for each line."""
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent"]
    command += [f"--cache-dir={cache}", "--config-file="]
    home = Path(lava_dyads.__file__).parents[1]  # mypy does not see what is installed editable
    environment = os.environ | ({} if home.name == "site-packages" else {"MYPYPATH": str(home)})
    done = subprocess.run(
        [*command, "program.py"], cwd=folder, env=environment, capture_output=True, text=True
    )
    said = {}
    for line in done.stdout.splitlines()[:-1]:
        number, kind, text = re.fullmatch(r"program\.py:(\d+): (note|error): (.*)", line).groups()
        said[int(number)] = kind, text.replace("builtins.", "")
    return said


def said_by_pyright(folder, cache):
    """Return the same of Pyright; what it calls unknown is an error, too."""
    beside = Path(sys.executable).with_name("pyright")
    pyright = str(beside) if beside.exists() else shutil.which("pyright")
    if not pyright or subprocess.run([pyright, "--version"], capture_output=True).returncode:
        pytest.skip("needs pyright, and node for it")
    pytest.importorskip("lava")  # whose classes ours derive from, to Pyright
    home = str(Path(lava_dyads.__file__).parents[1])
    settings = {"typeCheckingMode": "strict", "reportUnusedImport": False, "extraPaths": [home]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [pyright, "--outputjson", "--pythonpath", sys.executable, "program.py"],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    said = {}
    for found in json.loads(done.stdout)["generalDiagnostics"]:
        number, kind = found["range"]["start"]["line"] + 1, found["severity"]
        if kind == "error" or number not in said:
            said[number] = "note" if kind == "information" else kind, found["message"]
    return said


@pytest.mark.sampled(2)
@pytest.mark.timeout(300)  # half a minute alone, several beside others
@pytest.mark.parametrize("asked", [said_by_mypy, said_by_pyright])
def test_a_users_program_has_types_and_its_slips_are_errors(tmp_path, request, asked):
    program = tmp_path / "program.py"
    program.write_text("\n".join(["import lava_dyads", PROGRAM, *whole_api()]))
    said = asked(tmp_path, request.config.cache.mkdir("mypy"))
    lines = program.read_text().splitlines()
    expected = {number for number, line in enumerate(lines, 1) if "  # " in line}
    assert set(said) == expected, said
    for number in expected:
        kind, text = said[number]
        wanted = lines[number - 1].rpartition("  # ")[2]
        assert (kind == "error") == (wanted == "error"), (lines[number - 1], text)
        if wanted == "a type":  # and a call of it has one
            kept = re.fullmatch(r'.*? is "(.*)"', text)[1]
            assert not re.search(r"^(Any|Unknown)|-> (Any|Unknown)$", kept), (
                lines[number - 1],
                text,
            )
            continue
        if wanted == "the clocks":
            assert set(re.findall(r"'(\w+)'", text)) == {"sync", "async"}
            continue
        # The one says where a class comes from, the other does not.
        revealed = re.sub(r"\b(\w+\.)+(?=\w)", "", text)
        assert kind == "error" or revealed.endswith(f' is "{wanted}"'), (lines[number - 1], text)


def test_the_list_of_public_names_stands_once_and_holds():
    for name in lava_dyads.__all__:
        value = getattr(lava_dyads, name)
        assert getattr(lava_dyads, name) is value
        assert name in dir(lava_dyads)
    with pytest.raises(AttributeError, match="NoSuchName"):
        lava_dyads.NoSuchName  # noqa: B018
    stub = inspect.getsourcefile(lava_dyads) + "i"
    with open(stub) as file:
        again = re.findall(r"import (\w+) as (\w+)", file.read())
    assert sorted(name for name, _ in again) == lava_dyads.__all__
    assert all(name == known_as for name, known_as in again)


def test_the_declared_ports_and_vars_of_processes_are_those_they_have():
    from lava_dyads.lava_types import InPort, OutPort, Var
    from lava_dyads.processes import PARTS, DatasetSource, GatherProcess, MetricSink

    for cls in (*PARTS, DatasetSource, MetricSink, GatherProcess):
        process = cls(element=cls.example())
        kinds = (process.in_ports, process.out_ports, process.vars)
        members = {name: getattr(process, name) for kind in kinds for name in kind.member_names}
        declared = typing.get_type_hints(cls)
        for name, kind in declared.items():
            if kind in (InPort, OutPort, Var):
                assert isinstance(members[name], kind), (cls, name)
        if cls.__module__.endswith("dyad") and cls.__name__ != "Dyad":
            continue  # made from the registry: what a rule's own registers are, no file declares
        if "Taught" in cls.__name__:
            continue
        for name, member in members.items():
            if isinstance(member, InPort | OutPort | Var):
                assert name in declared, (cls, name)
