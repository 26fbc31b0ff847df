"""A pipeline as an object, for Python and notebooks: `graphstorm_like.Project`.

    shop = Project("pipeline.yaml", ["train.epochs=3"])
    shop.fit().evaluate()
    shop.predict({"nodes": {"product": frame}, "edges": {("user", "buys", "product"): purchases}})

It has no logic of its own: stages are those of `gsl run`, and new rows are scored as by `gsl apply`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa

from gconstruct.api import Entry, name_tables
from gconstruct.held import hold
from graphstorm_like.cache_use import using_cache
from graphstorm_like.config.load import build_pipeline, load_pipeline
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.deploy.model import Ids, Model, Source
from graphstorm_like.deploy.pack import pack
from graphstorm_like.errors import ConfigError, TrainingError
from graphstorm_like.graph.schema import MANIFEST
from graphstorm_like.launch.launcher import launch
from graphstorm_like.launch.mirrored.places import localised
from graphstorm_like.launch.mirrored.session import publish_loose
from graphstorm_like.launch.stages import read_scores
from graphstorm_like.launch.state import model_id, stage_folder, stage_problem
from graphstorm_like.progress import Reporter
from graphstorm_like.reports.run_folder import RunFolder
from graphstorm_like.reports.write import write_report

MODEL = "model"
"""In the output folder: the packed model that predictions come from."""


class Project:
    """A pipeline that is trained, measured and used in this process.

    source: the path of a YAML, with `overrides` as behind `gsl run`; or the same as nested dicts. Without source the
    sections are given by name, with nodes and edges as in `graph:`. Where a node or edge type of dicts has `table`
    instead of `files`, that is a data frame, an Arrow table or a dict of columns. Relative paths start at the YAML's
    folder, else at the working directory. Raises ConfigError with every problem of the configuration.
    """

    def __init__(
        self,
        source: str | Path | Mapping[str, Any] | None = None,
        overrides: Sequence[str] = (),
        *,
        nodes: Mapping[str, Entry | None] | None = None,
        edges: Sequence[Entry] = (),
        quiet: bool = False,
        **sections: Any,
    ) -> None:
        self.quiet = quiet
        self._tables: dict[str, pa.Table] = {}
        self._scores: dict[str, dict[str, float]] = {}
        self._model: tuple[str, Model] | None = None
        if isinstance(source, str | Path):
            if nodes is not None or edges or sections:
                raise ConfigError(f"{source}: must be given alone. Change its keys by overrides: ['train.epochs=3']")
            self.pipeline = load_pipeline(source, overrides)
            return
        if overrides:
            raise ConfigError("overrides: must be left out where the configuration is no YAML. Change its dicts")
        if source is not None and (nodes is not None or edges or sections):
            raise ConfigError("source: must be given alone, or left out where nodes, edges and sections are given")
        data = dict(source) if source is not None else _with_graph(nodes or {}, edges, sections)
        self.pipeline = self._of_dicts(data)

    def _of_dicts(self, data: dict[str, Any]) -> Pipeline:
        """The checked configuration; its tables in memory are kept."""
        graph = data.get("graph")
        if isinstance(graph, Mapping) and isinstance(graph.get("nodes"), Mapping):
            named, self._tables = name_tables(graph["nodes"], graph.get("edges") or ())
            data = {**data, "graph": {**graph, **named}}
        pipeline = build_pipeline(data, "project", plugins=True).with_absolute_paths(Path.cwd())
        if self._tables and not pipeline.launch.in_process:
            raise ConfigError(
                f"launch: must be one trainer on this machine where tables are in memory (got on: "
                f"{pipeline.launch.on}, hosts: {pipeline.launch.hosts}, trainers: {pipeline.launch.trainers}). Leave "
                f"it out, or write the tables to files"
            )
        return pipeline

    # ------------------------------------------------------------------------------------------------------- a run

    def fit(self, *, fresh: bool = False) -> Project:
        """Build the graph and train, unless both are up to date (or `fresh`); an interrupted training goes on. Returns
        the project. Raises ConfigError, DataError and TrainingError as `gsl run` does."""
        self._scores = {}
        self._run(["construct", "train"], fresh)
        return self

    def evaluate(self) -> dict[str, dict[str, float]]:
        """Scores of the trained model, by split and metric: {'valid': {'accuracy': 0.9, ...}, 'test': ...}."""
        self._check_trained()
        self._run(["evaluate"])
        self._scores = read_scores(self._local)
        return self._scores

    def predict(self, new: Source | None = None, ids: Ids | None = None, **options: Any) -> Any:
        """What the task predicts, as a pandas DataFrame (without pandas a pyarrow Table) with columns as of
        `gsl infer`.

        new: tables by type as in `Model.predict`, the path of a YAML of tables, or a graph folder; None: the nodes,
        edges or links of the project's own graph. The rows of tables get the own graph's rows as neighbours, and are
        predicted alone (attach=None: without them). ids: of the task's nodes; None: all, of tables all new ones.
        options: as of `Model.predict`, e.g. pairs, unknown="mean".
        """
        with self._opening(new, options) as (source, given):
            return _frame(self.model.predict(source, ids, **given))

    def embeddings(self, node_type: str, new: Source | None = None, ids: Ids | None = None, **options: Any) -> Any:
        """Vectors of nodes of a type: a pandas DataFrame with the nodes' ids as its index and a column a dimension;
        without pandas a pyarrow Table (id, embedding). new, ids, options: see `predict`."""
        with self._opening(new, options) as (source, given):
            return _wide_frame(self.model.embed(source, node_type, ids, **given))

    def report(self) -> Path:
        """Write report.html in the output folder, and publish it where that is behind a URL; returns its path."""
        self._check_trained()
        path = write_report(RunFolder(self._local.output))
        publish_loose(self.pipeline, Reporter(self.quiet).line)
        return path

    def save(self, path: str | Path) -> Path:
        """Write the trained model as a folder that travels, as `gsl pack` does: `Model.load(path)` reads it, and
        `gsl apply`. Returns its path."""
        self._check_trained()
        return pack(self._local.output, path, reporter=Reporter(self.quiet))

    @property
    def model(self) -> Model:
        """The trained model, packed in the output folder: for `links`, `score_pairs` and several questions about one
        graph. Its language models are loaded once."""
        self._check_trained()
        weights = str(model_id(self._local))
        if self._model is None or self._model[0] != weights:
            folder = pack(self._local.output, Path(self._local.output) / MODEL)
            has_plugins = bool(self.pipeline.plugins)  # the configuration has imported them already
            self._model = weights, Model.load(folder, plugins=has_plugins, reporter=Reporter(self.quiet))
        return self._model[1]

    # ------------------------------------------------------------------------------------------------------------

    @property
    def _local(self) -> Pipeline:
        """With local folders instead of URLs."""
        return localised(self.pipeline)

    def _run(self, stages: list[str], fresh: bool = False) -> None:
        with hold(self._tables):
            launch(self.pipeline, stages, fresh, self.quiet)

    def _check_trained(self) -> None:
        with hold(self._tables):
            problem = stage_problem(self._local, "train")
        if problem is not None:
            raise TrainingError(
                f"{self._local.output}: must hold a finished training of this configuration and graph "
                f"({problem.text}). Call fit()"
            )

    @contextmanager
    def _opening(self, new: Source | None, options: Mapping[str, Any]) -> Iterator[tuple[Source, dict[str, Any]]]:
        """(what the model is to be opened on, with which options)"""
        graph = stage_folder(self._local, "construct")
        if new is None:
            cache, output = Path(self._local.cache), Path(self._local.output)
            with using_cache(cache, output):
                yield graph, {"cache": cache, **options}
        elif isinstance(new, str | Path):
            is_graph = (Path(new) / MANIFEST).is_file()
            yield new, dict(options) if is_graph else {"attach": graph, **options}
        elif isinstance(new, Mapping):
            yield new, {"attach": graph, **options}
        else:
            raise ConfigError(
                f"new: must be tables by type, a YAML of tables or a graph folder (got {type(new).__name__}). Write "
                f"{{'nodes': {{TYPE: table}}, 'edges': {{(SOURCE, RELATION, TARGET): table}}}}"
            )

    def __repr__(self) -> str:
        return f"Project({self.pipeline.name!r}, {self.pipeline.task.type}, output={self.pipeline.output!r})"

    def _repr_html_(self) -> str:
        """For notebooks: what it is, and the scores if `evaluate` was called."""
        head = f"<b>{escape(self.pipeline.name)}</b>: {self.pipeline.task.type} in {escape(self.pipeline.output)}"
        rows = [
            f"<tr><td>{escape(split)}</td><td>{escape(metric)}</td><td>{value:.4f}</td></tr>"
            for split, metrics in self._scores.items()
            for metric, value in metrics.items()
        ]
        table = f"<table><tr><th>split</th><th>metric</th><th>score</th></tr>{''.join(rows)}</table>" if rows else ""
        return f"<div>{head}{table}</div>"


def _with_graph(
    nodes: Mapping[str, Entry | None], edges: Sequence[Entry], sections: Mapping[str, Any]
) -> dict[str, Any]:
    """A pipeline of sections whose graph has these types; other keys of `graph:` may stand in the section."""
    graph = {**(sections.get("graph") or {}), "nodes": nodes, "edges": edges}
    return {**sections, "graph": graph}


def _frame(table: pa.Table) -> Any:
    return table if find_spec("pandas") is None else table.to_pandas()


def _wide_frame(table: pa.Table) -> Any:
    """id, embedding -> a frame [nodes, dimensions] under the ids."""
    if find_spec("pandas") is None:
        return table
    import numpy as np
    import pandas as pd

    vectors = table["embedding"].combine_chunks()
    values = np.asarray(vectors.flatten()).reshape(len(vectors), -1)
    return pd.DataFrame(values, index=pd.Index(table["id"].to_pandas(), name="id"))
