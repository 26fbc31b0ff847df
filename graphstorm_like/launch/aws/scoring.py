"""Requests of jobs that score with a packed model: a batch transform, which asks what serves an endpoint, and
`gsl apply` as a processing job.

Below `launch.s3`/<run>:
    transform/<job>/    an answer a line, a file for each file of questions
    apply/<job>/        told/, what the job is told: new.yaml, ids/<file>, pairs/<file>; tables/, with --upload;
                        scored/, the results
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.launchers.sagemaker import ApplyConfig
from graphstorm_like.config.load import build_graph_config
from graphstorm_like.config.yaml_source import parse_yaml
from graphstorm_like.errors import ConfigError
from graphstorm_like.launch.aws.order import Order
from graphstorm_like.launch.aws.requests import Request, key_of, processing_job, tags
from graphstorm_like.launch.aws.tables import Upload, table_uploads

LINES, CONTENT_TYPES = "application/jsonlines", {"jsonlines": "application/jsonlines", "csv": "text/csv"}
STRATEGIES = {"multi": "MultiRecord", "single": "SingleRecord"}


def transform_job(order: Order, name: str, model_name: str) -> Request:
    """CreateTransformJob: the lines of the files of launch.transform.input, an answer a line."""
    config, asked = order.config, order.config.transform
    request: Request = {
        "TransformJobName": name,
        "ModelName": model_name,
        "BatchStrategy": STRATEGIES[asked.batch],
        "MaxPayloadInMB": asked.max_payload,
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": asked.timeout, "InvocationsMaxRetries": 3},
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": asked.input}},
            "ContentType": CONTENT_TYPES[asked.content],
            "SplitType": "Line",
            "CompressionType": "None",
        },
        "TransformOutput": {
            "S3OutputPath": order.url("transform", name),
            "Accept": LINES,
            "AssembleWith": "Line",
            **key_of(order, "KmsKeyId"),
        },
        "TransformResources": {
            "InstanceType": asked.instance_type or config.instance_type,
            "InstanceCount": asked.instances,
            **key_of(order, "VolumeKmsKeyId"),
        },
        "Tags": tags(order),
    }
    if asked.concurrent is not None:
        request["MaxConcurrentTransforms"] = asked.concurrent
    return request


def apply_job(order: Order, name: str, model: str, graph: str | None, has_tables: bool) -> Request:
    """CreateProcessingJob: `gsl apply` with a model.tar.gz on what `apply_uploads` copies. graph: URL of the folder to
    attach to; None: the new rows are alone. has_tables: whether tables are copied."""
    asked, place = order.config.apply, order.url("apply", name)
    inputs: dict[str, Any] = {"told": f"{place}/told", "model": model}
    if has_tables:
        inputs["tables"] = f"{place}/tables"
    if graph is not None:
        inputs["graph"] = graph
    told = [f"{key}={json.dumps(value)}" for key, value in asked.options().items()]
    order = replace(order, overrides=tuple(told))
    return processing_job(order, asked, "apply", inputs, f"{place}/scored", name)


def apply_uploads(order: Order, name: str) -> list[Upload]:
    """The YAML of the new tables, files of ids, and with --upload the tables. Raises ConfigError and LaunchError."""
    asked, place = order.config.apply, order.url("apply", name)
    assert asked.tables is not None
    uploads = [Upload(f"{place}/told/new.yaml", Path(asked.tables))]
    for key, path in _files(asked).items():
        if not path.is_file():
            raise ConfigError(f"launch.apply.{key}: must be a file of this machine (got '{path}')")
        uploads.append(Upload(f"{place}/told/{key}/{path.name}", path))
    return uploads + table_uploads(new_tables(Path(asked.tables)), order.config.upload, f"{place}/tables")


def _files(asked: ApplyConfig) -> dict[str, Path]:
    named = {"ids": asked.ids, "pairs": asked.pairs}
    return {key: Path(path) for key, path in named.items() if path is not None}


def new_tables(path: Path) -> GraphConfig:
    """The section `graph:` of a YAML of new tables, whose node types need not all be there. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"launch.apply.tables: must be a YAML file that can be read ({err})") from None
    data = parse_yaml(text, str(path)).data
    graph = data.get("graph") if isinstance(data, dict) else None
    if not isinstance(graph, dict) or not isinstance(graph.get("nodes"), dict):
        raise ConfigError(f"{path}: must have a section 'graph:' with the new tables: nodes, edges and their files")
    edges = [edge for edge in graph.get("edges") or [] if isinstance(edge, dict)]
    ends: dict[str, Any] = {}
    for edge in edges:
        ends |= {str(edge[end]): {} for end in ("source", "target") if end in edge}
    base, folder = str(graph.get("base") or ""), path.absolute().parent
    nodes = {name: node or {} for name, node in graph["nodes"].items()}
    section = {
        "path": "graph",
        "base": base if "://" in base else str(folder / Path(base).expanduser()),
        "nodes": {**ends, **nodes},
        "edges": edges,
    }
    return build_graph_config(section, f"{path}: graph")
