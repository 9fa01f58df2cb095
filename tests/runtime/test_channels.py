"""Channels of models that are not event-driven: first in, first out, as Lava's are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lava.magma.core.model.py.model import PyLoihiModelToPyAsyncModel
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.process import Dense
from lava.proc.io.sink import PyReceiveModelFloat
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import PySendModelFloat
from lava.proc.io.source import RingBuffer as Source
from lava.proc.lif.models import PyLifModelFloat
from lava.proc.lif.process import LIF

from lava_dyads.executors.latency import LATENCIES
from lava_dyads.processes.base import own_logging
from lava_dyads.runtime import Faults, InProcessSession, Transport

SEND = PyLoihiModelToPyAsyncModel(PySendModelFloat)
RECEIVE = PyLoihiModelToPyAsyncModel(PyReceiveModelFloat)


class Asynchronous(Loihi2SimCfg):
    """Choose the models of a tag, and let them run by messages instead of in steps."""

    def select(self, process, models):
        return PyLoihiModelToPyAsyncModel(super().select(process, models))


def relayed(transport, rows=12):
    """Return what a sink holds after a source has sent 0, 1, 2, ... at once."""
    with own_logging():
        source, sink = Source(data=np.arange(float(rows))[None]), Sink(shape=(1,), buffer=rows)
    source.s_out.connect(sink.a_in)
    config = Loihi2SimCfg(exception_proc_model_map={source: SEND, sink: RECEIVE})
    with InProcessSession(source, config, transport=transport) as session:
        session.run(rows)
        return sink.data.get()[0]


@given(st.sampled_from(sorted(LATENCIES)), st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_messages_of_one_channel_arrive_in_the_order_in_which_they_were_sent(latency, seed):
    assert relayed(Transport(latency, seed)).tolist() == list(range(12))


@pytest.mark.parametrize("fault", ["delay", "duplicate", "noise"])
def test_a_fault_that_is_not_reordering_does_not_reorder(fault):
    heard = relayed(Transport(faults=Faults(**{fault: 0.5}, noise_size=1e-9), seed=3))
    assert (np.diff(heard) >= 0).all()


def test_messages_overtake_each_other_on_request():
    heard = relayed(Transport(faults=Faults(reorder=0.5), seed=3))
    assert sorted(heard.tolist()) == list(range(12)) != heard.tolist()


@pytest.mark.parametrize("steps", [1, 2, 5, 20])
@pytest.mark.parametrize("seed", range(3))
def test_lavas_models_turned_asynchronous_do_what_they_do_in_steps(steps, seed):
    def ends(config, **options):
        generator = np.random.default_rng(seed)
        with own_logging():
            first = LIF(shape=(3,), du=0, dv=0, bias_mant=generator.integers(10, 30, 3),
                        bias_exp=6, vth=20)  # fmt: skip
            dense = Dense(weights=2 * generator.integers(-9, 9, (2, 3)))
            last = LIF(shape=(2,), du=4096, dv=4096, vth=1024)
        first.s_out.connect(dense.s_in)
        dense.a_out.connect(last.a_in)
        with InProcessSession(last, config, **options) as session:
            session.run(steps)
            return [v.get().tolist() for lif in (first, last) for v in (lif.u, lif.v)]

    travels = Transport("heavy-tailed", seed)
    asynchronous = ends(Asynchronous(select_tag="fixed_pt"), transport=travels)
    assert asynchronous == ends(Loihi2SimCfg(select_tag="fixed_pt"))


@pytest.mark.parametrize("seed", range(3))
def test_steps_and_lavas_asynchronous_models_stand_in_one_graph(seed):
    """A source by messages, a neuron in steps, a sink by messages; as many messages as steps."""
    with own_logging():
        source, sink = Source(data=np.arange(5.0)[None]), Sink(shape=(1,), buffer=5)
        lif = LIF(shape=(1,), du=1, dv=1, vth=3)
    source.s_out.connect(lif.a_in)
    lif.s_out.connect(sink.a_in)
    models = {source: SEND, sink: RECEIVE, lif: PyLifModelFloat}
    config = Loihi2SimCfg(exception_proc_model_map=models)
    with InProcessSession(lif, config, transport=Transport("exponential", seed)) as session:
        session.run(5)
        # With decays of one u and v are the input of the step.
        assert sink.data.get().tolist() == [[0, 0, 0, 0, 1]]
