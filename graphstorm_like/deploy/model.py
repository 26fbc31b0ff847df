"""A packed model in Python: load it, and predict for a graph.

model = Model.load("model/")
table = model.predict("new/graph")          # a pyarrow Table under the user's own ids
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa

from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.deploy.folder import ModelFolder, open_model
from graphstorm_like.deploy.learnt import LearntRows, Unknown
from graphstorm_like.deploy.pack import graph_contents
from graphstorm_like.deploy.portable import read_types
from graphstorm_like.deploy.reading import ScoredReading
from graphstorm_like.files import SCRATCH
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.inference.export import embedding_tables, node_vectors, prediction_tables
from graphstorm_like.progress import Reporter
from graphstorm_like.training.experiment import Experiment
from graphstorm_like.training.strategies import untrained_experiment


class Model:
    """See module."""

    def __init__(self, folder: ModelFolder, pipeline: Pipeline, reporter: Reporter) -> None:
        self.folder, self.pipeline, self.reporter = folder, pipeline, reporter

    @classmethod
    def load(cls, path: str | Path, *, plugins: bool = False, reporter: Reporter | None = None) -> Model:
        """Open a model folder; its files are compared with their hashes. plugins: whether the code of the model's
        plug-ins, if it has some, may run."""
        folder = open_model(path)
        return cls(folder, folder.pipeline(plugins), reporter or Reporter(quiet=True))

    def predict(self, source: str | Path, *, unknown: Unknown = "refuse") -> pa.Table:
        """What the task predicts for the rows of a graph folder."""
        with tempfile.TemporaryDirectory(prefix=SCRATCH) as scratch:
            experiment = self.experiment(Path(source), Path(scratch), unknown)
            vectors = node_vectors(experiment, list(experiment.task.node_types), experiment.embedder(self.reporter))
            return pa.concat_tables(prediction_tables(experiment, vectors, self.reporter))

    def embed(self, source: str | Path, node_type: str, *, unknown: Unknown = "refuse") -> pa.Table:
        """id, embedding: vectors of the nodes of a type."""
        with tempfile.TemporaryDirectory(prefix=SCRATCH) as scratch:
            experiment = self.experiment(Path(source), Path(scratch), unknown)
            vectors = node_vectors(experiment, [node_type], experiment.embedder(self.reporter))
            return pa.concat_tables(embedding_tables(experiment, node_type, vectors[node_type]))

    def describe(self) -> dict[str, Any]:
        """What model.json says, without the hashes of files."""
        return {key: value for key, value in self.folder.facts.items() if key != "files"}

    def experiment(self, graph: Path, scratch: Path, unknown: Unknown) -> Experiment:
        """The model with its weights over a graph folder. scratch: for vectors of texts."""
        facts = self.folder.facts
        contents = graph_contents(read_manifest(graph).hashes)
        reads = read_types(self.pipeline, self.folder.manifest)
        trained_on = contents == facts["trained_on"]["contents"]
        reading = ScoredReading(graph, self.folder.manifest, reads, trained_on)
        pipeline = self.pipeline.model_copy(update={"output": str(scratch), "cache": str(scratch / "cache")})
        weights = self.folder.weights
        experiment = untrained_experiment(pipeline, weights, self.folder.lms, self.reporter, reading)
        experiment.artifacts.load_modules(weights)
        for node_type, table in experiment.artifacts.embeddings.items():
            learnt = LearntRows(weights, node_type, facts["embeddings"][node_type], table.table.shape[1])
            count = learnt.fill(table, experiment.graph.ids_of(node_type, _all(experiment, node_type)), unknown)
            if count:
                self.reporter.line(f"{node_type}: {count:,} nodes that the model does not know get {unknown} vectors")
        return experiment


def _all(experiment: Experiment, node_type: str) -> Any:
    import numpy as np

    return np.arange(experiment.graph.manifest.node(node_type).count)
