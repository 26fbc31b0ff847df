"""Batches of edges for link prediction, of one relation or of several that share their candidates; relations may be
inverses (`config.inverses`), whose edges are the same, swapped.

In: edge ids, counted through all relations (`edge_starts`). Out: a MiniBatch whose seeds are the distinct ends and the
negatives, with LinkTargets. The candidates of a node type form one pool: the targets of all edges that lead to it, and
the drawn nodes. A relation's candidates are its own targets first, then the rest of the pool (in-batch negatives), or
the drawn nodes alone. Several ranks compute the vectors of the pool together, each those of its edges' targets and of
its share of the drawn nodes, so that the loss equals that of one process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.inverses import is_inverse, stored
from graphstorm_like.config.negatives import NegativesConfig
from graphstorm_like.graph.directed import begin_directed_edges
from graphstorm_like.graph.past import Times
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.pending import wait_for_all
from graphstorm_like.sampling.batch import (
    CandidatePool,
    LinkTargets,
    MiniBatch,
    StreamPosition,
    TypeLinks,
    joined_slices,
    slice_positions,
)
from graphstorm_like.sampling.clock import Clock
from graphstorm_like.sampling.loss_weights import LossWeights
from graphstorm_like.sampling.many_relations import MANY, EdgeEnds, KnownByRelation, KnownTargets
from graphstorm_like.sampling.negatives import NEGATIVES
from graphstorm_like.sampling.rng import stream
from graphstorm_like.sampling.seeds import ALL_ROWS, RankSlice
from graphstorm_like.sampling.true_targets import TrueTargets, mark_pairs


def edge_starts(manifest: GraphManifest, edge_types: Sequence[EdgeType]) -> IntArray:
    """[R + 1]: edge e of relation r gets the number starts[r] + e."""
    return np.cumsum([0, *(manifest.edge(stored(e)).count for e in edge_types)], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class RelationEdges:
    """The edges of one relation in a step, of all ranks: source and target ids, and the slice of the edges that belongs
    to this rank. ids: their numbers. times: their own points in time, where they have them."""

    edge_type: EdgeType
    source: IntArray
    target: IntArray
    mine: slice
    ids: IntArray
    times: Times | None = None


@dataclass(frozen=True, slots=True)
class Candidates:
    """The candidates of a node type in a step, rank after rank: for each rank the targets of its edges, relation by
    relation, then its share of the drawn nodes.

    ids [C]. starts [ranks, relations + 1]: where each of these pieces begins; the last piece holds the drawn nodes.
    times [C]: the points in time as of which they are seen, where edges have them: each target's is that of its edge.
    """

    ids: IntArray
    starts: IntArray
    edge_types: tuple[EdgeType, ...]
    rank: int
    times: Times | None = None

    @staticmethod
    def of(
        edges: Sequence[RelationEdges], drawn: IntArray, share: RankSlice, drawn_times: Times | None = None
    ) -> Candidates:
        """The candidates of relations that lead to one node type."""
        pieces = [*(e.target for e in edges), drawn]
        lengths = [len(piece) for piece in pieces]
        ranks = np.concatenate([share.ranks(length) for length in lengths])
        piece_of = np.repeat(np.arange(len(pieces)), lengths)
        order = np.argsort(ranks, kind="stable")
        counts = np.bincount(ranks * len(pieces) + piece_of, minlength=share.size * len(pieces))
        starts = (np.cumsum(counts) - counts).reshape(share.size, len(pieces))
        known = [times for times in (*(e.times for e in edges), drawn_times) if times is not None]
        times = np.concatenate(known)[order] if known else None
        return Candidates(np.concatenate(pieces)[order], starts, tuple(e.edge_type for e in edges), share.rank, times)

    @property
    def mine(self) -> slice:
        """The candidates whose vectors this rank computes."""
        return self._piece(self.rank, 0, len(self.edge_types) + 1)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many vectors each rank computes."""
        return tuple(np.diff([*self.starts[:, 0], len(self.ids)]).tolist())

    @property
    def own(self) -> slice:
        """The targets of this rank's edges, relation by relation."""
        return self._piece(self.rank, 0, len(self.edge_types))

    def drawn(self) -> list[slice]:
        """The drawn nodes, by the rank that computes their vectors."""
        return [self._piece(rank, len(self.edge_types), 1) for rank in range(len(self.starts))]

    def others(self, in_batch: bool) -> tuple[slice, ...]:
        """The candidates of this rank's edges beside their own targets: the rest of the pool, or the drawn nodes."""
        own = self.own
        return (slice(0, own.start), slice(own.stop, len(self.ids))) if in_batch else tuple(self.drawn())

    def _piece(self, rank: int, first: int, count: int) -> slice:
        bounds = [*self.starts.ravel().tolist(), len(self.ids)]
        at = rank * self.starts.shape[1] + first
        return slice(bounds[at], bounds[at + count])


