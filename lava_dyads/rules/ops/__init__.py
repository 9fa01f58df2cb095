"""Kinds of connections and of nonlinear ops, one file each. Every file here is imported."""

from __future__ import annotations

import importlib
import pkgutil

from lava_dyads.rules.ops.base import NonlinearOp, Op, Weightless
from lava_dyads.rules.ops.conv import Conv
from lava_dyads.rules.ops.dense import Dense
from lava_dyads.rules.ops.embed import Embed, Slice
from lava_dyads.rules.ops.pool import AveragePool, MaxPool
from lava_dyads.rules.ops.product import Product
from lava_dyads.rules.ops.sparse import Sparse

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = [
    "AveragePool",
    "Conv",
    "Dense",
    "Embed",
    "MaxPool",
    "NonlinearOp",
    "Op",
    "Product",
    "Slice",
    "Sparse",
    "Weightless",
]
