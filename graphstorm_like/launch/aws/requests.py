"""The requests to SageMaker, as plain dictionaries. Nothing is sent from here, and boto3 is not needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphstorm_like.config.launchers.sagemaker import MachinesConfig
from graphstorm_like.launch.aws.metrics import metric_definitions
from graphstorm_like.launch.aws.order import OWN, PROCESSING, ROOT, Order

Request = dict[str, Any]
CONTAINER = ("python3", "-m", "graphstorm_like.container")
"""The program of every container: see `graphstorm_like.container`."""
GRAPH_VARIABLE, TIMEOUT_VARIABLE = "GSL_GRAPH", "GSL_TIMEOUT"
"""Where `gsl serve` finds its graph: a folder of the container, or a URL."""
SPARK_PROGRAM = f"{PROCESSING}/input/pipeline/construct.py"


def training_job(order: Order, stages: Sequence[str], name: str | None = None) -> Request:
    """CreateTrainingJob: stages of a run on launch.hosts machines. name: None for a step of a pipeline."""
    config = order.config
    request: Request = {
        "HyperParameters": hyperparameters(order, stages),
        "AlgorithmSpecification": {
            "TrainingImage": config.image,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": [*CONTAINER, "train"],
            "MetricDefinitions": metric_definitions(order.pipeline, config.metrics),
        },
        "RoleArn": config.role,
        "InputDataConfig": [channel(name, url) for name, url in channels(order, stages).items()],
        "OutputDataConfig": {"S3OutputPath": order.place("output"), **key_of(order, "KmsKeyId")},
        "ResourceConfig": {
            "InstanceType": config.instance_type,
            "InstanceCount": config.hosts,
            "VolumeSizeInGB": config.volume,
            **key_of(order, "VolumeKmsKeyId"),
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": config.max_run},
        "CheckpointConfig": {"S3Uri": order.place("checkpoints"), "LocalPath": f"{ROOT}/checkpoints"},
        "EnableManagedSpotTraining": config.spot,
        "EnableInterContainerTrafficEncryption": config.encrypt_traffic,
        "Environment": dict(config.environment),
        "Tags": tags(order),
    }
    if config.spot:
        request["StoppingCondition"]["MaxWaitTimeInSeconds"] = config.max_wait or 2 * config.max_run
    if network := vpc(order):
        request["VpcConfig"] = network
    return request if name is None else {"TrainingJobName": name, **request}


def hyperparameters(order: Order, stages: Sequence[str]) -> dict[str, str]:
    """Overrides by key, and what to do."""
    parameters = dict(override.split("=", 1) for override in order.overrides)
    parameters[f"{OWN}stages"] = ",".join(stages)
    if order.fresh:
        parameters[f"{OWN}fresh"] = "true"
    if order.quiet:
        parameters[f"{OWN}quiet"] = "true"
    return parameters


def channels(order: Order, stages: Sequence[str]) -> dict[str, Any]:
    """URLs of what SageMaker copies to every host before the job starts, by the channel's name."""
    found: dict[str, Any] = {"pipeline": order.url("pipeline")}
    if order.has_tables and "construct" in stages:
        found["tables"] = order.url("tables")
    if order.graph is not None:
        found["graph"] = order.graph
    elif "construct" not in stages:
        found["graph"] = order.place("construct", "graph")
    if order.config.hosts > 1:
        found["secret"] = order.url("secret")
    return found


