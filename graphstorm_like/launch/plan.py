"""The plan: a pipeline's stages, which of them are up to date, and which process runs what. Nothing starts here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from graphstorm_like import __version__
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.stages import StudentStage
from graphstorm_like.config.train import NEUTRAL_KEYS
from graphstorm_like.errors import ConfigError, DataError, did_you_mean
from graphstorm_like.graph.schema import GraphManifest, file_hash, read_manifest
from graphstorm_like.text.folders import model_files

STAGES = ("construct", "train", "evaluate", "infer")
DONE_FILE = "done.json"

# What of `infer:` the scores depend on.
_SCORED_BY = {"mode", "fanouts"}


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """One process: its role, command and environment, and where it runs."""

    role: str
    host: str
    command: tuple[str, ...]
    environment: dict[str, str]


def plan_processes(pipeline: Pipeline, yaml: str) -> list[ProcessPlan]:
    """Processes of `gsl run`, with `launch.on: local`: one."""
    threads = pipeline.launch.threads
    environment = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    return [ProcessPlan("trainer", "localhost", ("gsl", "run", yaml), environment)]


def check_stages(names: Sequence[str]) -> list[str]:
    """Stage names in the order of the pipeline; ConfigError on an unknown one."""
    for name in names:
        if name not in STAGES:
            raise ConfigError(f"unknown stage '{name}' (known: {', '.join(STAGES)}).{did_you_mean(name, STAGES)}")
    return [s for s in STAGES if s in names]


def stage_folder(pipeline: Pipeline, stage: str) -> Path:
    """Where a stage's results lie."""
    if stage == "construct":
        assert pipeline.graph.path is not None
        return Path(pipeline.graph.path)
    return Path(pipeline.output) / stage


def stage_fingerprint(pipeline: Pipeline, stage: str, manifest: GraphManifest) -> str:
    """Hash of all that a stage's results depend on: the graph's contents, the configuration, the version."""
    facts: dict[str, Any] = {
        "version": __version__,
        "graph": manifest.hashes,
        "seed": pipeline.seed,
        "model": pipeline.model.dump_results(),
        "text_models": {name: model_files(name) for name in _text_models(pipeline)},
        "task": pipeline.task.model_dump(mode="json"),
        "train": pipeline.train.model_dump(mode="json", exclude=NEUTRAL_KEYS),
    }
    if stage != "train":
        facts["infer"] = pipeline.infer.model_dump(mode="json", include=_SCORED_BY if stage == "evaluate" else None)
    return blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()


def _text_models(pipeline: Pipeline) -> list[str]:
    """Names of all language models, students included."""
    configs = list(pipeline.model.text_encoders().values())
    students = [s.text_encoder for s in pipeline.train.stage_list() if isinstance(s, StudentStage)]
    return sorted({c.name for c in (*configs, *students) if c is not None})


def is_done(pipeline: Pipeline, stage: str) -> bool:
    """Whether a stage's results are there and belong to the present configuration and data."""
    if stage == "construct":
        from gconstruct import is_current

        return is_current(pipeline.graph)
    try:
        manifest = read_manifest(stage_folder(pipeline, "construct"))
        done = json.loads((stage_folder(pipeline, stage) / DONE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, DataError):
        return False
    if done.get("fingerprint") != stage_fingerprint(pipeline, stage, manifest):
        return False
    # Scores and exports belong to weights, not to a configuration that may have been trained anew.
    return stage == "train" or (is_done(pipeline, "train") and done.get("model") == model_id(pipeline))


def best_weights(pipeline: Pipeline) -> Path:
    """The weights that validation chose."""
    return stage_folder(pipeline, "train") / "best" / "model.safetensors"


def model_id(pipeline: Pipeline) -> str | None:
    """Hash of the best weights, node embeddings included; None when there are none."""
    path = best_weights(pipeline)
    if not path.is_file():
        return None
    hashes = [file_hash(path), *map(file_hash, sorted(path.parent.glob("embedding-*.safetensors")))]
    return hashes[0] if len(hashes) == 1 else blake2b("".join(hashes).encode(), digest_size=16).hexdigest()
