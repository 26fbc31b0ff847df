"""Scores of links: both ends' vectors -> one number a pair.

A head first maps each end (`source`, `target`), then every score is one inner product. So all pairs of a batch are one
matrix product, and a target index can be searched by any maximum-inner-product library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.task import DistMultHeadConfig, DotHeadConfig
from graphstorm_like.models.registry import Registry

LINK_HEADS: Registry[type[LinkHead]] = Registry("link head")


class LinkHead(nn.Module):
    """score(s, t) = <source(h_s), target(h_t)>"""

    index: Mapping[EdgeType, int] = MappingProxyType({})
    """Rows of `relations`, where there are parameters a relation."""

    def source(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """[n, D] of source nodes -> [n, D] queries."""
        raise NotImplementedError

    def target(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """[n, D] of target nodes -> [n, D] keys."""
        raise NotImplementedError


@LINK_HEADS.register("dot")
class DotHead(LinkHead):
    """score(s, t) = <P_s h_s, P_t h_t>, of unit length when `normalize`; P = I unless `directed`."""

    def __init__(self, config: DotHeadConfig, hidden: int, edge_types: Sequence[EdgeType]) -> None:
        super().__init__()
        self.normalize = config.normalize
        self.ends = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(2)) if config.directed else None

    def _end(self, hidden: Tensor, end: int) -> Tensor:
        mapped = hidden if self.ends is None else self.ends[end](hidden)
        return F.normalize(mapped, dim=-1) if self.normalize else mapped

    def source(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """See LinkHead."""
        return self._end(hidden, 0)

    def target(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """See LinkHead."""
        return self._end(hidden, 1)


@LINK_HEADS.register("distmult")
class DistMultHead(LinkHead):
    """score(s, r, t) = <h_s * w_r, h_t> (Yang et al., ICLR 2015); ends of unit length when `normalize`.

    w_r starts at 1: a dot product, from which the relations learn to differ.
    """

    def __init__(self, config: DistMultHeadConfig, hidden: int, edge_types: Sequence[EdgeType]) -> None:
        super().__init__()
        self.normalize = config.normalize
        self.index = {t: i for i, t in enumerate(edge_types)}
        self.relations = nn.Parameter(torch.ones(len(edge_types), hidden))

    def source(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """See LinkHead."""
        end = F.normalize(hidden, dim=-1) if self.normalize else hidden
        return end * self.relations[self.index[edge_type]]

    def target(self, hidden: Tensor, edge_type: EdgeType) -> Tensor:
        """See LinkHead."""
        return F.normalize(hidden, dim=-1) if self.normalize else hidden
