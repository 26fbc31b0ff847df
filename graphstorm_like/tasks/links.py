"""What tasks on links share: the loss of a batch's relations, and the filtered ranks of the edges of one type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.tasks.ranking import RankingConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.directed import directed_edges
from graphstorm_like.graph.partitioned_graph import once_a_host
from graphstorm_like.graph.past import Times
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.models.embedding import Vectors
from graphstorm_like.models.link_heads import LinkHead
from graphstorm_like.models.link_inputs import LinkInputs
from graphstorm_like.models.losses import LinkLoss
from graphstorm_like.sampling.batch import LinkTargets, MiniBatch, TypeLinks, link_parts, slice_positions, sliced
from graphstorm_like.sampling.links import number_nodes_in_time
from graphstorm_like.sampling.rng import stream
from graphstorm_like.sampling.true_targets import TrueTargets
from graphstorm_like.tasks.base import Lookup, Task
from graphstorm_like.tasks.more_negatives import MoreNegatives, source_ids, target_ids
from graphstorm_like.tasks.pair_terms import PairTerm
from graphstorm_like.tasks.ranking import Ranks, full_ranks, pair_products, products, sampled_ranks


def sum_of_losses(
    task: Task,
    head: LinkHead,
    loss: LinkLoss,
    vectors: dict[NodeType, Tensor],
    batch: MiniBatch,
    more: MoreNegatives | None = None,
    pairs: PairTerm | None = None,
    own_inputs: LinkInputs | None = None,
) -> tuple[Tensor, float]:
    """(sum of the losses of all edges of all relations, each times its weight; the sum of the weights: the number of
    edges where `task.edge_weight` names none). vectors: [S, D] of the seeds of each type.

    Candidates of all ranks take part, with gradients into the vectors on the ranks that made them. more: other
    negatives. pairs: what the graph between both ends adds to scores. own_inputs: reads the edges themselves.
    """
    assert isinstance(batch.targets, LinkTargets)
    no_rows = next(iter(vectors.values()))[:0]  # for types of which only other ranks have vectors
    exchange = f"candidates of step {batch.position.step + 1}"
    pools = {
        node_type: task.group.gather_rows(vectors.get(node_type, no_rows)[pool.mine], pool.sizes, exchange)
        for node_type, pool in sorted(batch.targets.pools.items())
    }
    losses, count = [], 0.0
    for group in batch.targets.groups:
        # Once a node type, not once a relation: with many relations the many small steps would be most of the time.
        sources = source_rows(vectors, group)
        if own_inputs is not None:
            sources = own_inputs(sources, batch.targets.inputs)
        scores, queued = _scores(head, group, sources, pools[group.edge_types[0][2]], more)
        mask, log_q = group.mask, group.log_q
        if log_q is not None and not group.in_batch:
            log_q = _true_and_drawn(log_q.expand(len(sources), -1))
        if pairs is not None:
            scores = scores + _terms(pairs, group, batch).to(scores)
        if more is not None and more.any:
            scores, mask = more.add(scores, group, sources, head, batch, queued)
        losses.append(loss(scores, mask, group.in_batch, log_q, group.weights))
        count += group.weight
    if more is not None and task.training:
        more.push(pools, batch.targets)
    return torch.stack(losses).sum(), count


def _scores(
    head: LinkHead, group: TypeLinks, sources: Tensor, pool: Tensor, more: MoreNegatives | None
) -> tuple[Tensor, Tensor]:
    """Scores of a group's edges [B, C], in the columns of its mask, and of the queue [B, Q]. pool: vectors of all
    candidates."""
    # Without negatives of the batch the work must not grow with its square: true pairs are scored one by one.
    compared = pool if group.in_batch else sliced(pool, group.others)
    keys = compared if more is None else more.vectors(group.edge_types[0][2], compared)
    of_all = head.scores_of_relations(sources, keys, group.edge_types, group.counts)
    queued = of_all[:, len(compared) :]
    if group.in_batch:
        return sliced(of_all, group.columns, dim=1), queued
    of_true = head.scores_of_pairs(sources, pool[group.own], group.edge_types, group.counts)
    return torch.cat([of_true[:, None], of_all[:, : len(compared)]], dim=1), queued


def _terms(pairs: PairTerm, group: TypeLinks, batch: MiniBatch) -> Tensor:
    """What a term adds to the scores of a group's edges, in the columns of its mask."""
    assert isinstance(batch.targets, LinkTargets)
    ids = batch.targets.pools[group.edge_types[0][2]].candidate_ids
    sources, own = source_ids(group, batch)[group.edge_types[0]], target_ids(group, batch)
    if not group.in_batch:
        return pairs.of_true_and_drawn(sources, own, ids[slice_positions(group.others)])
    terms: Tensor = pairs(sources, ids[slice_positions(group.columns)], own)
    return terms


