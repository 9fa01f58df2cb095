"""Connection kinds, one file each."""

from lava_dyads.rules.ops.base import Op
from lava_dyads.rules.ops.dense import Dense
from lava_dyads.rules.ops.sparse import Sparse

__all__ = ["Dense", "Op", "Sparse"]
