"""Tokens of a text over several hosts: each host has those of its partition, and other hosts read them from its
servers.

Texts and their pieces are numbered host by host; a text that occurs on two hosts counts as two texts.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from graphstorm_like.errors import DataError
from graphstorm_like.graph.partitioned_graph import PartitionedGraph
from graphstorm_like.graph.schema import text_column
from graphstorm_like.graph.shared import Ragged, SharedTable, create_rows, find, publish
from graphstorm_like.graph.store import Graph, IntArray, RowType, type_name
from graphstorm_like.pending import Pending
from graphstorm_like.progress import Reporter
from graphstorm_like.ranges import ranges
from graphstorm_like.ranks.names import TABLE_NAMES
from graphstorm_like.ranks.torch_group import cluster, group
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.tokens import (
    OFFSETS,
    PIECE_OFFSETS,
    ROW_OF_TEXT,
    TOKENS,
    Fetched,
    TextTokens,
    TokenStore,
    build_token_store,
)


class SharedTokens:
    """A TokenSource. own: the store of this host's partition; piece_starts [hosts + 1]: number of each host's first
    piece."""

    def __init__(
        self, graph: PartitionedGraph, row_type: RowType, table: str, own: TokenStore, piece_starts: IntArray
    ) -> None:
        self._graph, self._row_type, self._table = graph, row_type, table
        self.own, self.piece_starts = own, piece_starts

    def begin_lengths(self, rows: IntArray) -> Pending[IntArray]:
        """See TokenSource."""
        pending = self._graph.begin_ragged(self._row_type, f"{self._table}:tokens", rows, values=False)

        def read() -> IntArray:
            lengths = np.empty(len(rows), dtype=np.int64)
            for _, at, part in pending.wait():
                lengths[at] = part.sizes[part.item_of_row]
            return lengths

        return Pending(read)

    def begin_fetch(self, rows: IntArray) -> Pending[Fetched]:
        """See TokenSource."""
        whole = self._graph.begin_ragged(self._row_type, f"{self._table}:tokens", rows)
        if self.own.piece_offsets is None:
            return Pending(lambda: self._fetched(rows, whole.wait(), None))
        split = self._graph.begin_ragged(self._row_type, f"{self._table}:pieces", rows)
        return Pending(lambda: self._fetched(rows, whole.wait(), split.wait()))

    def _fetched(
        self,
        rows: IntArray,
        whole: list[tuple[int, IntArray, Ragged]],
        split: list[tuple[int, IntArray, Ragged]] | None,
    ) -> Fetched:
        row_of_text, texts_before = np.empty(len(rows), dtype=np.int64), 0
        for _, at, part in whole:
            row_of_text[at] = part.item_of_row + texts_before
            texts_before += len(part.items)
        tokens = np.concatenate([np.zeros(0, dtype=np.uint16), *(part.values for _, _, part in whole)])
        of_pieces = whole if split is None else split
        no_numbers = np.zeros(0, dtype=np.int64)
        sizes = np.concatenate([no_numbers, *(part.sizes for _, _, part in of_pieces)])
        if split is None:
            lengths, piece_offsets = sizes, None
            pieces = np.concatenate([no_numbers, *(part.items + self.piece_starts[p] for p, _, part in whole)])
        else:
            lengths = np.concatenate([no_numbers, *(part.values for _, _, part in split)])
            first = np.concatenate([no_numbers, *(part.starts + self.piece_starts[p] for p, _, part in split)])
            pieces, piece_offsets = ranges(first, sizes)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return Fetched(TextTokens(tokens, offsets, row_of_text, piece_offsets, self.own.facts), pieces)


def training_tokens(
    graph: Graph,
    row_type: RowType,
    name: str,
    encoder: TextEncoder,
    cache: Path,
    chunks: int | None,
    reporter: Reporter,
) -> TokenStore | SharedTokens:
    """Tokens of a text of all nodes or edges of a type. One process per host makes those that are not in the cache;
    with several hosts, each makes those of its partition. DataError when their tokenizers differ."""
    ranks, where, what = group(), cluster(), f"tokens of {type_name(row_type)}.{name}"

    def build(texts: Any) -> TokenStore:
        progress = partial(reporter.follow(), f"tokenise {type_name(row_type)}.{name}")
        return build_token_store(
            texts, encoder.tokenizer, cache, encoder.max_tokens, progress=progress, max_chunks=chunks
        )

    ranks.leader_first(what)
    if where is None or ranks.hosts == 1:
        store = build(graph.text(row_type, name))
        ranks.leader_done(what)
        return store
    assert isinstance(graph, PartitionedGraph)
    table, own_facts = TABLE_NAMES.new(f"tokens:{name}"), ""
    if ranks.leads_host:
        own = build(graph.parts[ranks.host].column((row_type, text_column(name))))
        _publish(own, where.shm, f"{type_name(row_type)}:{table}")
        own_facts = json.dumps([len(own), own.meta["tokenizer"], str(own.folder)])
    ranks.leader_done(what)
    facts = [json.loads(fact) for fact in ranks.collect(own_facts, what) if fact]
    if len({tokenizer for _, tokenizer, _ in facts}) > 1:
        raise DataError(
            "text_encoder.name: must have the same tokenizer on all hosts (they differ). Copy the model's folder again"
        )
    starts = np.cumsum([0, *(pieces for pieces, _, _ in facts)])
    return SharedTokens(graph, row_type, table, TokenStore.open(facts[ranks.host][2]), starts)


def _publish(store: TokenStore, shm: Path, name: str) -> None:
    """Publish a token store: the host's processes map its files in place."""
    index = (str(store.folder / ROW_OF_TEXT), store.row_of_text.dtype.str)
    offsets = str(store.folder / OFFSETS)
    if store.piece_offsets is not None:  # the pieces of a text are adjacent
        pieces = f"{name}:pieces"
        lengths = create_rows(shm, f"{pieces}:lengths", (len(store), 1), "<i8")
        lengths[:, 0] = store.lengths()
        file = find(shm, f"{pieces}:lengths").file
        offsets_of_pieces = str(store.folder / PIECE_OFFSETS)
        publish(shm, SharedTable(pieces, file, "<i8", lengths.shape, *index, offsets_of_pieces))
        of_texts = create_rows(shm, f"{name}:offsets", (store.num_texts + 1, 1), "<i8")
        of_texts[:, 0] = np.concatenate([[0], np.cumsum(lengths[:, 0])])[store.piece_offsets]
        offsets = find(shm, f"{name}:offsets").file
    shape = (int(store.meta["tokens"]), 1)
    tokens = str(store.folder / TOKENS)
    publish(shm, SharedTable(f"{name}:tokens", tokens, "", shape, *index, offsets))
