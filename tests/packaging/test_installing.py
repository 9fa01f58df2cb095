"""The wheel installs by pip and by uv, repairs Lava from the first start on, and brings Lava."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

import pytest
from environments import LAVA, OURS, PIP, ROOT, Environment, build_wheel


def has(package, release=0):
    """Tell whether a package is there, without importing it: setuptools puts distutils away."""
    with suppress(PackageNotFoundError):
        return int(version(package).partition(".")[0]) >= release
    return False


if not has("pip") or not has("setuptools", 77):
    pytest.skip("needs pip and setuptools, to build a wheel", allow_module_level=True)

LAVA_FIRST = """
from lava.magma.compiler.var_model import CoreEncoder
from lava.magma.runtime.runtime import Runtime
import sys
print("lava_dyads" in sys.modules, sum(hasattr(f, "repairs_lava") for f in sys.meta_path))
import lava_dyads
print(lava_dyads.__file__, sum(hasattr(f, "repairs_lava") for f in sys.meta_path))
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def manage(tool, environment, *arguments):
    """Let pip or uv of the environment that runs the tests change another one."""
    python = str(environment.python)
    if tool == "pip":
        arguments = (*arguments, "--no-compile") if arguments[0] == "install" else arguments
        command = [sys.executable, "-m", "pip", "--python", python, *arguments]
    else:
        uv = shutil.which("uv") or pytest.skip("needs uv")
        command = [uv, "pip", *arguments, "--python", python]
    subprocess.run(command, check=True, capture_output=True, timeout=100)


def unpacked(folder, wheel, without):
    """Return an environment that holds the wheel as an installer leaves it, only sooner."""
    environment = Environment(folder, without)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(environment.packages)
    return environment


def test_the_wheel_holds_the_package_and_the_line_that_repairs_lava(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        line = archive.read("lava_dyads.pth").decode()
        metadata = archive.read(next(n for n in names if n.endswith("METADATA"))).decode()
    tops = {name.partition("/")[0] for name in names}
    assert {t for t in tops if not t.endswith(".dist-info")} == {"lava_dyads", "lava_dyads.pth"}
    assert line.startswith("import ")
    assert line.count("\n") == 1
    assert "Requires-Python: >=3.10\n" in metadata
    assert "Requires-Dist: lava-nc==0.10.0; python_version < " in metadata


@pytest.mark.lava
def test_an_empty_project_tests_a_process_of_its_own_on_both_runtimes(tmp_path, wheel):
    environment = unpacked(tmp_path / "env", wheel, OURS)
    page = (ROOT / "docs" / "testing.md").read_text()
    process, test, *_ = re.findall(r"```python\n(.*?)```", page, re.S)
    assert test.partition("\n\n\n")[2] in (ROOT / "README.md").read_text()
    project = tmp_path / "project"
    project.mkdir()
    (project / "doubler.py").write_text(process)
    (project / "test_doubler.py").write_text(test)
    run = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", str(project))
    assert "2 passed" in environment.run(*run)[0]
    (project / "doubler.py").write_text(process.replace("2 * self", "3 * self"))
    out, _ = environment.run(*run, "--lava-runtime", "in-process", code=1)
    assert "1 failed" in out


@pytest.mark.parametrize(("tool", "options"), [("pip", ()), ("uv", ("-I",))])
def test_lava_may_be_imported_first_while_the_wheel_is_installed(tmp_path, wheel, tool, options):
    environment = Environment(tmp_path / "env", OURS)
    manage(tool, environment, "install", "--no-deps", "--no-index", str(wheel))
    home = str(environment.packages / "lava_dyads" / "__init__.py")
    assert environment.execute(LAVA_FIRST, *options).split() == ["False", "1", home, "1"]
    manage(tool, environment, "uninstall", *(["-y"] if tool == "pip" else []), "lava_dyads")
    assert not (environment.packages / "lava_dyads.pth").exists()


def test_what_is_left_of_the_package_does_no_harm(tmp_path, wheel):
    environment = unpacked(tmp_path / "env", wheel, OURS)
    code = "import sys; print(any(hasattr(f, 'repairs_lava') for f in sys.meta_path))"
    assert environment.execute(code) == "True\n"
    assert environment.execute(code, "-S") == "False\n"
    (environment.packages / "lava_dyads" / "lava_compat.py").unlink()
    assert environment.execute(code) == "False\n"
    shutil.rmtree(environment.packages / "lava_dyads")
    assert environment.execute(code) == "False\n"


def an_index(folder):
    """Make a folder of packages that holds a Lava in name only."""
    folder.mkdir()
    info = "lava_nc-0.10.0.dist-info"
    files = {
        "lava/there.py": "",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: lava-nc\nVersion: 0.10.0\n"
        "Requires-Python: >=3.10,<3.11\nRequires-Dist: numpy<2.0.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / "lava_nc-0.10.0-py3-none-any.whl", "w") as archive:
        for name, text in (*files.items(), (f"{info}/RECORD", record)):
            archive.writestr(name, text)
    return {
        "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": os.devnull,
        "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(folder), "UV_NO_CONFIG": "1",
        "UV_CACHE_DIR": str(folder / "cache"), "UV": "",
    }  # fmt: skip


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_one_command_brings_lava_and_says_so(tmp_path, wheel, tool):
    without = (*OURS, *LAVA, *(PIP if tool == "uv" else ()))
    environment = unpacked(tmp_path / "env", wheel, without)
    uv = shutil.which("uv")
    if tool == "uv" and not uv:
        pytest.skip("needs uv")
    path = os.path.dirname(uv) if tool == "uv" else str(tmp_path)
    settings = {**an_index(tmp_path / "index"), "PATH": path}
    command = ("-m", "lava_dyads", "install-lava", "--json")
    out, _ = environment.run(*command, **settings)
    report = json.loads(out)
    assert report["installed"]
    assert report["by"] == tool
    assert (environment.packages / "lava" / "there.py").exists()
    out, _ = environment.run(*command, **settings)
    assert not json.loads(out)["installed"]


def test_where_lava_cannot_be_had_one_line_says_why(tmp_path, wheel):
    environment = unpacked(tmp_path / "env", wheel, (*OURS, *LAVA, *PIP))
    settings = {**an_index(tmp_path / "index"), "PATH": str(tmp_path)}
    command = ("-m", "lava_dyads", "install-lava")
    _, complaint = environment.run(*command, code=1, **settings)
    assert complaint.count("\n") == 1
    assert "needs uv or pip" in complaint
    broken = tmp_path / "uv"
    broken.write_text("#!/bin/sh\necho '  × the index' >&2\necho '  ╰─▶ is away' >&2\nexit 2\n")
    broken.chmod(0o755)
    _, complaint = environment.run(*command, code=1, **settings)
    assert complaint.count("\n") == 1
    assert "could not be installed" in complaint
    assert "the index; is away" in complaint
