"""The weight update as a rule for Loihi's learning engine, run by Lava's own model of it.

A dyad's update is a difference of two products, each of a kind the engine knows::

    dw = m 2^k x0 x1 y1  -  m 2^k x0 x1 y2          y1 - y2 = s+ - s-

x0 (not u0) gates it: with u0 a neuron below that is silent keeps its *old* trace x1, and the
weight would move by it. Units: Lava stores a weight of mixed sign as 2 w, and its fixed-point
engine drops 3 bits of a product of two traces and a mantissa, so for a step of
2^-r m x1 (y1 - y2) weight units

    k = 4 - r

A decay is one product more, for which no factor is below 2^-7, so that smaller ones are rarer::

    dw = ...  -  m' 2^-n' u<k> w                            every 2^k epochs

A separate feedback synapse learns by the same text. There the error is pre and the mean is post,
and a trace is unsigned, so it takes two epochs per sample: in one x1 is the positive part of the
error and y1 the mean, in the other x1 is the negative part and y2 the mean.

Everything here is stock Lava (``LearningDense``, ``RingBuffer``, ``Loihi3FLearningRule``).
"""

from __future__ import annotations

import numpy as np

from lava_dyads.array_types import Array, IntArray
from lava_dyads.elements.trace_plasticity import decay_parts
from lava_dyads.errors import invalid
from lava_dyads.lava_compat import require_lava
from lava_dyads.rules.arithmetic.limits import EXPONENT_MAX, EXPONENT_MIN, MANTISSA, TRACE
from lava_dyads.rules.optimisers import ChipSGD

_OFFSET = 4
"""Bits between our weight units and the engine's: 3 it drops, 1 of the sign mode."""


def rule_text(mantissa: int, shift: int, decay: float = 0.0) -> str:
    """Return the engine's rule for a step of 2^-shift mantissa x1 (y1 - y2) weight units.

    Parameters
    ----------
    mantissa : int
        m, 1 .. 7.
    shift : int
        r.
    decay : float
        Share of the weight lost per epoch, rounded to what the chip has; 0, or 2^-16 to 7/8.

    Raises
    ------
    ValidationError
        If mantissa, exponent or decay do not fit the engine.

    Examples
    --------
    >>> rule_text(1, 11)
    '2^-7*x0*x1*y1 - 2^-7*x0*x1*y2'
    >>> rule_text(1, 11, decay=2.0**-15)
    '2^-7*x0*x1*y1 - 2^-7*x0*x1*y2 - 2^-7*u8*w'
    """
    most = 2 ** (MANTISSA.value - 1) - 1
    if not 1 <= mantissa <= most:
        invalid("rule_text.mantissa", f"must lie in 1 .. {most}", mantissa)
    exponent = _OFFSET - shift
    low, high = EXPONENT_MIN.value, EXPONENT_MAX.value
    if not low <= exponent <= high:
        limit = f"the engine's exponent 4 - shift must lie in {low} .. {high}"
        invalid("rule_text.shift", limit, shift, f"{_OFFSET - high} .. {_OFFSET - low}")
    factor = _factor(mantissa, exponent)
    text = f"{factor}*x0*x1*y1 - {factor}*x0*x1*y2"
    if not decay:
        return text
    ChipSGD(decay=decay)  # raises where the chip has nothing like it
    mantissa, shift, period = decay_parts(decay)
    return f"{text} - {_factor(mantissa, -shift)}*u{period.bit_length() - 1}*w"


def _factor(mantissa: int, exponent: int) -> str:
    return f"{mantissa}*2^{exponent}" if mantissa > 1 else f"2^{exponent}"


def run_engine(
    weights: IntArray, x1: IntArray, y1: IntArray, y2: IntArray, rule: str
) -> tuple[Array, Array]:
    """Let Lava's learning engine take T steps; return the weights and what passed up.

    Parameters
    ----------
    weights : int array, shape (n_out, n_in)
        -128 .. 127.
    x1 : int array, shape (T, n_in)
        Trace of the mean below in each step, 0 .. 127. 0 is silence.
    y1, y2 : int arrays, shape (T, n_out)
        Traces of the compartments above, 0 .. 127.
    rule : str
        See :func:`rule_text`.

    Returns
    -------
    weights : array, shape (n_out, n_in)
        In weight units; the engine's simulation keeps half units, the chip would not.
    output : array, shape (T, n_out)
        W x1 of the step before, in weight units.

    Raises
    ------
    ValidationError
        If a trace or a weight does not fit, or the engine rejects the rule.
    """
    # Imported here so that quantisation does not pay for Lava.
    require_lava("run_engine")
    from lava.magma.core.learning.constants import GradedSpikeCfg
    from lava.magma.core.learning.learning_rule import Loihi3FLearningRule
    from lava.proc.dense.process import LearningDense
    from lava.proc.io import sink, source
    from lava.utils.weightutils import SignMode

    from lava_dyads.runtime import DyadRunConfig, InProcessSession

    for name, trace in (("x1", x1), ("y1", y1), ("y2", y2)):
        if np.any((trace < 0) | (trace >= 2**TRACE.value)):
            worst = int(trace.flat[np.argmax(np.abs(trace))])
            invalid(f"run_engine.{name}", f"a trace has {TRACE.value} bits, unsigned", worst)
    if np.any((weights < -128) | (weights > 127)):
        invalid("run_engine.weights", "must lie in -128 .. 127", int(np.abs(weights).max()))
    steps, n_out = len(x1), len(weights)
    try:
        # A trace that does not decay within a run; tau 0 would switch it off.
        learning = Loihi3FLearningRule(dw=rule, x1_impulse=0, x1_tau=2**30, t_epoch=1, rng_seed=1)
    except Exception as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        invalid("run_engine.rule", f"Lava's learning engine rejects it: {why}", rule, "rule_text")
    dense = LearningDense(
        weights=2 * np.asarray(weights),
        learning_rule=learning,
        num_message_bits=8,
        graded_spike_cfg=GradedSpikeCfg.OVERWRITE,
        sign_mode=SignMode.MIXED,
        name="dense",
    )
    streams = {
        dense.s_in: 2 * x1,
        dense.s_in_bap: np.zeros((steps, n_out), int),
        dense.s_in_y1: y1,
        dense.s_in_y2: y2,
        dense.s_in_y3: np.zeros((steps, n_out), int),
    }
    for port, rows in streams.items():
        source.RingBuffer(data=np.ascontiguousarray(rows.T)).s_out.connect(port)
    sink_process = sink.RingBuffer(shape=(n_out,), buffer=steps)
    dense.a_out.connect(sink_process.a_in)
    with InProcessSession(dense, DyadRunConfig(select_tag="fixed_pt")) as session:
        session.run(steps)
        learnt = np.array(dense.weights.get()).reshape(weights.shape) / 2
        # A payload is twice the trace, a stored weight twice the weight.
        output = np.array(sink_process.data.get()).reshape(n_out, steps).T / 4
    return learnt, output