class LinkSeeder:
    """Seeds are the ends of a batch of edges and of the negatives drawn for it.

    train: the training edges of each relation; only these count as known true edges, so that nothing leaks about
    held-out ones. most: largest number of edges that an epoch takes of a relation; target frequencies depend on it.
    mask_source: whether a source is no negative of its own. clock: of temporal models. Where edges have points in time
    of their own, an edge's ends are seen as of its time, and a drawn node as of that of some edge of the step.
    keep_ids: whether pools have the ids of their candidates. keep_edges: whether targets have the ids of the edges.
    edge_weight: feature of edges that weighs them in the loss; None: none does.
    """

    def __init__(
        self,
        graph: Graph,
        train: Mapping[EdgeType, IntArray],
        negatives: NegativesConfig,
        seed: int,
        share: RankSlice = ALL_ROWS,
        most: int | None = None,
        mask_source: bool = True,
        clock: Clock | None = None,
        keep_ids: bool = False,
        keep_edges: bool = False,
        edge_weight: str | None = None,
    ) -> None:
        self.clock, self.keep_edges = clock, keep_edges
        self.keep_ids = keep_ids or negatives.queue > 0
        self.graph, self.config, self.seed, self.share = graph, negatives, seed, share
        self.mask_source = mask_source
        self.edge_types = list(train)
        self._starts = edge_starts(graph.manifest, self.edge_types)
        self._counts = {t: graph.manifest.node(t).count for e in self.edge_types for t in (e[0], e[2])}
        true_targets = {e: TrueTargets.of_edges(graph, e, rows) for e, rows in train.items()}
        self.negatives = NEGATIVES.of(negatives)(negatives, graph, true_targets)
        self.negatives.check()
        self._weights = None if edge_weight is None else LossWeights(graph, train, edge_weight)
        self._ends: EdgeEnds | None = None
        self._known: KnownTargets | KnownByRelation = KnownByRelation(true_targets)
        if len(self.edge_types) > MANY:
            self._ends = EdgeEnds(graph, self.edge_types)
            self._known = KnownTargets(true_targets, max(self._counts.values()))
        self._frequencies: dict[NodeType, npt.NDArray[np.float64]] = {}
        if negatives.popularity_correction and negatives.in_batch:
            for node_type in dict.fromkeys(e[2] for e in self.edge_types):
                into = [true.targets for e, true in true_targets.items() if e[2] == node_type]
                self._frequencies[node_type] = target_frequencies(into, self._counts[node_type], most)

    def __call__(self, ids: IntArray, position: StreamPosition) -> MiniBatch:
        """Edge numbers -> distinct end nodes as seeds, and the sources and candidates of each relation."""
        edges = self._edges(ids)
        pools = self._pools(edges, position)
        nodes = [(e.edge_type[0], e.source[e.mine]) for e in edges]
        nodes += [(t, pool.ids[pool.mine]) for t, pool in pools.items()]
        nodes += [(e.edge_type[0], e.source[:1]) for e in edges]  # so that every rank has seeds
        times = [None if e.times is None else e.times[e.mine] for e in edges]
        times += [None if pool.times is None else pool.times[pool.mine] for pool in pools.values()]
        times += [None if e.times is None else e.times[:1] for e in edges]
        seeds, seed_times, at = number_nodes_in_time(nodes, times)
        groups = []
        for node_type, pool in pools.items():
            into = [i for i, e in enumerate(edges) if e.edge_type[2] == node_type]
            sources = torch.cat([at[i] for i in into])
            groups.append(self._group(node_type, [edges[i] for i in into], sources, pool))
        of_pools = zip(pools.items(), at[len(edges) :], strict=False)
        candidates = {}
        for (node_type, pool), mine in of_pools:
            kept_ids = torch.from_numpy(pool.ids) if self.keep_ids else None
            candidates[node_type] = CandidatePool(mine, pool.sizes, kept_ids)
        own = {e.edge_type: torch.from_numpy(e.ids[e.mine]) for e in edges if self.keep_edges}
        targets = LinkTargets(tuple(groups), candidates, own)
        node_types = dict.fromkeys(t for e in edges for t in (e.edge_type[0], e.edge_type[2]))
        ordered_seeds = {t: seeds[t] for t in node_types}
        return MiniBatch(
            seeds=ordered_seeds, position=position, targets=targets, asked=asked_edges(edges), seed_times=seed_times
        )

    def _edges(self, ids: IntArray) -> list[RelationEdges]:
        """The step's edges by relation: the same on every rank, with this rank's block of each relation."""
        relation = np.searchsorted(self._starts, ids, side="right") - 1
        rows = {}
        for r in np.unique(relation).tolist():
            rows[self.edge_types[r]] = self.share.arranged(ids[relation == r] - self._starts[r])
        if self._ends is not None:
            ends = self._ends.read(rows)
        else:
            # All reads start before the first wait: the ends on other hosts come in one answer per host.
            ends = wait_for_all({e: begin_directed_edges(self.graph, e, of_type) for e, of_type in rows.items()})
        edges = []
        for edge_type, (source, target) in ends.items():
            first, last = np.searchsorted(self.share.ranks(len(source)), [self.share.rank, self.share.rank + 1])
            times = None if self.clock is None else self.clock.of_edges(edge_type, rows[edge_type])
            mine = slice(int(first), int(last))
            edges.append(RelationEdges(edge_type, source, target, mine, rows[edge_type], times))
        return edges

    def _pools(self, edges: Sequence[RelationEdges], position: StreamPosition) -> dict[NodeType, Candidates]:
        """The candidates of each target type; negatives are drawn in the order of the types."""
        rng = stream(self.seed, "negatives", 0, position.epoch, position.step)
        self.negatives.at(position)
        pools = {}
        for node_type in dict.fromkeys(e.edge_type[2] for e in edges):
            into = [e for e in edges if e.edge_type[2] == node_type]
            drawn = self.negatives.draw(node_type, {e.edge_type: (e.source, e.target) for e in into}, rng)
            if into[0].times is None:
                pools[node_type] = Candidates.of(into, self.share.arranged(drawn), self.share)
                continue
            # In an order that no rank's share changes, and that has nothing to do with the nodes' numbers.
            times = np.sort(np.concatenate([e.times for e in into if e.times is not None]))
            drawn_times = np.resize(rng.permutation(times), len(drawn))
            pools[node_type] = Candidates.of(into, np.sort(drawn), self.share, drawn_times)
        return pools

    def _group(
        self, node_type: NodeType, edges: Sequence[RelationEdges], sources: Tensor, pool: Candidates
    ) -> TypeLinks:
        others, counts = pool.others(self.config.in_batch), [e.mine.stop - e.mine.start for e in edges]
        candidates = pool.ids[slice_positions(joined_slices([pool.own, *others]))]
        drawn = sum(piece.stop - piece.start for piece in pool.drawn())
        return TypeLinks(
            pool.edge_types,
            tuple(counts),
            sources,
            pool.own,
            others,
            self.config.in_batch,
            torch.from_numpy(self._mask(edges, candidates)),
            self._log_q(node_type, candidates, drawn),
            None if self._weights is None else self._weights({e.edge_type: e.ids[e.mine] for e in edges}),
        )

    def _mask(self, edges: Sequence[RelationEdges], candidates: IntArray) -> npt.NDArray[np.bool_]:
        """`TypeLinks.mask` of this rank's edges: candidate j is another known true target of source i, its own target
        again, or (mask_source) i itself."""
        source = {e.edge_type: e.source[e.mine] for e in edges}
        own = np.concatenate([e.target[e.mine] for e in edges])
        if not self.config.in_batch:
            of_true = np.zeros((len(own), 1), dtype=np.bool_)
            return np.concatenate([of_true, self.mask(source, own, candidates[len(own) :])], axis=1)
        mask = self.mask(source, own, candidates)
        np.fill_diagonal(mask[:, : len(own)], False)
        return mask

    def mask(self, source: Mapping[EdgeType, IntArray], own: IntArray, candidates: IntArray) -> npt.NDArray[np.bool_]:
        """[B, C] of edges by relation with these sources and true targets: the same of any candidates."""
        mask = self._known.mask(source, candidates)
        mark_pairs(mask, np.arange(len(own)), own, candidates)
        if self.mask_source:
            each = np.concatenate([*source.values()])
            same = np.repeat([e[0] == e[2] for e in source], [len(of_relation) for of_relation in source.values()])
            mark_pairs(mask, np.flatnonzero(same), each[same], candidates)
        return mask

    def known_pairs(self, sources: Mapping[EdgeType, IntArray]) -> tuple[IntArray, IntArray]:
        """Sources by relation -> (row among all of them, true target) for all of their training edges."""
        return self._known.pairs(sources)

    def _log_q(self, node_type: NodeType, candidates: IntArray, drawn: int) -> Tensor | None:
        """[C]: see RelationLinks. drawn: how many of the candidates are drawn nodes."""
        if not self.config.popularity_correction:
            return None
        chances = self.negatives.chances(node_type, candidates, drawn)
        if self.config.in_batch:
            frequencies, in_batch = self._frequencies[node_type][candidates], len(candidates) - drawn
        elif chances is None:
            return None
        else:
            frequencies, in_batch = np.zeros(len(candidates)), 0
        ratio = log_sampling_ratio(frequencies, in_batch, drawn, self._counts[node_type], chances)
        return torch.from_numpy(ratio).float()


