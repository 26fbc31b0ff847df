"""The whole of a launch: files to copy to S3 and requests to send, in order. `gsl launch --print` shows it, `submit`
carries it out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.plugins import is_file
from graphstorm_like.errors import LaunchError
from graphstorm_like.launch.authority import new_credentials
from graphstorm_like.launch.aws import requests, scoring
from graphstorm_like.launch.aws.order import Order, container_overrides
from graphstorm_like.launch.aws.steps import pipeline_requests
from graphstorm_like.launch.aws.tables import Upload, graph_uploads, is_url, table_uploads

Call = tuple[str, dict[str, Any]]
"""An operation of SageMaker's API, and its parameters."""
SCORING = ("endpoint", "transform", "apply")
"""Jobs with a packed model."""
SPARK_SCRIPT = b"""\
import sys

from gconstruct.engines.spark.__main__ import main

raise SystemExit(main(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Plan:
    """See module."""

    order: Order
    uploads: tuple[Upload, ...]
    calls: tuple[Call, ...]

    def text(self) -> str:
        """As JSON, for people and programs. A pipeline's definition, which is a string in the request, is unfolded."""
        shown = []
        for operation, parameters in self.calls:
            unfolded = dict(parameters)
            if "PipelineDefinition" in unfolded:
                unfolded["PipelineDefinition"] = json.loads(unfolded["PipelineDefinition"])
            shown.append({"operation": operation, "parameters": unfolded})
        content = {"uploads": [upload.shown() for upload in self.uploads], "requests": shown}
        return json.dumps(content, indent=2) + "\n"


def plan_launch(
    pipeline: Pipeline,
    yaml: Path,
    changes: Sequence[str],
    stamp: str,
    fresh: bool = False,
    quiet: bool = False,
    model: str | None = None,
) -> Plan:
    """What a launch will do. model: the model.tar.gz of a job that serves or scores. Raises LaunchError for what cannot
    run on SageMaker."""
    order = Order(pipeline, (), stamp, fresh=fresh, quiet=quiet)
    config = order.config
    if config.job in SCORING:
        return _scoring(order, model or config.model or _last_model(order))
    kind = "train" if config.job in ("train", "pipeline") else "processing"
    order = replace(order, overrides=container_overrides(changes, kind))
    uploads = [*_sources(order, yaml)]
    stages = _stages(order)
    order, found = _graph(order, stages)
    uploads += found
    if "construct" in stages:
        tables = table_uploads(pipeline.graph, config.upload, order.url("tables"))
        order, uploads = replace(order, has_tables=bool(tables)), uploads + tables
    if config.hosts > 1 and kind == "train":
        uploads.append(
            Upload(order.url("secret", "secret"), new_credentials(config.needs_tls).text.encode(), secret=True)
        )
    return Plan(order, tuple(uploads), _calls(order, stages))


def _stages(order: Order) -> list[str]:
    """What the launch does, of the stages of a run. LaunchError when that is nothing."""
    config, graph = order.config, order.pipeline.graph
    by_job: dict[str, Sequence[str]] = {"construct": ["construct"], "infer": ["infer"], "train": config.stages}
    stages = list(by_job.get(config.job, ["construct", "train", "evaluate", "infer"]))
    if graph.is_built and "construct" in stages:
        stages.remove("construct")
    if not stages:
        raise LaunchError("launch.job: must be another than construct, for the graph is a folder that exists already")
    several = config.construct_machines.instances > 1
    if several and config.job in ("construct", "pipeline") and graph.engine != "spark":
        raise LaunchError(
            f"launch.construct_machines.instances: must be 1 with graph.engine: {graph.engine} (got "
            f"{config.construct_machines.instances}). Set graph.engine: spark"
        )
    return stages


def _graph(order: Order, stages: Sequence[str]) -> tuple[Order, list[Upload]]:
    """With the graph folder that exists, in S3 or, to be copied, on this machine."""
    graph = order.pipeline.graph
    assert graph.path is not None
    if "construct" in stages:
        return order, []
    if is_url(graph.path):
        return replace(order, graph=graph.path), []
    if not graph.is_built:
        constructs = "construct" in order.config.stages  # by the training job, which leaves it in its output folder
        return (order if constructs else replace(order, graph=order.url("construct", "graph"))), []
    target = order.url("known-graph")
    return replace(order, graph=target), graph_uploads(graph.path, order.config.upload, target)


def _sources(order: Order, yaml: Path) -> list[Upload]:
    """The YAML, and the files that it names as plug-ins."""
    uploads = [Upload(order.url("pipeline", "pipeline.yaml"), yaml)]
    for name in order.pipeline.plugins:
        if not is_file(name):
            continue
        try:
            below = Path(name).relative_to(yaml.absolute().parent)
        except ValueError:
            raise LaunchError(
                f"plugins: must be modules of the image, or files beside the YAML, to travel with a job (got '{name}')"
            ) from None
        uploads.append(Upload(order.url("pipeline", below.as_posix()), Path(name)))
    if order.config.construct_machines.instances > 1:
        uploads.append(Upload(order.url("pipeline", "construct.py"), SPARK_SCRIPT))
    return uploads


def _calls(order: Order, stages: Sequence[str]) -> tuple[Call, ...]:
    job = order.config.job
    if job == "construct":
        return (("CreateProcessingJob", requests.construct_job(order, order.job_name("construct"))),)
    if job == "infer":
        return (("CreateProcessingJob", requests.stage_job(order, ["infer"], "infer", order.job_name("infer"))),)
    if job == "pipeline":
        return tuple(pipeline_requests(order, stages))
    return (("CreateTrainingJob", requests.training_job(order, stages, order.job_name("train"))),)


def _last_model(order: Order) -> str:
    """For people: `submit` looks up which one it is."""
    return order.url("output", "LAST-FINISHED-TRAINING-JOB", "output", "model.tar.gz")


def _scoring(order: Order, model: str) -> Plan:
    """With a model.tar.gz: an endpoint, a batch transform, or `gsl apply`."""
    config, uploads = order.config, list[Upload]()
    own_graph = requests.GRAPH_VARIABLE in config.environment
    if config.apply.attach if config.job == "apply" else not own_graph:
        order, uploads = _graph(order, ())
        order = replace(order, graph=order.graph or order.url("checkpoints", "run", "graph"))
    name = order.job_name(config.job)
    if config.job == "apply":
        told = scoring.apply_uploads(order, name)
        has_tables = any(upload.url.startswith(order.url("apply", name, "tables/")) for upload in told)
        job = scoring.apply_job(order, name, model, order.graph, has_tables)
        return Plan(order, (*uploads, *told), (("CreateProcessingJob", job),))
    if config.job == "transform":
        transform = scoring.transform_job(order, name, order.job_name("model"))
        created = requests.model(order, order.job_name("model"), model)
        return Plan(order, tuple(uploads), (("CreateModel", created), ("CreateTransformJob", transform)))
    return Plan(order, tuple(uploads), _endpoint(order, model))


def _endpoint(order: Order, model: str) -> tuple[Call, ...]:
    name, served = order.job_name("model"), order.config.endpoint.name or order.run
    return (
        ("CreateModel", requests.model(order, name, model)),
        ("CreateEndpointConfig", requests.endpoint_config(order, name, name)),
        ("CreateEndpoint", requests.endpoint(order, served, name)),
    )
