"""Text columns -> vectors by the frozen language model, from the cache, as inputs of a model."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from graphstorm_like.config.model import ModelConfig, NodeInputConfig
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.text_encoder import TextEncoderConfig
from graphstorm_like.device import choose_device
from graphstorm_like.errors import DataError, unknown
from graphstorm_like.graph.partitioned import PartitionedGraph
from graphstorm_like.graph.schema import GraphManifest, text_column
from graphstorm_like.graph.shared import SharedTable, create_rows, find, publish
from graphstorm_like.graph.store import Graph, IntArray, NodeType, RowType, type_name
from graphstorm_like.inputs.edges import chosen_edge_inputs, scored_inputs, text_rows
from graphstorm_like.inputs.known_vectors import note_file, recall, remember
from graphstorm_like.progress import Reporter
from graphstorm_like.ranks.torch_group import LONG_SECONDS, cluster, group

if TYPE_CHECKING:
    from graphstorm_like.text.cache import EmbeddingCache
    from graphstorm_like.text.encoder import TextEncoder


class TextSource(ABC):
    """A FeatureSource of text vectors, with what a model must know of them."""

    weights: str
    """Fingerprint of the language model that made them."""
    width: int
    """D"""
    count: int
    """Rows."""

    @abstractmethod
    def begin_rows(self, ids: IntArray) -> Callable[[], npt.NDArray[np.floating[Any]]]:
        """See FeatureSource."""

    def rows(self, ids: IntArray) -> npt.NDArray[np.floating[Any]]:
        """[N, D] float16 rows."""
        return self.begin_rows(ids)()

    def moments(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """(mean, standard deviation) [D], over evenly chosen rows."""
        chosen = np.unique(np.linspace(0, max(self.count - 1, 0), min(self.count, 8192)).astype(np.int64))
        vectors = self.rows(chosen).astype(np.float64)
        return vectors.mean(axis=0), vectors.std(axis=0)


class CachedText(TextSource):
    """From the embedding cache. order: row of the embedded column for each id; None: the id itself."""

    def __init__(self, cache: EmbeddingCache, order: IntArray | None = None) -> None:
        self.cache, self.order = cache, order
        self.weights, self.width = str(cache.meta["weights"]), cache.dim
        self.count = cache.store.num_rows if order is None else len(order)

    def begin_rows(self, ids: IntArray) -> Callable[[], npt.NDArray[np.floating[Any]]]:
        """See FeatureSource."""
        return lambda: self.cache.gather(ids if self.order is None else self.order[ids])


class SharedText(TextSource):
    """Where each host has embedded the texts of its own partition: rows of a table of the hosts."""

    def __init__(self, graph: PartitionedGraph, row_type: RowType, table: str, width: int, weights: str) -> None:
        self._graph, self._row_type, self._table = graph, row_type, table
        self.weights, self.width, self.count = weights, width, int(graph.starts(row_type)[-1])

    def begin_rows(self, ids: IntArray) -> Callable[[], npt.NDArray[np.floating[Any]]]:
        """See FeatureSource."""
        return self._graph.begin_shared(self._row_type, self._table, ids)

    def of_host(self, shm: Path) -> npt.NDArray[np.float16]:
        """[U, D]: of the distinct texts of this host's partition, where none is in several pieces. shm: its folder."""
        return find(shm, f"{type_name(self._row_type)}:{self._table}").open().values


TextVectors = dict[RowType, dict[str, TextSource]]
"""By node or edge type and name of the text."""


def chosen_inputs(
    config: ModelConfig, manifest: GraphManifest, node_type: NodeType
) -> tuple[list[str], list[str], bool]:
    """(features, texts, learnable embedding?) that enter the model for a node type."""
    node = manifest.node(node_type)
    wanted = config.inputs.get(node_type, NodeInputConfig())
    features = list(node.features) if wanted.features is None else wanted.features
    texts = list(node.text) if wanted.text is None else wanted.text
    for kind, names, known in (("feature", features, node.features), ("text", texts, node.text)):
        for name in names:
            if name not in known:
                raise DataError(
                    unknown(f"graph folder, node type {node_type}", kind, name, known) + " Run: gsl construct"
                )
    bare = not features and not texts
    return features, texts, bare if wanted.embedding == "auto" else wanted.embedding


def text_inputs(pipeline: Pipeline, manifest: GraphManifest) -> dict[NodeType, list[str]]:
    """Names of the texts of nodes that enter the model, by node type."""
    found = {t: chosen_inputs(pipeline.model, manifest, t)[1] for t in manifest.nodes}
    return {t: names for t, names in found.items() if names}


def text_vectors(
    pipeline: Pipeline, graph: Graph, reporter: Reporter, only: Collection[RowType] | None = None
) -> TextVectors:
    """Vectors of every text that enters model and head (or of some types): cached, or computed now, resuming."""
    wanted: dict[RowType, list[str]] = {}
    wanted.update(text_inputs(pipeline, graph.manifest))
    wanted |= {t: texts for t, (_, texts) in chosen_edge_inputs(pipeline.model, graph.manifest).items() if texts}
    for edge_type, (_, texts) in scored_inputs(pipeline.task, graph.manifest).items():
        wanted[edge_type] = list(dict.fromkeys([*wanted.get(edge_type, []), *texts]))
    if only is not None:
        wanted = {t: names for t, names in wanted.items() if t in only}
    encoders: dict[str, _Encoder] = {}
    found: TextVectors = {}
    for row_type, names in wanted.items():
        key = pipeline.model.encoder_key(row_type)
        if key not in encoders:
            encoders[key] = _Encoder(pipeline.model.text_encoders()[key], choose_device(pipeline.train.device))
        found[row_type] = {name: _embed(pipeline, graph, row_type, name, encoders[key], reporter) for name in names}
    return found


