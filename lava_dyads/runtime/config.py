"""Run configurations: they alone choose how a network is executed."""

from __future__ import annotations

import sys
from typing import Any

from lava.magma.core.model.model import AbstractProcessModel
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.magma.core.sync.protocols.async_protocol import AsyncProtocol
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_dyads.checks import checked
from lava_dyads.choices import Clock, Granularity
from lava_dyads.models import model_of
from lava_dyads.processes import ElementProcess


class DyadRunConfig(Loihi2SimCfg):  # type: ignore[misc]
    """Choose the ProcessModels of this library, and of any other Process as Lava does.

    A foreign Process is first looked up in its own module. Only where that has no ProcessModel
    does Lava search the folder, which executes every file in it.

    Parameters
    ----------
    granularity : str
        ``neuron``, ``layer`` or ``network``: how a ``DyadNetwork`` is cut.
    select_tag : str or None
        Tag for the other Processes, as in Lava's ``Loihi2SimCfg``.
    clock : str
        ``sync`` (LoihiProtocol: steps) or ``async`` (AsyncProtocol: messages, led by a
        ``Conductor``). Other Processes get a model of that protocol where they have one.

    Raises
    ------
    ValidationError
        If the granularity or the clock is unknown.
    """

    @checked
    def __init__(
        self,
        granularity: Granularity = "layer",
        select_tag: str | None = "floating_pt",
        *,
        clock: Clock = "sync",
    ) -> None:
        super().__init__(select_tag=select_tag, select_sub_proc_model=True)
        self.granularity, self.clock = granularity, clock
        # Lava looks instances up here before it searches; it also asks for classes, in vain.
        self.exception_proc_model_map = _KnownModels(self)

    def own_model(self, process: ElementProcess) -> type[AbstractProcessModel]:
        """Return the ProcessModel of a Process of this library."""
        return model_of(process, self.granularity, self.clock)


class _KnownModels(dict[Any, Any]):
    """A map from Process instances to ProcessModels that needs no search."""

    def __init__(self, config: DyadRunConfig) -> None:
        super().__init__()
        self._config = config

    def __contains__(self, process: object) -> bool:
        known = super().__contains__(process) or isinstance(process, ElementProcess)
        return known or bool(models_beside(process))

    def __getitem__(self, process: AbstractProcess) -> type[AbstractProcessModel]:
        if super().__contains__(process):
            return super().__getitem__(process)  # type: ignore[no-any-return]
        if isinstance(process, ElementProcess):
            return self._config.own_model(process)
        models = models_beside(process)
        protocol = {"sync": LoihiProtocol, "async": AsyncProtocol}[self._config.clock]
        fitting = [m for m in models if getattr(m, "implements_protocol", None) is protocol]
        return self._config.select(process, fitting or models)  # type: ignore[no-any-return]


def models_beside(process: object) -> list[type[AbstractProcessModel]]:
    """Return the ProcessModels of a Process in its own module."""
    if not isinstance(process, AbstractProcess):
        return []
    members = vars(sys.modules[type(process).__module__]).values()
    return [
        member for member in members if getattr(member, "implements_process", None) is type(process)
    ]
