"""Runs the phases of a strategy one after the other; the last one's results are the training's.

The others, and the last too where it trains a language model, lie in the cache, named by a hash of all that they depend
on: a phase that is there is not run again, whichever pipeline made it, and a killed one goes on where it was.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import DamagedFileError, DataError
from graphstorm_like.files import TEMPORARY, exclusive, fsync_path, replace_folder, write_json
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.progress import Reporter, duration
from graphstorm_like.ranks.group import Group
from graphstorm_like.ranks.torch_group import LONG_SECONDS, group
from graphstorm_like.training.artifacts import BEST, LM_FOLDER
from graphstorm_like.training.checkpoint import add_hashes, check_folder
from graphstorm_like.training.experiment import Experiment
from graphstorm_like.training.phases.base import phase_of, phase_pipeline
from graphstorm_like.training.phases.handover import Handover, tuned_encoders
from graphstorm_like.training.strategies.plan import PHASE_DONE, PlannedPhase, phase_plan
from graphstorm_like.training.tracking import METRICS_FILE
from graphstorm_like.training.trainer import Trainer, TrainResult, describe


def run_phases(pipeline: Pipeline, folder: Path, reporter: Reporter, fresh: bool = False) -> TrainResult:
    """Run what is not done yet; the best model is in `folder`/best, with language models that training changed.

    fresh: what is in the cache does not count.
    """
    assert pipeline.graph.path is not None
    planned = phase_plan(pipeline, folder, read_manifest(pipeline.graph.path))
    lineage, ranks = Handover(pipeline, pipeline.model.text_encoders()), group()
    result: TrainResult | None = None
    for number, phase in enumerate(planned):
        if len(planned) > 1:
            reporter.line(f"phase {number + 1} of {len(planned)}, {phase.config.name}: -> {phase.folder}")
        with _alone(phase, reporter):
            if fresh and not phase.last and ranks.rank == 0:
                shutil.rmtree(phase.folder, ignore_errors=True)
            result = None if fresh else _known(phase, ranks, reporter)
            ranks.barrier(f"phase {phase.config.name}")
            if result is None:
                result = _run(phase, lineage, reporter)
            else:
                reporter.line(f"phase {phase.config.name}: up to date ({phase.cached})")
                if phase.last and ranks.rank == 0:
                    _take(phase)
                ranks.barrier(f"phase {phase.config.name}")
        lineage = lineage.after(phase.config, phase.folder)
    assert result is not None, "a strategy has phases"
    if lineage.tuned is not None and ranks.rank == 0 and not (folder / BEST / LM_FOLDER).is_dir():
        _copy(lineage.tuned, folder / BEST / LM_FOLDER)
        add_hashes(folder / BEST, LM_FOLDER)
    ranks.barrier("the end of training")
    return result


def _known(phase: PlannedPhase, ranks: Group, reporter: Reporter) -> TrainResult | None:
    """What a phase came to, when it is done: as the first rank finds it. Damaged results in the cache are removed."""
    found = phase.done() if ranks.rank == 0 else None
    if found is not None:
        try:
            check_folder(phase.cached / BEST)
        except DamagedFileError as err:
            reporter.line(f"phase {phase.config.name} is trained again: {err}")
            shutil.rmtree(phase.cached, ignore_errors=True)
            found = None
    written = ranks.from_first(json.dumps(None if found is None else asdict(found)), "phases that are done")
    facts = json.loads(written)
    return None if facts is None else TrainResult(**facts)


@contextmanager
def _alone(phase: PlannedPhase, reporter: Reporter) -> Iterator[None]:
    """Phases in the cache may be wanted by two runs at once: the second waits, and says so. The last one's folder is
    locked by its run."""
    ranks, what = group(), f"the folder of phase {phase.config.name}"
    with ExitStack() as stack:
        ranks.leader_first(what)
        if ranks.rank == 0 and not (phase.last and not phase.cached.is_dir()):
            phase.cached.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(exclusive(phase.lock, "training this phase", LONG_SECONDS, reporter.line))
        ranks.leader_done(what)
        yield


def _run(phase: PlannedPhase, lineage: Handover, reporter: Reporter) -> TrainResult:
    experiment = phase_of(phase.config).build(lineage, reporter)
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
    if not phase.config.trains_lm or phase.cached.is_dir():
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
    check_folder(folder / BEST)
    phases = pipeline.train.phase_list()
    own, lms = phase_pipeline(pipeline, phases[-1]), folder / BEST / LM_FOLDER
    encoders = own.model.text_encoders()
    for phase in phases:
        encoders = phase.encoders_of(encoders)
    if lms.is_dir():
        encoders = tuned_encoders(encoders, lms)
    own = own.model_copy(update={"model": own.model.with_encoders(encoders)})
    experiment = phase_of(phases[-1]).open(own, reporter)
    experiment.artifacts.load(folder / BEST)
    return experiment
