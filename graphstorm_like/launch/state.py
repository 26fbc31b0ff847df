"""The stages of a pipeline: where their results are, and whether those are up to date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import ConfigError, DataError, did_you_mean
from graphstorm_like.files import (
    FileRecord,
    check_files,
    check_saved,
    file_hash,
    file_records,
    files_below,
    read_object,
    record_files,
)
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.graph.verify import verify_graph
from graphstorm_like.launch.cost import COST_FILE
from graphstorm_like.launch.fingerprints import stage_fingerprint
from graphstorm_like.mirror.manifest import held_elsewhere
from graphstorm_like.training.kept import model_folder

STAGES = ("construct", "train", "evaluate", "infer")
DONE_FILE, FINGERPRINT_FILE, BEST = "done.json", "fingerprint.json", "best"
MAIN_FILES = {"train": f"{BEST}/model.safetensors", "evaluate": "metrics.json", "infer": "manifest.json"}
"""The file without which a stage has no results."""


def check_stages(names: Sequence[str]) -> list[str]:
    """Stage names in the order of the pipeline; ConfigError on an unknown one."""
    for name in names:
        if name not in STAGES:
            raise ConfigError(f"unknown stage '{name}' (known: {', '.join(STAGES)}).{did_you_mean(name, STAGES)}")
    return [s for s in STAGES if s in names]


def stage_folder(pipeline: Pipeline, stage: str) -> Path:
    """The folder of a stage's results."""
    if stage == "construct":
        assert pipeline.graph.path is not None
        return Path(pipeline.graph.path)
    return Path(pipeline.output) / stage


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a stage is not up to date. damaged: it has finished, but its files are not those that it wrote."""

    text: str
    damaged: bool = False


def is_done(pipeline: Pipeline, stage: str) -> bool:
    """Whether a stage's results exist, are undamaged, and belong to the current configuration and data."""
    return stage_problem(pipeline, stage) is None


def stage_problem(pipeline: Pipeline, stage: str) -> Problem | None:
    """Why a stage must run, or None: something that it depends on has changed, or its results are missing or damaged.

    Sizes are compared each time, contents once per file and modification time (see `files.check_files`).
    """
    if stage == "construct":
        from gconstruct import is_current

        if is_current(pipeline.graph):
            return None
        return Problem("its tables or settings have changed, or it is incomplete")
    if (problem := _graph_problem(pipeline)) is not None:
        return problem
    folder = stage_folder(pipeline, stage)
    done = read_object(folder / DONE_FILE)
    if done is None:
        return Problem(f"{folder / DONE_FILE} is missing: the stage has not finished")
    manifest = read_manifest(stage_folder(pipeline, "construct"))
    if done.get("fingerprint") != stage_fingerprint(pipeline, stage, manifest):
        return Problem("the configuration, the graph or the version has changed since")
    if stage != "train":
        if (problem := stage_problem(pipeline, "train")) is not None:
            return Problem(f"the training before it is not up to date: {problem.text}")
        # Scores and exports belong to weights: the same configuration may have been trained again.
        try:
            weights = model_id(pipeline)
        except ConfigError as err:  # trained again since, training may have kept fewer models
            return Problem(str(err))
        if done.get("model") != weights:
            return Problem("it is of other weights")
    return _output_problem(folder, stage, done)


def _graph_problem(pipeline: Pipeline) -> Problem | None:
    """Why no stage on this graph folder can be up to date. When its tables are missing, the folder counts as
    current."""
    from gconstruct import fingerprint

    folder = stage_folder(pipeline, "construct")
    try:
        manifest = read_manifest(folder)
        verify_graph(folder, manifest)
    except DataError as err:
        return Problem(str(err))
    try:
        current = fingerprint(pipeline.graph)
    except DataError:
        return None
    if manifest.fingerprint != current:
        return Problem("the tables or the graph section have changed since the graph was made")
    return None