def channel(name: str, url: Any) -> Request:
    """A whole folder of S3, on every host."""
    source = {"S3DataType": "S3Prefix", "S3Uri": _folder(url), "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "InputMode": "File"}


def _folder(url: Any) -> Any:
    """A prefix that ends with a slash, so that it does not mean 'tables-old' too; a model.tar.gz as it is."""
    if isinstance(url, str) and url.endswith(".tar.gz"):
        return url
    if isinstance(url, str):
        return f"{url.rstrip('/')}/"
    return {"Std:Join": {"On": "", "Values": [url, "/"]}}


def construct_job(order: Order, name: str | None = None) -> Request:
    """CreateProcessingJob: tables -> graph folder, on one machine, or by Spark on several."""
    machines = order.config.construct_machines
    inputs: dict[str, Any] = {"pipeline": order.url("pipeline")}
    if order.has_tables:
        inputs["tables"] = order.url("tables")
    if machines.instances == 1:
        return processing_job(order, machines, "construct", inputs, order.place("construct"), name)
    request = processing_job(order, machines, "construct", inputs, None, name)
    arguments = ["pipeline.yaml", *order.overrides, f"graph.path={order.url('construct', 'graph')}"]
    request["AppSpecification"] = {
        "ImageUri": machines.image,
        "ContainerEntrypoint": ["smspark-submit", SPARK_PROGRAM],
        "ContainerArguments": [f"{PROCESSING}/input/pipeline/{arguments[0]}", *arguments[1:]],
    }
    return request


def stage_job(order: Order, stages: Sequence[str], result: str, name: str | None = None) -> Request:
    """CreateProcessingJob: stages with the model that a training job of the run has left."""
    inputs: dict[str, Any] = {"pipeline": order.url("pipeline"), "checkpoints": order.place("checkpoints")}
    if order.graph is not None:
        inputs["graph"] = order.graph
    return processing_job(order, order.config.infer_machines, ",".join(stages), inputs, order.place(result), name)


def processing_job(
    order: Order, machines: MachinesConfig, what: str, inputs: dict[str, Any], result: Any, name: str | None
) -> Request:
    """CreateProcessingJob. what: stages; inputs: URLs by name; result: where the files below output/ go."""
    config = order.config
    flags = ["--fresh"] * order.fresh + ["--quiet"] * order.quiet
    request: Request = {
        "ProcessingInputs": [_input(key, url) for key, url in inputs.items()],
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": machines.instances,
                "InstanceType": machines.instance_type or config.instance_type,
                "VolumeSizeInGB": machines.volume or config.volume,
                **key_of(order, "VolumeKmsKeyId"),
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": machines.max_run or config.max_run},
        "AppSpecification": {
            "ImageUri": config.image,
            "ContainerEntrypoint": [*CONTAINER, "processing"],
            "ContainerArguments": [what, *flags, *order.overrides],
        },
        "Environment": dict(config.environment),
        "RoleArn": config.role,
        "Tags": tags(order),
    }
    if result is not None:
        target = {"S3Uri": result, "LocalPath": f"{PROCESSING}/output", "S3UploadMode": "EndOfJob"}
        outputs = [{"OutputName": "results", "S3Output": target}]
        request["ProcessingOutputConfig"] = {"Outputs": outputs, **key_of(order, "KmsKeyId")}
    if network := vpc(order):
        request["NetworkConfig"] = {"VpcConfig": network}
    return request if name is None else {"ProcessingJobName": name, **request}


def _input(name: str, url: Any) -> Request:
    source = {
        "S3Uri": _folder(url),
        "LocalPath": f"{PROCESSING}/input/{name}",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"InputName": name, "S3Input": source}


def model(order: Order, name: str, data: str) -> Request:
    """CreateModel: the image, and a model.tar.gz of a training job."""
    config = order.config
    request: Request = {
        "ModelName": name,
        "PrimaryContainer": {
            "Image": config.image,
            "ModelDataUrl": data,
            "Environment": serving_environment(order),
        },
        "ExecutionRoleArn": config.role,
        "Tags": tags(order),
    }
    if network := vpc(order):
        request["VpcConfig"] = network
    return request


def serving_environment(order: Order) -> Request:
    """Environment of a container that serves: the configuration's, and where the graph of known nodes is, which the
    container fetches when it starts; of a batch transform also how long an answer may take."""
    graph = order.place("checkpoints", "run", "graph") if order.graph is None else order.graph
    told = {GRAPH_VARIABLE: graph}
    if order.config.job == "transform":
        told[TIMEOUT_VARIABLE] = str(order.config.transform.timeout)
    return {**told, **order.config.environment}


def endpoint_config(order: Order, name: str, model_name: str) -> Request:
    """CreateEndpointConfig: which machines serve which model."""
    machines = order.config.endpoint
    variant = {
        "VariantName": "all",
        "ModelName": model_name,
        "InitialInstanceCount": machines.instances,
        "InstanceType": machines.instance_type or order.config.instance_type,
        "InitialVariantWeight": 1.0,
    }
    return {
        "EndpointConfigName": name,
        "ProductionVariants": [variant],
        "Tags": tags(order),
        **key_of(order, "KmsKeyId"),
    }


def endpoint(order: Order, name: str, config_name: str) -> Request:
    """CreateEndpoint."""
    return {"EndpointName": name, "EndpointConfigName": config_name, "Tags": tags(order)}


def tags(order: Order) -> list[dict[str, str]]:
    """Those of the configuration, and the run's name."""
    named = {"graphstorm-like:run": order.run, **order.config.tags}
    return [{"Key": key, "Value": value} for key, value in named.items()]


def vpc(order: Order) -> Request | None:
    """The network of a job; None: SageMaker's own."""
    config = order.config
    if not config.subnets:
        return None
    return {"Subnets": list(config.subnets), "SecurityGroupIds": list(config.security_groups)}


def key_of(order: Order, key: str) -> dict[str, str]:
    """The configuration's key under a name; empty: S3's own encryption."""
    return {} if order.config.kms_key is None else {key: order.config.kms_key}