def _true_and_drawn(values: Tensor) -> Tensor:
    """[B, B + K] of own targets and drawn nodes -> [B, 1 + K], each row's own target first."""
    return torch.cat([values.diagonal()[:, None], values[:, len(values) :]], dim=1)


def source_rows(vectors: Mapping[NodeType, Tensor], group: TypeLinks) -> Tensor:
    """Vectors [B, D] of the sources of a group's edges, from those of the seeds [S, D] by type."""
    types = dict.fromkeys(edge_type[0] for edge_type in group.edge_types)
    if len(types) == 1:
        return vectors[next(iter(types))][group.sources]
    pieces: list[Tensor] = [group.sources] * len(group.edge_types)
    positions = torch.split(group.sources, list(group.counts))
    for node_type in types:
        of_type = [i for i, edge_type in enumerate(group.edge_types) if edge_type[0] == node_type]
        rows = vectors[node_type][torch.cat([positions[i] for i in of_type])]
        for i, piece in zip(of_type, torch.split(rows, [group.counts[i] for i in of_type]), strict=True):
            pieces[i] = piece
    return torch.cat(pieces)


def describe_links(batch: MiniBatch) -> Iterator[str]:
    """For each relation of a batch: the shape of its scores, and how many of them are masked."""
    for part in link_parts(batch.targets):
        yield f"scores {edge_name(part.edge_type)}: {tuple(part.mask.shape)}, {int(part.mask.sum()):,} masked"


def ranking_protocol(config: RankingConfig, edge_types: Sequence[EdgeType]) -> dict[str, str | int | bool]:
    """How links are ranked: without this, mrr and hits@k of two runs cannot be compared."""
    same_type = any(source == target for source, _, target in edge_types)
    return {
        "candidates": config.candidates,
        "filtered": "other known targets of a source, of any split, are no candidates",
        "source_excluded": config.exclude_source and same_type,
        "ties": "half of the candidates with an equal score count as better",
    }


def check_selecting(select_by: str, rows: Mapping[EdgeType, IntArray], graph: Graph) -> None:
    """DataError when one relation's score selects the model, and it has no edge to validate on."""
    part = select_by.partition("/")[2]
    if any(edge_name(edge_type) == part and not len(of_type) for edge_type, of_type in rows.items()):
        raise DataError(
            f"{graph.folder}: relation {part} must have edges to validate on for task.select_by: {select_by} (got "
            f"none). Give it a split, or select by another"
        )


def self_loops(graph: Graph, edge_type: EdgeType, rows: IntArray) -> int:
    """How many of some edges lead from a node to itself."""
    if edge_type[0] != edge_type[2] or not len(rows):
        return 0
    source, target = graph.edges(edge_type, rows)
    return int((source == target).sum())


def self_loop_note(edge_type: EdgeType, loops: int, edges: int) -> str:
    """What the user should know about self-loops among the edges to score."""
    return (
        f"{loops:,} of the {edges:,} edges of {edge_name(edge_type)} to score lead from a node to itself: a node "
        f"is most similar to itself, so they raise mrr and hits whatever the model learns"
    )


