"""Scores of links: both ends' vectors -> one number a pair.

A head first maps each end (`source`, `target`), then every score is one inner product. So all pairs of a batch are one
matrix product, and a target index can be searched by any maximum-inner-product library.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.registry import Registry

LINK_HEADS: Registry[type[LinkHead]] = Registry("link head", "graphstorm_like.models.link_heads")


class LinkHead(nn.Module):
    """score(s, t) = <source(h_s), target(h_t)>"""

    plain_similarity: Literal["inner_product", "cosine"] | None = None
    """How the vectors themselves rank as the head does; None: only those of `source` and `target` do."""
    index: Mapping[EdgeType, int] = MappingProxyType({})
    """Rows of `relations`, where there are parameters a relation."""

    def source(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """[n, D] of source nodes -> [n, D] queries."""
        raise NotImplementedError

    def target(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """[n, D] of target nodes -> [n, D] keys."""
        raise NotImplementedError
