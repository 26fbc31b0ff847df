"""Runs the stages of a pipeline in this process; a stage whose results are up to date is skipped.

construct -> train (which embeds texts first) -> evaluate (the only place that scores the test split) -> infer
"""

from __future__ import annotations

import errno
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphstorm_like import __version__
from graphstorm_like.cache_use import using_cache
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import DataError, TrainingError
from graphstorm_like.files import SCRATCH, exclusive, read_object, recover, write_json
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.launch.cost import COST_FILE, measured, write_cost
from graphstorm_like.launch.fingerprints import fingerprint_but_for_epochs, stage_fingerprint
from graphstorm_like.launch.state import (
    BEST,
    DONE_FILE,
    FINGERPRINT_FILE,
    MAIN_FILES,
    STAGES,
    best_weights,
    check_stages,
    earlier_run,
    folder_fingerprint,
    free_name,
    model_id,
    output_records,
    stage_folder,
    stage_problem,
)
from graphstorm_like.progress import Reporter, duration, shown
from graphstorm_like.ranks.group import SINGLE_PROCESS
from graphstorm_like.training.kept import KEPT

if TYPE_CHECKING:
    from graphstorm_like.ranks.group import Group
    from graphstorm_like.tasks import Evaluation
    from graphstorm_like.training.experiment import Experiment

METRICS_FILE = MAIN_FILES["evaluate"]
PROTOCOL = "protocol"
"""Key in the metrics file, beside the splits: how links were ranked."""
ATTACKED = "attacked"
"""Another one: scores of every split by attack."""
BESIDE_SCORES = (PROTOCOL, ATTACKED)


@contextmanager
def writing(output: Path) -> Iterator[None]:
    """Explain errors of an output folder that cannot be written to. Other file errors pass unchanged."""
    try:
        yield
    except OSError as err:
        if not _is_about(err, output):
            raise
        raise DataError(
            f"{output}: must be a folder that can be written to ({err}). Free space, or choose another `output`"
        ) from err


_MISSING = {errno.ENOENT, errno.ESTALE, errno.EISDIR}
"""Errors of a file that has changed or vanished, not of a folder that cannot be written to."""


def _is_about(err: OSError, output: Path) -> bool:
    """Whether an error is about writing to the output folder, or about creating it."""
    if not isinstance(err.filename, str | bytes) or err.errno in _MISSING:
        return False
    path, folder = Path(os.path.abspath(os.fsdecode(err.filename))), Path(os.path.abspath(output))
    return path.is_relative_to(folder) or folder.is_relative_to(path)


@contextmanager
def hold_output(pipeline: Pipeline) -> Iterator[None]:
    """Hold the output folder for one run, and remove what killed runs left. DataError when another run holds it."""
    output = Path(pipeline.output)
    with exclusive(output / ".gsl.lock", "running in this output folder"):
        recover(output)
        for scratch in output.glob(f"{SCRATCH}*"):  # of killed runs: we hold the lock, so none is alive
            shutil.rmtree(scratch, ignore_errors=True)
        with using_cache(Path(pipeline.cache), output):
            yield


