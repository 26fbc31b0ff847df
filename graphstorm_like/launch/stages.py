"""Runs the stages of a pipeline in this process; a stage whose results are up to date is skipped.

construct -> train (which embeds texts first) -> evaluate (the only place that scores the test split) -> infer
"""

from __future__ import annotations

import json
import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphstorm_like import __version__
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import TrainingError
from graphstorm_like.files import exclusive, write_json
from graphstorm_like.graph.schema import file_hash, read_manifest
from graphstorm_like.launch.plan import DONE_FILE, STAGES, check_stages, is_done, stage_fingerprint, stage_folder
from graphstorm_like.training.progress import Reporter, duration

if TYPE_CHECKING:
    from graphstorm_like.training.experiment import Experiment

FINGERPRINT_FILE = "fingerprint.json"
METRICS_FILE = "metrics.json"


class Runner:
    """Runs stages of one pipeline. The experiment is built once and shared between them."""

    def __init__(self, pipeline: Pipeline, reporter: Reporter, fresh: bool = False) -> None:
        self.pipeline, self.reporter, self.fresh = pipeline, reporter, fresh
        self._experiment: Experiment | None = None

    def run(self, stages: Sequence[str] = STAGES) -> None:
        """Run the given stages in order. With `fresh` they run whether up to date or not.

        Raises DataError at once when another process runs in the same output folder.
        """
        wanted = check_stages(stages)
        with exclusive(Path(self.pipeline.output) / ".gsl.lock", "running in this output folder"):
            self._run(wanted)

    def _run(self, stages: list[str]) -> None:
        for stage in stages:
            if not self.fresh and is_done(self.pipeline, stage):
                self.reporter.line(f"{stage}: up to date ({stage_folder(self.pipeline, stage)})")
                continue
            started = time.monotonic()
            self.reporter.line(f"{stage}: -> {stage_folder(self.pipeline, stage)}")
            actions: dict[str, Callable[[], None]] = {
                "construct": self.construct,
                "train": self.train,
                "evaluate": self.evaluate,
                "infer": self.infer,
            }
            actions[stage]()
            self.reporter.line(f"{stage}: done in {duration(time.monotonic() - started)}")

    def construct(self) -> None:
        """Tables -> graph folder."""
        from gconstruct import build_graph

        build_graph(self.pipeline.graph, progress=self.reporter.line, force=self.fresh)
        self._experiment = None

    def train(self) -> None:
        """Text vectors, then the training loop. A run of another configuration is set aside, not overwritten."""
        from graphstorm_like.training.trainer import Trainer, describe

        folder = stage_folder(self.pipeline, "train")
        fingerprint = self._fingerprint("train")
        self._set_aside(folder, fingerprint)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / FINGERPRINT_FILE, {"fingerprint": fingerprint})
        write_json(folder / "pipeline.json", self.pipeline.model_dump(mode="json"))
        write_json(folder / "versions.json", versions(Path(self.pipeline.output)))
        experiment = self.experiment()
        self.reporter.line(describe(experiment))
        result = Trainer(experiment, folder, self.reporter).train()
        name = self.pipeline.task.select_by
        self.reporter.line(f"best validation {name} {result.best:.4f} in epoch {result.best_epoch} of {result.epochs}")
        self._done("train", {"best": result.best, "best_epoch": result.best_epoch, "epochs": result.epochs})

    def evaluate(self) -> None:
        """Score the best model on validation and test, over all neighbours."""
        from graphstorm_like.tasks import Evaluation

        experiment = self.trained()
        how = Evaluation("layer_wise", self.pipeline.train.fanouts, self.pipeline.seed)
        if self.pipeline.infer.mode == "mini_batch":
            how = Evaluation(
                "mini_batch", self.pipeline.infer.fanouts or self.pipeline.train.fanouts, self.pipeline.seed
            )
        scores = {
            split: experiment.task.evaluate(experiment.embedder(self.reporter), split, how)
            for split in ("valid", "test")
        }
        folder = stage_folder(self.pipeline, "evaluate")
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / METRICS_FILE, scores)
        for split, metrics in scores.items():
            self.reporter.line(f"{split}: " + ", ".join(f"{k} {v:.4f}" for k, v in metrics.items()))
        self._done("evaluate", scores)

    def infer(self) -> None:
        """Write embeddings and predictions under the user's ids."""
        from graphstorm_like.inference.export import export

        folder = stage_folder(self.pipeline, "infer")
        experiment = self.trained()
        model_id = file_hash(best_weights(self.pipeline))
        export(experiment, folder, model_id, self._fingerprint("infer"), self.reporter)
        self._done("infer", {"model": model_id})

    # ------------------------------------------------------------------------------------------------------------

    def experiment(self) -> Experiment:
        """Graph, text vectors, model and task, built once."""
        if self._experiment is None:
            from graphstorm_like.training.experiment import build_experiment, set_threads

            set_threads(self.pipeline)
            self._experiment = build_experiment(self.pipeline, self.reporter)
        return self._experiment

    def trained(self) -> Experiment:
        """The experiment with the best weights in it."""
        from graphstorm_like.training.checkpoint import load_weights

        if not is_done(self.pipeline, "train"):
            raise TrainingError(
                f"{stage_folder(self.pipeline, 'train')}: must hold a finished training of this configuration and "
                f"graph. Run: gsl train"
            )
        experiment = self.experiment()
        load_weights(best_weights(self.pipeline), experiment.modules)
        return experiment

    def _fingerprint(self, stage: str) -> str:
        return stage_fingerprint(self.pipeline, stage, read_manifest(stage_folder(self.pipeline, "construct")))

    def _set_aside(self, folder: Path, fingerprint: str) -> None:
        """Another configuration's run (or, with `fresh`, this one's) moves to train.1, train.2, ..."""
        try:
            there = json.loads((folder / FINGERPRINT_FILE).read_text(encoding="utf-8"))["fingerprint"]
        except (OSError, ValueError, KeyError):
            there = None
        if not folder.exists() or (there == fingerprint and not self.fresh):
            return
        number = 1
        while (target := folder.with_name(f"{folder.name}.{number}")).exists():
            number += 1
        folder.rename(target)
        self.reporter.line(f"{folder} held a run of another configuration; it is now {target.name}")

    def _done(self, stage: str, facts: dict[str, Any]) -> None:
        write_json(stage_folder(self.pipeline, stage) / DONE_FILE, {"fingerprint": self._fingerprint(stage), **facts})


def run_pipeline(
    pipeline: Pipeline, stages: Sequence[str] = STAGES, *, fresh: bool = False, reporter: Reporter | None = None
) -> None:
    """Run stages of a pipeline, as `gsl run` does."""
    Runner(pipeline, reporter or Reporter(), fresh).run(stages)


def best_weights(pipeline: Pipeline) -> Path:
    """The weights that validation chose."""
    return stage_folder(pipeline, "train") / "best" / "model.safetensors"


def read_scores(pipeline: Pipeline) -> dict[str, dict[str, float]]:
    """What `evaluate` measured: {'valid': {...}, 'test': {...}}"""
    scores: dict[str, dict[str, float]] = json.loads(
        (stage_folder(pipeline, "evaluate") / METRICS_FILE).read_text(encoding="utf-8")
    )
    return scores


def versions(folder: Path) -> dict[str, str | None]:
    """Versions of what computes, and the git commit of the folder the pipeline runs in, if any."""
    found: dict[str, str | None] = {"graphstorm-like": __version__, "python": platform.python_version()}
    for package in ("torch", "numpy", "pyarrow", "transformers"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    try:
        git = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, timeout=10, check=True
        )
        found["git_commit"] = git.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        found["git_commit"] = None
    return found
