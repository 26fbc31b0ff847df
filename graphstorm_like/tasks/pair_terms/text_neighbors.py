"""What sources with similar texts lead to: nearest neighbours by text, whose targets get votes.

    votes(s, t) = sum of cos(s, w)^2 over the k sources w != s with training edges whose texts are most like that of s,
                  and which have a training edge to t
    share(s, t) = votes(s, t) / (sum of cos(s, w)^2 over all k)
    term(s, t)  = v_1 log(1 + votes) + v_2 log(1 + k share)

Cosines are those of TF-IDF rows over all texts of the source type (`mined_text`). v starts at 0: at first there is the
decoder alone. A source is never its own neighbour, so that the edge (s, t) that a training row is about has no part in
its own term: it is left out without being sought.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.pair_terms import TextNeighborsConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.store import Graph, IntArray
from graphstorm_like.sampling.negatives.mined_text import node_texts, word_table
from graphstorm_like.sampling.negatives.paths import Numbers, Table, shown_ends
from graphstorm_like.tasks.pair_terms.base import PAIR_TERMS, PairTerm, row_blocks
from graphstorm_like.tasks.pair_terms.columns import Columns
from graphstorm_like.tasks.pair_terms.nearest_texts import Floats, NearestTexts

PATHS = 4_000_000
"""Votes that are counted at once, about."""


@PAIR_TERMS.register(TextNeighborsConfig)
class TextNeighbors(PairTerm):
    """See module. DataError when sources have no text."""

    def __init__(self, config: TextNeighborsConfig, graph: Graph, edge_type: EdgeType) -> None:
        super().__init__()
        self.lr_factor = config.lr_factor
        self.config, self.graph, self.edge_type = config, graph, edge_type
        if not graph.manifest.node(edge_type[0]).text:
            raise DataError(
                f"{graph.folder}: nodes of type {edge_type[0]} must have a text for task.pairs of type text_neighbors, "
                f"which compares the sources of {edge_name(edge_type)} by theirs (got none). Add "
                f"graph.nodes.{edge_type[0]}.text, or leave the term out"
            )
        self.weights = nn.Parameter(torch.zeros(2))

    @cached_property
    def _links(self) -> tuple[IntArray, Table]:
        """Sources with edges that pass messages, ascending, and of each the distinct targets."""
        source, target = shown_ends(self.graph, self.edge_type)
        count = self.graph.manifest.node(self.edge_type[2]).count
        keys = np.unique(source * count + target)
        voters, row = np.unique(keys // count, return_inverse=True)
        return voters, Table.of(row, keys % count, np.ones(len(keys)), len(voters))

    @cached_property
    def _nearest(self) -> NearestTexts:
        words = word_table(node_texts(self.graph, self.edge_type[0]), self.config.most_texts)
        return NearestTexts(words, self._links[0], self.config.k)

    def votes(self, sources: IntArray, columns: Columns) -> tuple[IntArray, IntArray, Floats]:
        """(row, number among the distinct candidates, [p, 2] votes and k share) of all pairs with votes."""
        voters, cosines = self._nearest(sources)
        mass = cosines.astype(np.float64) ** 2
        all_votes = mass.sum(axis=1)
        width = columns.width if columns.distinct is None else len(columns.distinct)
        links = self._links[1]
        lengths = np.append(np.diff(links.starts), 0)  # -1, no voter, has none
        found_keys: list[IntArray] = [np.empty(0, dtype=np.int64)]
        found_sums: list[Numbers] = [np.empty(0)]
        for rows in row_blocks(lengths[voters].sum(axis=1), PATHS):
            row, place = np.nonzero(voters[rows] >= 0)
            row = rows[row]
            row, target, vote = links.steps(row, voters[row, place], mass[row, place])
            entries, number = columns.numbers(target)
            keys, inverse = np.unique(row[entries] * width + number, return_inverse=True)
            found_keys.append(keys)
            sums: Numbers = np.bincount(inverse, weights=vote[entries], minlength=len(keys)).astype(np.float64)
            found_sums.append(sums)
        keys, sums = np.concatenate(found_keys), np.concatenate(found_sums)
        row = keys // width
        found = np.stack([sums, self.config.k * sums / all_votes[row]], axis=1).astype(np.float32)
        return row, keys % width, found

    def forward(self, sources: IntArray, candidates: IntArray | None, targets: IntArray | None = None) -> Tensor:
        """See PairTerm."""
        columns = Columns(candidates, self.graph.manifest.node(self.edge_type[2]).count)
        if not len(sources) or not columns.width:
            return self.weights.new_zeros(len(sources), columns.width)
        row, number, found = self.votes(sources, columns)
        # No matrix product, which autocast would round to half precision in training, and nothing in ranking.
        terms = (torch.from_numpy(found).to(self.weights).log1p() * self.weights).sum(dim=1)
        entries, column = columns.places(number)
        parts = terms.index_select(0, torch.from_numpy(entries).to(terms.device))
        return columns.filled(row[entries], column, parts, len(sources))
