"""The phases of a training, each with the hash of everything it depends on and the folder of its results."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphstorm_like import __version__
from graphstorm_like.config.model import ModelConfig
from graphstorm_like.config.phases import PhaseConfig
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.plugins import plugin_hashes
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.config.train import NEUTRAL_KEYS, StartFromConfig
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.hashing import hash_facts
from graphstorm_like.inputs.choose import node_texts
from graphstorm_like.tasks import task_node_types
from graphstorm_like.text.folders import model_files
from graphstorm_like.training.phases.base import phase_pipeline
from graphstorm_like.training.start_run import PHASE_DONE, start_facts
from graphstorm_like.training.trainer import TrainResult

_PLAN_KEYS = {"strategy", "phases", "start_from", "keep_best"}


@dataclass(frozen=True)
class PlannedPhase:
    """A phase, the hash of what it depends on, its folder, and its folder in the cache, which differ for the last."""

    config: PhaseConfig
    fingerprint: str
    folder: Path
    cached: Path
    start: StartFromConfig | None = None
    """Another run's weights that it starts from."""

    @property
    def last(self) -> bool:
        """Whether its results are the training's."""
        return self.folder != self.cached

    @property
    def lock(self) -> Path:
        """Held by the run that writes into the cache."""
        return self.cached.with_name(self.cached.name + ".lock")

    def done(self) -> TrainResult | None:
        """The phase's result, when it is in the cache."""
        try:
            record = json.loads((self.cached / PHASE_DONE).read_text(encoding="utf-8"))
            return TrainResult(**record["result"]) if record["fingerprint"] == self.fingerprint else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def phase_plan(pipeline: Pipeline, folder: Path, manifest: GraphManifest) -> list[PlannedPhase]:
    """The phases with their folders: `folder` for the last, the cache for those before it."""
    phases = pipeline.train.phase_list()
    planned: list[PlannedPhase] = []
    lm = graph = ""
    for i, phase in enumerate(phases):
        facts = _facts(pipeline, phase, manifest, lm, graph)
        start = pipeline.train.start_from if phase.trains_graph and not graph else None
        facts |= start_facts(start)
        fingerprint = hash_facts(facts)
        cached = Path(pipeline.cache) / f"phase-{phase.name}-{fingerprint}"
        planned.append(PlannedPhase(phase, fingerprint, folder if i == len(phases) - 1 else cached, cached, start))
        lm = fingerprint if phase.trains_lm else lm
        graph = fingerprint if phase.trains_graph else graph
    return planned


def _facts(pipeline: Pipeline, phase: PhaseConfig, manifest: GraphManifest, lm: str, graph: str) -> dict[str, Any]:
    """Everything that a phase's results depend on. lm, graph: hashes of the phases that made the present models."""
    of_phase = phase_pipeline(pipeline, phase)
    model = of_phase.model.dump_results()
    if not phase.trains_graph:
        model = {
            "text_encoder": model["text_encoder"],
            "texts": {t: (i["text"], i["text_encoder"]) for t, i in model["inputs"].items()},
        }
        if _text_width_is_hidden(of_phase.model, of_phase.task, manifest):
            model["hidden"] = of_phase.model.gnn.hidden
    encoders = phase.encoders_of(of_phase.model.text_encoders())
    plugins = plugin_hashes(pipeline.plugins)
    return ({"plugins": plugins} if plugins else {}) | {
        "version": __version__,
        "graph_folder": manifest.hashes,
        "seed": of_phase.seed,
        "model": model,
        "text_models": {key: model_files(c.model_name) for key, c in encoders.items() if c.model_name is not None},
        "task": of_phase.task.model_dump(mode="json"),
        "train": of_phase.train.model_dump(mode="json", exclude=NEUTRAL_KEYS | _PLAN_KEYS | phase.unread_settings),
        "phase": phase.model_dump(mode="json", exclude={"name"}),
        "lm": lm,
        "graph": graph if phase.reads_graph_network else "",
    }


def _text_width_is_hidden(config: ModelConfig, task: TaskConfig, manifest: GraphManifest) -> bool:
    """Whether a model without a graph may have the graph network's width: its types have no texts, or texts of several
    language models."""
    texts = node_texts(config, manifest)
    return len({config.encoder_key(t) for t in task_node_types(task, manifest) if t in texts}) != 1
