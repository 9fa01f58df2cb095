"""``neuron``: every dyad its own Lava Process, with its own model, ports and counters."""

from __future__ import annotations

from itertools import chain
from typing import Any

from lava.magma.core.decorator import implements, tag
from lava.magma.core.model.sub.model import AbstractSubProcessModel

from lava_dyads.elements import Gather
from lava_dyads.models.registry import alias_weights, layer_processes, lead
from lava_dyads.plan.plan import OUTSIDE, Link
from lava_dyads.processes import DyadNetwork, ElementProcess, GatherProcess, population_process
from lava_dyads.processes.base import shared
from lava_dyads.processes.virtual import put, take


@implements(proc=DyadNetwork)
@tag("floating_pt", "neuron")
class SubNeuronNetworkModel(AbstractSubProcessModel):  # type: ignore[misc]
    """One Process per dyad; connections and head stay whole, and reach each dyad by its index.

    A dyad's registers are views on those of its layer, so weights, biases and states read the
    same at every granularity.
    """

    conducted = False

    def __init__(self, proc: DyadNetwork) -> None:
        network = proc.network
        neurons = self._neurons(proc)
        whole, links = layer_processes(network, proc.schedule, leave_out=set(neurons))
        for name, process in whole.items():
            setattr(self, f"part_{name}", process)
        width = network.outputs["output_out"]
        gathering = Gather(width, lanes=network.lanes, arithmetic=network.arithmetic)
        self.output = GatherProcess(gathering, schedule=proc.schedule, name="output")
        self.output.all_out.connect(proc.output_out)
        ends: dict[str, Any] = {**whole, OUTSIDE: proc}
        for link in links:
            self._wire(link, neurons, ends)
        if self.conducted:
            lead(proc, [*whole.values(), self.output, *chain.from_iterable(neurons.values())])
        alias_weights(proc, whole)
        first = next(iter(whole.values()))
        proc.learn.alias(first.learn)
        proc.window.alias(first.window)

    def _neurons(self, proc: DyadNetwork) -> dict[str, list[ElementProcess]]:
        """Make the Processes of all dyads, by population."""
        neurons: dict[str, list[ElementProcess]] = {}
        for name, population in proc.network.populations.items():
            cls = population_process(population.unit)
            neurons[name] = [
                cls(element=part, schedule=proc.schedule, name=f"{name}.{i}")
                for i, part in enumerate(population.split(shared))
            ]
            for i, process in enumerate(neurons[name]):
                setattr(self, f"part_{name}_{i}", process)
        return neurons

    def _wire(
        self, link: Link, neurons: dict[str, list[ElementProcess]], ends: dict[str, Any]
    ) -> None:
        if link.source in neurons:
            target = self.output.each_in if link.target == OUTSIDE else None
            target = target or getattr(ends[link.target], link.input)
            for i, process in enumerate(neurons[link.source]):
                put(getattr(process, link.output), i, target)
        elif link.target in neurons:
            source = getattr(ends[link.source], link.output)
            for i, process in enumerate(neurons[link.target]):
                take(source, i, getattr(process, link.input))
        else:
            getattr(ends[link.source], link.output).connect(getattr(ends[link.target], link.input))


@implements(proc=DyadNetwork)
@tag("floating_pt", "neuron")
class EventSubNeuronNetworkModel(SubNeuronNetworkModel):
    """``neuron`` with event-driven processes that follow a conductor."""

    conducted = True
