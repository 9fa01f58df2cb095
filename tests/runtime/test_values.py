"""Var.get and Var.set: any type, order in memory and index, at any time, on both runtimes."""

import numpy as np
import pytest
from faulty.process import ring
from holder.process import MATRIX, SPARSE, Around, Holder
from hypothesis import given, settings
from hypothesis import strategies as st
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava.proc.lif.process import LIF
from lava.proc.sparse.process import Sparse
from scipy.sparse import csr_array, csr_matrix

from lava_dyads import Dyad, DyadRunConfig, InProcessSession, LavaSession
from lava_dyads.errors import LavaRuntimeError, ModelError, ValidationError
from lava_dyads.processes.base import own_logging
from lava_dyads.runtime import in_process

pytestmark = pytest.mark.timeout(60)
FLOAT = Loihi2SimCfg(select_tag="floating_pt", select_sub_proc_model=True)
BOTH = pytest.mark.parametrize(
    "session", [InProcessSession, pytest.param(LavaSession, marks=pytest.mark.lava)]
)
ORDERS = ["c", "fortran", "strided", "backwards", "read-only"]


@BOTH
@pytest.mark.parametrize("order", ORDERS)
def test_an_array_is_read_and_set_by_its_indices_whatever_its_order_in_memory(session, order):
    holder, new = Holder(order), 10 + MATRIX**2
    with session(holder, FLOAT) as opened:
        assert holder.matrix.get().tolist() == MATRIX.tolist()  # before the first run
        opened.run(1)
        assert holder.matrix.get().tolist() == MATRIX.tolist()
        holder.matrix.set(new)
        assert holder.matrix.get().tolist() == new.tolist()
        holder.matrix.set(np.asfortranarray(new + 1))
        assert holder.matrix.get().tolist() == (new + 1).tolist()
        holder.matrix.set(np.array([7.0, 8.0]))  # the first two, as in Lava
        part = [[7.0, 8.0, new[0, 2] + 1], (new[1] + 1).tolist()]
        assert holder.matrix.get().tolist() == part
        opened.run(1)
    assert holder.matrix.get().tolist() == part


@BOTH
def test_numbers_text_and_flags_are_what_was_set(session):
    holder = Holder()
    with session(holder, FLOAT) as opened:
        for value in (0.5, -2, 7, 1e300):
            holder.number.set(np.array([value]))
            assert holder.number.get() == [value]
        holder.text.set("xyz")
        assert holder.text.get() == "xyz"
        holder.flags.set(np.array([False, True]))
        assert holder.flags.get().tolist() == [0, 1]
        holder.vector.set(np.array([2.0, -3.0, 2.0**30]))
        assert holder.vector.get().tolist() == [2, -3, 2**30]
        holder.waves.set(np.array([2 - 1j, 1j]))
        assert holder.waves.get().tolist() == [2 - 1j, 1j]
        assert holder.updates.get() == [8]  # the model is told each time
        opened.run(1)
    assert holder.number.get() == [1e300]
    assert holder.text.get() == "xyz"


@BOTH
@pytest.mark.parametrize(
    "number", [0.25, 3, True, np.float32(0.25), np.int64(4), np.float64(0.1), np.bool_(True)]
)
def test_a_number_of_any_type_can_be_read_and_set(session, number):
    holder = Holder(number=number)
    with session(holder, FLOAT) as opened:
        opened.run(1)
        assert holder.number.get() == [float(number)]
        holder.number.set(np.array([1.5]))
        assert holder.number.get() == [1.5]


@BOTH
def test_an_index_chooses_what_is_read_and_which_of_the_values_are_set(session):
    holder = Holder()
    with session(holder, FLOAT):
        assert holder.vector.get([2, 0]).tolist() == [4, 2]
        assert holder.vector.get(np.array([1, 2])).tolist() == [3, 4]
        assert holder.vector.get(slice(1, None)).tolist() == [3, 4]
        assert holder.vector.get(0) == 2
        assert holder.matrix.get((1, slice(None))).tolist() == MATRIX[1].tolist()
        for idx in ([0], 0, slice(0, 1), np.array([0])):
            holder.vector.set(np.array([2, 3, 4]))
            holder.vector.set(np.array([60, 70, 80]), idx)
            assert holder.vector.get().tolist() == [60, 3, 4]


@BOTH
def test_too_many_values_are_refused_and_nothing_is_lost(session):
    holder = Holder()
    with session(holder, FLOAT) as opened:
        with pytest.raises(ValidationError, match=r"holder.vector.set: holds 3 values \(got 4\)"):
            holder.vector.set(np.arange(4))
        opened.run(1)
        assert holder.vector.get().tolist() == [2, 3, 4]


@BOTH
def test_a_sparse_matrix_is_read_and_set_entry_for_entry(session):
    holder = Holder()
    new = SPARSE.copy()
    new.data = -3 * new.data + 1
    with session(holder, FLOAT) as opened:
        assert (holder.sparse.get() != SPARSE).nnz == 0
        holder.sparse.set(new)
        assert (holder.sparse.get() != new).nnz == 0
        holder.sparse.set(csr_array(SPARSE))
        assert (holder.sparse.get() != SPARSE).nnz == 0
        zeros = SPARSE.copy()
        zeros.data[:2] = 0  # stays an entry
        holder.sparse.set(zeros)
        holder.sparse.set(new)
        opened.run(1)
    assert (holder.sparse.get() != new).nnz == 0
    assert (holder.sparse.init != SPARSE).nnz == 0  # the default is not the model's