def asked_edges(edges: Sequence[RelationEdges]) -> dict[EdgeType, tuple[Tensor, Tensor]]:
    """(sources, targets) of a step's edges by edge type of the graph, those of inverse relations among them: no twin of
    an edge may pass messages either."""
    parts: dict[EdgeType, list[tuple[IntArray, IntArray]]] = {}
    for of_relation in edges:
        ends = (of_relation.source, of_relation.target)
        forward = ends[::-1] if is_inverse(of_relation.edge_type) else ends
        parts.setdefault(stored(of_relation.edge_type), []).append(forward)
    joined = {}
    for edge_type, pieces in parts.items():
        source, target = (np.concatenate(of_end) for of_end in zip(*pieces, strict=True))
        joined[edge_type] = (torch.from_numpy(source), torch.from_numpy(target))
    return joined


def target_frequencies(
    targets: Sequence[IntArray], num_targets: int, most: int | None = None
) -> npt.NDArray[np.float64]:
    """[num_targets] probability that a random edge of an epoch leads to each node; sums to 1.

    targets: target ids of the training edges of each relation; an epoch takes at most `most` edges of each.
    """
    counts = [len(t) if most is None else min(len(t), most) for t in targets]
    expected = np.zeros(num_targets)
    for of_relation, count in zip(targets, counts, strict=True):
        expected += np.bincount(of_relation, minlength=num_targets) * (count / max(len(of_relation), 1))
    return expected / max(sum(counts), 1)


