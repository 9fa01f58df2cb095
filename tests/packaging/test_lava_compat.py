"""Lava runs on this Python, whatever has been imported, used or set before it."""

import subprocess
import sys
import textwrap

import pytest

RESHAPED = """
import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.process import Dense
from lava.proc.lif.process import LIF

first, last = LIF(shape=(2, 3), bias_mant=2, vth=4), LIF(shape=(6,))
dense = Dense(weights=np.eye(6))
first.s_out.reshape((6,)).connect(dense.s_in)
dense.a_out.connect(last.a_in)
first.run(RunSteps(9), Loihi2SimCfg(select_tag="floating_pt"))
# 2 per step crosses 4 in every third step; the last of three spikes is still on its way.
print(*last.u.get())
first.stop()
"""


def run(code, *options):
    """Run code in an interpreter of its own; return what it prints."""
    command = [sys.executable, *options, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.lava
@pytest.mark.parametrize(
    "before",
    [
        "",
        "import multiprocessing; multiprocessing.Queue()",
        "import multiprocessing; multiprocessing.set_start_method('spawn')",
        "import lava_dyads",
    ],
    ids=["import lava first", "multiprocessing used", "spawn", "lava_dyads first"],
)
def test_stock_processes_run_on_lava(before):
    assert run(before + RESHAPED).split() == ["2.0"] * 6


def test_the_start_method_remains_the_program_s_own():
    code = """
    import multiprocessing
    import lava.magma.runtime.message_infrastructure.multiprocessing as lava
    print(multiprocessing.get_start_method(allow_none=True), lava.SystemProcess._start_method)
    """
    assert run(code).split() == ["None", "fork"]


def test_the_hook_costs_no_import_of_weight():
    code = "import sys; print(*sys.modules)"
    assert not {"numpy", "lava_dyads", "multiprocessing", "dataclasses", "typing"} & set(
        run(code).split()
    )
    code = "import sys; print(sum(getattr(f, 'repairs_lava', False) for f in sys.meta_path))"
    assert run(code) == "1\n"
    assert run("import lava_dyads;" + code) == "1\n"


def test_dataclasses_of_lava_are_what_they_are_on_the_python_it_was_made_for():
    code = """
    from lava.magma.compiler.var_model import AxonEncoder, ByteEncoder, CoreEncoder
    assert ByteEncoder.__hash__ is None and CoreEncoder() == CoreEncoder(x=ByteEncoder())
    assert AxonEncoder().hi is AxonEncoder.hi
    import dataclasses
    try:
        @dataclasses.dataclass
        class Own:
            x: ByteEncoder = ByteEncoder()
    except ValueError:
        print("refused")
    """
    assert run(code) == ("refused\n" if sys.version_info >= (3, 11) else "")
