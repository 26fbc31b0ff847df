"""Typed common neighbours: the structural part of NCN's head (Wang et al., ICLR 2024) for many relations.

    term(s, t) = sum over pairs of relations (a, b) of w_ab * log(1 + sum over x in N_a(s) and N_b^-1(t) of 1 / deg(x))

(the inner sum is resource allocation, Zhou et al. 2009). Each relation counts in both directions. deg(x) is the number
of distinct neighbours of x. Weights start at 0: at first there is the decoder alone. The edge (s, t) that a training
row is about is never part of a path from s to t, and paths from s to other candidates do not use it in this row.

The vectors of the common neighbours, which NCN reads too, are not read.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.pair_terms import CommonNeighborsConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.store import Graph, IntArray
from graphstorm_like.ranges import ranges
from graphstorm_like.sampling.negatives.paths import Numbers, Table
from graphstorm_like.tasks.pair_terms.base import PAIR_TERMS, PairTerm, row_blocks
from graphstorm_like.tasks.pair_terms.columns import Columns

MOST_EDGES = 20_000
"""Training edges by which the pairs of relations are chosen."""
BLOCK = 4_000_000
"""Paths that are followed at once, about."""


@dataclass(frozen=True)
class Steps:
    """Paths of the chosen pairs of relations. A place is a node between and the way out of it.

    first: from sources to places, the kind of path as weight; between, ways_in: node and way of each of its entries.
    last: from targets to places. share [places]: 1 / degree of the node.
    """

    first: Table
    between: IntArray
    ways_in: IntArray
    last: Table
    share: Numbers


@PAIR_TERMS.register(CommonNeighborsConfig)
class CommonNeighbors(PairTerm):
    """See module. `weights` [kinds]; `codes` [kinds]: the pairs of relations, a * ways + b, -1 for none; `relations`:
    hashes of the names of those that the codes number."""

    def __init__(self, config: CommonNeighborsConfig, graph: Graph, edge_type: EdgeType) -> None:
        super().__init__()
        self.lr_factor = config.lr_factor
        self.config, self.graph, self.edge_type = config, graph, edge_type
        self._relations = [edge.edge_type for edge in graph.manifest.edges if not edge.is_reverse]
        self.ways = 2 * len(self._relations)
        self._own_way = 2 * self._relations.index(edge_type)
        self._steps_of: tuple[tuple[int, ...], Steps] | None = None
        self.weights = nn.Parameter(torch.zeros(config.kinds))
        self.register_buffer("codes", torch.full((config.kinds,), -1))
        self.register_buffer("relations", torch.tensor([_name_hash(relation) for relation in self._relations]))
        rows = graph.edge_rows(edge_type, "train")[:MOST_EDGES]
        if len(rows):
            self.get_buffer("codes").copy_(torch.from_numpy(self._most_connecting(*graph.edges(edge_type, rows))))

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *more: Any) -> None:
        """As torch's. DataError when the codes are of other relations, whose numbers would mean something else here."""
        here, there = self.get_buffer("relations"), state_dict.get(f"{prefix}relations", None)
        if there is not None and here.tolist() != there.tolist():
            raise DataError(
                f"{self.graph.folder}: must have the relations, in their order, of the graph that task.pairs of type "
                f"common_neighbors was trained on (got {', '.join(map(edge_name, self._relations))}, where the "
                f"training had {len(there)}). Give the graph the same relations, or train again on it"
            )
        super()._load_from_state_dict(state_dict, prefix, *more)

    @cached_property
    def _first(self) -> dict[str, int]:
        counts = [node.count for node in self.graph.manifest.nodes.values()]
        return dict(zip(self.graph.manifest.nodes, np.concatenate([[0], np.cumsum(counts)]).tolist(), strict=False))

    @cached_property
    def _ends(self) -> tuple[slice, slice]:
        """Numbers of all sources, and of all targets."""
        found = []
        for node_type in (self.edge_type[0], self.edge_type[2]):
            first = self._first[node_type]
            found.append(slice(first, first + self.graph.manifest.node(node_type).count))
        return found[0], found[1]

    @cached_property
    def _table(self) -> tuple[Table, IntArray]:
        """Ways from each node to its neighbours that do not have too many of their own, in the order of these; the
        number of the way, relation and direction, in place of weights. And the degrees [nodes]."""
        total = sum(node.count for node in self.graph.manifest.nodes.values())
        rows, columns, ways = [], [], []
        for number, edge_type in enumerate(self._relations):
            source, target = self.graph.edges(edge_type)
            shown = np.ones(len(source), dtype=bool)
            shown[self.graph.hidden_rows(edge_type)] = False
            source, target = source[shown] + self._first[edge_type[0]], target[shown] + self._first[edge_type[2]]
            rows += [source, target]
            columns += [target, source]
            ways += [np.full(len(source), 2 * number), np.full(len(source), 2 * number + 1)]
        one, other, way = (np.concatenate(parts) for parts in (rows, columns, ways))
        keys = _sorted_once((one * total + other) * self.ways + way)  # parallel edges are one
        way, one, other = keys % self.ways, keys // self.ways // total, keys // self.ways % total
        one, other, way = one[one != other], other[one != other], way[one != other]
        degrees = np.bincount(_sorted_once(one * total + other) // total, minlength=total)
        few = degrees[other] <= self.config.most_neighbors
        return Table.of(one[few], other[few], way[few].astype(np.float64), total), degrees

    def _most_connecting(self, sources: IntArray, targets: IntArray) -> IntArray:
        """Codes of the pairs of relations that connect the ends of most edges."""
        table, _ = self._table
        at_source, at_target = sources + self._ends[0].start, targets + self._ends[1].start
        lengths = np.diff(table.starts)
        keys = np.repeat(np.arange(len(lengths)), lengths) * len(lengths) + table.columns
        # Along the edges of the end that has fewer, and each node there is sought among those beside the other end.
        turned = lengths[at_target] < lengths[at_source]
        near, far = np.where(turned, at_target, at_source), np.where(turned, at_source, at_target)
        frequency = np.zeros(self.ways * self.ways, dtype=np.int64)
        for rows in row_blocks(lengths[near], BLOCK):
            row, between, way = _steps(table, rows, near[rows])
            wanted = far[row] * len(lengths) + between
            begin = np.searchsorted(keys, wanted, side="left")
            often = np.searchsorted(keys, wanted, side="right") - begin
            row, way, entries = np.repeat(row, often), np.repeat(way, often), ranges(begin, often)[0]
            also = table.weights[entries].astype(np.int64)
            way_in, way_back = np.where(turned[row], also, way), np.where(turned[row], way, also)
            # From a node to the target leads the way back from there, in the other direction.
            once = _sorted_once(row * len(frequency) + way_in * self.ways + (way_back ^ 1))
            frequency += np.bincount(once % len(frequency), minlength=len(frequency))
        best = np.argsort(-frequency, kind="stable")[: self.config.kinds]
        codes = np.full(self.config.kinds, -1)
        codes[: len(best)] = np.where(frequency[best] > 0, best, -1)
        return codes

    def _steps(self) -> Steps:
        """Of the codes, which a checkpoint may have brought since."""
        codes = tuple(self.get_buffer("codes").tolist())
        if self._steps_of is None or self._steps_of[0] != codes:
            self._steps_of = codes, self._steps_by(np.array(codes))
        return self._steps_of[1]

    def _steps_by(self, codes: IntArray) -> Steps:
        table, degrees = self._table
        kinds = np.flatnonzero(codes >= 0)
        into, out = codes[kinds] // self.ways, codes[kinds] % self.ways
        targets = np.arange(self._ends[1].stop - self._ends[1].start)
        target, between, way_back = _steps(table, targets, targets + self._ends[1].start)
        leads = np.isin(way_back ^ 1, out)
        keys = between[leads] * self.ways + (way_back[leads] ^ 1)
        places, place = np.unique(keys, return_inverse=True)
        order = np.lexsort((place, target[leads]))
        last = Table.of(target[leads][order], place[order], np.ones(len(place)), len(targets))
        sources = np.arange(self._ends[0].stop - self._ends[0].start)
        source, between, way_in = _steps(table, sources, sources + self._ends[0].start)
        rows, ends, through, ways, of_kind = [], [], [], [], []
        for kind, way, way_out in zip(kinds.tolist(), into.tolist(), out.tolist(), strict=True):
            mine = np.flatnonzero(way_in == way)
            at = np.searchsorted(places, between[mine] * self.ways + way_out)
            is_place = at < len(places)
            is_place[is_place] = places[at[is_place]] == (between[mine] * self.ways + way_out)[is_place]
            mine, at = mine[is_place], at[is_place]
            rows.append(source[mine])
            ends.append(at)
            through.append(between[mine])
            ways.append(way_in[mine])
            of_kind.append(np.full(len(mine), float(kind)))
        nothing = np.empty(0, dtype=np.int64)
        row, end, passed, way = (np.concatenate([nothing, *parts]) for parts in (rows, ends, through, ways))
        kind_of = np.concatenate([np.empty(0), *of_kind])
        first = Table.of(row, end, kind_of, len(sources))
        order = np.argsort(row, kind="stable")  # as the table's
        return Steps(first, passed[order], way[order], last, 1.0 / degrees[places // self.ways])

    def _sums(
        self, sources: IntArray, targets: IntArray | None, chosen: IntArray | None
    ) -> Iterator[tuple[IntArray, IntArray, IntArray, Tensor]]:
        """(row, number among the chosen, kind, sum) of all pairs that paths connect, in blocks of rows. targets: see
        PairTerm. chosen: ids of targets, each once; None: all."""
        steps, kinds = self._steps(), self.config.kinds
        if chosen is None:
            chosen = np.arange(len(steps.last.starts) - 1)
        begin = steps.last.starts[chosen]
        entries, offsets = ranges(begin, steps.last.starts[chosen + 1] - begin)
        ends = np.repeat(np.arange(len(chosen)), np.diff(offsets))
        lasts = _sparse(ends, steps.last.columns[entries], steps.last.weights[entries], (len(chosen), len(steps.share)))
        lengths = np.bincount(steps.last.columns[entries], minlength=len(steps.share))
        up_to = np.concatenate([[0], np.cumsum(lengths[steps.first.columns])])
        at = steps.first.starts
        for rows in row_blocks(up_to[at[sources + 1]] - up_to[at[sources]], BLOCK):
            count = at[sources[rows] + 1] - at[sources[rows]]
            entries, _ = ranges(at[sources[rows]], count)
            row, kind = np.repeat(rows - rows[0], count), steps.first.weights[entries].astype(np.int64)
            place = steps.first.columns[entries]
            if targets is not None:
                is_target = steps.between[entries] == targets[row + rows[0]] + self._ends[1].start
                other = ~(is_target & (steps.ways_in[entries] == self._own_way))
                row, kind, place = row[other], kind[other], place[other]
            order = np.lexsort((row * kinds + kind, place))
            row, kind, place = row[order], kind[order], place[order]
            firsts = _sparse(place, row * kinds + kind, steps.share[place], (len(steps.share), len(rows) * kinds))
            found = _product(lasts, firsts)
            end, column = found.indices().numpy()
            row, sums = column // kinds + rows[0], found.values()
            if self.edge_type[0] == self.edge_type[2]:
                others = np.flatnonzero(chosen[end] != sources[row])
                row, end, column, sums = row[others], end[others], column[others], sums[torch.from_numpy(others)]
            yield row, end, column % kinds, sums

    def forward(self, sources: IntArray, candidates: IntArray | None, targets: IntArray | None = None) -> Tensor:
        """See PairTerm."""
        columns = Columns(candidates, self._ends[1].stop - self._ends[1].start)
        rows, places, kinds, logs = [], [], [], []
        for row, end, kind, sums in self._sums(sources, targets, columns.distinct):
            entries, column = columns.places(end)
            rows.append(row[entries])
            places.append(column)
            kinds.append(torch.from_numpy(kind[entries]))
            logs.append(sums[torch.from_numpy(entries)].log1p())
        if not rows:
            return self.weights.new_zeros(len(sources), columns.width)
        weights = self.weights.index_select(0, torch.cat(kinds).to(self.weights.device))
        parts = weights * torch.cat(logs).to(weights)
        return columns.filled(np.concatenate(rows), np.concatenate(places), parts, len(sources))


def _name_hash(relation: EdgeType) -> int:
    """The same in every run."""
    return int.from_bytes(blake2b(edge_name(relation).encode(), digest_size=7).digest())


def _sparse(rows: IntArray, columns: IntArray, values: Numbers, shape: tuple[int, int]) -> Tensor:
    """Of entries in the order of rows, and of columns in a row."""
    indices = torch.from_numpy(np.stack([rows, columns]))
    return torch.sparse_coo_tensor(indices, torch.from_numpy(values), shape, is_coalesced=True, check_invariants=False)


def _product(one: Tensor, other: Tensor) -> Tensor:
    with warnings.catch_warnings():  # torch multiplies them as CSR, and says that CSR is in beta
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        product: Tensor = torch.sparse.mm(one, other).coalesce()
    return product


def _steps(table: Table, rows: IntArray, at: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """From places, of which each belongs to one of `rows`, along all edges: rows, ends and ways."""
    row, end, way = table.steps(rows, at, np.ones(len(rows)))
    return row, end, way.astype(np.int64)


def _sorted_once(keys: IntArray) -> IntArray:
    """np.unique of numbers from 0 on, which hashes them and is slower here."""
    found = np.sort(keys)
    return found[np.diff(found, prepend=-1) > 0]
