"""Heads of labels: predictions from the vectors of nodes and of edges' ends."""

from graphstorm_like.models.heads.edge import EdgeHead
from graphstorm_like.models.heads.node import NodeClassifier

__all__ = ["EdgeHead", "NodeClassifier"]
