"""The slot for the chip: models for neuro cores are found, and nothing stands in for them."""

import sys

import numpy as np
import pytest
from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs, find_processes
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.model import AbstractProcessModel
from lava.magma.core.resources import Loihi2NeuroCore
from lava.magma.core.run_configs import AbstractLoihiHWRunCfg
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.io.source import RingBuffer
from lava.proc.lif.models import PyLifModelFloat
from lava.proc.lif.process import LIF
from lava.utils import loihi

from lava_dyads import DyadNetwork, NetworkSpec
from lava_dyads.elements.clock import PresentationSchedule
from lava_dyads.errors import UnsupportedError, ValidationError
from lava_dyads.models import layer_processes
from lava_dyads.processes import Dyad, DyadDense
from lava_dyads.rules.arithmetic import Loihi2
from lava_dyads.runtime import Loihi2RunConfig, check_device


def core_model(process, name, *tags):
    """Make a class that says it is for a neuro core; there is nothing in it."""
    model = type(name, (AbstractProcessModel,), {})
    return tag(*tags)(requires(Loihi2NeuroCore)(implements(process, LoihiProtocol)(model)))


@pytest.fixture
def _extension(monkeypatch):
    monkeypatch.setattr(loihi, "is_installed", lambda: True)


@pytest.fixture
def models(monkeypatch):
    """Put two models for neuro cores beside the Processes of a dyad network."""
    made = {}
    for process, name in ((Dyad, "NcDyadModel"), (DyadDense, "NcDyadDenseModel")):
        made[process] = core_model(process, name, "ucoded")
        monkeypatch.setattr(sys.modules[process.__module__], name, made[process], raising=False)
    return made


def processes():
    network = NetworkSpec((3, 2), gain=0.1).build(arithmetic=Loihi2())
    return layer_processes(network, PresentationSchedule())[0]


def test_without_intels_extension_one_line_says_so():
    with pytest.raises(UnsupportedError) as refusal:
        Loihi2RunConfig()
    text = str(refusal.value)
    assert text.startswith("device loihi2: Intel's extension")
    assert "not installed" in text
    assert "not public" in text
    assert "Try: --device cpu" in text
    assert "\n" not in text
    check_device("cpu")
    with pytest.raises(ValidationError, match="device: must be one of cpu, loihi2"):
        check_device("gpu")


@pytest.mark.usefixtures("_extension")
def test_lava_gets_the_models_for_neuro_cores(models):
    config = Loihi2RunConfig()
    assert isinstance(config, AbstractLoihiHWRunCfg)
    made = processes()
    chosen = ProcGroupDiGraphs._map_proc_to_model(
        [made["population_1"], made["connection_1"]], config, []
    )
    assert chosen[made["population_1"]] is models[Dyad]
    assert chosen[made["connection_1"]] is models[DyadDense]


@pytest.mark.usefixtures("_extension")
def test_a_whole_network_is_cut_into_models_for_cores_and_the_host(models):
    network = DyadNetwork(NetworkSpec((3, 2), gain=0.1).build(arithmetic=Loihi2()))
    chosen = ProcGroupDiGraphs._map_proc_to_model(find_processes(network), Loihi2RunConfig(), [])
    kinds = {type(p).__name__: model for p, model in chosen.items()}
    assert kinds["Dyad"] is models[Dyad]
    assert kinds["DyadDense"] is models[DyadDense]
    assert kinds["LossHead"].__name__ == "PyLossHeadModelFixed"


@pytest.mark.usefixtures("_extension")
def test_a_dyad_without_such_a_model_is_refused_and_never_runs_on_the_cpu():
    with pytest.raises(UnsupportedError, match=r"population_1 \(Dyad\): no ProcessModel requires"):
        Loihi2RunConfig().own_model(processes()["population_1"])


@pytest.mark.usefixtures("_extension", "models")
def test_the_tag_picks_among_them():
    made = processes()["population_1"]
    assert Loihi2RunConfig(select_tag="ucoded").own_model(made).__name__ == "NcDyadModel"
    with pytest.raises(UnsupportedError, match="with tag bit_accurate"):
        Loihi2RunConfig(select_tag="bit_accurate").own_model(made)


@pytest.mark.usefixtures("_extension")
def test_foreign_processes_prefer_a_core_and_may_run_on_the_host():
    lif = LIF(shape=(2,))
    core = core_model(LIF, "NcLif", "ucoded")
    config = Loihi2RunConfig(host_tag="floating_pt")
    assert config.select(lif, [PyLifModelFloat, core]) is core
    assert config.select(lif, [PyLifModelFloat]) is PyLifModelFloat
    source = RingBuffer(data=np.ones((1, 1)))
    chosen = ProcGroupDiGraphs._map_proc_to_model([source], config, [])
    assert chosen[source].__name__ == "PySendModelFloat"


@pytest.mark.usefixtures("_extension")
def test_what_a_chip_cannot_be_is_refused():
    with pytest.raises(ValidationError, match=r"granularity: .*Try: layer"):
        Loihi2RunConfig("network")
    network = DyadNetwork(NetworkSpec((3, 2)).build())
    with pytest.raises(ValidationError, match=r"precision: .*integers.*Try: loihi2"):
        Loihi2RunConfig().own_model(network)
