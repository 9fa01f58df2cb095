"""Run benchmarks by name; without a name all of them."""

import importlib
import os
import pkgutil
import sys
import traceback

import benchmarks

NAMES = [m.name for m in pkgutil.iter_modules(benchmarks.__path__) if m.name != "__main__"]


def main() -> int:
    """Run the benchmarks named on the command line."""
    # Set on some machines for old numpy versions; it slows this one down.
    if os.environ.pop("OPENBLAS_CORETYPE", None):
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks", *sys.argv[1:]])
    for name in sys.argv[1:] or NAMES:
        if name not in NAMES:
            print(f"error: unknown benchmark {name!r}. Try: {', '.join(NAMES)}", file=sys.stderr)
            return 2
        try:
            importlib.import_module(f"benchmarks.{name}").run()
        except BaseException as error:
            # The interpreter would wait for a progress bar that is open when it ends, for ever.
            traceback.clear_frames(error.__traceback__)
            raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
