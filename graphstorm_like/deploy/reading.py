"""Where the experiment of a packed model finds its graph and its text vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.deploy.scored_graph import ScoredGraph
from graphstorm_like.graph.holdout import hold_out
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.schema import GraphManifest, read_manifest
from graphstorm_like.graph.store import Graph, RowType
from graphstorm_like.inputs.source import TextVectors
from graphstorm_like.inputs.text import text_vectors
from graphstorm_like.progress import Reporter
from graphstorm_like.training.experiment import Reading


@dataclass(frozen=True)
class ScoredReading(Reading):
    """folder: the graph that is scored. model, reads: see ScoredGraph. trained_on: whether it is the graph of the
    training, of which some edges were held out."""

    folder: Path
    model: GraphManifest
    reads: Sequence[str]
    trained_on: bool

    def graph(self, pipeline: Pipeline) -> Graph:
        """The graph as the model may see it: edges of validation and test splits, where it has such splits, are
        excluded from message passing, as in training."""
        manifest = read_manifest(self.folder)
        has_split: dict[EdgeType, bool] = {}
        for edge in manifest.edges:
            if not edge.is_reverse:
                has_split[edge.edge_type] = edge.split_counts is not None
        hide = pipeline.task.hidden_edges(has_split)
        held_out = None
        if self.trained_on and (counts := pipeline.task.held_out_edges(has_split)):
            held_out = hold_out(LocalGraph(self.folder), counts, pipeline.seed)
        return ScoredGraph(self.folder, self.model, self.reads, hide, held_out)

    def texts(
        self,
        pipeline: Pipeline,
        names_by_type: Mapping[RowType, Sequence[str]],
        graph: Graph,
        device: torch.device,
        reporter: Reporter,
    ) -> TextVectors:
        """Vectors of all texts, from the cache where they are there."""
        return text_vectors(pipeline.model, names_by_type, graph, Path(pipeline.cache), device, reporter)
