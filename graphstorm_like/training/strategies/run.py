"""Runs the phases of a strategy one after the other; the last one's results are the training's.

The others, and the last too where it trains a language model, lie in the cache, named by a hash of all that they depend
on: a phase that is there is not run again, whichever pipeline made it, and a killed one goes on where it was.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from graphstorm_like import __version__
from graphstorm_like.config.phases import PhaseConfig
from graphstorm_like.config.phases.student import StudentPhase
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.plugins import plugin_hashes
from graphstorm_like.config.train import NEUTRAL_KEYS
from graphstorm_like.errors import DataError
from graphstorm_like.files import TEMPORARY, exclusive, fsync_path, replace_folder, write_json
from graphstorm_like.graph.group import Group
from graphstorm_like.graph.schema import GraphManifest, read_manifest
from graphstorm_like.tasks import task_node_types
from graphstorm_like.text.folders import model_files
from graphstorm_like.training.distributed import group
from graphstorm_like.training.experiment import Experiment, build_experiment, build_text_experiment
from graphstorm_like.training.progress import Reporter, duration
from graphstorm_like.training.strategies.kinds import build_phase, phase_pipeline, student_pipeline
from graphstorm_like.training.strategies.lineage import Lineage, tuned_encoders
from graphstorm_like.training.text_vectors import text_inputs
from graphstorm_like.training.tracking import METRICS_FILE
from graphstorm_like.training.trainer import BEST, LM_FOLDER, Trainer, TrainResult, describe

PHASE_DONE = "phase.json"
# Settings of `train:` that a phase without a graph network does not read.
_GRAPH_KEYS = {"fanouts", "embedding_lr"}
_PLAN_KEYS = {"strategy", "phases"}


@dataclass(frozen=True)
class PlannedPhase:
    """A phase, the hash of what it depends on, its folder, and the one in the cache: the same, but for the last."""

    config: PhaseConfig
    fingerprint: str
    folder: Path
    cached: Path

    @property
    def last(self) -> bool:
        """Whether its results are the training's."""
        return self.folder != self.cached

    @property
    def lock(self) -> Path:
        """Held by the run that writes into the cache."""
        return self.cached.with_name(self.cached.name + ".lock")

    def done(self) -> TrainResult | None:
        """What it came to, when its results are in the cache."""
        try:
            found = json.loads((self.cached / PHASE_DONE).read_text(encoding="utf-8"))
            return TrainResult(**found["result"]) if found["fingerprint"] == self.fingerprint else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def phase_plan(pipeline: Pipeline, folder: Path, manifest: GraphManifest) -> list[PlannedPhase]:
    """The phases with their folders: `folder` for the last, the cache for those before it."""
    phases = pipeline.train.phase_list()
    planned: list[PlannedPhase] = []
    lm = graph = ""
    for i, phase in enumerate(phases):
        facts = _facts(pipeline, phase, manifest, lm, graph)
        fingerprint = blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()
        cached = Path(pipeline.cache) / f"phase-{phase.name}-{fingerprint}"
        planned.append(PlannedPhase(phase, fingerprint, folder if i == len(phases) - 1 else cached, cached))
        lm = lm if phase.type == "gnn" else fingerprint
        graph = fingerprint if phase.type in ("gnn", "joint") else graph
    return planned


def _facts(pipeline: Pipeline, phase: PhaseConfig, manifest: GraphManifest, lm: str, graph: str) -> dict[str, Any]:
    """All that a phase's results depend on. lm, graph: hashes of what made the present models."""
    own = phase_pipeline(pipeline, phase)
    has_graph = phase.type in ("gnn", "joint")
    unread = NEUTRAL_KEYS | _PLAN_KEYS | ({"lm"} if phase.type == "gnn" else set())
    model = own.model.dump_results()
    if not has_graph:
        unread |= _GRAPH_KEYS
        model = {
            "text_encoder": model["text_encoder"],
            "texts": {t: (i["text"], i["text_encoder"]) for t, i in model["inputs"].items()},
        }
        if _text_width_is_hidden(own, manifest):
            model["hidden"] = own.model.gnn.hidden
    encoders = dict(own.model.text_encoders())
    if isinstance(phase, StudentPhase):
        encoders = student_pipeline(own, phase).model.text_encoders()
    plugins = plugin_hashes()
    return ({"plugins": plugins} if plugins else {}) | {
        "version": __version__,
        "graph_folder": manifest.hashes,
        "seed": own.seed,
        "model": model,
        "text_models": {key: model_files(c.name) for key, c in encoders.items()},
        "task": own.task.model_dump(mode="json"),
        "train": own.train.model_dump(mode="json", exclude=unread),
        "phase": phase.model_dump(mode="json", exclude={"name"}),
        "lm": lm,
        "graph": graph if phase.type in ("joint", "pseudo", "student") else "",
    }


def _text_width_is_hidden(pipeline: Pipeline, manifest: GraphManifest) -> bool:
    """Whether a model without a graph may have the graph network's width: no text tells another, or several may."""
    texts = text_inputs(pipeline, manifest)
    return len({pipeline.model.encoder_key(t) for t in task_node_types(pipeline.task, manifest) if t in texts}) != 1


