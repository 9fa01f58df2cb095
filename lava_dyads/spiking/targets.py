"""What the Brian2 twins share: the import, code generation, arrays."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike

from lava_dyads.errors import UnsupportedError, invalid, message
from lava_dyads.spiking import Array

TARGETS = ("numpy", "cython", "cpp_standalone")
"""Code generation targets of Brian2; only ``numpy`` needs no compiler."""


def import_brian2() -> ModuleType:
    """Return Brian2, imported when it is needed.

    Raises
    ------
    UnsupportedError
        If it is not installed.
    """
    try:
        with _without("pylab"):
            return import_module("brian2")
    except ImportError as error:
        hint = "pip install lava_dyads[spiking], or check spiking --target none, which needs none"
        text = message("Brian2", "must be installed", error.msg, hint)
        raise UnsupportedError(text) from error


@contextmanager
def _without(name: str) -> Iterator[None]:
    """Let an import that is optional to others fail: pylab costs a third of Brian2's import."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


_kept: list[str] = []


@contextmanager
def kept_build() -> Iterator[Callable[[], float | None]]:
    """Keep a C++ program as long as this lasts.

    The value runs it once more, if there is one, and returns the seconds that it took.
    """
    with tempfile.TemporaryDirectory() as folder:

        def again() -> float | None:
            if not (program := Path(folder, "main")).exists():
                return None
            results = Path(folder, "results")
            subprocess.run(
                [program, "--results_dir", f"{results}/"],
                cwd=folder,
                stdout=subprocess.DEVNULL,
                check=True,
            )
            return float((results / "last_run_info.txt").read_text().split()[0])

        _kept.append(folder)
        try:
            yield again
        finally:
            _kept.pop()


@contextmanager
def generating(brian2: ModuleType, target: str) -> Iterator[Callable[[], float | None]]:
    """Let Brian2 generate code for a target; the value builds and runs what waits for that.

    It returns the seconds that this run took, without building; None where nothing waited.
    """
    if target not in TARGETS:
        invalid("target", f"must be one of {', '.join(TARGETS)}", target, "numpy")
    if target != "numpy" and not any(map(shutil.which, ("c++", "g++", "clang++"))):
        limit = f"{target} needs a C++ compiler"
        raise UnsupportedError(message("target", limit, "none", "numpy, which needs none"))
    with ExitStack() as stack:
        if target == "cpp_standalone":
            folder = _kept[-1] if _kept else stack.enter_context(tempfile.TemporaryDirectory())
            brian2.set_device(target, build_on_run=False)
            options = brian2.prefs.devices.cpp_standalone
            stack.callback(setattr, options, "extra_make_args_unix", options.extra_make_args_unix)
            options.extra_make_args_unix = ["-j2"]  # Brian2's own starts all jobs at once
            stack.callback(brian2.devices.reset_device)
            stack.callback(brian2.device.reinit)

            def build() -> float | None:
                brian2.device.build(directory=folder, with_output=False)
                return float(brian2.device._last_run_time)

            yield build
        else:
            stack.callback(setattr, brian2.prefs.codegen, "target", brian2.prefs.codegen.target)
            brian2.prefs.codegen.target = target
            yield lambda: None


def as_array(what: str, value: ArrayLike) -> Array:
    """Return an array of finite numbers; anything else is a ``ValidationError``."""
    try:
        array = np.array(value, float)
    except (TypeError, ValueError):
        invalid(what, "must be an array of numbers", value)
    if not np.all(np.isfinite(array)):
        invalid(what, "must be finite", array[~np.isfinite(array)][0])
    return array
