"""``lava-dyads info``."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

from lava_dyads.choices import BACKENDS
from lava_dyads.cli.common import OK, console, print_json, release, result_table
from lava_dyads.data import available
from lava_dyads.errors import UnsupportedError, invalid
from lava_dyads.executors.registry import EXECUTORS, STEP, choose_executor
from lava_dyads.lava_compat import has_lava, missing_lava
from lava_dyads.networks import Graph, NetworkSpec, describe, table
from lava_dyads.networks.support import absent
from lava_dyads.options import label, options
from lava_dyads.plots.canvas import check_picture
from lava_dyads.rules.activations import ACTIVATIONS
from lava_dyads.rules.arithmetic import Float
from lava_dyads.rules.feedback import FEEDBACK
from lava_dyads.rules.losses import LOSSES
from lava_dyads.rules.optimisers import OPTIMISERS
from lava_dyads.rules.units import BASELINES, RULES

PACKAGES = ("lava_dyads", "lava-nc", "numpy", "scipy", "jax", "brian2", "h5py", "nir", "lava-dl")


@dataclass(frozen=True, kw_only=True)
class Info:
    """Print versions, rules, data sets and what can be combined; or what a network is made of."""

    graph: Path | None = None
    """TOML file with a network on a graph (docs/graphs.md): print its Processes instead."""
    plot: Path | None = None
    """Draw the graph into this file: .png, .pdf, .svg, .jpg or .webp."""
    json: bool = False
    """Print one JSON object instead of tables."""

    def run(self) -> int:
        """Print; return the exit code."""
        if self.plot is not None and self.graph is None:
            invalid("--plot", "draws the graph of --graph", str(self.plot), "--graph FILE")
        if self.plot is not None:
            check_picture("--plot", self.plot)
        if self.graph is not None:
            return self._network(NetworkSpec(graph=Graph.load(self.graph)))
        versions = {"python": platform.python_version(), **{p: release(p) for p in PACKAGES}}
        rules = {name: rule.summary for name, rule in (RULES | BASELINES).items()}
        own = {name: options(rule) for name, rule in RULES.items()}
        devices = _devices() | _backends()
        data = {name: module.SUMMARY for name, module in available().items()}
        choices = {
            "activations": list(ACTIVATIONS),
            "losses": list(LOSSES),
            "optimisers": list(OPTIMISERS),
            "feedback": list(FEEDBACK),
        }
        executors = {name: _executor(name) for name in RULES}
        if self.json:
            support = [{**asdict(e), "supported": r is None, "reason": r} for e, r in table()]
            print_json(
                {
                    "versions": versions,
                    "devices": devices,
                    "rules": rules,
                    "options": own,
                    "data": data,
                    **choices,
                    "executors": {name: executor for name, (executor, _) in executors.items()},
                    "support": support,
                }
            )
            return OK
        out = console()
        out.print(result_table("versions", versions))
        listed = {name: label(rule).partition(", ")[2] for name, rule in RULES.items()}
        for title, entries in (
            ("devices", devices),
            ("rules", rules),
            ("options of rules, with their defaults", listed),
            ("data sets", data),
        ):
            listing = Table(title=title, title_justify="left", show_header=False)
            for name, summary in entries.items():
                listing.add_row(name, summary)
            out.print(listing)
        out.print(result_table("choices", {k: ", ".join(v) for k, v in choices.items()}))
        runs = Table(title="what runs", title_justify="left")
        for column in ("granularity", "clock", "precision", "runtime"):
            runs.add_column(column)
        whys: dict[str, int] = {}
        for execution, why in table():
            if why is None:
                runs.add_row(*asdict(execution).values())
            else:
                whys[why] = whys.get(why, 0) + 1
        out.print(runs)
        carried = Table(title="who carries out a rule at its defaults", title_justify="left")
        for column in ("rule", "executor", "why not in one sweep"):
            carried.add_column(column)
        for name, (executor, reason) in executors.items():
            carried.add_row(name, executor, reason or "")
        out.print(carried)
        rest = Table(title="why the other combinations do not", title_justify="left")
        rest.add_column("reason")
        rest.add_column("combinations", justify="right")
        for why, count in whys.items():
            rest.add_row(why, str(count))
        out.print(rest)
        return OK

    def _network(self, spec: NetworkSpec) -> int:
        from lava_dyads.plots import graph_picture

        description = describe(spec, quiet=True)
        if self.plot is not None:
            graph_picture(spec, self.plot)
        if self.json:
            print_json({"graph": spec.graph.as_dict() if spec.graph else None,
                        "parameters": spec.parameter_count, **asdict(description)})  # fmt: skip
        else:
            console().print(str(description), markup=False)
        return OK


def _executor(name: str) -> tuple[str, str | None]:
    """Return who carries out a rule in a chain of dense layers, and why a sweep does not."""
    chosen = RULES[name]
    if chosen.lifted:
        return STEP, "an energy relaxes step by step"
    activations = (*chosen.activations, "relu")[0]
    plan, numbers = NetworkSpec((3, 3, 3), rule=name, activations=activations).plan, Float()
    return choose_executor(plan, numbers).name, EXECUTORS["sweep"].why_not(plan, numbers)


def _backends() -> dict[str, str]:
    """Return which array libraries there are, or how to get them, by name."""
    return {f"backend {name}": absent("reference", name) or "available" for name in BACKENDS}


def _devices() -> dict[str, str]:
    """Return the devices, by name, each with why it is not there."""
    if not has_lava():
        return {"Lava": missing_lava("whatever is no reference engine")}
    from lava_dyads.runtime import DEVICES, check_device

    found = {}
    for device in DEVICES:
        try:
            check_device(device)
            found[device] = "available"
        except UnsupportedError as error:
            found[device] = str(error).partition(": ")[2]
    return found