def run_phases(pipeline: Pipeline, folder: Path, reporter: Reporter, fresh: bool = False) -> TrainResult:
    """Run what is not done yet; the best model is in `folder`/best, with language models that training changed.

    fresh: what is in the cache does not count.
    """
    assert pipeline.graph.path is not None
    planned = phase_plan(pipeline, folder, read_manifest(pipeline.graph.path))
    lineage, ranks = Lineage(pipeline, pipeline.model.text_encoders()), group()
    result: TrainResult | None = None
    for number, phase in enumerate(planned):
        if len(planned) > 1:
            reporter.line(f"phase {number + 1} of {len(planned)}, {phase.config.name}: -> {phase.folder}")
        with _alone(phase):
            if fresh and not phase.last and ranks.rank == 0:
                shutil.rmtree(phase.folder, ignore_errors=True)
            result = None if fresh else _known(phase, ranks)
            ranks.barrier(f"phase {phase.config.name}")
            if result is None:
                result = _run(phase, lineage, reporter)
            else:
                reporter.line(f"phase {phase.config.name}: up to date ({phase.cached})")
                if phase.last and ranks.rank == 0:
                    _take(phase)
                ranks.barrier(f"phase {phase.config.name}")
        lineage = lineage.after(phase.folder, phase.config.type in ("gnn", "joint"))
    assert result is not None, "a strategy has phases"
    if lineage.tuned is not None and ranks.rank == 0 and not (folder / BEST / LM_FOLDER).is_dir():
        _copy(lineage.tuned, folder / BEST / LM_FOLDER)
    ranks.barrier("the end of training")
    return result


def _known(phase: PlannedPhase, ranks: Group) -> TrainResult | None:
    """What a phase came to, when it is done: as the first rank finds it."""
    found = phase.done()
    written = ranks.from_first(json.dumps(None if found is None else asdict(found)), "phases that are done")
    facts = json.loads(written)
    return None if facts is None else TrainResult(**facts)


@contextmanager
def _alone(phase: PlannedPhase) -> Iterator[None]:
    """Phases in the cache may be wanted by two runs at once; the last one's folder is locked by its run."""
    if group().rank > 0 or (phase.last and not phase.cached.is_dir()):
        yield
        return
    phase.cached.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(phase.lock, "training this phase"):
        yield


def _run(phase: PlannedPhase, lineage: Lineage, reporter: Reporter) -> TrainResult:
    experiment = build_phase(phase.config, lineage, reporter)
    reporter.line(describe(experiment))
    result = Trainer(experiment, phase.folder, reporter).train()
    name = experiment.task.select_by
    reporter.line(
        f"best validation {name} {result.best:.4f} in epoch {result.best_epoch} of {result.epochs} "
        f"[{duration(result.seconds)}]"
    )
    if phase.last and experiment.task.group.rank == 0:
        _share(phase, result)
    elif experiment.task.group.rank == 0:
        write_json(phase.folder / PHASE_DONE, _done(phase, result))
        shutil.rmtree(phase.folder / "checkpoints", ignore_errors=True)  # it is done: nothing resumes it
    experiment.task.group.barrier(f"the end of phase {phase.config.name}")
    return result


def _done(phase: PlannedPhase, result: TrainResult) -> dict[str, Any]:
    return {"fingerprint": phase.fingerprint, "result": asdict(result)}


def _share(phase: PlannedPhase, result: TrainResult) -> None:
    """Put a language model that the last phase trained into the cache too, for pipelines that go on from it. Files of
    models are never written to again, so that links to them do. A graph network is cheap to train, and may have tables
    of embeddings that would fill the cache when outputs are replaced."""
    if phase.config.type == "gnn" or phase.cached.is_dir():
        return  # what is there is another run's
    temporary = phase.cached.with_name(f"{TEMPORARY}{phase.cached.name}")
    with suppress(DataError), exclusive(phase.lock, "training this phase"):  # or another run trains it now
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.copytree(phase.folder / BEST, temporary / BEST, copy_function=_link)
        shutil.copyfile(phase.folder / METRICS_FILE, temporary / METRICS_FILE)
        write_json(temporary / PHASE_DONE, _done(phase, result))
        for path in temporary.rglob("*"):
            fsync_path(path)
        replace_folder(temporary, phase.cached)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)


def _take(phase: PlannedPhase) -> None:
    """The last phase was an earlier one of another pipeline: its results are this training's."""
    _copy(phase.cached / BEST, phase.folder / BEST)
    shutil.copyfile(phase.cached / METRICS_FILE, phase.folder / METRICS_FILE)


def _copy(source: Path, target: Path) -> None:
    """A folder that is there whole or not at all."""
    temporary = target.with_name(f"{TEMPORARY}{target.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(source, temporary)
    for file in temporary.rglob("*"):
        fsync_path(file)
    replace_folder(temporary, target)


def final_experiment(pipeline: Pipeline, folder: Path, reporter: Reporter) -> Experiment:
    """The model that training left in `folder`/best, with its weights, ready for evaluation and inference."""
    phase = pipeline.train.phase_list()[-1]
    own = phase_pipeline(pipeline, phase)
    if isinstance(phase, StudentPhase):
        own = student_pipeline(own, phase)
    lms = folder / BEST / LM_FOLDER
    if lms.is_dir():
        own = own.model_copy(update={"model": own.model.with_encoders(tuned_encoders(own.model.text_encoders(), lms))})
    if phase.type in ("gnn", "joint"):
        experiment = build_experiment(own, reporter)
    else:
        hidden = pipeline.model.gnn.hidden if isinstance(phase, StudentPhase) else None
        experiment = build_text_experiment(own, reporter, hidden)
    experiment.load(folder / BEST)
    return experiment
