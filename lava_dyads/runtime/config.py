"""Run configurations: they alone choose how a network is executed."""

from __future__ import annotations

from typing import Any

from lava.magma.core.model.model import AbstractProcessModel
from lava.magma.core.run_configs import Loihi2SimCfg

from lava_dyads.errors import invalid
from lava_dyads.models import model_of
from lava_dyads.processes import ElementProcess

GRANULARITIES = ("layer", "network")
"""How finely a DyadNetwork is cut into Lava processes."""


class DyadRunConfig(Loihi2SimCfg):  # type: ignore[misc]
    """Choose the ProcessModels of this library, and of any other Process as Lava does.

    Parameters
    ----------
    granularity : str
        ``layer`` or ``network``: how a :class:`~lava_dyads.processes.DyadNetwork` is cut.
    select_tag : str
        Tag for the other Processes, as in Lava's ``Loihi2SimCfg``.

    Raises
    ------
    ValidationError
        If the granularity is unknown.
    """

    def __init__(self, granularity: str = "layer", select_tag: str | None = "floating_pt") -> None:
        if granularity not in GRANULARITIES:
            invalid("granularity", f"must be one of {', '.join(GRANULARITIES)}", granularity)
        super().__init__(select_tag=select_tag, select_sub_proc_model=True)
        self.granularity = granularity
        # Lava looks instances up here before it searches (and executes) the Process's folder.
        self.exception_proc_model_map = _OwnModels(granularity)


class _OwnModels(dict[Any, Any]):
    """A map that answers for every Process of this library."""

    def __init__(self, granularity: str) -> None:
        super().__init__()
        self._granularity = granularity

    def __contains__(self, process: object) -> bool:
        return isinstance(process, ElementProcess)

    def __getitem__(self, process: ElementProcess) -> type[AbstractProcessModel]:
        return model_of(process, self._granularity)
