"""Runs the phases of a strategy one after the other; the last one's results are the training's.

The results of the others, and of the last too where it trains a language model, are in the cache, named by a hash of
everything they depend on: a phase that is there is not run again, whichever pipeline ran it, and a killed one resumes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from graphstorm_like.cache_use import mark_used
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import DamagedFileError, DataError
from graphstorm_like.files import TEMPORARY, exclusive, fsync_path, replace_folder, write_json
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.mirror.fetch import fetch_entry
from graphstorm_like.progress import Reporter, duration
from graphstorm_like.ranks.group import Group
from graphstorm_like.ranks.torch_group import LONG_SECONDS, group
from graphstorm_like.training.artifacts import BEST, LM_FOLDER
from graphstorm_like.training.checkpoint import add_hashes, check_folder
from graphstorm_like.training.experiment import Experiment, Reading
from graphstorm_like.training.hot_rows import keep_hot_rows
from graphstorm_like.training.kept import link_or_copy, model_folder
from graphstorm_like.training.phases.base import phase_of, phase_pipeline
from graphstorm_like.training.phases.handover import Handover, tuned_encoders
from graphstorm_like.training.start import start_from
from graphstorm_like.training.start_run import PHASE_DONE
from graphstorm_like.training.strategies.plan import PlannedPhase, phase_plan
from graphstorm_like.training.tracking import METRICS_FILE
from graphstorm_like.training.trainer import Trainer, TrainResult, describe

PHASES_FILE = "phases.json"
"""In the folder of a training."""


def run_phases(pipeline: Pipeline, folder: Path, reporter: Reporter, fresh: bool = False) -> TrainResult:
    """Run the phases that are not done yet; the best model is in `folder`/best, with the language models that training
    changed.

    fresh: ignore results in the cache.
    """
    assert pipeline.graph.path is not None
    planned = phase_plan(pipeline, folder, read_manifest(pipeline.graph.path))
    handover, ranks = Handover(pipeline, pipeline.model.text_encoders()), group()
    result: TrainResult | None = None
    for number, phase in enumerate(planned):
        if len(planned) > 1:
            reporter.line(f"phase {number + 1} of {len(planned)}, {phase.config.name}: -> {phase.folder}")
        with _alone(phase, reporter):
            mark_used(phase.cached)
            if fresh and not phase.last and ranks.leads_output:
                shutil.rmtree(phase.folder, ignore_errors=True)
            result = None if fresh else _known(phase, pipeline.train.keep_best, ranks, reporter)
            ranks.barrier(f"phase {phase.config.name}")
            if result is None:
                result = _run(phase, handover, reporter)
            else:
                reporter.line(f"phase {phase.config.name}: up to date ({phase.cached})")
                if phase.last and ranks.leads_output:
                    _take(phase)
                ranks.barrier(f"phase {phase.config.name}")
        handover = handover.after(phase.config, phase.folder)
    if ranks.leads_output:
        _list_phases(folder, planned)
    assert result is not None, "a strategy has phases"
    if handover.tuned is not None and ranks.leads_output and not (folder / BEST / LM_FOLDER).is_dir():
        _copy(handover.tuned, folder / BEST / LM_FOLDER)
        add_hashes(folder / BEST, LM_FOLDER)
    ranks.barrier("the end of training")
    return result


def _list_phases(folder: Path, planned: Sequence[PlannedPhase]) -> None:
    """Write which phases a training had, and where their curves are."""
    phases = [{"name": phase.config.name, "folder": str(phase.folder)} for phase in planned]
    write_json(folder / PHASES_FILE, {"phases": phases})


def _known(phase: PlannedPhase, keep_best: int, ranks: Group, reporter: Reporter) -> TrainResult | None:
    """The result of a phase that is done, in the folder of every host. Damaged results in the cache are removed. The
    last phase must keep several models: one from the cache has its best alone."""
    if phase.last and keep_best > 1:
        return None
    if ranks.leads_output:
        fetch_entry(phase.cached)
    result = phase.done() if ranks.leads_output else None
    if result is not None:
        try:
            check_folder(phase.cached / BEST)
        except DamagedFileError as err:
            reporter.line(f"phase {phase.config.name} is trained again: {err}")
            shutil.rmtree(phase.cached, ignore_errors=True)
            result = None
    found = json.dumps(None if result is None else asdict(result)) if ranks.leads_output else ""
    of_folders = [json.loads(text) for text in ranks.collect(found, "phases that are done") if text]
    return None if None in of_folders else TrainResult(**of_folders[0])


@contextmanager
def _alone(phase: PlannedPhase, reporter: Reporter) -> Iterator[None]:
    """Two runs may need the same phase in the cache at once: the second waits, with a message. The last phase's folder
    is locked by its run."""
    ranks, folder_name = group(), f"the folder of phase {phase.config.name}"
    with ExitStack() as stack:
        ranks.leader_first(folder_name)
        if ranks.leads_output and not (phase.last and not phase.cached.is_dir()):
            phase.cached.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(exclusive(phase.lock, "training this phase", LONG_SECONDS, reporter.line))
        ranks.leader_done(folder_name)
        yield


def _run(phase: PlannedPhase, handover: Handover, reporter: Reporter) -> TrainResult:
    experiment = phase_of(phase.config).build(handover, reporter)
    if phase.start is not None:
        parts = start_from(phase.start, experiment.artifacts)
        reporter.line(f"starts from {phase.start.run}: {', '.join(parts)}")
    reporter.line(describe(experiment))
    trainer = Trainer(experiment, phase.folder, reporter)
    if trainer.config.batch_size == "auto":
        steps, rows = trainer.stream.steps, trainer.stream.batch_size
        reporter.line(f"train.batch_size auto: {steps:,} steps of {rows:,} rows an epoch")
    if not phase.last:  # only what it hands on
        trainer.kept = replace(trainer.kept, most=1)
    keep_hot_rows(experiment, trainer.stream, reporter.line)
    result = trainer.train()
    name = experiment.task.select_by
    place = "in epoch" if result.best is not None else "is that of epoch"
    best = "not validated: the model" if result.best is None else f"best validation {name} {result.best:.4f}"
    reporter.line(f"{best} {place} {result.best_epoch} of {result.epochs} [{duration(result.seconds)}]")
    if phase.last and experiment.task.group.leads_output:
        _share(phase, result)
    elif experiment.task.group.leads_output:
        write_json(phase.folder / PHASE_DONE, _done(phase, result))
        shutil.rmtree(phase.folder / "checkpoints", ignore_errors=True)  # it is done: nothing resumes it
    experiment.task.group.barrier(f"the end of phase {phase.config.name}")
    return result


def _done(phase: PlannedPhase, result: TrainResult) -> dict[str, Any]:
    return {"fingerprint": phase.fingerprint, "result": asdict(result)}


def _share(phase: PlannedPhase, result: TrainResult) -> None:
    """Put a language model that the last phase trained into the cache too, for pipelines that continue from it. Files
    of models are never changed, so links to them are enough. Graph networks are not put there: they are cheap to
    train, and their tables of embeddings would fill the cache."""
    if not phase.config.trains_lm or phase.cached.is_dir():
        return  # another run has put its results there
    temporary = phase.cached.with_name(f"{TEMPORARY}{phase.cached.name}")
    with suppress(DataError), exclusive(phase.lock, "training this phase"):  # or another run trains it now
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.copytree(phase.folder / BEST, temporary / BEST, copy_function=link_or_copy)
        shutil.copyfile(phase.folder / METRICS_FILE, temporary / METRICS_FILE)
        write_json(temporary / PHASE_DONE, _done(phase, result))
        for path in temporary.rglob("*"):
            fsync_path(path)
        replace_folder(temporary, phase.cached)


def _take(phase: PlannedPhase) -> None:
    """Copy the last phase's results from the cache: it was an earlier phase of another pipeline."""
    _copy(phase.cached / BEST, phase.folder / BEST)
    shutil.copyfile(phase.cached / METRICS_FILE, phase.folder / METRICS_FILE)


