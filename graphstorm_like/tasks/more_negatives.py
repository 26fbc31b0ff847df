"""Negatives beside a step's own candidates: a queue of earlier ones, and each source as a target of its own.

Queue (pre-batch negatives, SimKGC, Wang et al., ACL 2022): the last Q candidates of a node type, of all ranks, with
the vectors that they had in their own step. They compete as the other candidates do, known targets of a source
excepted, and get no gradients. Of candidates of one step that do not all fit those stay whose ids have the smallest
hashes, so that any number of ranks keeps the same ones.

Self-negatives: one more column with score(s, r, s), for relations within one node type, unless (s, r, s) is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.negatives import NegativesConfig
from graphstorm_like.graph.store import IntArray, NodeType
from graphstorm_like.models.link_heads import LinkHead
from graphstorm_like.sampling.batch import CandidatePool, LinkTargets, MiniBatch, TypeLinks
from graphstorm_like.sampling.links import LinkSeeder


class Queue(nn.Module):
    """The last candidates of a node type: vectors [Q, D], node ids [Q] (-1: none yet), the newest first."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(size, width))
        self.register_buffer("ids", torch.full((size,), -1))

    @torch.no_grad()
    def push(self, vectors: Tensor, ids: Tensor) -> None:
        """Put a step's candidates [C, D] in front."""
        kept, known = self.get_buffer("vectors"), self.get_buffer("ids")
        order = torch.argsort((ids * 2654435761) % 2147483647, stable=True)[: len(known)]
        rest = len(known) - len(order)
        kept.copy_(torch.cat([vectors[order].to(kept), kept[:rest]]))
        known.copy_(torch.cat([ids[order].to(known), known[:rest]]))


class MoreNegatives:
    """See module. queues: by node type."""

    def __init__(self, config: NegativesConfig, edge_types: Sequence[EdgeType], width: int) -> None:
        self.config = config
        self.queues: dict[NodeType, Queue] = {}
        for edge_type in edge_types if config.queue else ():
            self.queues.setdefault(edge_type[2], Queue(config.queue, width))
        self.seeder: LinkSeeder | None = None
        self.is_quiet = False

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return bool(self.queues) or self.config.self_negative

    def to(self, device: torch.device) -> None:
        """Compute there."""
        for queue in self.queues.values():
            queue.to(device)

    def vectors(self, node_type: NodeType, pool: Tensor) -> Tensor:
        """A pool's vectors [C, D], and behind them those of the queue."""
        queue = self.queues.get(node_type)
        return pool if queue is None else torch.cat([pool, queue.get_buffer("vectors").to(pool)])

    def add(
        self,
        scores: Tensor,
        group: TypeLinks,
        sources: Tensor,
        head: LinkHead,
        batch: MiniBatch,
        queued: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Scores and mask [B, C] of the candidates -> with more columns. sources [B, D]: vectors; queued [B, Q]: scores
        of the queue, which may be empty."""
        ids = source_ids(group, batch)
        own = target_ids(group, batch)
        columns, masks = [scores, queued], [group.mask]
        if (queue := self.queues.get(group.edge_types[0][2])) is not None:
            masks.append(self._mask(ids, own, queue.get_buffer("ids").cpu().numpy()).to(scores.device))
        if self.config.self_negative:
            columns.append(_of_themselves(group, sources, head))
            masks.append(self._themselves(ids, own).to(scores.device))
        return torch.cat(columns, dim=1), torch.cat(masks, dim=1)

    def _mask(self, ids: Mapping[EdgeType, IntArray], own: IntArray, candidates: IntArray) -> Tensor:
        assert self.seeder is not None, "made before the first batch"
        mask = self.seeder.mask(ids, own, candidates)
        mask[:, candidates < 0] = True
        return torch.from_numpy(mask)

    def _themselves(self, ids: Mapping[EdgeType, IntArray], own: IntArray) -> Tensor:
        """[B, 1]: where a source is no wrong target of its own."""
        assert self.seeder is not None, "made before the first batch"
        each = np.concatenate([*ids.values()])
        rows, targets = self.seeder.known_pairs(ids)
        masked = own == each
        masked[rows[targets == each[rows]]] = True
        masked |= np.repeat([e[0] != e[2] for e in ids], [len(sources) for sources in ids.values()])
        return torch.from_numpy(masked[:, None])

    def push(self, pools: Mapping[NodeType, Tensor], targets: LinkTargets) -> None:
        """Keep a step's candidates, unless `is_quiet`."""
        if self.is_quiet:
            return
        for node_type, queue in self.queues.items():
            pool: CandidatePool | None = targets.pools.get(node_type)
            if pool is not None:
                assert pool.ids is not None, "kept where there is a queue"
                queue.push(pools[node_type].detach(), pool.ids)


def source_ids(group: TypeLinks, batch: MiniBatch) -> dict[EdgeType, IntArray]:
    """Node ids of the sources of a group's edges by relation."""
    positions = torch.split(group.sources, list(group.counts))
    pairs = zip(group.edge_types, positions, strict=True)
    return {edge_type: batch.seeds[edge_type[0]][at].cpu().numpy() for edge_type, at in pairs}


def target_ids(group: TypeLinks, batch: MiniBatch) -> IntArray:
    """Node ids [B] of the true targets of a group's edges: the pool's first of this rank."""
    assert isinstance(batch.targets, LinkTargets)
    node_type = group.edge_types[0][2]
    own = batch.targets.pools[node_type].mine[: len(group.sources)]
    ids: IntArray = batch.seeds[node_type][own].cpu().numpy()
    return ids


def _of_themselves(group: TypeLinks, sources: Tensor, head: LinkHead) -> Tensor:
    """[B, 1] score(s, r, s); 0 for relations between two node types."""
    pieces = []
    for rows, edge_type in zip(torch.split(sources, list(group.counts)), group.edge_types, strict=True):
        within = edge_type[0] == edge_type[2]
        pieces.append(head.pair_scores(rows, rows, edge_type) if within else rows.new_zeros(len(rows)))
    return torch.cat(pieces)[:, None]
