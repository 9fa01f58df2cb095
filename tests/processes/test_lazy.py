"""Processes that make their members at the first look are what Lava's own are."""

import copy
import pickle

import numpy as np
import pytest
from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var, VarServer

from lava_dyads import Dyad, InProcessSession

pytestmark = pytest.mark.lava


class _Plain(AbstractProcess):
    """A Process as Lava makes it."""

    def __init__(self):
        super().__init__()
        self.mean_out = OutPort((2,))
        self.s_plus = Var((2,))


class _Own(Dyad):
    """One with a port of its own."""

    def __init__(self):
        super().__init__((2,))
        self.further_out = OutPort((2,))


def test_whatever_lavas_own_has_is_there_and_of_the_same_class():
    plain, dyad = _Plain(), Dyad((2,))
    for name, value in vars(plain).items():
        assert isinstance(getattr(dyad, name), type(value)), name
    for name in ("mean_out", "s_plus"):
        ours, theirs = getattr(dyad, name), getattr(plain, name)
        assert vars(ours).keys() == vars(theirs).keys()
        assert (ours.name, ours.process, ours.shape) == (name, dyad, (2,))


def test_collections_have_all_members_by_name_in_the_order_of_lavas():
    dyad = _Own()
    assert dyad.out_ports.member_names == sorted(
        ["difference_out", "mean_out", "minus_out", "plus_out", "report_out", "further_out"]
    )
    assert [port.name for port in dyad.in_ports] == ["apical_in", "basal_in", "command_in"]
    assert dyad.vars.bias is dyad.bias
    assert dyad.further_out.process is dyad
    assert dyad.ref_ports.is_empty()
    assert dyad.procs.members == []
    with pytest.raises(AttributeError, match="no attribute 'mean_uot'"):
        _ = dyad.mean_uot


def test_what_nobody_looks_at_is_not_made():
    dyad = Dyad((2,))
    dyad.mean_out.connect(Dyad((2,)).basal_in)
    assert [port.name for port in dyad.made_ports] == ["mean_out"]
    assert not any(isinstance(value, Var) for value in vars(dyad).values())


@pytest.mark.parametrize("copied", [copy.copy, lambda p: pickle.loads(pickle.dumps(p))])
def test_collections_can_be_copied(copied):
    members = copied(Dyad((2,)).vars).member_names
    assert members == Dyad((2,)).vars.member_names


def test_vars_are_read_and_set_whether_they_were_looked_at_before_the_start_or_after():
    first, second = Dyad((2,), bias=[1.0, -1.0]), Dyad((2,), bias=[2.0, -2.0])
    first.mean_out.connect(second.basal_in)
    first.s_plus, listed = first.s_plus, list(VarServer().vars)
    with InProcessSession(first) as session:
        session.run(2)
        np.testing.assert_array_equal(first.s_plus.get(), [1.0, 0.0])
        np.testing.assert_array_equal(second.s_plus.get(), [3.0, 0.0])
        second.bias.set(np.array([5.0, 6.0]))
        np.testing.assert_array_equal(second.read("bias"), [5.0, 6.0])
    # Lava's list would keep what is on it for ever.
    assert not [var for var in VarServer().vars if var.process in (first, second)]
    assert first.s_plus in listed
