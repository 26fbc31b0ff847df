"""A training job, on one of its hosts: hyperparameters and channels in, stages run, model out.

The output folder is /opt/ml/checkpoints/run. SageMaker copies it to S3 while the job runs, and to new machines when the
old ones were taken away: the job then goes on from its last resume point, as `gsl run` does with an output folder.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from graphstorm_like.config.load import load_with_origin
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.container.folders import Hosts, channel, read_config, read_hosts
from graphstorm_like.container.hosts import addresses_of, closed_copy
from graphstorm_like.container.model import fill_model_folder
from graphstorm_like.errors import LaunchError
from graphstorm_like.launch.aws.order import OWN
from graphstorm_like.launch.mirrored.session import mirrored
from graphstorm_like.launch.one_host import run_one_host
from graphstorm_like.launch.preflight import check_machine
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.launch.state import MAIN_FILES, STAGES, check_stages, stage_folder
from graphstorm_like.progress import Reporter
from graphstorm_like.reports.write import report_of_run

_FOREIGN = ("_", "sagemaker_")
"""Beginnings of hyperparameters that SageMaker and its tuner add."""


@dataclass(frozen=True)
class Order:
    """What the hyperparameters say."""

    overrides: tuple[str, ...]
    stages: tuple[str, ...]
    fresh: bool
    quiet: bool


def train(root: Path) -> None:
    """Run the job's stages on this host; raises what they raise."""
    order, hosts = read_order(root), read_hosts(root)
    pipeline = load_job(root, order, hosts)
    stages = [stage for stage in order.stages if stage != "construct" or pipeline.graph.nodes]
    if channel(root, "graph") is not None:
        stages = [stage for stage in stages if stage != "construct"]
    with mirrored(pipeline, stages, Reporter(order.quiet), order.fresh) as local:  # graph.like may be a URL
        if len(hosts.names) * local.launch.trainers == 1:
            run_pipeline(local, stages, fresh=order.fresh, reporter=Reporter(order.quiet))
        else:
            _run_with_others(root, local, stages, order, hosts)
        if hosts.index == 0:
            _hand_over(root, local, stages, Reporter(order.quiet))


def read_order(root: Path) -> Order:
    """From hyperparameters.json: overrides by key, and our own. Sections come before the keys in them."""
    told = {key: str(value) for key, value in read_config(root, "hyperparameters.json", {}).items()}
    keys = sorted((key for key in told if not key.startswith((OWN, *_FOREIGN))), key=len)
    given = told.get(f"{OWN}stages", ",".join(STAGES))
    stages = check_stages([stage for stage in given.split(",") if stage])
    flags = {name: told.get(f"{OWN}{name}", "false").lower() == "true" for name in ("fresh", "quiet")}
    return Order(tuple(f"{key}={told[key]}" for key in keys), tuple(stages), flags["fresh"], flags["quiet"])


def load_job(root: Path, order: Order, hosts: Hosts) -> Pipeline:
    """The pipeline with the container's folders. Raises ConfigError, or LaunchError when SageMaker has started another
    number of hosts."""
    source = channel(root, "pipeline")
    if source is None:
        raise LaunchError("channel 'pipeline': must be there, with pipeline.yaml. Submit the job by gsl launch")
    overrides = [*order.overrides, *container_folders(root, hosts.index)]
    pipeline, origin = load_with_origin(source / "pipeline.yaml", overrides)
    if pipeline.launch.hosts != len(hosts.names):
        raise LaunchError(
            f"launch.hosts: must be the number of the job's machines, {len(hosts.names)} (got "
            f"{pipeline.launch.hosts}). Set launch.hosts"
        )
    check_machine(pipeline, origin)
    return pipeline


def container_folders(root: Path, host: int) -> Iterator[str]:
    """Overrides for what lies elsewhere in a container. Each host has a cache of its own name: copies of all of them
    are in one folder of S3."""
    checkpoints = root / "checkpoints"
    yield setting("output", checkpoints / "run")
    yield setting("cache", checkpoints / f"cache-h{host}")
    yield setting("graph.path", channel(root, "graph") or checkpoints / "run/graph")
    tables = channel(root, "tables")
    if tables is not None:
        yield setting("graph.base", tables)


def setting(key: str, path: Path) -> str:
    """An override with a path."""
    return f"{key}={json.dumps(str(path))}"


def _run_with_others(root: Path, pipeline: Pipeline, stages: list[str], order: Order, hosts: Hosts) -> None:
    """`gsl host`. Each host constructs the whole graph: the same tables give the same bytes, and no host waits."""
    if "construct" in stages:
        run_pipeline(pipeline, ["construct"], fresh=order.fresh, reporter=Reporter(order.quiet))
    with closed_copy(channel(root, "secret")) as secret:
        run_one_host(
            pipeline,
            hosts.index,
            addresses_of(hosts.names, hosts.index),
            secret,
            stages,
            fresh=order.fresh,
            quiet=order.quiet,
        )


def _hand_over(root: Path, pipeline: Pipeline, stages: list[str], reporter: Reporter) -> None:
    """Model, scores and report. Embeddings and predictions stay in the output folder: they are in S3 already, file by
    file."""
    if "train" in stages:
        fill_model_folder(pipeline, root / "model", reporter)
    files = [stage_folder(pipeline, "evaluate") / MAIN_FILES["evaluate"]] if "evaluate" in stages else []
    if pipeline.report and stages != ["construct"]:
        files += report_of_run(Path(pipeline.output), None, reporter.line)
    data = root / "output/data"
    data.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copyfile(file, data / file.name)