def _copy(source: Path, target: Path) -> None:
    """Copy a folder so that it is never half there."""
    temporary = target.with_name(f"{TEMPORARY}{target.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(source, temporary)
    for file in temporary.rglob("*"):
        fsync_path(file)
    replace_folder(temporary, target)


def final_experiment(pipeline: Pipeline, folder: Path, reporter: Reporter) -> Experiment:
    """The model that training left in `folder`/best, or another that it kept (`infer.kept`), with its weights, ready
    for evaluation and inference."""
    chosen = model_folder(folder, pipeline.infer.kept)
    experiment = untrained_experiment(pipeline, chosen, lm_folder(folder, chosen), reporter)
    experiment.artifacts.load(chosen)
    return experiment


def lm_folder(folder: Path, chosen: Path) -> Path:
    """Of a training in `folder`: the language models of one of its models, its own or those of an earlier phase."""
    return chosen / LM_FOLDER if (chosen / LM_FOLDER).is_dir() else folder / BEST / LM_FOLDER


def untrained_experiment(
    pipeline: Pipeline, best: Path, lms: Path, reporter: Reporter, reading: Reading | None = None
) -> Experiment:
    """The model that training leaves, before its weights are loaded. best: the folder of its weights; lms: that of
    its language models, if training changed them."""
    check_folder(best)
    phases = pipeline.train.phase_list()
    of_phase = phase_pipeline(pipeline, phases[-1])
    encoders = of_phase.model.text_encoders()
    for phase in phases:
        encoders = phase.encoders_of(encoders)
    if lms.is_dir():
        encoders = tuned_encoders(encoders, lms)
    of_phase = of_phase.model_copy(update={"model": of_phase.model.with_encoders(encoders)})
    return phase_of(phases[-1]).open(of_phase, reporter, reading)
