"""One hash of everything that a stage's results depend on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graphstorm_like import __version__
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.plugins import plugin_hashes
from graphstorm_like.config.train import NEUTRAL_KEYS
from graphstorm_like.files import file_hash
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.hashing import hash_facts
from graphstorm_like.text.folders import model_files
from graphstorm_like.training.start_run import start_facts

# Keys of `infer:` that the scores depend on.
_SCORED_BY = {"mode", "fanouts", "attacks"}


def stage_fingerprint(pipeline: Pipeline, stage: str, manifest: GraphManifest) -> str:
    """Hash of everything that a stage's results depend on: the graph's contents, the configuration, the version."""
    facts: dict[str, Any] = {
        "version": __version__,
        "graph": manifest.hashes,
        "seed": pipeline.seed,
        "model": pipeline.model.dump_results(),
        "text_models": {name: model_files(name) for name in _text_models(pipeline)},
        "task": pipeline.task.model_dump(mode="json"),
        "train": pipeline.train.model_dump(mode="json", exclude=NEUTRAL_KEYS | {"start_from"}),
        **start_facts(pipeline.train.start_from),
    }
    if pipeline.launch.hosts > 1 and pipeline.launch.wire != "float32":
        facts["wire"] = pipeline.launch.wire
    if plugins := plugin_hashes(pipeline.plugins):
        facts["plugins"] = plugins
    if stage != "train":
        facts["infer"] = pipeline.infer.model_dump(mode="json", include=_SCORED_BY if stage == "evaluate" else None)
    if stage == "infer":
        lists = [*pipeline.infer.nodes.values(), *filter(None, [pipeline.infer.pairs, pipeline.infer.queries])]
        facts["asked"] = {path: file_hash(Path(path)) for path in lists if Path(path).is_file()}
    return hash_facts(facts)


def fingerprint_but_for_epochs(pipeline: Pipeline, manifest: GraphManifest) -> str | None:
    """Of a training: the same for any number of epochs; None where phases before the last depend on that number too."""
    phases = pipeline.train.phase_list()
    if len(phases) > 1 or phases[0].epochs is not None:
        return None
    train = pipeline.train.model_copy(update={"epochs": 1})
    return stage_fingerprint(pipeline.model_copy(update={"train": train}), "train", manifest)


def _text_models(pipeline: Pipeline) -> list[str]:
    """Names of all language models, students included."""
    configs = list(pipeline.model.text_encoders().values())
    of_phases = [encoder for phase in pipeline.train.phase_list() for encoder in phase.own_encoders()]
    names = (config.model_name for config in (*configs, *of_phases))
    return sorted({name for name in names if name is not None})