def _found(find: Lookup, node_type: NodeType, ids: IntArray, times: Times | None) -> tuple[Vectors, IntArray]:
    """Vectors of the distinct nodes, or pairs of node and time, and the row [n] of each of `ids` among them."""
    seeds, as_of, (at,) = number_nodes_in_time([(node_type, ids)], [times])
    of_seeds = as_of[node_type].numpy() if as_of else None
    return find(node_type, seeds[node_type].numpy(), of_seeds), at.numpy()


def _drawn(seed: int, count: int, shape: tuple[int, int]) -> IntArray:
    """Candidates [n, K] of `count` nodes: the same in every run, and for any number of ranks."""
    return stream(seed, "ranking").integers(count, size=shape)


class LinkRanker:
    """Ranks of edges of one type, or of the inverse of one, among candidates. Other known targets of a source, of any
    split, are excluded from the candidates, and so is the source itself with exclude_source. Computes on the task's
    device."""

    def __init__(self, task: Task, graph: Graph, edge_type: EdgeType, head: LinkHead, exclude_source: bool) -> None:
        self.task, self.graph, self.edge_type, self.head = task, graph, edge_type, head
        self.pairs: PairTerm | None = None
        """What is added to the scores of `scores` and `pair_scores`, which know vectors alone."""
        self.of_edges: Callable[[Tensor, IntArray], Tensor] | None = None
        """Vectors [n, D] of the sources of edges, and their ids [n] -> what the head reads in their place."""
        self.excludes_source = exclude_source and edge_type[0] == edge_type[2]

    def ranks(self, find: Lookup, rows: IntArray, candidates: int | Literal["all", "given"], seed: int) -> Ranks:
        """Of the targets of this rank's share of some edges. candidates: 'all' of the target type, 'given', or
        the number of random ones, which do not depend on the number of ranks."""
        group, mine = self.task.group, self.task.group.mine(rows)
        source, target = directed_edges(self.graph, self.edge_type, mine)
        if candidates == "all":
            queries = self.queries(find(self.edge_type[0], None)[source], mine)
            keys = self.keys(find(self.edge_type[2], None))
            more = None if self.pairs is None else self.more
            ranks = full_ranks(queries, keys, source, target, self.known, self.excludes_source, self.scores, more)
            return Ranks(ranks, self._count_candidates(source))
        num_targets = self.graph.manifest.node(self.edge_type[2]).count
        drawn = self._given(rows) if candidates == "given" else _drawn(seed, num_targets, (len(rows), candidates))
        clock = self.task.clock
        times = None if clock is None else clock.of_edges(self.edge_type, mine)
        return self._sampled(find, mine, (source, target), group.mine(drawn), times)

    def _sampled(
        self, find: Lookup, rows: IntArray, ends: tuple[IntArray, IntArray], candidates: IntArray, times: Times | None
    ) -> Ranks:
        """Of edges `rows` with these ends. times [n]: as of which each edge's ends and candidates are seen; None: there
        is one time for all."""
        source, target = ends
        num_targets = self.graph.manifest.node(self.edge_type[2]).count
        keys = source[:, None] * num_targets + candidates
        nearest = np.minimum(np.searchsorted(self._known_keys, keys), len(self._known_keys) - 1)
        invalid = self._known_keys[nearest] == keys
        if self.excludes_source:
            invalid |= candidates == source[:, None]
        both = None if times is None else np.concatenate([times, np.repeat(times, candidates.shape[1])])
        of_sources, source_at = _found(find, self.edge_type[0], source, times)
        of_targets, target_at = _found(find, self.edge_type[2], np.concatenate([target, candidates.ravel()]), both)
        compared = np.concatenate([target[:, None], candidates], axis=1)
        pairs = self.pairs

        @torch.inference_mode()
        def more(part: slice) -> Tensor:
            assert pairs is not None
            return pairs.of_pairs(source[part], compared[part])

        ranks = sampled_ranks(
            self.queries(of_sources[source_at], rows),
            self.keys(of_targets),
            target_at[: len(target)],
            target_at[len(target) :].reshape(candidates.shape),
            invalid,
            self.pair_scores,
            None if pairs is None else more,
        )
        return Ranks(ranks, 1.0 + (~invalid).sum(axis=1))

    def _count_candidates(self, source: IntArray) -> npt.NDArray[np.float64]:
        """[n]: the true answer, and the nodes of the target type that are no known targets of a source, nor the source
        where it is excluded."""
        count = self.graph.manifest.node(self.edge_type[2]).count
        distinct, at = np.unique(source, return_inverse=True)
        rows, nodes = self.known.pairs(distinct)
        if self.excludes_source:
            rows, nodes = np.concatenate([rows, np.arange(len(distinct))]), np.concatenate([nodes, distinct])
        filtered = np.bincount(np.unique(rows * count + nodes) // count, minlength=len(distinct))
        candidates: npt.NDArray[np.float64] = (1 + count - filtered[at]).astype(np.float64)
        return candidates

    @torch.inference_mode()
    def more(self, sources: IntArray, targets: IntArray | None = None) -> Tensor:
        """What the graph between both ends adds to the scores of some targets of some sources [n, targets]; None: of
        all targets."""
        assert self.pairs is not None, "asked only where there is a term of pairs"
        terms: Tensor = self.pairs(sources, targets)
        return terms

    def _given(self, rows: IntArray) -> IntArray:
        """[n, K] wrong targets that the table gives edges. Where an edge has fewer stands its own target, which is
        known to be true and so does not compete."""
        if not self.graph.manifest.edge(self.edge_type).hard_negatives:
            raise DataError(
                f"{self.graph.folder}: relation {edge_name(self.edge_type)} must have the candidates that "
                f"task.ranking.candidates: given ranks among (got no hard negatives of its edges). Add hard_negatives "
                f"and their column to the tables, or do not evaluate (leave --evaluate out)"
            )
        given = self.graph.hard_negatives(self.edge_type, rows)
        _, target = directed_edges(self.graph, self.edge_type, rows)
        return np.where(given < 0, target[:, None], given)

    @cached_property
    def known(self) -> TrueTargets:
        """True targets of every source, of any split."""
        return TrueTargets.of_edges(self.graph, self.edge_type)

    @cached_property
    def _known_keys(self) -> IntArray:
        def make() -> IntArray:
            source, target = directed_edges(self.graph, self.edge_type)
            return np.sort(source * self.graph.manifest.node(self.edge_type[2]).count + target)

        return once_a_host(self.graph, f"pairs:{edge_name(self.edge_type)}", make)

    @torch.inference_mode()
    def queries(self, vectors: Vectors, edges: IntArray | None = None) -> Tensor:
        """Vectors [n, D] of sources -> [n, D], ready to be scored; by inner products, where the head uses them. edges
        [n]: the ids of those that are asked about; None: the sources are, whatever edges they have."""
        if self.of_edges is None or edges is None:
            return self._mapped(vectors, self.head.source)
        return self._mapped(self.of_edges(self._rows(vectors), edges), self.head.source)

    @torch.inference_mode()
    def keys(self, vectors: Vectors) -> Tensor:
        """Vectors [n, D] of targets -> [n, D], ready to be scored."""
        return self._mapped(vectors, self.head.target)

    @torch.inference_mode()
    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """[n, D] and [m, D] -> [n, m] scores of all pairs."""
        if self.head.is_inner_product:
            return products(queries, keys)
        return self.head.scores(queries, keys, self.edge_type)

    @torch.inference_mode()
    def pair_scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """[..., D] and [..., D], which may broadcast -> [...] the score of each pair."""
        if self.head.is_inner_product:
            return pair_products(queries, keys)
        return self.head.pair_scores(queries, keys, self.edge_type)

    def _rows(self, vectors: Vectors) -> Tensor:
        return torch.from_numpy(np.asarray(vectors)).to(self.task.device)

    def _mapped(self, vectors: Vectors | Tensor, end: Callable[[Tensor, EdgeType], Tensor]) -> Tensor:
        self.head.eval()
        rows = vectors if isinstance(vectors, Tensor) else self._rows(vectors)
        return (end(rows, self.edge_type) if self.head.is_inner_product else rows).float()
