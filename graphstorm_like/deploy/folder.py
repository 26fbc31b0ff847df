"""The folder of a packed model: what lies where, and how it is read.

model.json     format, task, types, classes, relations, versions, hashes of all other files
pipeline.json  the resolved configuration without paths
README.md      the model card
metrics.json   scores of `gsl evaluate`
weights/       model.safetensors, relations.json, rows of learnt node embeddings with the ids they belong to
lm/            language models, each a plain Hugging Face folder
graph/         graph.json alone: the fitted state of features, and the classes of labels
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphstorm_like import __version__
from graphstorm_like.config.load import build_pipeline, plugin_names
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.plugins import check_named_again
from graphstorm_like.errors import DataError
from graphstorm_like.files import check_files, file_records, path_inside, read_object
from graphstorm_like.graph.schema import GraphManifest, read_manifest

FORMAT = 1
MODEL_JSON, PIPELINE_JSON, CARD, METRICS_JSON = "model.json", "pipeline.json", "README.md", "metrics.json"
WEIGHTS, LMS, GRAPH, PLUGINS = "weights", "lm", "graph", "plugins"
KIND = "graphstorm-like model"
_REMEDY = "Copy the model folder again from an intact copy, or make it again: gsl pack"


@dataclass(frozen=True)
class ModelFolder:
    """A packed model on this machine, whose files were found whole. facts: the content of model.json."""

    path: Path
    facts: Mapping[str, Any]
    manifest: GraphManifest
    """Types, features and classes that the model knows; it has no rows."""

    @property
    def weights(self) -> Path:
        """The folder of its weights."""
        return self.path / WEIGHTS

    @property
    def lms(self) -> Path:
        """The folder of its language models."""
        return self.path / LMS

    @property
    def graph(self) -> Path:
        """The graph folder without rows, whose state new tables get."""
        return self.path / GRAPH

    def pipeline(self, plugins: bool) -> Pipeline:
        """The configuration. plugins: whether the code of its plug-ins may run; ConfigError when it has some and may
        not."""
        data = read_object(self.path / PIPELINE_JSON)
        if data is None:
            raise DataError(f"{self.path / PIPELINE_JSON}: must be a JSON object. {_REMEDY}")
        data["plugins"] = [self._plugin(name) for name in plugin_names(data)]
        if not plugins:
            how = "--plugins, or Model.load(path, plugins=True)"
            check_named_again(data["plugins"], f"{self.path}: the model", how)
        if not data["graph"].get("nodes"):
            data["graph"]["path"] = str(self.graph)
        return build_pipeline(data, str(self.path / PIPELINE_JSON), plugins=plugins)

    def _plugin(self, name: str) -> str:
        """A plug-in's module, or its file; where the same code is loaded already, that."""
        if not name.startswith(f"{PLUGINS}/"):
            return name
        own = path_inside(self.path, name)
        loaded = getattr(sys.modules.get(own.stem), "__file__", None)
        if loaded is not None and Path(loaded).is_file() and Path(loaded).read_bytes() == own.read_bytes():
            return str(loaded)
        return str(own.absolute())


def open_model(path: str | Path) -> ModelFolder:
    """A model folder, after comparing its files with their hashes. Raises DataError that names the file that is
    missing, damaged or of another format."""
    folder = Path(path)
    facts = read_object(folder / MODEL_JSON)
    if facts is None or facts.get("kind") != KIND:
        found = "no such folder" if not folder.is_dir() else f"no whole {MODEL_JSON} there"
        raise DataError(f"{folder}: must be a model folder (got {found}). Make one of a run: gsl pack RUN -o {folder}")
    if facts.get("format") != FORMAT:
        raise DataError(
            f"{folder / MODEL_JSON}: format must be {FORMAT} (got {facts.get('format')!r}; this is version "
            f"{__version__}). Take the version that packed it, {facts.get('versions', {}).get('graphstorm-like')}"
        )
    records = file_records(folder / MODEL_JSON, facts)
    check_files(folder, {name: [size, None, None, content] for name, (size, _, _, content) in records.items()}, _REMEDY)
    return ModelFolder(folder, facts, read_manifest(folder / GRAPH))