class Runner:
    """Runs stages of one pipeline. The experiment is built once and shared between them."""

    def __init__(self, pipeline: Pipeline, reporter: Reporter, fresh: bool = False, locked: bool = False) -> None:
        """Folders of a pipeline that was made from Python start at the working directory. locked: the process that
        started this one holds the output folder."""
        self.pipeline = pipeline.with_absolute_paths(Path.cwd())
        self.reporter, self.fresh, self.locked = reporter, fresh, locked
        self._experiment: Experiment | None = None
        self._vectors: dict[str, Any] = {}
        """Layer-wise vectors of the best weights: evaluate and infer share them."""

    def run(self, stages: Sequence[str] = STAGES) -> None:
        """Run the given stages in order. With `fresh` they run even if they are up to date.

        Raises DataError at once when another process runs in the same output folder.
        """
        ordered = check_stages(stages)
        output = Path(self.pipeline.output)
        held = using_cache(Path(self.pipeline.cache), output) if self.locked else hold_output(self.pipeline)
        with writing(output), held:
            self._run(ordered)

    def _run(self, stages: list[str]) -> None:
        actions: dict[str, Callable[[], None]] = {
            "construct": self.construct,
            "train": self.train,
            "evaluate": self.evaluate,
            "infer": self.infer,
        }
        for stage in stages:
            folder = stage_folder(self.pipeline, stage)
            if self._is_up_to_date(stage):
                self.reporter.line(f"{stage}: up to date ({folder})")
                continue
            if stage != "construct" and "construct" not in stages:
                self._check_graph()
            self.reporter.line(f"{stage}: -> {folder}")
            resumed = stage == "train" and not self.fresh and (folder / "checkpoints").is_dir()
            with measured() as cost:
                actions[stage]()
            self.reporter.line(f"{stage}: done in {duration(cost.seconds)}")
            if stage != "construct":  # the graph's own report has what construction took
                cost.resumed = resumed
                write_cost(folder / COST_FILE, cost, self.group)

    def _is_up_to_date(self, stage: str) -> bool:
        """Whether a stage is up to date, as rank 0 finds: other ranks might check when rank 0 has already started it.
        It also restores an earlier training of this configuration. TrainingError when a finished training is damaged:
        training again may take hours, and needs --fresh."""
        up_to_date, damage = False, ""
        if self.group.leads_output and not self.fresh and stage != "construct":
            bring_back(self.pipeline, self.reporter)
        if self.group.rank == 0 and not self.fresh:
            with self.reporter.step(f"{stage}: checking files"):
                problem = stage_problem(self.pipeline, stage)
            up_to_date = problem is None
            damage = problem.text if problem is not None and problem.damaged else ""
        answer = self.group.from_first("yes" if up_to_date else damage, "what is to do")
        if answer not in ("", "yes"):
            if stage == "train":
                raise TrainingError(answer)
            self.reporter.line(f"{stage}: runs again. {answer}")
        return answer == "yes"

    @property
    def group(self) -> Group:
        """The ranks that run these stages together; rank 0 writes the files that only one rank may write."""
        # A launcher is in no group, and should not spend a second on importing torch before it starts the processes.
        module = sys.modules.get("graphstorm_like.ranks.torch_group")
        return SINGLE_PROCESS if module is None else module.group()

    def _check_graph(self) -> None:
        """When stages run without construct, the graph must fit the configuration; checked if its tables are here."""
        from gconstruct import fingerprint

        manifest = read_manifest(stage_folder(self.pipeline, "construct"))
        try:
            current = fingerprint(self.pipeline.graph)
        except DataError:
            self.reporter.line("the tables of the graph are not here: taking the graph folder as it is")
            return
        if manifest.fingerprint != current:
            raise DataError(
                f"{self.pipeline.graph.path}: must be of the present tables and `graph` section, which have changed "
                f"since. Run: gsl construct"
            )

    def construct(self) -> None:
        """Tables -> graph folder."""
        from gconstruct import build_graph

        say, follow = self.reporter.line, self.reporter.follow()
        build_graph(self.pipeline.graph, progress=say, follow=follow, force=self.fresh)
        self._experiment, self._vectors = None, {}

    def train(self) -> None:
        """Text vectors, then the training loop. A training of another configuration is set aside, not overwritten."""
        with self.reporter.step("loading torch and checking what training needs"):
            from graphstorm_like.device import set_threads
            from graphstorm_like.training.checks import check_training
            from graphstorm_like.training.strategies import run_phases

            check_training(self.pipeline)  # before a finished training is set aside for one that cannot start
        folder, aside = stage_folder(self.pipeline, "train"), None
        self._experiment, self._vectors = None, {}
        self.group.barrier("the checks before training")
        if self.group.leads_output:
            fingerprint = self._fingerprint("train")
            start = self._going_on(folder, fingerprint)
            aside = self._set_aside(folder, fingerprint)
            if start is not None:
                start.rename(folder)
            self._begin("train")
            write_json(folder / FINGERPRINT_FILE, {"fingerprint": fingerprint, **self._length()})
            write_json(folder / "pipeline.json", self.pipeline.model_dump(mode="json"))
            write_json(folder / "versions.json", versions(Path(self.pipeline.output)))
        self.group.barrier("the start of training")
        set_threads(self.pipeline.launch.threads)
        try:
            result = run_phases(self.pipeline, folder, self.reporter, self.fresh)
        except BaseException:
            if aside is not None and not self.fresh:
                self._undo_set_aside(folder, aside)
            raise
        self._done("train", {"best": result.best, "best_epoch": result.best_epoch, "epochs": result.epochs})

    def evaluate(self) -> None:
        """Score the best model, or that of `infer.kept`, on the task's splits, over all neighbours unless `infer.mode`
        says otherwise."""
        from graphstorm_like.inference.ranks import RANKS_FOLDER, RankFiles
        from graphstorm_like.tasks import Evaluation

        experiment, config = self.trained(), self.pipeline.infer
        folder = stage_folder(self.pipeline, "evaluate")
        if self.group.leads_output:
            self._begin("evaluate")
            shutil.rmtree(folder / RANKS_FOLDER, ignore_errors=True)
        self.group.barrier("the start of evaluation")
        keep = RankFiles(folder / RANKS_FOLDER, experiment.graph, self.group)
        how = Evaluation(config.mode, config.fanouts or self.pipeline.train.fanouts, self.pipeline.seed, keep.write)
        embedder = experiment.embedder(self.reporter, self._vectors)
        scores = {split: experiment.task.evaluate(embedder, split, how) for split in experiment.task.scored_splits}
        keep.share()
        beside: dict[str, Any] = {PROTOCOL: dict(experiment.task.protocol)} if experiment.task.protocol else {}
        for split, metrics in scores.items():
            self.reporter.line(f"{split}: {shown(metrics)}")
        if config.attacks:
            beside[ATTACKED] = self._scores_under_attack(experiment, how)
        if self.group.leads_output:
            write_json(folder / METRICS_FILE, {**scores, **beside})
        self._done("evaluate", {"model": model_id(self.pipeline), **scores})

    def _scores_under_attack(self, experiment: Experiment, how: Evaluation) -> dict[str, dict[str, dict[str, float]]]:
        """By title of the attack and split."""
        from graphstorm_like.inference.attacked import Attacked

        scores: dict[str, dict[str, dict[str, float]]] = {}
        for attack in self.pipeline.infer.attacks:
            for split in experiment.task.scored_splits:
                metrics = Attacked(experiment, attack, split).scores(experiment.embedder(), how)
                scores.setdefault(attack.title, {})[split] = metrics
                self.reporter.line(f"{split} under {attack.title}: {shown(metrics)}")
        return scores

    def infer(self) -> None:
        """Write embeddings and predictions under the user's ids."""
        from graphstorm_like.inference.export import export

        experiment, weights = self.trained(), model_id(self.pipeline)
        assert weights is not None
        if self.group.leads_output:
            self._begin("infer")
        embedder = experiment.embedder(self.reporter, self._vectors)
        export(experiment, stage_folder(self.pipeline, "infer"), weights, embedder, self.reporter)
        self._done("infer", {"model": weights})

    # ------------------------------------------------------------------------------------------------------------

    def trained(self) -> Experiment:
        """The experiment with the best weights, built once."""
        problem = stage_problem(self.pipeline, "train")
        if problem is not None and problem.damaged:
            raise TrainingError(problem.text)
        if problem is not None:
            raise TrainingError(
                f"{stage_folder(self.pipeline, 'train')}: must hold a finished training of this configuration and "
                f"graph. Run: gsl train"
            )
        self._check_same_weights()
        weights = best_weights(self.pipeline)
        if self._experiment is None:
            from graphstorm_like.device import set_threads
            from graphstorm_like.training.strategies import final_experiment

            set_threads(self.pipeline.launch.threads)
            experiment = final_experiment(self.pipeline, stage_folder(self.pipeline, "train"), self.reporter)
            self._check_text_models(experiment, weights.parent)
            self._experiment = experiment
        return self._experiment

    def _check_same_weights(self) -> None:
        """Hosts with output folders of their own have each fetched or trained the best model."""
        if not self.group.own_outputs:
            return
        models = self.group.collect(str(model_id(self.pipeline)), "the best weights")
        if len(set(models)) > 1:
            raise TrainingError(
                f"{best_weights(self.pipeline).parent}: must be the same on all hosts (got {len(set(models))} "
                "different ones). Remove the work folders, and start all hosts again"
            )

    def _check_text_models(self, experiment: Experiment, best: Path) -> None:
        """Text vectors must come from the same language model weights as in training. Tuned weights are saved with the
        model."""
        if (best / "lm").is_dir() or (stage_folder(self.pipeline, "train") / BEST / "lm").is_dir():
            return
        if read_object(best / "text_models.json") != experiment.artifacts.text_weights:
            raise TrainingError(
                f"{best}: was trained on vectors of other language model weights than "
                f"{getattr(self.pipeline.model.text_encoder, 'name', 'none')} has now. Train again: gsl train --fresh"
            )

    def _fingerprint(self, stage: str) -> str:
        return stage_fingerprint(self.pipeline, stage, read_manifest(stage_folder(self.pipeline, "construct")))

    def _set_aside(self, folder: Path, fingerprint: str) -> Path | None:
        """Rename another configuration's training (with `fresh` also this one's) to train.1, train.2, ... Returns the
        new path; None when nothing was renamed."""
        earlier = folder_fingerprint(folder)
        if earlier is None or (earlier == fingerprint and not self.fresh):
            return None
        target = free_name(folder)
        folder.rename(target)
        self.reporter.line(f"{folder} held an earlier run; it is now {target.name}")
        return target

    def _length(self) -> dict[str, Any]:
        """What says whether a training is the same as another one, but for its number of epochs."""
        manifest = read_manifest(stage_folder(self.pipeline, "construct"))
        same = fingerprint_but_for_epochs(self.pipeline, manifest)
        return {} if same is None else {"but_for_epochs": same, "epochs": self.pipeline.train.epochs}

    def _going_on(self, folder: Path, fingerprint: str) -> Path | None:
        """When the training in `folder` is this one with fewer epochs: a folder beside it, to be renamed, with copies
        of its resume points and its best model, from which training goes on. After a kill it is made anew."""
        copies = folder.with_name(f".going-on-{folder.name}")
        if not folder.exists() and folder_fingerprint(copies) == fingerprint and not self.fresh:
            return copies  # a kill came between two renames
        shutil.rmtree(copies, ignore_errors=True)
        earlier, now = read_object(folder / FINGERPRINT_FILE) or {}, self._length()
        same = "but_for_epochs" in now and earlier.get("but_for_epochs") == now["but_for_epochs"]
        has_points = (folder / "checkpoints").is_dir()
        if self.fresh or not same or not has_points or not earlier["epochs"] < now["epochs"]:
            return None
        copies.mkdir()
        for name in (BEST, KEPT, "checkpoints"):
            if (folder / name).is_dir():
                shutil.copytree(folder / name, copies / name)
        shutil.copyfile(folder / "metrics.jsonl", copies / "metrics.jsonl")
        write_json(copies / FINGERPRINT_FILE, {"fingerprint": fingerprint})
        self.reporter.line(
            f"{folder} is the same training with {earlier['epochs']} epochs instead of {now['epochs']}: going on "
            f"from its last resume point (from zero: --fresh)"
        )
        return copies

    def _undo_set_aside(self, folder: Path, aside: Path) -> None:
        """When a training fails before it has saved anything, restore the one that was set aside."""
        if not any((folder / name).exists() for name in ("checkpoints", BEST)):
            shutil.rmtree(folder, ignore_errors=True)
            aside.rename(folder)
            self.reporter.line(f"nothing was trained: {aside.name} is {folder.name} again")

    def _begin(self, stage: str) -> None:
        """Invalidate a stage's old results, even if the new ones are interrupted."""
        folder = stage_folder(self.pipeline, stage)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / DONE_FILE).unlink(missing_ok=True)

    def _done(self, stage: str, facts: dict[str, Any]) -> None:
        if self.group.leads_output:
            folder = stage_folder(self.pipeline, stage)
            content = {"fingerprint": self._fingerprint(stage), **facts, "files": output_records(folder, stage)}
            write_json(folder / DONE_FILE, content)
        self.group.barrier(f"the end of {stage}")


