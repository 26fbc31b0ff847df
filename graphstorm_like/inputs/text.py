"""Text columns -> vectors of a frozen language model, from the cache, as inputs of a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import torch

from graphstorm_like.config.model import ModelConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.partition_reader import VECTORS
from graphstorm_like.graph.partitioned_graph import PartitionedGraph
from graphstorm_like.graph.schema import text_column
from graphstorm_like.graph.shared import SharedTable, create_rows, publish
from graphstorm_like.graph.store import Graph, IntArray, RowType, type_name
from graphstorm_like.inputs.known_vectors import note_file, recall, remember
from graphstorm_like.inputs.source import CachedText, SharedText, TextSource, TextVectors
from graphstorm_like.progress import Reporter
from graphstorm_like.ranks.names import TABLE_NAMES
from graphstorm_like.ranks.torch_group import LONG_SECONDS, cluster, group

if TYPE_CHECKING:
    from graphstorm_like.text.cache import EmbeddingCache
    from graphstorm_like.text.encoders import TextEmbedder


def text_vectors(
    config: ModelConfig,
    names_by_type: Mapping[RowType, Sequence[str]],
    graph: Graph,
    cache: Path,
    device: torch.device,
    reporter: Reporter,
) -> TextVectors:
    """Vectors of texts, from the folder `cache`. Missing ones are computed now; interrupted work is resumed.

    names_by_type: names of the texts, by node or edge type.
    """
    from graphstorm_like.text.encoders import TEXT_ENCODERS

    encoders: dict[str, TextEmbedder] = {}
    vectors: TextVectors = {}
    for row_type, names in names_by_type.items():
        key = config.encoder_key(row_type)
        if key not in encoders:
            encoder_config = config.text_encoders()[key]
            encoders[key] = TEXT_ENCODERS.of(encoder_config)(encoder_config, device)
        embedding = _Embedding(graph, encoders[key], cache, reporter)
        vectors[row_type] = {name: embedding.source(row_type, name) for name in names}
    return vectors


def text_rows(graph: Graph, row_type: RowType) -> tuple[RowType, IntArray | None]:
    """(type whose text column is to be embedded, its row for each row of `row_type`; None: the same rows).

    A reverse edge type has the texts of its original in another order, so that they are embedded only once. Both types
    are sorted stably by target, then source: sorting the original by the reverse's key gives the reverse.
    """
    if isinstance(row_type, str):
        return row_type, None
    edge = graph.manifest.edge(row_type)
    if not edge.is_reverse or edge.reverse is None:
        return row_type, None
    source, target = graph.edges(edge.reverse)
    order: IntArray = np.lexsort((target, source))
    sources, targets = graph.edges(row_type)
    if not (np.array_equal(target[order], sources) and np.array_equal(source[order], targets)):
        return row_type, None
    return edge.reverse, order


@dataclass(frozen=True)
class _Embedding:
    """Embeds the texts of one encoder. One process per host writes vectors to the cache; the others wait, then read
    them from there."""

    graph: Graph
    encoder: TextEmbedder
    cache: Path
    reporter: Reporter

    def source(self, row_type: RowType, name: str) -> TextSource:
        """Vectors of a text of all nodes or edges of a type."""
        where = cluster()
        if where is None or group().hosts == 1:
            return self._on_one_host(row_type, name)
        assert isinstance(self.graph, PartitionedGraph)
        return self._on_hosts(self.graph, row_type, name, where.shm)

    def _on_one_host(self, row_type: RowType, name: str) -> TextSource:
        ranks, what = group(), f"vectors of {type_name(row_type)}.{name}"
        ranks.leader_first(what)
        embedded, order = text_rows(self.graph, row_type)
        cache = self._cached(embedded, name, lambda: self.graph.text(embedded, name))
        ranks.leader_done(what)
        return CachedText(cache, order)

    def _on_hosts(self, graph: PartitionedGraph, row_type: RowType, name: str, shm: Path) -> TextSource:
        """Each host embeds the texts of its partition. DataError when their models differ."""
        ranks, what = group(), f"vectors of {type_name(row_type)}.{name}"
        ranks.leader_first(what)
        table, facts = TABLE_NAMES.new(f"{VECTORS}{name}"), ""
        if ranks.leads_host:
            part = graph.parts[ranks.host]
            own = self._cached(row_type, name, lambda: part.column((row_type, text_column(name))))
            _publish(own, shm, f"{type_name(row_type)}:{table}")
            facts = json.dumps([own.dim, own.meta["weights"]])
        ranks.leader_done(what)
        distinct = {fact for fact in ranks.collect(facts, what) if fact}
        if len(distinct) > 1:
            raise DataError(
                f"model.text_encoder: must be the same model in the same precision on all hosts (got {len(distinct)} "
                f"that differ). Copy its folder again, or set text_encoder.dtype"
            )
        width, weights = json.loads(distinct.pop())
        return SharedText(graph, row_type, table, width, weights)

    def _cached(self, row_type: RowType, name: str, column: Callable[[], pa.Array]) -> EmbeddingCache:
        """Vectors of a text of all rows; with several hosts, of this host's rows."""
        ranks, what, encoder_facts = group(), f"{type_name(row_type)}.{name}", self.encoder.known_facts()
        note = None
        if encoder_facts is not None:
            part = None if ranks.hosts == 1 else ranks.host
            note = note_file(self.cache, self.graph.manifest, row_type, name, part, encoder_facts)
        cache = None if note is None else recall(note)
        if cache is None:
            from graphstorm_like.text.encoders import TextJob

            # Other runs may share the cache, and simulated hosts have the same texts.
            job = TextJob(column(), self.cache, what, self.reporter.follow(), LONG_SECONDS)
            with self.reporter.step("loading the language model"):
                self.encoder.prepare()
            cache = self.encoder.embed(job)
            if note is not None:
                remember(note, cache)
        self.reporter.line(f"{what}: {self.encoder.describe(cache)}")
        return cache


def _publish(cache: EmbeddingCache, shm: Path, name: str) -> None:
    """Publish vectors: the host's processes map the cache in place. For texts in several pieces, the means are computed
    once and published instead."""
    from graphstorm_like.text.cache import VECTORS
    from graphstorm_like.text.tokens import ROW_OF_TEXT

    rows = cache.store.row_of_text
    if cache.store.piece_offsets is None:
        vectors, index = cache.folder / VECTORS, cache.store.folder / ROW_OF_TEXT
        publish(shm, SharedTable(name, str(vectors), "<f2", cache.vectors.shape, str(index), rows.dtype.str))
        return
    means = create_rows(shm, name, (len(rows), cache.dim), "<f2")
    for start in range(0, len(rows), 65_536):
        means[start : start + 65_536] = cache.of_texts(rows[start : start + 65_536])
