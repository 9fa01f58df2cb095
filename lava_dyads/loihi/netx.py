"""Network exchange with lava-dl (netx): sigma-delta networks as HDF5 files.

A file holds one group per layer, ``/layer/0`` .. ``/layer/L``:

================  ===========================================================================
data set          content
================  ===========================================================================
type              ``input`` (layer 0) or ``dense``
shape             (n_k,)
weight            (n_k, n_(k-1)), integers of 8 bits: weights in units of 2^-e_k
bias              (n_k,), 2 b_k + 1 in half units of a message; 2 (b_L + 2^16) + 1 in the last
neuron/type       ``SDNN``
neuron/vThMant    0: every change is sent
================  ===========================================================================

lava-dl reads it, unmodified, with::

    lava.lib.dl.netx.hdf5.Network(net_config=FILE, input_message_bits=24, spike_exp=-1)

spike_exp = -1 makes half a message the unit of the biases, so that the neuron's shift by 6 bits
rounds to the nearest. lava-dl gives every layer a relu, the last one too; the offset 2^16 keeps its
outputs positive, and does not move the largest. Attributes of the file tell what the integers
stand for: ``input_fraction`` F_0, ``output_fraction`` F_L, ``output_offset``.

A sigma-delta neuron sends changes and drops the 6 bits below a message, so one that goes on from
sample to sample drifts. lava-dl has no reset for these neurons; for samples that have nothing to
do with each other, set ``sigma``, ``act`` and ``residue`` of every neuron to 0 before every step.
Then samples may follow each other step by step, and the outputs of sample t come in step t + L.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from lava_dyads.array_types import Array, IntArray
from lava_dyads.checks import checked, real_array, taken
from lava_dyads.data.hdf5 import import_h5py, opened_hdf5
from lava_dyads.errors import invalid
from lava_dyads.files import AnyPath, write_atomically
from lava_dyads.lava_compat import require_lava
from lava_dyads.loihi.inference import SigmaDelta
from lava_dyads.rules.arithmetic.limits import PAYLOAD, SDN_SHIFT, STATE

if TYPE_CHECKING:
    from lava.magma.core.process.process import AbstractProcess

READER = "lava.lib.dl.netx.hdf5.Network(net_config={!r}, input_message_bits=24, spike_exp=-1)"
"""What reads a file, for users of lava-dl."""

SPIKE_EXP = -1
OFFSET = 1 << (STATE.value - 2 - SDN_SHIFT.value)
"""Added to the outputs, so that the relu of the last layer lets them pass."""


@checked
def check(activations: Sequence[str]) -> None:
    """Raise where a hidden layer has no place in the format.

    Raises
    ------
    ValidationError
        Naming the layer and what to use instead.
    """
    for k, name in enumerate(activations, 1):
        if name != "relu":
            invalid(f"layer {k}", "sigma-delta blocks of lava-dl are relu", name, "relu, or .nir")


@checked
def write(path: AnyPath, network: SigmaDelta) -> None:
    """Write a network for lava-dl.

    Parameters
    ----------
    path : str or path
    network : SigmaDelta

    Raises
    ------
    ValidationError
        If a layer has no place in the format, or h5py is not installed.
    """
    check(network.spec.activations)
    h5py = import_h5py()
    for k, w in enumerate(network.weights, 1):
        if not w.any():
            what = f"layer {k} weights"
            invalid(what, "lava-dl cannot scale weights that are all 0", 0, "a trained network")
    biases = [*network.biases[:-1], network.biases[-1] + OFFSET]
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["writer"] = "lava_dyads"
        file.attrs["input_fraction"] = network.fractions[0]
        file.attrs["output_fraction"] = network.fractions[-1]
        file.attrs["output_offset"] = OFFSET
        _layer(file, 0, "input", network.spec.layers[0])
        for k, (w, b) in enumerate(zip(network.weights, biases, strict=True), 1):
            layer = _layer(file, k, "dense", len(w))
            layer["inFeatures"], layer["outFeatures"] = w.shape[1], w.shape[0]
            layer["weight"] = w
            layer["bias"] = 2 * b + 1
            layer["neuron/type"] = "SDNN"
            layer["neuron/activation"] = "relu"
            layer["neuron/vThMant"] = 0
    write_atomically(path, buffer.getvalue())


def _layer(file: Any, number: int, kind: str, size: int) -> Any:
    layer = file.create_group(f"layer/{number}")
    layer.create_dataset("type", (1,), "S10", [kind.encode("ascii")])
    layer["shape"] = np.array([size])
    return layer


@dataclass(frozen=True)
class NetxFile:
    """What a file holds, read by this library.

    Attributes
    ----------
    weights, biases : lists of int arrays
        As they stand in the file.
    offset : int
        What the outputs have in common.
    input_fraction : int
        F_0: a message into the first layer stands for 2^-F_0.
    """

    weights: list[IntArray]
    biases: list[IntArray]
    offset: int
    input_fraction: int


def read(path: AnyPath) -> NetxFile:
    """Read a file that :func:`write` wrote.

    Raises
    ------
    ValidationError
        If it is no such file.
    """
    what, hint = "netx file", "one that lava-dyads deploy --export wrote"
    with opened_hdf5(what, path, hint) as file:
        layers = [file["layer"][str(k)] for k in range(1, len(file["layer"]))]
        if not layers or any(layer["neuron/type"][()] != b"SDNN" for layer in layers):
            raise ValueError("a neuron that is not SDNN")
        weights = [_integers(layer["weight"], 2) for layer in layers]
        biases = [_integers(layer["bias"], 1) for layer in layers]
        sizes = [w.shape for w in weights]
        fits = all(above[1] == below[0] for below, above in pairwise(sizes))
        if not fits or [n for n, _ in sizes] != [len(b) for b in biases]:
            raise ValueError(f"weights {sizes} do not follow each other, or have other biases")
        numbers = (file.attrs[name] for name in ("output_offset", "input_fraction"))
        offset, fraction = (taken(number, int, "attribute") for number in numbers)
        if not 0 <= fraction < STATE.value:
            raise ValueError(f"an input fraction of {fraction} bits")
        return NetxFile(weights, biases, offset, fraction)


def _integers(held: Any, ndim: int) -> IntArray:
    array = np.asarray(held[()])
    if array.dtype.kind not in "iu" or array.ndim != ndim or not array.size:
        raise ValueError(f"{array.dtype} {array.shape} in the place of whole numbers")
    if np.abs(array.astype(float)).max() >= 2.0**STATE.value:
        raise ValueError(f"a number beyond {STATE.value} bits")
    return array


def run(path: AnyPath, x: Array) -> IntArray:
    """Run a file in Lava's own Dense and SigmaDelta Processes (fixed point, in-process).

    lava-dl builds the same Processes from the same file.

    Parameters
    ----------
    path : str or path
    x : array, shape (samples, n_0)
        In units of the activity.

    Returns
    -------
    int array, shape (samples, n_L)
        Outputs in units of 2^-F_L, without the offset.

    Raises
    ------
    ValidationError
        If it is no such file or the inputs do not fit.
    """
    require_lava("netx.run")
    from lava.proc.dense.process import Dense
    from lava.proc.sdn.process import SigmaDelta as Neuron

    file = read(path)
    x = np.atleast_2d(real_array(x, "netx.run: x"))
    if x.ndim != 2 or x.shape[1] != file.weights[0].shape[1]:
        limit = f"the network has {file.weights[0].shape[1]} inputs"
        invalid(f"netx file {path}", limit, x.shape)
    neurons: list[AbstractProcess] = []
    first: Any = None
    for w, b in zip(file.weights, file.biases, strict=True):
        # Lava keeps weights of mixed sign as even numbers, hence 2 w and a shift back.
        dense = Dense(weights=2 * w, weight_exp=-1, num_message_bits=PAYLOAD.value)
        neuron = Neuron(
            shape=b.shape, vth=0, bias=b, spike_exp=SPIKE_EXP, state_exp=SDN_SHIFT.value
        )
        if first is None:
            first = dense.s_in
        else:
            neurons[-1].s_out.connect(dense.s_in)
        dense.a_out.connect(neuron.a_in)
        neurons.append(neuron)
    messages = np.rint(x * 2.0**file.input_fraction).astype(np.int32)
    return run_processes(first, neurons, neurons[-1].s_out, messages) - file.offset


def run_processes(entry: Any, neurons: list[Any], exit_: Any, messages: IntArray) -> IntArray:
    """Stream samples through connected Processes, one per step, every one of them from 0.

    Parameters
    ----------
    entry, exit_ : ports
        Of the first layer, for messages in; of the last layer's neurons.
    neurons : list of SigmaDelta Processes
        From the first layer to the last.
    messages : int array, shape (samples, n_0)

    Returns
    -------
    int array, shape (samples, n_L)
    """
    from lava.proc.io import sink, source

    from lava_dyads.runtime import DyadRunConfig, InProcessSession

    samples, depth = len(messages), len(neurons)
    steps = samples + depth
    source.RingBuffer(data=np.ascontiguousarray(messages.T)).s_out.connect(entry)
    collected = sink.RingBuffer(shape=exit_.shape, buffer=steps)
    exit_.connect(collected.a_in)
    zeros = [np.zeros(neuron.sigma.shape) for neuron in neurons]
    with InProcessSession(neurons[0], DyadRunConfig(select_tag="fixed_pt")) as session:
        for _ in range(steps):
            session.run(1)
            for neuron, zero in zip(neurons, zeros, strict=True):
                for register in (neuron.sigma, neuron.act, neuron.residue):
                    register.set(zero)
        data = np.array(collected.data.get()).reshape(*exit_.shape, steps)
    return data[:, depth:].T.astype(np.int64)