def run_pipeline(
    pipeline: Pipeline, stages: Sequence[str] = STAGES, *, fresh: bool = False, reporter: Reporter | None = None
) -> None:
    """Run stages of a pipeline, as `gsl run` does in one process."""
    Runner(pipeline, reporter or Reporter(), fresh).run(stages)


def bring_back(pipeline: Pipeline, reporter: Reporter) -> None:
    """When a training of this configuration was set aside, restore it, and set aside the one in its place. The caller
    must hold the output folder."""
    earlier = earlier_run(pipeline)
    if earlier is None:
        return
    folder = stage_folder(pipeline, "train")
    line = f"{earlier} holds a training of this configuration: it is {folder.name} again"
    if folder.exists():
        aside = free_name(folder)
        folder.rename(aside)
        line += f", and what was there is {aside.name}"
    earlier.rename(folder)
    reporter.line(line)


def read_scores(pipeline: Pipeline) -> dict[str, dict[str, float]]:
    """The scores of `evaluate`: {'valid': {...}, 'test': {...}}, for the splits that the task has. DataError when they
    cannot be read."""
    path = stage_folder(pipeline, "evaluate") / METRICS_FILE
    scores = read_object(path)
    if scores is None:
        raise DataError(f"{path}: must hold the scores of an evaluation. Run: gsl evaluate --fresh")
    return {split: metrics for split, metrics in scores.items() if split not in BESIDE_SCORES}


def versions(folder: Path) -> dict[str, str | None]:
    """Versions of Python and of the packages that compute, and the git commit of the folder, if it has one."""
    versions_by_name: dict[str, str | None] = {"graphstorm-like": __version__, "python": platform.python_version()}
    for package in ("torch", "numpy", "pyarrow", "transformers"):
        try:
            versions_by_name[package] = version(package)
        except PackageNotFoundError:
            versions_by_name[package] = None
    try:
        git = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, timeout=10, check=True
        )
        versions_by_name["git_commit"] = git.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        versions_by_name["git_commit"] = None
    return versions_by_name
