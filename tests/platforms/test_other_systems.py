"""What Windows and macOS lack is not asked for: rules, training and the in-process runtime run.

No such machine is at hand, so an interpreter of its own plays one: what the other system's Python
does not have is taken away, after the packages of others have been imported (they look at the
system themselves).
"""

import subprocess
import sys
import textwrap

import pytest
from needs import NEEDS_LAVA

OTHERS = """
    import importlib, sys
    for name in ("asyncio", "multiprocessing.managers", "numpy.testing", "scipy.linalg",
                 "scipy.sparse.csgraph", "psutil", "greenlet", "threadpoolctl", "rich.progress",
                 "tyro", "filelock", "urllib.request",
                 "lava.magma.runtime.runtime", "lava.magma.core.run_configs",
                 "matplotlib.figure", "subprocess", "tempfile", "ctypes.util", "numba"):
        try:
            importlib.import_module(name)
        except ImportError:
            pass
"""

MISSING = {
    "win32": """
        import ctypes, os, signal
        for name in ("fcntl", "resource", "pwd", "grp", "termios", "pty", "syslog"):
            sys.modules[name] = None
        for module, names in (
            (os, "fork register_at_fork getuid sched_getaffinity sched_setaffinity getloadavg "
                 "killpg getpgid setsid mkfifo O_NOFOLLOW uname wait4"),
            (signal, "SIGKILL SIGUSR1 SIGUSR2 SIGALRM SIGHUP SIGCHLD pthread_sigmask pthread_kill "
                     "setitimer sigwait SIG_BLOCK SIG_UNBLOCK SIG_SETMASK"),
            (importlib.import_module("faulthandler"), "register unregister"),
        ):
            for name in names.split():
                if hasattr(module, name):
                    delattr(module, name)
        class Library(ctypes.CDLL):
            def __init__(self, name, *others, **more):
                if name is None:
                    raise TypeError("bad argument type for built-in operation")
                super().__init__(name, *others, **more)
        ctypes.CDLL = Library
        sys.platform = "win32"  # os.name stays: paths are those of this system
    """,
    "darwin": """
        import ctypes, os
        for name in ("sched_getaffinity", "sched_setaffinity"):
            delattr(os, name)
        class Library(ctypes.CDLL):
            def __getattr__(self, name):
                if name == "prctl":
                    raise AttributeError(name)
                return super().__getattr__(name)
        ctypes.CDLL = Library
        sys.platform = "darwin"
    """,
}

PROGRAM = """
    import pkgutil
    import lava_dyads
    import numpy as np
    lava = importlib.util.find_spec("lava") is not None
    for module in pkgutil.walk_packages(lava_dyads.__path__, "lava_dyads."):
        if module.name.endswith("__main__") or ".peers." in module.name:
            continue
        try:
            importlib.import_module(module.name)
        except ImportError as error:  # an extra that is not installed
            extras = ("numba", "llvmlite", "brian2", "h5py", "nir", "jax", "torch")
            assert error.name.split(".")[0] in extras
    from lava_dyads import Dataset, Execution, NetworkSpec, Trainer, TrainingConfig
    x = np.random.default_rng(0).random((60, 4))
    data = Dataset("rows", x, (x[:, 0] > 0.5).astype(int))
    config, found = TrainingConfig(epochs=2, batch_size=10), {}
    for runtime in ("reference", "in-process") if lava else ("reference",):
        spec = NetworkSpec((4, 5, 2))
        with Trainer(spec, data, config, Execution(runtime=runtime)) as trainer:
            trainer.fit()
            found[runtime] = trainer.parameters()[0]
    for w in found.values():
        np.testing.assert_array_equal(np.concatenate([v.ravel() for v in w]),
                                      np.concatenate([v.ravel() for v in found["reference"]]))
    from lava_dyads.cli import main
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        assert main(["train", "digits", "--layers", "8", "--epochs", "1", "--runtime",
                     "reference", "--out", folder + "/run", "--json"]) == 0
    print(sorted(found))
"""


@NEEDS_LAVA
@pytest.mark.skipif(sys.platform != "linux", reason="plays another system, on Linux")
@pytest.mark.sampled(2)
@pytest.mark.parametrize("system", list(MISSING))
def test_rules_training_and_the_in_process_runtime_run_where_linux_is_not(system):
    parts = (OTHERS, MISSING[system], PROGRAM)
    program = "\n".join(textwrap.dedent(part) for part in parts)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "reference" in done.stdout
