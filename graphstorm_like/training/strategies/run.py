"""Runs the stages of a strategy one after the other; the last one's results are the training's.

The others, and the last too where it trains a language model, lie in the cache, named by a hash of all that they depend
on: a stage that is there is not run again, whichever pipeline made it, and a killed one goes on where it was.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from graphstorm_like import __version__
from graphstorm_like.config.phases import PhaseConfig
from graphstorm_like.config.phases.student import StudentPhase
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.plugins import plugin_hashes
from graphstorm_like.config.train import NEUTRAL_KEYS
from graphstorm_like.errors import DamagedFileError, DataError
from graphstorm_like.files import TEMPORARY, exclusive, fsync_path, replace_folder, write_json
from graphstorm_like.graph.schema import GraphManifest, read_manifest
from graphstorm_like.hashing import hash_facts
from graphstorm_like.inputs.choose import node_texts
from graphstorm_like.progress import Reporter, duration
from graphstorm_like.ranks.group import Group
from graphstorm_like.ranks.torch_group import LONG_SECONDS, group
from graphstorm_like.tasks import task_node_types
from graphstorm_like.text.folders import model_files
from graphstorm_like.training.checkpoint import add_hashes, check_folder
from graphstorm_like.training.experiment import Experiment, build_experiment, build_text_experiment
from graphstorm_like.training.strategies.kinds import build_stage, stage_pipeline, student_pipeline
from graphstorm_like.training.strategies.lineage import Lineage, tuned_encoders
from graphstorm_like.training.tracking import METRICS_FILE
from graphstorm_like.training.trainer import BEST, LM_FOLDER, Trainer, TrainResult, describe

STAGE_DONE = "stage.json"
# Settings of `train:` that a stage without a graph network does not read.
_GRAPH_KEYS = {"fanouts", "embedding_lr"}
_PLAN_KEYS = {"strategy", "stages"}


@dataclass(frozen=True)
class PlannedStage:
    """A stage, the hash of what it depends on, its folder, and the one in the cache: the same, but for the last."""

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
            found = json.loads((self.cached / STAGE_DONE).read_text(encoding="utf-8"))
            return TrainResult(**found["result"]) if found["fingerprint"] == self.fingerprint else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def stage_plan(pipeline: Pipeline, folder: Path, manifest: GraphManifest) -> list[PlannedStage]:
    """The stages with their folders: `folder` for the last, the cache for those before it."""
    stages = pipeline.train.stage_list()
    planned: list[PlannedStage] = []
    lm = graph = ""
    for i, stage in enumerate(stages):
        facts = _facts(pipeline, stage, manifest, lm, graph)
        fingerprint = hash_facts(facts)
        cached = Path(pipeline.cache) / f"stage-{stage.name}-{fingerprint}"
        planned.append(PlannedStage(stage, fingerprint, folder if i == len(stages) - 1 else cached, cached))
        lm = lm if stage.type == "gnn" else fingerprint
        graph = fingerprint if stage.type in ("gnn", "joint") else graph
    return planned


def _facts(pipeline: Pipeline, stage: PhaseConfig, manifest: GraphManifest, lm: str, graph: str) -> dict[str, Any]:
    """All that a stage's results depend on. lm, graph: hashes of what made the present models."""
    own = stage_pipeline(pipeline, stage)
    has_graph = stage.type in ("gnn", "joint")
    unread = NEUTRAL_KEYS | _PLAN_KEYS | ({"lm"} if stage.type == "gnn" else set())
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
    if isinstance(stage, StudentPhase):
        encoders = student_pipeline(own, stage).model.text_encoders()
    plugins = plugin_hashes()
    return ({"plugins": plugins} if plugins else {}) | {
        "version": __version__,
        "graph_folder": manifest.hashes,
        "seed": own.seed,
        "model": model,
        "text_models": {key: model_files(c.model_name) for key, c in encoders.items() if c.model_name is not None},
        "task": own.task.model_dump(mode="json"),
        "train": own.train.model_dump(mode="json", exclude=unread),
        "stage": stage.model_dump(mode="json", exclude={"name"}),
        "lm": lm,
        "graph": graph if stage.type in ("joint", "pseudo", "student") else "",
    }


def _text_width_is_hidden(pipeline: Pipeline, manifest: GraphManifest) -> bool:
    """Whether a model without a graph may have the graph network's width: no text tells another, or several may."""
    texts = node_texts(pipeline.model, manifest)
    return len({pipeline.model.encoder_key(t) for t in task_node_types(pipeline.task, manifest) if t in texts}) != 1


