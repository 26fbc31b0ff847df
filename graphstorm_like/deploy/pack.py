"""A finished run -> the folder of a model that travels: see `deploy.folder` for what lies in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from graphstorm_like.config.base import edge_name
from graphstorm_like.config.load import build_pipeline
from graphstorm_like.config.plugins import is_file
from graphstorm_like.config.text_encoders import TextEncoderConfig
from graphstorm_like.deploy.card import write_card
from graphstorm_like.deploy.folder import (
    CARD,
    FORMAT,
    GRAPH,
    KIND,
    LMS,
    METRICS_JSON,
    MODEL_JSON,
    PIPELINE_JSON,
    PLUGINS,
    WEIGHTS,
)
from graphstorm_like.deploy.portable import last_phase, portable_manifest, portable_pipeline, read_types
from graphstorm_like.deploy.reading import held_out_mark
from graphstorm_like.deploy.run import FinishedRun, finished_run
from graphstorm_like.errors import DataError
from graphstorm_like.files import (
    check_target,
    files_below,
    fsync_path,
    new_folder,
    read_object,
    record_files,
    recover_target,
    write_json,
)
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.schema import MANIFEST
from graphstorm_like.launch.stages import METRICS_FILE, versions
from graphstorm_like.launch.state import DONE_FILE, stage_folder
from graphstorm_like.progress import Reporter
from graphstorm_like.text.folders import installed_folder, resolve_model_folder
from graphstorm_like.training.lm.language_models import encoder_folder

_LEFT_OUT = {"config.json", "metrics.json", "hashes.json"}
"""Of `best/`: what names paths of the run, or is written anew."""
_OF_LM = ("*.json", "*.safetensors", "*.txt", "*.model", "*/config.json")


def pack(
    run: str | Path,
    target: str | Path,
    *,
    frozen_lm: bool = True,
    kept: int | None = None,
    plugins: bool = False,
    reporter: Reporter | None = None,
) -> Path:
    """Write the model of a finished run as the folder `target`; an older model there is replaced.

    run: a run's output folder, or the YAML of its pipeline. frozen_lm: whether language models that training left as
    they were are packed too; if not, they are looked up by name where the model is used. kept: which of the models that
    training kept; None: that of `infer.kept`. plugins: see `finished_run`. Raises DataError, TrainingError or
    ConfigError, and then leaves `target` as it was.
    """
    say = (reporter or Reporter(quiet=True)).line
    found, folder = finished_run(run, kept, plugins=plugins), Path(target).absolute()
    check_target(folder, "-o", "model", MODEL_JSON)
    recover_target(folder)
    with new_folder(folder) as new:
        facts = _facts(found)
        facts["lm"] = _copy_language_models(found, new, frozen_lm)
        facts["embeddings"] = _copy_weights(found, new / WEIGHTS)
        _write_configuration(found, new)
        scores = _scores(found)
        write_json(new / METRICS_JSON, scores)
        write_card(found, facts, scores, new / CARD)
        for name in files_below(new):
            fsync_path(new / name)
        records = record_files(new, files_below(new))
        hashes = {name: [size, None, None, content] for name, (size, _, _, content) in records.items()}
        write_json(new / MODEL_JSON, {**facts, "files": hashes})
    size = sum((folder / name).stat().st_size for name in files_below(folder)) / 1e6
    say(f"{folder}: the model of {found.pipeline.name}, {size:,.1f} MB. Use it: gsl apply {folder} --tables NEW.yaml")
    if not scores:
        say(f"{folder / CARD}: has no scores, for the run was not evaluated. Run gsl evaluate, then gsl pack again")
    return folder


def _scores(run: FinishedRun) -> dict[str, Any]:
    """Of the evaluation, if it was of these weights."""
    folder = stage_folder(run.pipeline, "evaluate")
    if (read_object(folder / DONE_FILE) or {}).get("model") != run.weights_id:
        return {}
    return read_object(folder / METRICS_FILE) or {}


def _facts(run: FinishedRun) -> dict[str, Any]:
    """What model.json says, apart from language models, embeddings and hashes."""
    pipeline, manifest = run.pipeline, run.manifest
    reads = read_types(pipeline, manifest)
    label = getattr(pipeline.task, "label", None)
    row_type = pipeline.task.row_type
    classes: list[str] = []
    if isinstance(label, str) and row_type is not None:
        schema = manifest.node(row_type) if isinstance(row_type, str) else manifest.edge(row_type)
        classes = schema.labels[label].classes
    relations_file = run.best / "relations.json"
    return {
        "kind": KIND,
        "format": FORMAT,
        "name": pipeline.name,
        "weights": run.weights_id,
        "task": pipeline.task.model_dump(mode="json"),
        "strategy": pipeline.train.strategy,
        "node_types": [name for name in manifest.nodes if name in reads],
        "edge_types": [name for name in manifest.edge_names() if name in reads],
        "classes": classes,
        "relations": json.loads(relations_file.read_text(encoding="utf-8")) if relations_file.is_file() else [],
        "trained_on": {
            "held_out_of": held_out_mark(run.graph, pipeline.task),
            "nodes": {name: node.count for name, node in manifest.nodes.items()},
            "edges": {edge_name(edge.edge_type): edge.count for edge in manifest.edges if not edge.is_reverse},
        },
        "versions": read_object(stage_folder(pipeline, "train") / "versions.json") or versions(run.graph),
    }


def _write_configuration(run: FinishedRun, new: Path) -> None:
    manifest = portable_manifest(run.pipeline, run.manifest)
    (new / GRAPH).mkdir()
    (new / GRAPH / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    data = portable_pipeline(run.pipeline, manifest)
    write_json(new / PIPELINE_JSON, data)
    for name in filter(is_file, run.pipeline.plugins):
        (new / PLUGINS).mkdir(exist_ok=True)
        shutil.copyfile(name, new / PLUGINS / Path(name).name)
    if data["graph"].get("nodes"):
        build_pipeline({**data, "plugins": run.pipeline.plugins}, f"{run.pipeline.output}: packed configuration")


def _copy_language_models(run: FinishedRun, new: Path, frozen_lm: bool) -> dict[str, dict[str, Any]]:
    """Copy them to lm/; returns by key where each is: a folder, or a name that is looked up."""
    encoders: Mapping[str, TextEncoderConfig] = run.pipeline.model.text_encoders()
    for phase in run.pipeline.train.phase_list():
        encoders = phase.encoders_of(dict(encoders))
    places: dict[str, dict[str, Any]] = {}
    for key, encoder in encoders.items():
        tuned, name = run.language_models / encoder_folder(key), encoder.model_name
        place = f"{LMS}/{encoder_folder(key)}"
        if tuned.is_dir():
            shutil.copytree(tuned, new / place)
            places[key] = {"folder": place, "tuned": True, "of": _public_name(name)}
        elif name is not None and frozen_lm:
            _copy_model(resolve_model_folder(name), new / place)
            places[key] = {"folder": place, "tuned": False, "of": _public_name(name)}
        elif name is not None:
            if not name.startswith("pypi:") and installed_folder(name) is not None:
                raise DataError(
                    f"--without-frozen-lm: must leave out only models that can be found by name (got the folder "
                    f"{name}). Leave the option out"
                )
            places[key] = {"name": name, "tuned": False}
    return places


def _public_name(name: str | None) -> str | None:
    """A model's name without the path of a local folder."""
    return None if name is None else (Path(name).name if Path(name).is_absolute() else name)


def _copy_model(source: Path, target: Path) -> None:
    """The files of a Hugging Face folder that are needed to load it: weights as safetensors, never pickles."""
    for pattern in _OF_LM:
        for file in source.glob(pattern):
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)


def _copy_weights(run: FinishedRun, target: Path) -> dict[str, dict[str, Any]]:
    """Copy the weights; returns by node type where the rows of its learnt embeddings and their ids are."""
    target.mkdir()
    for file in run.best.iterdir():
        if file.is_file() and file.name not in _LEFT_OUT:
            shutil.copyfile(file, target / file.name)
    embeddings: dict[str, dict[str, Any]] = {}
    learnt = sorted(run.best.glob("embedding-*.safetensors")) if last_phase(run.pipeline).trains_graph else []
    graph = LocalGraph(run.graph) if learnt else None
    for number, node_type in enumerate(run.manifest.nodes):
        if graph is not None and any(file.name.startswith(f"embedding-{number}-") for file in learnt):
            ids_file = f"embedding-{number}.ids.parquet"
            pq.write_table(pa.table({"id": graph.ids(node_type)}), target / ids_file)
            rows = run.manifest.node(node_type).count
            embeddings[node_type] = {"number": number, "rows": rows, "ids": ids_file}
    return embeddings
