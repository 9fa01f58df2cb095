"""Virtual ports between one neuron and the port of a layer.

Lava applies the transform of a virtual port where the message is received. Several sources of
one InPort are summed, so n neurons that each fill one entry make up a whole message. The
in-process runtime knows ``entry`` and ``scattered`` and sends the one entry only.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import AbstractPort, AbstractVirtualPort

from lava_dyads.array_types import AnyArray


class _NeuronPort(AbstractVirtualPort):  # type: ignore[misc]
    """Base: a virtual port that knows its transform."""

    def __init__(self, shape: tuple[int, ...], transform: Any) -> None:
        super().__init__(shape)
        self._transform = transform

    def get_transform_func_fwd(self) -> Any:
        """Return the transform from source to destination."""
        return self._transform

    def get_transform_func_bwd(self) -> Any:
        """Refuse: these ports carry messages one way only."""
        raise NotImplementedError("a neuron's virtual port has no way back")


def take(source: Any, index: int, target: Any) -> None:
    """Connect entry ``index`` of a layer's port to a neuron's InPort.

    Parameters
    ----------
    source : port of shape (n,) or (lanes, n)
    index : int
        Entry, 0 .. n - 1.
    target : InPort of shape (1,) or (lanes, 1)
    """
    _through(source, functools.partial(entry, index), target)


def put(source: Any, index: int, target: Any) -> None:
    """Connect a neuron's OutPort to entry ``index`` of a layer's InPort; zeros elsewhere."""
    _through(source, functools.partial(scattered, index, target.shape[-1]), target)


def neuron_of(transforms: list[Any]) -> tuple[int | None, int | None]:
    """Return (entry taken, entry put) of what virtual ports do to a message.

    A runtime that moves single entries need not build whole vectors. (None, None): something
    else than ``take`` or ``put``, or nothing at all.
    """
    if len(transforms) == 1 and isinstance(transforms[0], functools.partial):
        function, arguments = transforms[0].func, transforms[0].args
        if function is entry:
            return int(arguments[0]), None
        if function is scattered:
            return None, int(arguments[0])
    return None, None


def _through(source: Any, transform: Any, target: Any) -> None:
    port = _NeuronPort(target.shape, transform)
    # The way Lava's own reshape() makes a connection between unequal shapes.
    source._connect_forward([port], AbstractPort, [None], assert_same_shape=False)
    port.connect(target)


def entry(index: int, message: AnyArray) -> AnyArray:
    """Return one entry of the last axis, which stays."""
    return message[..., index : index + 1]


def scattered(index: int, n: int, message: AnyArray) -> AnyArray:
    """Return n entries of which one is the message, the others 0."""
    whole = np.zeros((*message.shape[:-1], n), message.dtype)
    whole[..., index] = message[..., 0]
    return whole
