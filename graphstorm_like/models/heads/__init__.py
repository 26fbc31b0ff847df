"""Heads: what is read off the vectors."""

from graphstorm_like.models.heads.edge import EdgeHead
from graphstorm_like.models.heads.link import LINK_HEADS, LinkHead
from graphstorm_like.models.heads.node import NodeClassifier

__all__ = ["LINK_HEADS", "EdgeHead", "LinkHead", "NodeClassifier"]