def _output_problem(folder: Path, stage: str, done: Mapping[str, Any]) -> Problem | None:
    """Which of a stage's files is missing, or differs from what the stage wrote."""
    remedy = "Train again: gsl train --fresh" if stage == "train" else f"Run: gsl {stage}"
    if not (folder / MAIN_FILES[stage]).is_file():
        work = {"train": "training", "evaluate": "evaluation", "infer": "inference"}[stage]
        return Problem(f"{folder / MAIN_FILES[stage]}: is missing, though {work} is finished. {remedy}", damaged=True)
    try:
        if stage == "train":
            check_saved(folder / BEST, remedy)
        records = file_records(folder / DONE_FILE, done)
        left_in_store = held_elsewhere(folder, {name: record[3] for name, record in records.items()})
        check_files(folder, {name: records[name] for name in records.keys() - left_in_store}, remedy)
    except (DataError, OSError) as err:
        return Problem(str(err), damaged=True)
    return None


def output_records(folder: Path, stage: str) -> dict[str, FileRecord]:
    """Records of the files that a stage has written, for done.json. Training saves its own records; the hashes of
    exported tables come from their manifest."""
    if stage == "train":
        return {}
    manifest = read_object(folder / MAIN_FILES["infer"]) or {}
    tables = manifest.get("tables", {}).values() if stage == "infer" else ()
    shards = [shard for table in tables for shard in table["shards"]]
    hashes = {shard["file"]: shard["blake2b"] for shard in shards}
    return record_files(folder, files_below(folder, (DONE_FILE, COST_FILE)), hashes)


def folder_fingerprint(folder: Path) -> str | None:
    """Fingerprint of the training in a folder, finished or not; None when there is none."""
    fingerprint = (read_object(folder / FINGERPRINT_FILE) or {}).get("fingerprint")
    return fingerprint if isinstance(fingerprint, str) else None


def earlier_run(pipeline: Pipeline) -> Path | None:
    """The training of this configuration that was set aside as train.1, train.2 ... when another one took its place;
    None when it is in its place, or there is none. Of several, the last finished one, else the last one."""
    folder = stage_folder(pipeline, "train")
    if _graph_problem(pipeline) is not None:
        return None
    current = stage_fingerprint(pipeline, "train", read_manifest(stage_folder(pipeline, "construct")))
    if folder_fingerprint(folder) == current:
        return None
    aside = [path for path in folder.parent.glob(f"{folder.name}.*") if path.suffix[1:].isdigit()]
    matching = [path for path in aside if folder_fingerprint(path) == current]
    return max(matching, key=lambda path: ((path / DONE_FILE).is_file(), int(path.suffix[1:])), default=None)


def free_name(folder: Path) -> Path:
    """train.1, train.2 ...: the first name that is not taken."""
    number = 1
    while (target := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    return target


def stage_mark(pipeline: Pipeline, stage: str) -> tuple[int | None, int | None]:
    """A value that changes when a stage starts again: its folder is then set aside, or its done.json removed."""
    folder = stage_folder(pipeline, stage)
    return (
        folder.stat().st_ino if folder.exists() else None,
        (folder / DONE_FILE).stat().st_mtime_ns if (folder / DONE_FILE).exists() else None,
    )


def best_weights(pipeline: Pipeline) -> Path:
    """The weights that validation chose, or those of `infer.kept`. ConfigError when there are none of these."""
    chosen = model_folder(stage_folder(pipeline, "train"), pipeline.infer.kept)
    return chosen / Path(MAIN_FILES["train"]).name


def model_id(pipeline: Pipeline) -> str | None:
    """Hash of the best weights, or of those of `infer.kept`. ConfigError when there are none of these."""
    return weights_id(best_weights(pipeline).parent)


def weights_id(folder: Path) -> str | None:
    """Hash of the weights in a folder, node embeddings included; None when they are missing or damaged."""
    path = folder / Path(MAIN_FILES["train"]).name
    if not path.is_file():
        return None
    try:
        saved_hashes = check_saved(path.parent, "")
    except DataError:
        return None
    files = [path, *sorted(path.parent.glob("embedding-*.safetensors"))]
    hashes = [saved_hashes.get(file.name) or file_hash(file) for file in files]
    return hashes[0] if len(hashes) == 1 else blake2b("".join(hashes).encode(), digest_size=16).hexdigest()
