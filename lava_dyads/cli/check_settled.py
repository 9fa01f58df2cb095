"""``lava-dyads check settled``."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated

import tyro

from lava_dyads.cli.common import FAILED, OK, console, print_json
from lava_dyads.experiments.settled import verifier

SHOWN = 20
"""Faults that are listed at most."""


@dataclass(frozen=True, kw_only=True)
class CheckSettled:
    """Read a ledger; say whether the network had settled and learned what it should have.

    The ledger is what train --clock async --ledger FILE wrote. Nothing of the simulation takes
    part: what arrived, what compartments answered and every update is computed again, to 1e-9.
    Exit code 1 if anything differs.
    """

    ledger: Annotated[Path, tyro.conf.Positional]
    """File of a ledger (.npz)."""
    json: bool = False
    """Print one JSON object instead of lines."""

    def run(self) -> int:
        """Check; return the exit code."""
        checked = verifier(self.ledger)
        faults = list(islice(checked.faults(), SHOWN))
        if self.json:
            print_json({
                "check": "settled", "presentations": checked.presentations, "holds": not faults,
                "faults": faults,
            })  # fmt: skip
        else:
            out = console()
            for fault in faults:
                out.print(fault, markup=False, soft_wrap=True)
            had = "it had settled and learned what it should have"
            verdict = f"not settled, or not as it should be ({SHOWN} faults at most are listed)"
            out.print(f"{checked.presentations} presentations: {verdict if faults else had}")
        return FAILED if faults else OK
