"""Compare the weights that one training learns on both runtimes of Lava, on several Pythons.

    python scripts/same_weights.py [PYTHON ...]

Every Python given needs lava_dyads and Lava; without one, the Python that runs this. On each, both
runtimes must learn the same weights, bit for bit; Pythons of the same numpy and the same processor
must agree, too (a release of numpy brings its own BLAS, whose sums may differ in the last bit).
"""

import json
import subprocess
import sys

TRAIN = """
import hashlib, json, platform
import numpy as np
from lava_dyads import Execution, NetworkSpec, Trainer, TrainingConfig, load

def learnt(granularity, runtime):
    spec = NetworkSpec((64, 16, 10), rule="dp-transpose", alpha=1.0, beta=0.1)
    execution = Execution(granularity, "sync", "float", runtime)
    with Trainer(spec, load("digits"), TrainingConfig(epochs=1, seed=1), execution) as trainer:
        trainer.fit()
        parts = [array for group in trainer.parameters() for array in group]
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in parts)).hexdigest()

weights = {f"{g} {r}": learnt(g, r) for g in ("layer", "network") for r in ("in-process", "lava")}
print(json.dumps({"python": platform.python_version(), "numpy": np.__version__, **weights}))
"""


def main(pythons: list[str]) -> int:
    """Train on every Python, print what was learnt; return 1 if something differs."""
    ways: dict[tuple[str, str], set[str]] = {}
    for python in pythons or [sys.executable]:
        outcome = subprocess.run([python, "-c", TRAIN], capture_output=True, text=True)
        if outcome.returncode:
            print(f"{python}: {outcome.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            return 1
        learnt = json.loads(outcome.stdout.splitlines()[-1])
        release = learnt.pop("numpy")
        print(f"Python {learnt.pop('python')}, numpy {release}:")
        for way, weights in learnt.items():
            print(f"  {way:20} {weights[:16]}")
            ways.setdefault((release, way.partition(" ")[0]), set()).add(weights)
    differing = [f"{way} with numpy {release}" for (release, way), w in ways.items() if len(w) > 1]
    print(f"differing: {', '.join(differing) or 'none'}")
    return bool(differing)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