@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_the_weights_of_lavas_sparse_connection_are_read_and_set_in_their_places(n, m, seed):
    generator = np.random.default_rng(seed)
    weights = np.zeros((n, m))
    weights[0, 0] = 0.5  # Lava's own Var.set fails where there is no entry at all
    weights = csr_matrix(weights + generator.normal(size=(n, m)) * (generator.random((n, m)) < 0.6))
    with own_logging():
        sparse = Sparse(weights=weights.copy())
    with InProcessSession(sparse, FLOAT) as session:
        assert (sparse.weights.get() != weights).nnz == 0
        new = weights.copy()
        new.data = generator.normal(size=new.data.shape)
        sparse.weights.set(new)
        session.run(1)
    assert (sparse.weights.get() != new).nnz == 0


@BOTH
@pytest.mark.parametrize("order", ["c", "fortran"])
def test_an_alias_is_the_var_that_it_stands_for(session, order):
    around = Around(order)
    with session(around, FLOAT) as opened:
        opened.run(1)
        around.matrix.set(2 * MATRIX)
        assert around.matrix.get().tolist() == (2 * MATRIX).tolist()
        around.number.set(np.array([0.5]))
        opened.run(1)
        with pytest.raises(LavaRuntimeError, match="no ProcessModel holds it"):
            around.lost.get()
    assert around.number.get() == [0.5]
    assert around.matrix.get().tolist() == (2 * MATRIX).tolist()


@BOTH
def test_after_the_block_a_var_has_its_last_value(session):
    with own_logging():
        source = Source(data=np.arange(1.0, 5.0)[None])
        sink, lif = Sink(shape=(1,), buffer=4), LIF(shape=(1,), bias_mant=1, vth=99)
    source.s_out.connect(sink.a_in)
    source.s_out.connect(lif.a_in)
    dyad = Dyad((2,), bias=[0.5, -0.5])
    with session(source, FLOAT) as opened:
        opened.run(4)
    with session(dyad, DyadRunConfig()) as opened:
        opened.run(1)
    assert sink.data.get().tolist() == [[1, 2, 3, 4]]
    assert lif.v.get() == [24]
    assert lif.v.get([0]) == [24]
    assert dyad.s_plus.get().tolist() == dyad.read("s_plus").tolist() == [0.5, 0]
    for forbidden in (lambda: lif.v.set(np.array([1.0])), lambda: lif.run(RunSteps(1), FLOAT)):
        with pytest.raises(LavaRuntimeError, match="has been stopped"):
            forbidden()
    lif.stop()  # once more does no harm


@BOTH
def test_after_an_error_a_var_has_its_last_value_or_says_that_it_is_lost(session):
    first, second = ring("none", "raise")
    with pytest.raises(ModelError), session(first, FLOAT) as opened:
        opened.run(10)
    for process in (first, second):
        if session is LavaSession:
            with pytest.raises(LavaRuntimeError, match="lost"):
                process.last.get()
        else:
            assert process.last.get().min() >= 2


@BOTH
def test_a_var_is_not_read_or_set_while_the_network_runs(session):
    holder, seen = Holder(), []

    def poll():
        for use in (holder.matrix.get, lambda: holder.matrix.set(MATRIX)):
            try:
                use()
            except LavaRuntimeError as error:
                seen.append(str(error))

    with session(holder, FLOAT) as opened:
        opened.run(3, poll)
        assert holder.matrix.get().tolist() == MATRIX.tolist()
    if session is LavaSession:
        assert seen
        assert all("is running" in text for text in seen)


def test_a_var_set_to_a_fraction_is_not_cut_off():
    with own_logging():
        lif = LIF(shape=(1,), bias_mant=0.4, vth=9)
    with in_process():
        lif.run(RunSteps(2), FLOAT)
        lif.vth.set(np.array([1.5]))
        lif.run(RunSteps(1), FLOAT)
        assert lif.v.get() == pytest.approx([1.2])  # no spike
    lif.stop()


@pytest.mark.parametrize("held", [None, "ä", [1, "a"], [[1], [2, 3]], {}, np.array([None])])
def test_what_is_no_number_is_named(held):
    holder = Holder()
    with InProcessSession(holder, FLOAT) as session:
        session.runtime.nodes[0].model.vector = held
        with pytest.raises(ValidationError, match=r"holder\.vector\.get: its model must hold"):
            holder.vector.get()


def test_another_number_of_entries_than_the_vars_is_an_error():
    holder = Holder()
    with InProcessSession(holder, FLOAT) as session:
        session.runtime.nodes[0].model.vector = np.arange(5)
        with pytest.raises(ValidationError, match=r"must hold the shape \(3,\) \(got \(5,\)\)"):
            holder.vector.get()
