"""A SageMaker pipeline: construct -> train -> evaluate -> infer -> register, each a job with results of its own.

The definition follows SageMaker's JSON schema of pipelines, version 2020-12-01: a step's arguments are the request
without a name. Results of an execution are in a folder of its own below <run>/pipeline-runs/.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from graphstorm_like.launch.aws import requests
from graphstorm_like.launch.aws.order import Order, joined

Step = dict[str, Any]


def pipeline_requests(order: Order, stages: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """CreateModelPackageGroup, CreatePipeline, StartPipelineExecution."""
    name, group = order.run, order.config.group or order.run
    definition = pipeline_definition(order, stages)
    yield "CreateModelPackageGroup", {"ModelPackageGroupName": group, "Tags": requests.tags(order)}
    created = {"PipelineName": name, "PipelineDefinition": json.dumps(definition), "RoleArn": order.config.role}
    yield "CreatePipeline", {**created, "Tags": requests.tags(order)}
    yield "StartPipelineExecution", {"PipelineName": name}


def pipeline_definition(order: Order, stages: Sequence[str]) -> dict[str, Any]:
    """The steps; without the first where the graph exists."""
    base = [order.url("pipeline-runs"), {"Get": "Execution.PipelineExecutionId"}]
    order = replace(order, base=base)
    steps: list[Step] = []
    if "construct" in stages:
        steps.append(_step("Construct", "Processing", requests.construct_job(order)))
        order = replace(order, graph=_graph_of(order))
    steps.append(_step("Train", "Training", requests.training_job(order, ["train"])))
    evaluate = _step("Evaluate", "Processing", requests.stage_job(order, ["evaluate"], "evaluate"))
    scores = {"PropertyFileName": "scores", "OutputName": "results", "FilePath": "evaluate/metrics.json"}
    steps.append({**evaluate, "PropertyFiles": [scores]})
    # It needs no scores, but waits for them: a model that cannot be evaluated is not worth the machine.
    steps.append(_step("Infer", "Processing", requests.stage_job(order, ["infer"], "infer")))
    steps.append(_step("Register", "RegisterModel", _register(order)))
    for before, after in pairwise(steps):
        after["DependsOn"] = [before["Name"]]
    return {"Version": "2020-12-01", "Metadata": {}, "Parameters": [], "Steps": steps}


def _graph_of(order: Order) -> Any:
    """Where the first step leaves the graph: with Spark the same place for all executions."""
    if order.config.construct_machines.instances > 1:
        return order.url("construct", "graph")
    return joined(order.base, "construct", "graph")


def _step(name: str, kind: str, arguments: dict[str, Any]) -> Step:
    return {"Name": name, "Type": kind, "Arguments": arguments}


def _register(order: Order) -> dict[str, Any]:
    """A version in the model package group, which somebody must approve."""
    config = order.config
    container = {
        "Image": config.image,
        "ModelDataUrl": {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"},
        "Environment": requests.serving_environment(order),
    }
    scores = {"ContentType": "application/json", "S3Uri": order.place("evaluate", "evaluate", "metrics.json")}
    serving = config.endpoint.instance_type or config.instance_type
    return {
        "ModelPackageGroupName": config.group or order.run,
        "ModelApprovalStatus": "PendingManualApproval",
        "ModelMetrics": {"ModelQuality": {"Statistics": scores}},
        "InferenceSpecification": {
            "Containers": [container],
            "SupportedContentTypes": ["application/json", "application/jsonlines", "text/csv"],
            "SupportedResponseMIMETypes": ["application/json", "application/jsonlines", "text/csv"],
            "SupportedRealtimeInferenceInstanceTypes": [serving],
            "SupportedTransformInstanceTypes": [config.transform.instance_type or config.instance_type],
        },
    }