def log_sampling_ratio(
    frequencies: npt.NDArray[np.float64],
    in_batch: int,
    drawn: int,
    num_targets: int,
    chances: npt.NDArray[np.float64] | None = None,
) -> npt.NDArray[np.float64]:
    """log of how often nodes with the given frequencies are expected among the candidates (`in_batch` targets and
    `drawn` nodes), relative to uniform drawing; that constant cancels in the softmax.

    chances: probabilities of the nodes in one draw; None: uniform. This is log Q of Yi et al. (RecSys 2019), for a
    mixture of in-batch and drawn negatives (Yang et al., WWW 2020 companion).
    """
    of_drawn = drawn / num_targets if chances is None else drawn * chances
    expected = in_batch * frequencies + of_drawn
    ratio: npt.NDArray[np.float64] = np.log(expected * num_targets / (in_batch + drawn))
    return ratio


def number_nodes(parts: Sequence[tuple[NodeType, IntArray]]) -> tuple[dict[NodeType, Tensor], list[Tensor]]:
    """The distinct ids of each node type in `parts`, and for each part the positions of its ids among the distinct ids
    of its type."""
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


def number_nodes_in_time(
    parts: Sequence[tuple[NodeType, IntArray]], times: Sequence[Times | None]
) -> tuple[dict[NodeType, Tensor], dict[NodeType, Tensor], list[Tensor]]:
    """As `number_nodes`, by node and point in time: the distinct pairs' ids and times by node type, and the positions.
    times: of each part, all of them or none."""
    if any(of_part is None for of_part in times):
        seeds, positions = number_nodes(parts)
        return seeds, {}, positions
    known = [of_part for of_part in times if of_part is not None]
    distinct = np.unique(np.concatenate(known))
    count = 1 + max((int(ids.max()) for _, ids in parts if len(ids)), default=0)
    keys = []
    for (node_type, ids), of_part in zip(parts, known, strict=True):
        keys.append((node_type, np.searchsorted(distinct, of_part) * count + ids))
    numbered, positions = number_nodes(keys)
    seeds = {t: of_type % count for t, of_type in numbered.items()}
    return seeds, {t: torch.from_numpy(distinct[(n // count).numpy()]) for t, n in numbered.items()}, positions
