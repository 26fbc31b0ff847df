"""Overlaps of surroundings by sketches: the structural part of BUDDY (Chamberlain et al., ICLR 2023, section 4).

N_i(s): nodes within i steps of s, itself included, over all relations, in both directions. For two steps the features
of a pair (s, t) are the sizes

a_11 = |N_1(s) and N_1(t)|               a_21 = |N_2(s) and N_1(t)| - a_11       a_12 = |N_1(s) and N_2(t)| - a_11
a_22 = |N_2(s) and N_2(t)| - a_11 - a_21 - a_12
b_1(t) = |N_1(t)| - a_11 - a_21          b_2(t) = |N_2(t)| - a_11 - a_21 - a_12 - a_22 - b_1(t)     and so of s

as estimated from sketches (`surroundings`), none below 0: term(s, t) = v' SiLU(W log(1 + features) + c). v starts at
0: at first there is the decoder alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.pair_terms import SketchesConfig
from graphstorm_like.graph.store import Graph, IntArray
from graphstorm_like.models.link_heads import in_blocks
from graphstorm_like.sampling.negatives.paths import Neighbors, shown_ends
from graphstorm_like.tasks.pair_terms.base import PAIR_TERMS, PairTerm
from graphstorm_like.tasks.pair_terms.surroundings import Floats, HashIndex, Near, Surroundings, overlap

FEATURES = 8
HOPS = ((0, 0), (1, 0), (0, 1), (1, 1))
"""Of source and target: the overlaps that are estimated."""


@dataclass(frozen=True)
class OwnPairs:
    """Rows, ascending, and columns [p] of the pairs of training edges; equal hashes of HOPS [p] and sizes [p, 2]."""

    rows: IntArray
    columns: IntArray
    equal: list[Floats]
    sizes: Floats

    def put(self, first: int, last: int, equal: list[Floats], sizes: Floats) -> None:
        """Into the rows from `first` to `last`."""
        mine = slice(*np.searchsorted(self.rows, [first, last + 1]))
        at = self.rows[mine] - first, self.columns[mine]
        for counts, own in zip(equal, self.equal, strict=True):
            counts[at] = own[mine]
        sizes[at] = self.sizes[mine]


@PAIR_TERMS.register(SketchesConfig)
class Sketches(PairTerm):
    """See module.

    In the row of a training edge (s, t) both surroundings are without this edge, whose trace the paper bounds by
    leaving b_1 out: else N_2(s) would hold all neighbours of t in training, and not when it is used. They are made anew
    from the sketches of the neighbours. An edge of another relation, or from t to s, stays. Other candidates of the row
    are compared with the same N(s).
    """

    def __init__(self, config: SketchesConfig, graph: Graph, edge_type: EdgeType) -> None:
        super().__init__()
        self.config, self.graph, self.edge_type = config, graph, edge_type
        self.hidden = nn.Linear(FEATURES, config.width)
        self.weights = nn.Parameter(torch.zeros(config.width))

    @cached_property
    def _neighbors(self) -> Neighbors:
        return Neighbors.of(self.graph, np.iinfo(np.int64).max, {})

    @cached_property
    def surroundings(self) -> Surroundings:
        """Of all nodes, in the order of their types."""
        return Surroundings(self._neighbors.table, self.config.hashes, self.config.registers)

    @cached_property
    def _own(self) -> tuple[IntArray, IntArray]:
        """Keys of the relation's own edges, and of the edges of all others in both directions; ascending."""
        total, first = len(self._neighbors.degrees), self._neighbors.first
        own, others = np.empty(0, dtype=np.int64), [np.empty(0, dtype=np.int64)]
        for edge in self.graph.manifest.edges:
            if edge.is_reverse:
                continue
            source, target = shown_ends(self.graph, edge.edge_type)
            source, target = source + first[edge.edge_type[0]], target + first[edge.edge_type[2]]
            if edge.edge_type == self.edge_type:
                own = np.unique(source * total + target)
            else:
                others += [source * total + target, target * total + source]
        return own, np.unique(np.concatenate(others))

    def _alone(self, sources: IntArray, targets: IntArray) -> IntArray:
        """Rows of pairs that nothing connects but an edge of the relation from source to target."""
        total, (own, others) = len(self._neighbors.degrees), self._own
        forward, back = sources * total + targets, targets * total + sources
        return np.flatnonzero(_has(own, forward) & ~_has(own, back) & ~_has(others, forward))

    @cached_property
    def _targets(self) -> slice:
        node_type = self.edge_type[2]
        return self._neighbors.columns(node_type, self.graph.manifest.node(node_type).count)

    @cached_property
    def _all(self) -> tuple[HashIndex, HashIndex]:
        one, two = self.surroundings.near.of(self._targets).hops
        return HashIndex(one), HashIndex(two)

    def forward(self, sources: IntArray, candidates: IntArray | None, targets: IntArray | None = None) -> Tensor:
        """See PairTerm."""
        at = sources + self._neighbors.first[self.edge_type[0]]
        ids = np.arange(self._targets.stop - self._targets.start) if candidates is None else candidates
        near, others = self.surroundings.near.of(at), self.surroundings.near.of(ids + self._targets.start)
        indexes = self._all if candidates is None else tuple(map(HashIndex, others.hops))
        own = None if targets is None else self._without_own(near, at, targets, ids)

        def scores(rows: Tensor) -> Tensor:
            part = rows.numpy()
            of_rows = near.of(part)
            equal = [indexes[j].equal(of_rows.hops[i]) for i, j in HOPS]
            sizes = np.repeat(others.sizes[None], len(part), axis=0)
            if own is not None and len(part):
                own.put(part[0], part[-1], equal, sizes)
            return self._terms(equal, of_rows.sizes[:, None], sizes)

        return in_blocks(scores, torch.arange(len(sources)), len(ids) * (FEATURES + self.config.width))

    def _without_own(self, near: Near, at: IntArray, targets: IntArray, ids: IntArray) -> OwnPairs:
        """What rows have in place of what the sketches of the whole graph say of their own targets. Changes `near`, the
        surroundings of the sources `at`."""
        own = targets + self._targets.start
        rows = self._alone(at, own)
        near.put(rows, self.surroundings.without(at[rows], own[rows]))
        row, columns = np.nonzero(ids == targets[rows, None])
        sources = near.of(rows[row])
        others = self.surroundings.without(own[rows], at[rows]).of(row)
        equal = [(sources.hops[i] == others.hops[j]).sum(axis=1, dtype=np.float32) for i, j in HOPS]
        return OwnPairs(rows[row], columns, equal, others.sizes)

    def of_pairs(self, sources: IntArray, candidates: IntArray, targets: IntArray | None = None) -> Tensor:
        """See PairTerm."""
        at, near = sources + self._neighbors.first[self.edge_type[0]], self.surroundings.near
        of_sources, own, alone = near.of(at), candidates[:, 0], np.empty(0, dtype=np.int64)
        if targets is not None:
            own, alone = targets, self._alone(at, targets + self._targets.start)
        ends = own[alone] + self._targets.start
        of_sources.put(alone, self.surroundings.without(at[alone], ends))
        of_own = self.surroundings.without(ends, at[alone])

        def scores(rows: Tensor) -> Tensor:
            part = rows.numpy()
            pairs, others = of_sources.of(part), near.of(candidates[part] + self._targets.start)
            mine = np.flatnonzero(np.isin(alone, part))
            row, column = np.nonzero(candidates[alone[mine]] == own[alone[mine], None])
            others.put((np.searchsorted(part, alone[mine][row]), column), of_own.of(mine[row]))
            equal = []
            for i, j in HOPS:
                same = pairs.hops[i][:, None] == others.hops[j]
                equal.append(same.sum(axis=2, dtype=np.float32))
            return self._terms(equal, pairs.sizes[:, None], others.sizes)

        numbers = candidates.shape[1] * self.config.hashes * 2
        return in_blocks(scores, torch.arange(len(sources)), numbers)

    def _terms(self, equal: list[Floats], sizes: Floats, others: Floats) -> Tensor:
        """equal: counts [n, m] of HOPS; sizes [n, 1, 2] of sources, [n, m, 2] of targets -> [n, m]"""
        found = features(equal, self.config.hashes, sizes, others)
        rows = torch.from_numpy(np.log1p(found)).to(self.weights)
        return nn.functional.silu(self.hidden(rows)) @ self.weights


