"""Files for lava-dl (netx) that this library wrote, read back as real numbers.

What stands in them are integers: weights of 8 bits and biases, see :mod:`lava_dyads.loihi.netx`.
With the shift by 6 bits between a sum and a message they stand for a network in which every weight
is w 2^-6 and every bias b 2^-F_0. The rounding of messages is not part of it.
"""

from __future__ import annotations

from lava_dyads.files import AnyPath
from lava_dyads.interop.layers import Activate, Affine, Layers
from lava_dyads.loihi import netx
from lava_dyads.rules.arithmetic.limits import SDN_SHIFT


def read_netx(path: AnyPath) -> Layers:
    """Return the layers of a file that ``lava-dyads deploy --export`` wrote.

    Raises
    ------
    ValidationError
        If it is no such file.
    """
    held, layers = netx.read(path), Layers()
    at = layers.enter("x", (held.weights[0].shape[1],))
    for k, (weights, stored) in enumerate(zip(held.weights, held.biases, strict=True), 1):
        last = k == len(held.weights)
        bias = (stored - 1) // 2 - (held.offset if last else 0)  # 2 b + 1, in half messages
        layer = Affine(weights * 2.0**-SDN_SHIFT.value, bias * 2.0**-held.input_fraction)
        at = layers.add(f"layer_{k}", layer, at)
        if not last:
            at = layers.add(f"layer_{k}_neurons", Activate("relu"), at)
        layers.taken.append(f"layer {k}: dense, {weights.shape[1]} to {weights.shape[0]}")
    layers.output = at
    return layers
