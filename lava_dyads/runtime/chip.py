"""The slot for the chip: a run configuration that picks ProcessModels for neuro cores of Loihi 2.

Such models, Lava's compiler for them and the way to the chip are in Intel's extension of Lava
(lava-loihi), which is not public. Nothing here stands in for it. Where it is installed, and
somebody has written a model of a dyad for it, this configuration finds that model; a model is

    @bound
    @implements(proc=Dyad, protocol=LoihiProtocol)
    @requires(Loihi2NeuroCore)
    @tag("ucoded")
    class NcDyadModel(AbstractNcProcessModel): ...

with ``bound`` from ``lava_dyads.models`` and the base class from the extension.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lava.magma.compiler.subcompilers.constants import EMBEDDED_ALLOCATION_ORDER
from lava.magma.core.model.model import AbstractProcessModel
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import Loihi2NeuroCore, NeuroCore
from lava.magma.core.run_configs import AbstractLoihiHWRunCfg
from lava.utils import loihi

from lava_dyads.choices import Granularity
from lava_dyads.errors import UnsupportedError, invalid
from lava_dyads.processes import POPULATIONS, DyadDense, DyadNetwork, ElementProcess
from lava_dyads.runtime.config import DyadRunConfig, models_beside

DEVICES = ("cpu", "loihi2")
"""Where ProcessModels run."""

_ON_CORES = (*POPULATIONS.values(), DyadDense)


def check_device(device: str) -> None:
    """Raise where a device cannot be used here.

    Raises
    ------
    ValidationError
        If the name is unknown.
    UnsupportedError
        If Intel's extension is not installed.
    """
    if device not in DEVICES:
        invalid("device", f"must be one of {', '.join(DEVICES)}", device)
    if device == "loihi2" and not loihi.is_installed():
        raise UnsupportedError(
            "device loihi2: Intel's extension of Lava for the chip (lava-loihi) is not installed; "
            "it is not public. Try: --device cpu, where --precision loihi2 computes with the same "
            "integers"
        )


class Loihi2RunConfig(DyadRunConfig, AbstractLoihiHWRunCfg):  # type: ignore[misc]
    """Choose ProcessModels for neuro cores of Loihi 2.

    Populations and connections of dyads get a model that requires ``Loihi2NeuroCore`` (or
    ``NeuroCore``), or are refused: they never run elsewhere in silence. Other Processes get such
    a model where they have one, else the one that :class:`DyadRunConfig` chooses: sources, sinks
    and the loss are work for a host.

    Parameters
    ----------
    granularity : str
        ``layer`` or ``neuron``.
    select_tag : str or None
        Tag that a model for neuro cores has to have; None: any.
    host_tag : str
        Tag of the models on the host.

    Raises
    ------
    ValidationError
        If the granularity is ``network`` or unknown.
    UnsupportedError
        If Intel's extension is not installed.
    """

    def __init__(
        self,
        granularity: Granularity = "layer",
        select_tag: str | None = None,
        *,
        host_tag: str = "fixed_pt",
    ) -> None:
        check_device("loihi2")
        if granularity == "network":
            invalid("granularity", "one fused process is no neuro core", granularity, "layer")
        super().__init__(granularity, host_tag)
        self.core_tag = select_tag
        # What Lava's compiler asks of a configuration for hardware.
        self.callback_fxs: list[Any] = []
        self.embedded_allocation_order = EMBEDDED_ALLOCATION_ORDER.NORMAL

    def own_model(self, process: ElementProcess) -> type[AbstractProcessModel]:
        """Return the model for a neuro core, or for the host where a Process belongs there."""
        if not isinstance(process, _ON_CORES):
            if isinstance(process, DyadNetwork) and process.element.arithmetic.name != "loihi2":
                precision = process.element.arithmetic.name
                invalid("precision", "the chip computes in integers", precision, "loihi2")
            return super().own_model(process)
        made = self._on_core(models_beside(process))
        if made is None:
            kind = type(process).__name__
            raise UnsupportedError(
                f"{process.name} ({kind}): no ProcessModel requires Loihi2NeuroCore"
                f"{f' with tag {self.core_tag}' if self.core_tag else ''}. Try: write one "
                "(lava_dyads.runtime.chip says how), or DyadRunConfig, which runs on the CPU"
            )
        return made

    def select(
        self, process: AbstractProcess, proc_models: Sequence[type[AbstractProcessModel]]
    ) -> type[AbstractProcessModel]:
        """Return the model of a foreign Process, one for neuro cores first."""
        made = self._on_core(proc_models)
        host = [model for model in proc_models if not _for_core(model)]
        return made or super().select(process, host)

    def _on_core(
        self, models: Sequence[type[AbstractProcessModel]]
    ) -> type[AbstractProcessModel] | None:
        for model in models:
            if _for_core(model) and (self.core_tag is None or self.core_tag in model.tags):
                return model
        return None


def _for_core(model: type[AbstractProcessModel]) -> bool:
    return any(r in (Loihi2NeuroCore, NeuroCore) for r in model.required_resources)
