"""Lava runs on this Python, whatever has been imported, used or set before it."""

import subprocess
import sys
import textwrap

import pytest

from tests.support.needs import NEEDS_LAVA

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


@NEEDS_LAVA
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


def test_the_package_itself_imports_next_to_nothing():
    """Ctrl-C before the program has begun ends in a traceback: that time has to be short."""
    code = "; import sys; print(*set(sys.modules) - before)"
    before = "import sys; before = set(sys.modules); import lava_dyads" + code
    ours = {name for name in run(before).split() if name != "__future__"}
    assert ours == {"lava_dyads", "lava_dyads.lava_compat"}


@NEEDS_LAVA
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


@NEEDS_LAVA
def test_what_was_imported_before_the_hook_is_mended_by_it():
    code = """
    import sys
    sys.meta_path[:] = [f for f in sys.meta_path if not hasattr(f, "repairs_lava")]
    import lava.magma.compiler.channels.pypychannel as channels
    before = channels.Semaphore.__self__.get_start_method(allow_none=True)
    import lava_dyads
    print(before, channels.Semaphore.__self__.get_start_method())
    """
    assert run(code).split() == ["None", "fork"]


@NEEDS_LAVA
def test_modules_of_lava_are_loaded_again_and_by_many_threads_at_once():
    code = """
    import importlib, threading
    names = [f"lava.magma.{n}" for n in ("compiler.var_model", "core.process.ports.ports",
             "runtime.message_infrastructure.multiprocessing", "runtime.runtime")]
    threads = [threading.Thread(target=importlib.import_module, args=(n,)) for n in names * 3]
    for t in threads: t.start()
    for t in threads: t.join()
    for n in names[:3]:
        module = importlib.reload(importlib.import_module(n))
        assert "lava_compat" not in type(module.__spec__.loader).__module__, n
        assert module.__loader__ is module.__spec__.loader
    print(module.SystemProcess._start_method)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "fork\n"
    assert "Traceback" not in done.stderr


PATCHED = {
    "compiler/var_model.py": """
from dataclasses import dataclass, field
@dataclass(unsafe_hash=True)
class ByteEncoder:
    base: int = 0
@dataclass
class CoreEncoder:
    x: ByteEncoder = ByteEncoder()
    y: list = field(default_factory=list)
""",
    "runtime/message_infrastructure/multiprocessing.py": """
import multiprocessing as mp
mp.set_start_method("fork", force=True)
class SystemProcess(mp.Process):
    pass
""",
    "core/process/ports/ports.py": """
import functools, numpy
class ReshapePort:
    def get_transform_func_fwd(self):
        return functools.partial(numpy.reshape, newshape=(1, 2))
    def get_transform_func_bwd(self):
        return functools.partial(numpy.sum, axis=0)
""",
}


def test_a_lava_that_was_mended_by_hand_is_taken_as_it_is(tmp_path):
    for name, text in PATCHED.items():
        path = tmp_path / "lava" / "magma" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    code = f"""
    import sys
    sys.path.insert(0, {str(tmp_path)!r})
    import multiprocessing
    multiprocessing.set_start_method("spawn")
    from lava.magma.compiler.var_model import ByteEncoder, CoreEncoder
    from lava.magma.core.process.ports.ports import ReshapePort
    from lava.magma.runtime.message_infrastructure.multiprocessing import SystemProcess
    import numpy as np, pickle
    import lava_dyads.lava_compat
    assert hash(ByteEncoder()) == hash(CoreEncoder().x) and CoreEncoder().y == []
    port = ReshapePort()
    for copied in (lambda x: x, lambda x: pickle.loads(pickle.dumps(x))):
        assert copied(port.get_transform_func_fwd())(np.arange(2)).shape == (1, 2)
    assert port.get_transform_func_bwd()(np.arange(3)) == 3
    print(multiprocessing.get_start_method(), SystemProcess._start_method)
    """
    assert run(code).split() == ["spawn", "fork"]


def test_without_lava_the_finder_stands_aside():
    finders = [f for f in sys.meta_path if hasattr(f, "repairs_lava")]
    assert len(finders) == 1
    assert finders[0].find_spec("lava.magma.runtime.runtime", ["/nowhere"]) is None
    assert finders[0].find_spec("json") is None
