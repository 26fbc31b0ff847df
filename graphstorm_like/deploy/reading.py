"""Where the experiment of a packed model finds its graph and its text vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.config.text_encoders import TextEncoderConfig
from graphstorm_like.deploy.scored_graph import ScoredGraph
from graphstorm_like.graph.holdout import hold_out
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.schema import GraphManifest, read_manifest
from graphstorm_like.graph.store import Graph, IntArray, RowType
from graphstorm_like.inputs.source import TextSource, TextVectors
from graphstorm_like.inputs.text import text_vectors
from graphstorm_like.pending import Pending
from graphstorm_like.progress import Reporter
from graphstorm_like.text.encoders import TEXT_ENCODERS, TextEmbedder
from graphstorm_like.training.experiment import Reading


class TextsNow(TextSource):
    """Vectors of the texts of nodes or edges of a type, computed when they are read and not kept."""

    def __init__(self, texts: pa.Array, encoder: TextEmbedder) -> None:
        self._texts, self._encoder = texts, encoder
        self.weights, self.count = "", len(texts)
        self.width = encoder.vectors(pa.array([""], pa.large_string())).shape[1]

    def begin_rows(self, ids: IntArray) -> Pending[npt.NDArray[np.floating[Any]]]:
        """See FeatureSource."""
        if not len(ids):
            return Pending(lambda: np.empty((0, self.width), dtype=np.float16))
        return Pending(lambda: self._encoder.vectors(self._texts.take(pa.array(ids))))

    def moments(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Those of the training come with the weights."""
        return np.zeros(self.width), np.ones(self.width)


def held_out_mark(folder: Path, task: TaskConfig) -> str | None:
    """A hash of the nodes and edges of a graph of which the task's training held out some edges, to know it again;
    None when it held out none but those of the graph's splits."""
    counts = task.held_out_edges(have_split(read_manifest(folder)))
    if not counts:
        return None
    graph, digest = LocalGraph(folder), blake2b(digest_size=16)
    for edge_type in sorted(counts):
        for node_type in (edge_type[0], edge_type[2]):
            digest.update("\0".join(map(str, graph.ids(node_type).to_pylist())).encode())
        for ends in graph.edges(edge_type):
            digest.update(ends.tobytes())
    return digest.hexdigest()


def have_split(manifest: GraphManifest) -> dict[EdgeType, bool]:
    """For each edge type that is not a reverse, whether its edges have a split."""
    return {edge.edge_type: edge.split_counts is not None for edge in manifest.edges if not edge.is_reverse}


@dataclass(frozen=True)
class ScoredReading(Reading):
    """folder: the graph that is scored. model, reads: see ScoredGraph. held_out_of: held_out_mark of the
    graph of the training. sweep: compute the vectors of all texts at once, through the cache;
    otherwise only those of the rows that are read. encoders: language models that are loaded already, by key."""

    folder: Path
    model: GraphManifest
    reads: Sequence[str]
    held_out_of: str | None
    sweep: bool
    encoders: dict[str, TextEmbedder] = field(default_factory=dict)
    configs: dict[str, TextEncoderConfig] = field(default_factory=dict)
    """Gets the configurations of the language models, by key: those of the training's end."""

    def graph(self, pipeline: Pipeline) -> Graph:
        """The graph as the model may see it: edges of validation and test splits, where it has such splits, are
        excluded from message passing, as in training."""
        has_split, task, held_out = have_split(read_manifest(self.folder)), pipeline.task, None
        if self.held_out_of is not None and held_out_mark(self.folder, task) == self.held_out_of:
            held_out = hold_out(LocalGraph(self.folder), task.held_out_edges(has_split), pipeline.seed)
        hide = task.hidden_edges(has_split)
        return ScoredGraph(self.folder, self.model, self.reads, hide, held_out)

    def texts(
        self,
        pipeline: Pipeline,
        names_by_type: Mapping[RowType, Sequence[str]],
        graph: Graph,
        device: torch.device,
        reporter: Reporter,
    ) -> TextVectors:
        """See class."""
        self.configs.update(pipeline.model.text_encoders())
        if self.sweep:
            return text_vectors(pipeline.model, names_by_type, graph, Path(pipeline.cache), device, reporter)
        vectors: TextVectors = {}
        for row_type, names in names_by_type.items():
            key = pipeline.model.encoder_key(row_type)
            encoder = text_embedder(self.encoders, self.configs, key, device)
            vectors[row_type] = {name: TextsNow(_texts(graph, row_type, name), encoder) for name in names}
        return vectors


def text_embedder(
    encoders: dict[str, TextEmbedder], configs: Mapping[str, TextEncoderConfig], key: str, device: torch.device
) -> TextEmbedder:
    """The language model of a key, loaded once. encoders: those that are loaded; configs: of all."""
    if key not in encoders:
        encoders[key] = TEXT_ENCODERS.of(configs[key])(configs[key], device)
    return encoders[key]


def _texts(graph: Graph, row_type: RowType, name: str) -> pa.Array:
    """The text column; of a type that the graph lacks, none."""
    schema = graph.manifest.node(row_type) if isinstance(row_type, str) else graph.manifest.edge(row_type)
    return graph.text(row_type, name) if schema.count else pa.array([], pa.large_string())
