"""A processing job: construct, or evaluate and infer with what a training job has left in its output folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from graphstorm_like.config.load import load_with_origin
from graphstorm_like.container.training import setting
from graphstorm_like.errors import LaunchError
from graphstorm_like.launch.mirrored.session import mirrored
from graphstorm_like.launch.preflight import check_machine
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.launch.state import check_stages, stage_folder
from graphstorm_like.progress import Reporter


def process(root: Path, stages: Sequence[str], overrides: Sequence[str], fresh: bool, quiet: bool) -> None:
    """Run stages; their results are copied below processing/output/, from where SageMaker takes them to S3."""
    names, inputs = check_stages(stages), root / "processing/input"
    if "train" in names or not names or ("construct" in names and len(names) > 1):
        raise LaunchError(
            f"stages: must be construct, or evaluate and infer, in a processing job (got {','.join(stages)})"
        )
    target = root / "processing/output"
    target.mkdir(parents=True, exist_ok=True)
    folders = list(_construct_folders(inputs, target) if names == ["construct"] else _run_folders(inputs))
    yaml = inputs / "pipeline/pipeline.yaml"
    # One process does it, whatever the training job had.
    alone = ["launch.hosts=1", "launch.trainers=1", "launch.encrypt_traffic=false"]
    pipeline, origin = load_with_origin(yaml, [*overrides, *folders, *alone])
    check_machine(pipeline, origin)
    with mirrored(pipeline, names, Reporter(quiet), fresh) as local:  # graph.like may be a URL
        run_pipeline(local, names, fresh=fresh, reporter=Reporter(quiet))
    for stage in names:
        if stage != "construct":
            shutil.copytree(stage_folder(pipeline, stage), target / stage, dirs_exist_ok=True)


def _construct_folders(inputs: Path, target: Path) -> Iterator[str]:
    yield setting("output", inputs.parent / "run")
    yield setting("graph.path", target / "graph")
    if (inputs / "tables").is_dir():
        yield setting("graph.base", inputs / "tables")


def _run_folders(inputs: Path) -> Iterator[str]:
    """The output folder of the training job, and its graph unless that was given."""
    checkpoints = inputs / "checkpoints"
    if not (checkpoints / "run").is_dir():
        raise LaunchError(
            f"{checkpoints / 'run'}: must be the output folder of a training job. Train first: gsl launch PIPELINE "
            "--on sagemaker"
        )
    graph = inputs / "graph"
    yield setting("output", checkpoints / "run")
    yield setting("cache", checkpoints / "cache-h0")
    yield setting("graph.path", graph if graph.is_dir() else checkpoints / "run/graph")
