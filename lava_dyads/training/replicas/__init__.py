"""One network learned by several replicas, each on its share of the samples."""

from lava_dyads.training.replicas.config import Replicas

__all__ = ["Replicas"]
