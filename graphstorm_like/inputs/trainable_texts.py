"""Texts on which language models are trained: their tokens, and the tables of their vectors."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.model import ModelConfig
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.graph.partitioned_graph import PartitionedGraph
from graphstorm_like.graph.store import Graph, NodeType, RowType
from graphstorm_like.inputs.choose import chosen_edge_inputs, node_texts, scored_inputs
from graphstorm_like.inputs.learning_tables import Tables
from graphstorm_like.inputs.learning_text import AgingVectors, FreshVectors, ReorderedVectors, TablePlace, VectorTable
from graphstorm_like.inputs.shared_tokens import SharedTokens, training_tokens
from graphstorm_like.inputs.source import CachedText, SharedText, TextSource, TextVectors
from graphstorm_like.modality import TEXT, input_name, split_input_name
from graphstorm_like.progress import Reporter
from graphstorm_like.ranks.names import TABLE_NAMES
from graphstorm_like.ranks.torch_group import cluster, group
from graphstorm_like.sampling.batch import Messages, TextPlace, row_type_of
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.tokens import TokenStore


@dataclass(frozen=True)
class TrainableTexts:
    """Texts of a graph on which language models are trained.

    config: assigns language models to types; model_of: the model for a key; cache: folder of tokens; half: whether
    vectors are computed under bfloat16 autocast.
    """

    config: ModelConfig
    graph: Graph
    model_of: Callable[[str], TextEncoder]
    cache: Path
    half: bool
    reporter: Reporter

    def encoder(self, row_type: RowType) -> TextEncoder:
        """The language model that reads a type's texts."""
        return self.model_of(self.config.encoder_key(row_type))

    def tokens(self, row_type: RowType, name: str) -> TokenStore | SharedTokens:
        """Tokens of a text of a type."""
        chunks = self.config.text_encoders()[self.config.encoder_key(row_type)].chunks
        return training_tokens(self.graph, row_type, name, self.encoder(row_type), self.cache, chunks, self.reporter)


def by_text(tables: Tables) -> dict[RowType, dict[str, VectorTable]]:
    """The tables of nodes and scored edges, by type and name of the text."""
    by_type: dict[RowType, dict[str, VectorTable]] = {}
    for place, by_name in tables.items():
        if not isinstance(place, Messages):
            by_type[place] = {split_input_name(name)[1]: table for name, table in by_name.items()}
    return by_type


def first_vectors(source: TextSource) -> npt.NDArray[np.float16]:
    """[U, D] vectors of the distinct texts of this host before training."""
    if isinstance(source, CachedText):
        return source.cache.vectors
    where = cluster()
    assert isinstance(source, SharedText)
    assert where is not None
    return source.of_host(where.shm)


def fresh_tables(
    texts: TrainableTexts, task: TaskConfig, types: Collection[NodeType]
) -> dict[TextPlace, dict[str, VectorTable]]:
    """FreshVectors of the texts of some node types, and of the texts of scored edges that the task's head reads."""
    manifest = texts.graph.manifest
    names_by_type: dict[RowType, list[str]] = {}
    names_by_type.update({t: names for t, names in node_texts(texts.config, manifest).items() if t in types})
    names_by_type.update({t: names for t, (_, names) in scored_inputs(task, manifest).items() if names})
    tables: dict[TextPlace, dict[str, VectorTable]] = {}
    for row_type, names in names_by_type.items():
        encoder = texts.encoder(row_type)
        stores = {name: texts.tokens(row_type, name) for name in names}
        tables[row_type] = {
            input_name(TEXT, name): FreshVectors(encoder, store, texts.half) for name, store in stores.items()
        }
    return tables


def aging_tables(
    texts: TrainableTexts, task: TaskConfig, vectors: TextVectors
) -> dict[TextPlace, dict[str, VectorTable]]:
    """AgingVectors of every text that model and head read. vectors: their first values."""
    manifest = texts.graph.manifest
    originals: dict[tuple[RowType, str], AgingVectors] = {}
    tables: dict[RowType, dict[str, VectorTable]] = {}
    for row_type, by_name in vectors.items():
        tables[row_type] = {}
        for name, source in by_name.items():
            # A reverse type has the texts of its original: one table for both.
            order = source.order if isinstance(source, CachedText) else None
            origin: RowType | None = row_type
            if order is not None and not isinstance(row_type, str):
                origin = manifest.edge(row_type).reverse
            assert origin is not None
            if (table := originals.get((origin, name))) is None:
                encoder, store = texts.encoder(origin), texts.tokens(origin, name)
                place = table_place(texts.graph, origin, len(originals))
                table = AgingVectors(encoder, store, texts.half, first_vectors(source), place)
                originals[origin, name] = table
            tables[row_type][input_name(TEXT, name)] = table if order is None else ReorderedVectors(table, order)
    messages, scored = chosen_edge_inputs(texts.config, manifest), scored_inputs(task, manifest)
    places: dict[TextPlace, list[str]] = {}
    places.update({t: list(by_name) for t, by_name in vectors.items() if isinstance(t, str)})
    places.update({t: names for t, (_, names) in scored.items() if names})
    places.update({Messages(t): names for t, (_, names) in messages.items() if names})
    chosen: dict[TextPlace, dict[str, VectorTable]] = {}
    for read_at, names in places.items():
        of_type = tables[row_type_of(read_at)]
        chosen[read_at] = {name: of_type[name] for name in map(partial(input_name, TEXT), names)}
    return chosen


def table_place(graph: Graph, row_type: RowType, number: int) -> TablePlace:
    """Where this process stores a table. number: the table's number within its phase. All ranks make their tables in
    the same order, so that a name means the same table on every rank."""
    where = cluster()
    shared = graph if isinstance(graph, PartitionedGraph) else None
    return TablePlace(number, TABLE_NAMES.new("aging"), row_type, shared, group(), None if where is None else where.shm)
