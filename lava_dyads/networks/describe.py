"""Describe a network as a graph of Processes: shapes, parameters, messages."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TextIO

from lava_dyads.checks import checked
from lava_dyads.elements import Connection, Head, Population
from lava_dyads.executors.step import Network
from lava_dyads.networks.specification import NetworkSpec
from lava_dyads.plan.plan import OUTSIDE, Link
from lava_dyads.tables import Tabular


@dataclass(frozen=True)
class Row:
    """One Process of the graph.

    Attributes
    ----------
    name, kind, shape : str
        Its name, the Process class, its shape.
    parameters : int
        Weights, separate feedback weights and biases in it.
    sends : tuple of str
        Its connected ports, each 'port -> process.port, ...'.
    """

    name: str
    kind: str
    shape: str
    parameters: int
    sends: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Description(Tabular):
    """A network's Process graph and its cost in closed form.

    Attributes
    ----------
    rows : tuple of Row
    steps : int
        Steps per presentation, T (of the ``layer`` granularity).
    ports : int
        Connected output ports of populations, connections and head; each sends one message per
        step, silence included.
    port_messages : int
        ports * steps: messages per sample on Lava's channels (B samples in B lanes share them).
    spoken_messages : int or None
        Messages with at least one event per sample: one on each population's mean and
        difference and one from each head, on any graph. None where the rule repeats its sweeps or
        spikes, since the number then depends on the data.
    dense_operations : int
        Products of dense backprop per sample.
    printed : bool
        Whether :func:`describe` has printed it.
    """

    rows: tuple[Row, ...]
    steps: int
    ports: int
    port_messages: int
    spoken_messages: int | None
    dense_operations: int
    printed: bool = field(default=False, compare=False)

    def records(self) -> list[dict[str, object]]:
        """Return a row per Process."""
        return [{f.name: getattr(row, f.name) for f in fields(row)} for row in self.rows]

    def _repr_html_(self) -> str | None:
        """Return the table for a notebook, unless the text stands above it."""
        return None if self.printed else super()._repr_html_()

    def __repr__(self) -> str:
        """Return a line: the whole has been printed already."""
        return f"Description({len(self.rows)} processes, {self.port_messages} messages per sample)"

    def __str__(self) -> str:
        lines = [
            f"{r.name:14} {r.kind:18} {r.shape:14} {r.parameters:>9} parameters" for r in self.rows
        ]
        for i, row in reversed(list(enumerate(self.rows))):
            lines[i + 1 : i + 1] = [f"{'':14}   {arrow}" for arrow in row.sends]
        spoken = "depends on the data" if self.spoken_messages is None else self.spoken_messages
        return "\n".join(
            [
                *lines,
                f"steps per sample     {self.steps}",
                f"messages per sample  {self.port_messages} on {self.ports} ports, "
                f"of which not silent: {spoken}",
                f"dense backprop       {self.dense_operations} operations per sample",
            ]
        )


@checked
def describe(spec: NetworkSpec, file: TextIO | None = None, quiet: bool = False) -> Description:
    """Print the Process graph of a specification at ``layer`` granularity.

    Parameters
    ----------
    spec : NetworkSpec
    file : text file or None
        Where to; None: standard output.
    quiet : bool
        Print nothing.

    Returns
    -------
    Description
        The same as fields.

    Examples
    --------
    >>> describe(NetworkSpec((4, 3, 2)), quiet=True).port_messages
    48
    """
    description = _description(spec)
    if quiet:
        return description
    print(description, file=file)
    return replace(description, printed=True)


def _description(spec: NetworkSpec) -> Description:
    network = spec.build()
    dense = spec.dense_operations
    if not isinstance(network, Network):
        row = Row("network", "numpy", str(spec.layers), spec.parameter_count, ())
        return Description((row,), 1, 1, 1, None, dense)
    links: dict[str, list[Link]] = {}
    for link in network.links:
        links.setdefault(link.source, []).append(link)
    rows = [Row("source", "DatasetSource", f"({spec.layers[0]},)", 0, _arrows(links[OUTSIDE]))]
    for name, element in network.elements.items():
        shape, parameters = str((next(iter(element.outputs.values())),)), 0
        if isinstance(element, Connection):
            shape = str(element.op.shape or (element.op.n_out, element.op.n_in))
            parameters = element.op.synapses * (2 if element.separate else 1)
        elif isinstance(element, Population):
            shape = f"({element.n},)"
            parameters = element.memory["bias"].size
        kind = element.process_name
        rows.append(Row(name, kind, shape, parameters, _arrows(links.get(name, []))))
    ports = len({link[:2] for link in network.links if link.source != OUTSIDE})
    speakers = [e for e in network.elements.values() if isinstance(e, Population | Head)]
    instant = all(p.unit.instantaneous for p in network.populations.values())
    known = spec.timing.repeats == 0 and instant
    spoken = sum(len(element.listened) for element in speakers) if known else None
    return Description(tuple(rows), network.steps, ports, ports * network.steps, spoken, dense)


_SOURCE_PORTS = {"input_in": "x_out", "target_in": "y_out"}
"""What feeds the network's own inputs."""


def _arrows(links: list[Link]) -> tuple[str, ...]:
    """Return the arrows of a Process, by port."""
    by_port: dict[str, list[str]] = {}
    for link in links:
        port = (
            _SOURCE_PORTS.get(link.output, link.output) if link.source == OUTSIDE else link.output
        )
        by_port.setdefault(port, []).append(_end(link))
    return tuple(f"{port} -> {', '.join(ends)}" for port, ends in by_port.items())


def _end(link: Link) -> str:
    return "sink.output_in" if link.target == OUTSIDE else f"{link.target}.{link.input}"