class _Encoder:
    """A language model that is loaded when it is first needed: vectors that are known need none."""

    def __init__(self, config: TextEncoderConfig, device: torch.device) -> None:
        self.config, self.device = config, device

    @cached_property
    def model(self) -> TextEncoder:
        from graphstorm_like.text.encoder import TextEncoder

        config = self.config
        return TextEncoder.load(
            config.name, pooling=config.pooling, max_tokens=config.max_tokens, dtype=config.dtype, device=self.device
        )


def _embed(
    pipeline: Pipeline,
    graph: Graph,
    row_type: RowType,
    name: str,
    encoder: _Encoder,
    reporter: Reporter,
) -> TextSource:
    """One process of a host embeds, its others wait and find the vectors in the cache. Of several hosts each embeds
    the texts of its partition; DataError when their models differ."""
    ranks, where, what = group(), cluster(), f"{type_name(row_type)}.{name}"
    ranks.leader_first(f"vectors of {what}")
    if where is None or ranks.hosts == 1:
        embedded, order = text_rows(graph, row_type)
        cache = _cached(pipeline, graph, (embedded, name), lambda: graph.text(embedded, name), encoder, reporter)
        ranks.leader_done(f"vectors of {what}")
        return CachedText(cache, order)
    assert isinstance(graph, PartitionedGraph)
    table, facts = f"text:{name}:{next(_numbers)}", ""
    if ranks.leads_host:
        part = graph.parts[ranks.host]
        own = _cached(
            pipeline, graph, (row_type, name), lambda: part.column((row_type, text_column(name))), encoder, reporter
        )
        _publish(own, where.shm, f"{type_name(row_type)}:{table}")
        facts = f"{own.dim} {own.meta['weights']}"
    ranks.leader_done(f"vectors of {what}")
    told = sorted({fact for fact in ranks.collect(facts, f"vectors of {what}") if fact})
    if len(told) > 1:
        raise DataError(
            f"text_encoder.name: {encoder.config.name} must be the same model in the same precision on all hosts (got "
            f"{len(told)} that differ). Copy its folder anew, or set text_encoder.dtype"
        )
    width, weights = told[0].split()
    return SharedText(graph, row_type, table, int(width), weights)


_numbers = itertools.count()
"""Hosts embed in one order, so a number names the same table everywhere."""


def _cached(
    pipeline: Pipeline,
    graph: Graph,
    text: tuple[RowType, str],
    column: Callable[[], pa.Array],
    encoder: _Encoder,
    reporter: Reporter,
) -> EmbeddingCache:
    """Vectors of a text of all rows, or with several hosts of those of this one."""
    (row_type, name), config, ranks = text, encoder.config, group()
    what, part = f"{type_name(row_type)}.{name}", None if ranks.hosts == 1 else ranks.host
    folder = Path(str(pipeline.cache))
    note = note_file(folder, graph.manifest, row_type, name, part, config, encoder.device)
    if (cache := recall(note)) is None:
        cache = _compute(folder, column(), what, encoder, reporter)
        remember(note, cache)
    tokens = cache.store
    total = int(tokens.lengths().sum())
    pieces = f" in {len(cache):,} pieces" if config.chunks else ""
    reporter.line(
        f"{what}: vectors of {tokens.num_texts:,} distinct texts{pieces} ({tokens.meta['truncated_texts']:,} cut), "
        f"{total:,} tokens, width {cache.dim}"
    )
    return cache


def _compute(folder: Path, texts: pa.Array, what: str, encoder: _Encoder, reporter: Reporter) -> EmbeddingCache:
    from graphstorm_like.text.cache import embed_all
    from graphstorm_like.text.tokens import build_token_store

    follow, config = reporter.follow(), encoder.config
    tokens = build_token_store(
        texts,
        encoder.model.tokenizer,
        folder,
        encoder.model.max_tokens,
        progress=partial(follow, f"tokenise {what}"),
        max_chunks=config.chunks,
    )
    return embed_all(
        encoder.model,
        tokens,
        folder,
        config.batch_tokens,
        progress=partial(follow, f"embed {what} (tokens)"),
        # Pretended hosts may have one cache and the same texts.
        wait_s=0.0 if group().hosts == 1 else LONG_SECONDS,
        workers=config.workers,
    )


def _publish(cache: EmbeddingCache, shm: Path, name: str) -> None:
    """The host's processes map the cache where it lies; of texts in several pieces the means are made once."""
    rows = cache.store.row_of_text
    if cache.store.piece_offsets is None:
        vectors, index = cache.folder / "vectors.f16", cache.store.folder / "row_of_text.bin"
        publish(shm, SharedTable(name, str(vectors), "<f2", cache.vectors.shape, str(index), rows.dtype.str))
        return
    means = create_rows(shm, name, (len(rows), cache.dim), "<f2")
    for start in range(0, len(rows), 65_536):
        means[start : start + 65_536] = cache.of_texts(rows[start : start + 65_536])
