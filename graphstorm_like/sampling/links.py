"""Batches of edges to learn from, of one relation or of several that share their candidates.

In: ids of edges, numbered through all relations (`edge_starts`). Out: a MiniBatch whose seeds are the distinct ends and
the negatives, with MultiLinkTargets. Candidates of a relation: its own targets, then (in-batch) the targets that other
relations have of the same node type, then uniform ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.tasks.ranking import NegativesConfig
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.sampling.batch import LinkTargets, MiniBatch, MultiLinkTargets, Pool, StreamPosition
from graphstorm_like.sampling.known import KnownTargets
from graphstorm_like.sampling.rng import stream
from graphstorm_like.sampling.seeds import ALONE, Share

Ends = dict[EdgeType, tuple[IntArray, IntArray]]
"""(source ids, target ids) of a step's edges, of all ranks, by relation."""


def edge_starts(manifest: GraphManifest, edge_types: Sequence[EdgeType]) -> IntArray:
    """[R + 1]: edge e of relation r has the number starts[r] + e."""
    return np.cumsum([0, *(manifest.edge(e).count for e in edge_types)], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Candidates of a node type of a step: ids [C], the rank that makes the vectors of each, where they stand when
    the ranks' vectors lie one below the other, and how many each rank makes."""

    ids: IntArray
    rank_of: IntArray
    places: IntArray
    sizes: tuple[int, ...]


class MultiLinkSeeder:
    """Seeds are the ends of a batch of edges and of the negatives drawn for it.

    train: the training edges of each relation; only these count as known, so that nothing is told of held-out ones.
    most: edges of a relation that an epoch takes at most; it decides how often targets are drawn.
    """

    def __init__(
        self,
        graph: Graph,
        train: Mapping[EdgeType, IntArray],
        negatives: NegativesConfig,
        seed: int,
        share: Share = ALONE,
        most: int | None = None,
    ) -> None:
        self.graph, self.negatives, self.seed, self.share = graph, negatives, seed, share
        self.edge_types = list(train)
        self._starts = edge_starts(graph.manifest, self.edge_types)
        self._counts = {t: graph.manifest.node(t).count for e in self.edge_types for t in (e[0], e[2])}
        self._known = {e: KnownTargets(*graph.edges(e, rows), self._counts[e[0]]) for e, rows in train.items()}
        self._frequencies: dict[NodeType, npt.NDArray[np.float64]] = {}
        if negatives.popularity_correction and negatives.in_batch:
            for node_type in dict.fromkeys(e[2] for e in self.edge_types):
                into = [known.targets for e, known in self._known.items() if e[2] == node_type]
                self._frequencies[node_type] = target_frequencies(into, self._counts[node_type], most)

    def __call__(self, ids: IntArray, position: StreamPosition) -> MiniBatch:
        """Numbers of edges -> distinct end nodes, with positions of sources, targets and negatives of each relation."""
        alone = self.share.size == 1
        relation = np.searchsorted(self._starts, ids, side="right") - 1
        rng = stream(self.seed, "negatives", 0, position.epoch, position.step)
        ends: Ends = {}
        for r in np.unique(relation).tolist():
            rows = ids[relation == r] - self._starts[r]
            ends[self.edge_types[r]] = self.graph.edges(self.edge_types[r], rows if alone else np.sort(rows))
        target_types = dict.fromkeys(e[2] for e in ends)
        drawn = {t: rng.integers(self._counts[t], size=self.negatives.uniform) for t in target_types}
        batch = self._alone(ends, drawn, position) if alone else self._shared(ends, drawn, position)
        asked = {e: (torch.from_numpy(source), torch.from_numpy(target)) for e, (source, target) in ends.items()}
        return batch.replace(asked=asked)

    def _alone(self, ends: Ends, drawn: Mapping[NodeType, IntArray], position: StreamPosition) -> MiniBatch:
        nodes: list[tuple[NodeType, IntArray]] = []
        for edge_type, (source, target) in ends.items():
            kin = [e for e in ends if e != edge_type and e[2] == edge_type[2]] if self.negatives.in_batch else []
            extra = np.concatenate([*(ends[e][1] for e in kin), drawn[edge_type[2]]])
            nodes += [(edge_type[0], source), (edge_type[2], target), (edge_type[2], extra)]
        seeds, at = number_nodes(nodes)
        parts = []
        for i, (edge_type, (source, target)) in enumerate(ends.items()):
            candidates = np.concatenate([target, nodes[3 * i + 2][1]])
            sources, targets, negatives = at[3 * i : 3 * i + 3]
            parts.append(self._part(edge_type, (source, target), candidates, sources, targets, negatives))
        return MiniBatch(seeds=seeds, position=position, targets=MultiLinkTargets(tuple(parts)))

    def _shared(self, ends: Ends, drawn: Mapping[NodeType, IntArray], position: StreamPosition) -> MiniBatch:
        """The sources of this rank's edges against the candidates of all ranks, each of which makes the vectors of its
        edges' targets and of its share of the drawn nodes. The loss is that of one process which has them all; only
        the order of the columns differs."""
        rank_of = {e: self.share.ranks(len(source)) for e, (source, _) in ends.items()}
        pools = {t: self._pool(t, ends, rank_of, np.sort(ids)) for t, ids in drawn.items()}
        nodes = [(e[0], source[rank_of[e] == self.share.rank]) for e, (source, _) in ends.items()]
        nodes += [(t, pool.ids[pool.rank_of == self.share.rank]) for t, pool in pools.items()]
        nodes += [(e[0], source[:1]) for e, (source, _) in ends.items()]  # so that no rank is without seeds
        seeds, at = number_nodes(nodes)
        parts, first = [], dict.fromkeys(pools, 0)
        for i, (edge_type, (source, target)) in enumerate(ends.items()):
            pool, mine = pools[edge_type[2]], rank_of[edge_type] == self.share.rank
            own = first[edge_type[2]] + np.arange(len(target))
            first[edge_type[2]] += len(target)
            uniform = np.arange(len(pool.ids) - len(drawn[edge_type[2]]), len(pool.ids))
            others = own[:0]
            if self.negatives.in_batch:
                others = np.concatenate([own[~mine], np.setdiff1d(np.arange(len(pool.ids) - len(uniform)), own)])
            columns = np.concatenate([own[mine], others, uniform])
            where, count = torch.from_numpy(pool.places[columns]), int(mine.sum())
            of_edges = source[mine], target[mine]
            parts.append(self._part(edge_type, of_edges, pool.ids[columns], at[i], where[:count], where[count:]))
        made = {t: Pool(at[len(ends) + i], pool.sizes) for i, (t, pool) in enumerate(pools.items())}
        return MiniBatch(seeds=seeds, position=position, targets=MultiLinkTargets(tuple(parts)), pools=made)

    def _pool(
        self, node_type: NodeType, ends: Ends, rank_of: Mapping[EdgeType, IntArray], drawn: IntArray
    ) -> _Candidates:
        of_type = [e for e in ends if e[2] == node_type]
        ids = np.concatenate([*(ends[e][1] for e in of_type), drawn])
        ranks = np.concatenate([*(rank_of[e] for e in of_type), self.share.ranks(len(drawn))])
        places = np.empty(len(ids), dtype=np.int64)
        places[np.argsort(ranks, kind="stable")] = np.arange(len(ids))
        return _Candidates(ids, ranks, places, tuple(np.bincount(ranks, minlength=self.share.size).tolist()))

    def _part(
        self,
        edge_type: EdgeType,
        ends: tuple[IntArray, IntArray],
        candidates: IntArray,
        sources: Tensor,
        targets: Tensor,
        negatives: Tensor,
    ) -> LinkTargets:
        mask = torch.from_numpy(self._mask(edge_type, *ends, candidates))
        return LinkTargets(edge_type, sources, targets, negatives, mask, self._log_q(edge_type[2], candidates))

    def _mask(
        self, edge_type: EdgeType, source: IntArray, target: IntArray, candidates: IntArray
    ) -> npt.NDArray[np.bool_]:
        """[B, C]: candidate j is another known true target of source i, its own target once more, or i itself."""
        mask = self._known[edge_type].mask(source, candidates, target)
        if edge_type[0] == edge_type[2]:
            mask |= candidates[None, :] == source[:, None]
        np.fill_diagonal(mask[:, : len(source)], False)
        return mask

    def _log_q(self, node_type: NodeType, candidates: IntArray) -> Tensor | None:
        if node_type not in self._frequencies:
            return None
        uniform = self.negatives.uniform
        in_batch = len(candidates) - uniform
        share = self._frequencies[node_type][candidates]
        return torch.from_numpy(log_sampling_ratio(share, in_batch, uniform, self._counts[node_type])).float()


def target_frequencies(
    targets: Sequence[IntArray], num_targets: int, most: int | None = None
) -> npt.NDArray[np.float64]:
    """[num_targets] chance of each node to be the target of a random edge of an epoch; sums to 1.

    targets: of the training edges of each relation; an epoch takes at most `most` of each.
    """
    taken = [len(t) if most is None else min(len(t), most) for t in targets]
    expected = np.zeros(num_targets)
    for of_relation, count in zip(targets, taken, strict=True):
        expected += np.bincount(of_relation, minlength=num_targets) * (count / max(len(of_relation), 1))
    return expected / max(sum(taken), 1)


def log_sampling_ratio(
    frequencies: npt.NDArray[np.float64], in_batch: int, uniform: int, num_targets: int
) -> npt.NDArray[np.float64]:
    """log of how often a node with the given frequency is expected among the candidates, `in_batch` targets and
    `uniform` random nodes, as against uniform drawing alone (a constant that the softmax does not see).

    The log Q of Yi et al. (RecSys 2019), for the mixture of both kinds (Yang et al., WWW 2020 companion).
    """
    expected = in_batch * frequencies + uniform / num_targets
    ratio: npt.NDArray[np.float64] = np.log(expected * num_targets / (in_batch + uniform))
    return ratio


def number_nodes(parts: Sequence[tuple[NodeType, IntArray]]) -> tuple[dict[NodeType, Tensor], list[Tensor]]:
    """Distinct ids of each node type in `parts`, and the position of every id of every part among those of its type."""
    seeds: dict[NodeType, Tensor] = {}
    positions: list[Tensor] = [torch.empty(0)] * len(parts)
    for node_type in dict.fromkeys(t for t, _ in parts):
        of_type = [i for i, (t, _) in enumerate(parts) if t == node_type]
        unique, where = np.unique(np.concatenate([parts[i][1] for i in of_type]), return_inverse=True)
        seeds[node_type] = torch.from_numpy(unique)
        cuts = np.cumsum([len(parts[i][1]) for i in of_type])[:-1]
        for i, at in zip(of_type, np.split(where, cuts), strict=True):
            positions[i] = torch.from_numpy(at)
    return seeds, positions