def run_stages(pipeline: Pipeline, folder: Path, reporter: Reporter, fresh: bool = False) -> TrainResult:
    """Run what is not done yet; the best model is in `folder`/best, with language models that training changed.

    fresh: what is in the cache does not count.
    """
    assert pipeline.graph.path is not None
    planned = stage_plan(pipeline, folder, read_manifest(pipeline.graph.path))
    lineage, ranks = Lineage(pipeline, pipeline.model.text_encoders()), group()
    result: TrainResult | None = None
    for number, stage in enumerate(planned):
        if len(planned) > 1:
            reporter.line(f"stage {number + 1} of {len(planned)}, {stage.config.name}: -> {stage.folder}")
        with _alone(stage, reporter):
            if fresh and not stage.last and ranks.rank == 0:
                shutil.rmtree(stage.folder, ignore_errors=True)
            result = None if fresh else _known(stage, ranks, reporter)
            ranks.barrier(f"stage {stage.config.name}")
            if result is None:
                result = _run(stage, lineage, reporter)
            else:
                reporter.line(f"stage {stage.config.name}: up to date ({stage.cached})")
                if stage.last and ranks.rank == 0:
                    _take(stage)
                ranks.barrier(f"stage {stage.config.name}")
        lineage = lineage.after(stage.folder, stage.config.type in ("gnn", "joint"))
    assert result is not None, "a strategy has stages"
    if lineage.tuned is not None and ranks.rank == 0 and not (folder / BEST / LM_FOLDER).is_dir():
        _copy(lineage.tuned, folder / BEST / LM_FOLDER)
        add_hashes(folder / BEST, LM_FOLDER)
    ranks.barrier("the end of training")
    return result


def _known(stage: PlannedStage, ranks: Group, reporter: Reporter) -> TrainResult | None:
    """What a stage came to, when it is done: as the first rank finds it. Damaged results in the cache are removed."""
    found = stage.done() if ranks.rank == 0 else None
    if found is not None:
        try:
            check_folder(stage.cached / BEST)
        except DamagedFileError as err:
            reporter.line(f"stage {stage.config.name} is trained again: {err}")
            shutil.rmtree(stage.cached, ignore_errors=True)
            found = None
    written = ranks.from_first(json.dumps(None if found is None else asdict(found)), "stages that are done")
    facts = json.loads(written)
    return None if facts is None else TrainResult(**facts)


@contextmanager
def _alone(stage: PlannedStage, reporter: Reporter) -> Iterator[None]:
    """Stages in the cache may be wanted by two runs at once: the second waits, and says so. The last one's folder is
    locked by its run."""
    ranks, what = group(), f"the folder of stage {stage.config.name}"
    with ExitStack() as stack:
        ranks.leader_first(what)
        if ranks.rank == 0 and not (stage.last and not stage.cached.is_dir()):
            stage.cached.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(exclusive(stage.lock, "training this stage", LONG_SECONDS, reporter.line))
        ranks.leader_done(what)
        yield


def _run(stage: PlannedStage, lineage: Lineage, reporter: Reporter) -> TrainResult:
    experiment = build_stage(stage.config, lineage, reporter)
    reporter.line(describe(experiment))
    result = Trainer(experiment, stage.folder, reporter).train()
    name = experiment.task.select_by
    reporter.line(
        f"best validation {name} {result.best:.4f} in epoch {result.best_epoch} of {result.epochs} "
        f"[{duration(result.seconds)}]"
    )
    if stage.last and experiment.task.group.rank == 0:
        _share(stage, result)
    elif experiment.task.group.rank == 0:
        write_json(stage.folder / STAGE_DONE, _done(stage, result))
        shutil.rmtree(stage.folder / "checkpoints", ignore_errors=True)  # it is done: nothing resumes it
    experiment.task.group.barrier(f"the end of stage {stage.config.name}")
    return result


def _done(stage: PlannedStage, result: TrainResult) -> dict[str, Any]:
    return {"fingerprint": stage.fingerprint, "result": asdict(result)}


def _share(stage: PlannedStage, result: TrainResult) -> None:
    """Put a language model that the last stage trained into the cache too, for pipelines that go on from it. Files of
    models are never written to again, so that links to them do. A graph network is cheap to train, and may have tables
    of embeddings that would fill the cache when outputs are replaced."""
    if stage.config.type == "gnn" or stage.cached.is_dir():
        return  # what is there is another run's
    temporary = stage.cached.with_name(f"{TEMPORARY}{stage.cached.name}")
    with suppress(DataError), exclusive(stage.lock, "training this stage"):  # or another run trains it now
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.copytree(stage.folder / BEST, temporary / BEST, copy_function=_link)
        shutil.copyfile(stage.folder / METRICS_FILE, temporary / METRICS_FILE)
        write_json(temporary / STAGE_DONE, _done(stage, result))
        for path in temporary.rglob("*"):
            fsync_path(path)
        replace_folder(temporary, stage.cached)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)


def _take(stage: PlannedStage) -> None:
    """The last stage was an earlier one of another pipeline: its results are this training's."""
    _copy(stage.cached / BEST, stage.folder / BEST)
    shutil.copyfile(stage.cached / METRICS_FILE, stage.folder / METRICS_FILE)


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
    check_folder(folder / BEST)
    stage = pipeline.train.stage_list()[-1]
    own = stage_pipeline(pipeline, stage)
    if isinstance(stage, StudentPhase):
        own = student_pipeline(own, stage)
    lms = folder / BEST / LM_FOLDER
    if lms.is_dir():
        own = own.model_copy(update={"model": own.model.with_encoders(tuned_encoders(own.model.text_encoders(), lms))})
    if stage.type in ("gnn", "joint"):
        experiment = build_experiment(own, reporter)
    else:
        hidden = pipeline.model.gnn.hidden if isinstance(stage, StudentPhase) else None
        experiment = build_text_experiment(own, reporter, hidden)
    experiment.load(folder / BEST)
    return experiment
