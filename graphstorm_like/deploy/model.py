"""A packed model in Python: load it, and use it on a graph folder, a YAML of tables, or tables in memory.

    model = Model.load("model/")
    table = model.predict({"nodes": {"item": frame}, "edges": {("user", "buys", "item"): buys}})

Results are pyarrow Tables under the user's own ids. `open` keeps a graph open for several questions.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import torch

from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.text_encoders import TextEncoderConfig
from graphstorm_like.deploy.applied import Applied, Pairs
from graphstorm_like.deploy.folder import ModelFolder, open_model
from graphstorm_like.deploy.learnt import LearntRows, Unknown
from graphstorm_like.deploy.portable import read_types
from graphstorm_like.deploy.reading import ScoredReading, text_embedder
from graphstorm_like.deploy.remote import is_url, pull_model
from graphstorm_like.deploy.tables import NewTables, Tables, construct, given_tables, read_tables
from graphstorm_like.errors import ConfigError
from graphstorm_like.files import SCRATCH, read_object
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.schema import MANIFEST
from graphstorm_like.graph.store import Graph, RowType
from graphstorm_like.progress import Reporter
from graphstorm_like.text.encoders import TextEmbedder
from graphstorm_like.training.experiment import Experiment
from graphstorm_like.training.strategies import untrained_experiment

Source: TypeAlias = str | Path | Tables
"""A graph folder, a YAML with a section `graph:`, or tables by type."""
Ids: TypeAlias = Sequence[Any] | pa.Array


class Model:
    """See module. Its language models are loaded once, when they are first needed."""

    def __init__(self, folder: ModelFolder, pipeline: Pipeline, reporter: Reporter) -> None:
        self.folder, self.pipeline, self.reporter = folder, pipeline, reporter
        self._encoders: dict[str, TextEmbedder] = {}
        self._encoder_configs: dict[str, TextEncoderConfig] = {}

    @classmethod
    def load(cls, path: str | Path, *, plugins: bool = False, reporter: Reporter | None = None) -> Model:
        """Open a model folder or an fsspec URL of one; its files are compared with their hashes. plugins: whether the
        code of the model's plug-ins, if it has some, may run. Raises DataError that names what is damaged."""
        folder = open_model(pull_model(str(path)) if is_url(path) else path)
        return cls(folder, folder.pipeline(plugins), reporter or Reporter(quiet=True))

    def open(
        self,
        source: Source,
        *,
        attach: str | Path | None = None,
        unknown: Unknown = "refuse",
        labels: bool = True,
        sweep: bool = False,
        cache: str | Path | None = None,
        changes: Mapping[str, Any] | None = None,
        scratch: str | Path | None = None,
    ) -> Applied:
        """The model over a graph, for several questions; close it, or use it in a `with` statement.

        source: a graph folder, the path of a YAML with a section `graph:`, or tables by type. attach: a graph folder
        whose rows come first, as neighbours; results are then about the new rows alone, unless others are asked for.
        unknown: what nodes get that the model should have learnt a vector of. labels: whether a YAML's labels and
        splits are read. sweep: compute the vectors of all texts at once, which is faster for many rows. cache: a folder
        of text vectors, e.g. that of the training's run, to read and add to. changes: keys of `infer:`. scratch: where
        temporary files go.
        """
        folder = tempfile.TemporaryDirectory(prefix=SCRATCH, dir=scratch)
        try:
            graph, known = self._graph(source, Path(folder.name), attach, labels)
            work = Path(folder.name)
            vectors = Path(cache).absolute() if cache is not None else work / "cache"
            experiment = self._experiment(graph, work, vectors, unknown, sweep or cache is not None, changes or {})
            return Applied(experiment, known, self.reporter, folder)
        except BaseException:
            folder.cleanup()
            raise

    def predict(
        self, source: Source, ids: Ids | None = None, *, pairs: Pairs | None = None, **options: Any
    ) -> pa.Table:
        """What the task predicts: columns as those of `gsl infer`. ids: nodes of the task's type, for links of sources;
        None: all, or with attach all new ones. pairs: edges, for tasks on edges. options: see `open`."""
        with self.open(source, **options) as applied:
            return applied.predict(ids, pairs=pairs)

    def embed(self, source: Source, node_type: str, ids: Ids | None = None, **options: Any) -> pa.Table:
        """id, embedding: vectors of nodes of a type. options: see `open`."""
        with self.open(source, **options) as applied:
            return applied.embed(node_type, ids)

    def links(self, source: Source, ids: Ids | None = None, k: int = 10, **options: Any) -> pa.Table:
        """source, target, score, rank: the best k targets of some sources, for link prediction."""
        with self.open(source, **options) as applied:
            return applied.links(ids, k)

    def score_pairs(self, source: Source, pairs: Pairs, **options: Any) -> pa.Table:
        """source, target, score: scores of given pairs of ids, for link prediction."""
        with self.open(source, **options) as applied:
            return applied.score_pairs(pairs)

    def text_encoder(self, row_type: RowType, device: torch.device) -> TextEmbedder:
        """The language model that reads the texts of a type, once a graph was opened."""
        key = self.pipeline.model.encoder_key(row_type)
        return text_embedder(self._encoders, self._encoder_configs, key, device)

    def describe(self) -> dict[str, Any]:
        """What model.json says, without the hashes of files."""
        return {key: value for key, value in self.folder.facts.items() if key != "files"}

    # ------------------------------------------------------------------------------------------------------------

    def _graph(self, source: Source, work: Path, attach: str | Path | None, labels: bool) -> tuple[Path, Graph | None]:
        """(the graph folder, the graph of the known rows in it). Made in `work`, if `source` is not one."""
        if isinstance(source, str | Path) and (Path(source) / MANIFEST).is_file():
            if attach is not None:
                raise ConfigError(
                    f"{source}: must be tables to be attached to {attach} (got a graph folder). Give their YAML"
                )
            return Path(source), None
        tables = self._tables(source, labels, self.pipeline.task.ranks_given and attach is None)
        target, old = work / "graph", None if attach is None else Path(attach)
        construct(tables, self.folder, target, old, self.reporter.line)
        return target, None if old is None else LocalGraph(old)

    def _tables(self, source: Source, labels: bool, ranks_given: bool) -> NewTables:
        if isinstance(source, Mapping):
            data = read_object(self.folder.path / "pipeline.json") or {}
            trained_on = self.folder.facts["trained_on"]
            types = {*trained_on["nodes"], *trained_on["edges"]}
            return given_tables(source, data["graph"], types, ranks_given=ranks_given)
        if Path(source).is_dir() or Path(source).suffix not in (".yaml", ".yml"):
            raise ConfigError(f"{source}: must be a graph folder with a {MANIFEST}, or a YAML file of tables")
        return read_tables(Path(source), labels)

    def _experiment(
        self, graph: Path, work: Path, cache: Path, unknown: Unknown, sweep: bool, changes: Mapping[str, Any]
    ) -> Experiment:
        facts, weights = self.folder.facts, self.folder.weights
        reads = read_types(self.pipeline, self.folder.manifest)
        held_out_of = facts["trained_on"]["held_out_of"]
        reading = ScoredReading(
            graph, self.folder.manifest, reads, held_out_of, sweep, self._encoders, self._encoder_configs
        )
        infer = self.pipeline.infer.model_copy(
            update={"mode": "layer_wise", "fanouts": None, "nodes": {}, "pairs": None, **changes}
        )
        pipeline = self.pipeline.model_copy(update={"output": str(work), "cache": str(cache), "infer": infer})
        experiment = untrained_experiment(pipeline, weights, self.folder.lms, self.reporter, reading)
        experiment.artifacts.load_modules(weights)
        for node_type, table in experiment.artifacts.embeddings.items():
            learnt = LearntRows(weights, node_type, facts["embeddings"][node_type], table.table.shape[1])
            ids = experiment.graph.ids(node_type) if len(table.table) else pa.array([], pa.large_string())
            count = learnt.fill(table, ids, unknown)
            if count:
                stand_in = {"mean": "the mean of the learnt vectors", "zero": "zeros"}[unknown]
                self.reporter.line(f"{node_type}: {count:,} of {len(ids):,} nodes are new to the model: {stand_in}")
        return experiment
