"""Where Lava is not installed: what does without it runs, and the rest says how to get it.

Lava is hidden from an interpreter of its own, as if it had never been installed.
"""

import json
import subprocess
import sys
import textwrap

HIDDEN = """
    import importlib.metadata, sys

    class Hidden:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == "lava":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    sys.meta_path.insert(0, Hidden())
    known = importlib.metadata.distribution

    def distribution(name):
        if name == "lava-nc":
            raise importlib.metadata.PackageNotFoundError(name)
        return known(name)

    importlib.metadata.distribution = distribution
"""


def run(program, *arguments):
    program = textwrap.dedent(HIDDEN) + textwrap.dedent(program)
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def commands(*lines):
    """Return exit code, standard output and standard error of each, from one interpreter."""
    program = """
        import contextlib, io, json
        from lava_dyads.cli import main

        found = []
        for line in sys.argv[1:]:
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main(line.split())
            found.append((code, out.getvalue(), err.getvalue()))
        print(json.dumps(found))
    """
    return json.loads(run(program, *lines))


def test_whatever_does_without_lava_is_imported_and_the_rest_is_one_error():
    done = run(
        """
        import importlib, pkgutil
        import lava_dyads
        from lava_dyads.errors import MissingLavaError

        missing = set()
        for module in pkgutil.walk_packages(lava_dyads.__path__, "lava_dyads."):
            if module.name.endswith("__main__") or ".peers." in module.name:
                continue
            try:
                importlib.import_module(module.name)
            except MissingLavaError as error:
                assert "Try: lava-dyads install-lava" in str(error)
                missing.add(module.name)
            except ModuleNotFoundError as error:
                assert error.name not in ("lava",) or module.name.endswith("lava_types"), module
        print(*sorted(missing))
        for name in ("Dyad", "LavaSession", "EventModel"):
            try:
                getattr(lava_dyads, name)
            except ImportError as error:
                assert isinstance(error, MissingLavaError) and "\\n" not in str(error)
            else:
                raise AssertionError(name)
        """
    )
    home = "lava_dyads."
    needing = ("loihi.stock", "models", "processes", "reports.messages", "runtime", "testing")
    assert set(done.split()) == {home + name for name in needing}


def test_a_training_is_run_kept_and_evaluated_without_lava(tmp_path):
    out = tmp_path / "run"
    found = commands(
        f"train digits --layers 8 --epochs 2 --learning-rate 0.01 --out {out} --json",
        f"eval {out} --json",
        "train digits --layers 8 --epochs 1 --no-save",
        f"eval {out}",
        "info",
        "check gradient --networks 2 --activation linear",
    )
    assert [code for code, _, _ in found] == [0] * 6, found
    assert "reference engine" in found[2][1]
    assert [json.loads(out)["runtime"] for _, out, _ in found[:2]] == ["reference"] * 2


def test_what_needs_lava_ends_in_one_line_with_the_command_that_brings_it():
    lines = (
        "train digits --runtime lava --no-save",
        "train digits --runtime in-process --no-save",
        "train digits --granularity layer --no-save",
        "train digits --clock async --no-save --json",
        "check equivalence",
        "check spiking",
        "bench runtime",
    )
    hint = "needs Lava, which is not installed. Try: lava-dyads install-lava"
    for line, (code, out, err) in zip(lines, commands(*lines), strict=True):
        assert (code, out) == (2, ""), line
        assert err.startswith("error: "), (line, err)
        assert err.endswith(f"{hint}\n"), (line, err)
        assert err.count("\n") == 1, (line, err)