def features(equal: list[Floats], hashes: int, sizes: Floats, others: Floats) -> Floats:
    """[n, m, 8]: a_11, a_21, a_12, a_22, b_1(t), b_1(s), b_2(t), b_2(s); see module and `Sketches._terms`."""
    both = []
    for counts, (i, j) in zip(equal, HOPS, strict=True):
        both.append(overlap(counts, hashes, sizes[..., i], others[..., j]))
    found = np.empty((*equal[0].shape, FEATURES), dtype=np.float32)
    found[..., 0] = both[0]
    found[..., 1] = both[1] - both[0]
    found[..., 2] = both[2] - both[0]
    np.maximum(found[..., :3], 0.0, out=found[..., :3])
    found[..., 3] = both[3] - found[..., :3].sum(axis=-1)
    np.maximum(found[..., 3], 0.0, out=found[..., 3])
    near = found[..., :4].sum(axis=-1)
    found[..., 4] = others[..., 0] - found[..., 0] - found[..., 1]
    found[..., 5] = sizes[..., 0] - found[..., 0] - found[..., 2]
    np.maximum(found[..., 4:6], 0.0, out=found[..., 4:6])
    found[..., 6] = others[..., 1] - near - found[..., 4]
    found[..., 7] = sizes[..., 1] - near - found[..., 5]
    return np.maximum(found, 0.0, out=found)


def _has(keys: IntArray, wanted: IntArray) -> npt.NDArray[np.bool_]:
    """[n]: which are among some ascending keys."""
    found: npt.NDArray[np.bool_] = np.zeros(len(wanted), dtype=bool)
    if len(keys):
        found = keys[np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)] == wanted
    return found
