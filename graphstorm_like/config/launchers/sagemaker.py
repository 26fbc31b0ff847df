"""`launch.on: sagemaker`"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from graphstorm_like.config.base import KeyedError, Name, PositiveInt, Strict
from graphstorm_like.config.launchers.base import LaunchConfig, Port

DAY = 86_400


def _matches(pattern: str, rule: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"must be {rule}")
        return value

    return AfterValidator(check)


Role = Annotated[
    str,
    _matches(
        r"arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+",
        "the ARN of a role that SageMaker may take, arn:aws:iam::<account>:role/<name>",
    ),
]
Instance = Annotated[str, _matches(r"ml\.[a-z0-9\-]+\.[a-z0-9\-]+", "a SageMaker instance type, e.g. ml.g5.2xlarge")]
S3Url = Annotated[
    str, _matches(r"s3://[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9](/[^\s/]+)*/?", "a URL s3://bucket/prefix without spaces")
]
Slug = Annotated[str, _matches(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,40}", "at most 41 letters, digits and '-' between them")]
Image = Annotated[str, _matches(r"[^\s]{1,255}", "the name of an image in ECR, without spaces")]
Text = Annotated[str, Field(min_length=1, max_length=256)]

_SECRET = re.compile(r"SECRET|PASSWORD|PASSWD|TOKEN|CREDENTIAL|PRIVATE_KEY|ACCESS_KEY", re.IGNORECASE)


class MachinesConfig(Strict):
    """The machines of a job beside training."""

    instance_type: Instance | None = None
    """Default: launch.instance_type."""
    instances: PositiveInt = 1
    """Number of machines."""
    volume: PositiveInt | None = None
    """GB of disk of each; default: launch.volume."""
    max_run: PositiveInt | None = None
    """The longest time in seconds; default: launch.max_run."""


class ConstructMachinesConfig(MachinesConfig):
    """The machines that construct the graph. Several need `graph.engine: spark` and an image that starts Spark."""

    image: Image | None = None
    """With several machines: SageMaker's Spark image with this package; it starts the job by smspark-submit."""


class EndpointConfig(Strict):
    """The machines that answer requests."""

    name: Slug | None = None
    """Of the endpoint; default: launch.run."""
    instance_type: Instance | None = None
    """Default: launch.instance_type."""
    instances: PositiveInt = 1
    """Number of machines."""


class TransformConfig(Strict):
    """A batch transform: what serves an endpoint answers the lines of files, and its machines are gone afterwards."""

    input: S3Url | None = None
    """With job: transform: the file, or the folder of files, whose lines are questions."""
    content: Literal["jsonlines", "csv"] = "jsonlines"
    """jsonlines: a question a line, as for /invocations. csv: an id a line, or for links and edges a pair; without a
    header."""
    batch: Literal["multi", "single"] = "multi"
    """multi: as many lines in a request as max_payload holds; single: a request a line."""
    instance_type: Instance | None = None
    """Default: launch.instance_type."""
    instances: PositiveInt = 1
    """Number of machines; each takes files of its own."""
    max_payload: Annotated[int, Field(ge=1, le=8)] = 6
    """MB of a request, at most."""
    concurrent: Annotated[int, Field(ge=1, le=100)] | None = None
    """Requests at once to a machine; default: one for each process that serves."""
    timeout: Annotated[int, Field(ge=1, le=3600)] = 600
    """Seconds for a request."""

    @model_validator(mode="after")
    def _payloads_fit(self) -> TransformConfig:
        if self.concurrent is not None and self.concurrent * self.max_payload > 100:
            raise KeyedError("concurrent", "must be at most 100 MB in all: concurrent times max_payload")
        return self


class ApplyConfig(MachinesConfig):
    """A processing job that runs `gsl apply`; see there for what the keys mean."""

    tables: str | None = None
    """With job: apply: a YAML of this machine with a section `graph:` of the new tables, from the pipeline's folder."""
    attach: bool = False
    """Whether the rows of the run's graph are neighbours of the new ones."""
    unknown: Literal["refuse", "mean", "zero"] = "refuse"
    """What nodes get that the model should have learnt a vector of."""
    ids: str | None = None
    """A file of this machine with the ids of the nodes that are asked for."""
    node_type: Name | None = None
    """Their node type; default: the task's."""
    pairs: str | None = None
    """A file of this machine with pairs of ids: edges, or links to score."""
    top_k: PositiveInt | None = None
    """Links: targets per source."""
    format: Literal["parquet", "csv", "npy"] = "parquet"
    """Of the results."""
    evaluate: bool = False
    """Whether metrics on the labels of the tables go to the log and to the manifest."""
    plugins: bool = False
    """Whether the code of the model's plug-ins may run."""

    def options(self) -> dict[str, Any]:
        """What the job's program is told: the keys that are not those of machines, nor files of this machine."""
        told = self.model_dump(exclude={*MachinesConfig.model_fields, "tables", "ids", "pairs", "attach"})
        return {key: value for key, value in told.items() if value is not None}

    def with_paths(self, absolute: Callable[[str], str]) -> ApplyConfig:
        """With the files of this machine made absolute."""
        named = {key: getattr(self, key) for key in ("tables", "ids", "pairs")}
        return self.model_copy(update={key: absolute(path) for key, path in named.items() if path is not None})


class SageMakerLaunchConfig(LaunchConfig):
    """Amazon SageMaker: `gsl launch PIPELINE --on sagemaker` submits a job (extra `aws`)."""

    on: Literal["sagemaker"]
    role: Role
    """ARN of the role that the job takes; it must read and write below launch.s3."""
    image: Image
    """Image in ECR that holds this package with the extras that the pipeline needs."""
    s3: S3Url
    """Below it lies everything of all runs: s3://bucket/prefix."""
    run: Slug | None = None
    """Name of the run, a folder below launch.s3; default: the pipeline's name. A job of a run that is there already
    goes on with it, as `gsl run` does with an output folder."""
    job: Literal["train", "construct", "infer", "apply", "transform", "endpoint", "pipeline"] = "train"
    """train: all stages in a training job. construct, infer: one stage in a processing job. apply: a model on new
    tables, in a processing job. transform: a model that answers the lines of files, in a batch transform. endpoint:
    serve a model. pipeline: a SageMaker pipeline of jobs."""
    stages: list[Literal["construct", "train", "evaluate", "infer"]] = ["construct", "train", "evaluate", "infer"]
    """What the training job does."""
    region: Annotated[str, _matches(r"[a-z]{2}(-[a-z]+)+-\d", "a region, e.g. eu-central-1")] | None = None
    """Default: that of your AWS configuration."""
    instance_type: Instance = "ml.m5.2xlarge"
    """Of the machines, launch.hosts many."""
    volume: PositiveInt = 100
    """GB of disk of each machine."""
    max_run: PositiveInt = DAY
    """The longest time of the job in seconds."""
    spot: bool = False
    """Spare machines at a lower price; SageMaker takes them away at any time, and the job goes on from its last resume
    point on new ones."""
    max_wait: PositiveInt | None = None
    """With spot: the longest time in seconds with waiting for machines; default: twice launch.max_run."""
    tags: dict[str, str] = {}
    """Of jobs, models and endpoints."""
    subnets: list[Annotated[str, _matches(r"subnet-[0-9a-z]+", "a subnet, subnet-...")]] = []
    """Of your VPC; with launch.security_groups."""
    security_groups: list[Annotated[str, _matches(r"sg-[0-9a-z]+", "a security group, sg-...")]] = []
    """Of your VPC; several hosts need a rule by which they may talk to each other."""
    kms_key: Text | None = None
    """Key that encrypts disks and results; default: S3's own encryption."""
    encrypt_traffic: bool = False
    """Whether SageMaker encrypts what the hosts send each other."""
    environment: dict[Annotated[str, _matches(r"[a-zA-Z_]\w{0,511}", "a name of letters, digits and '_'")], str] = {}
    """Environment variables of the containers; everybody who may describe the job sees them."""
    metrics: dict[Text, Annotated[str, Field(min_length=1, max_length=500)]] = {}
    """Further numbers that SageMaker takes from the log: a regular expression with one group, by name. Losses and
    scores are taken already."""
    model: Annotated[str, _matches(r"s3://.+/model\.tar\.gz", "s3://.../model.tar.gz")] | None = None
    """With job: endpoint, transform or apply: the model; default: that of the run's last finished training job."""
    group: Slug | None = None
    """With job: pipeline: the model package group; default: launch.run."""
    construct_machines: ConstructMachinesConfig = ConstructMachinesConfig()
    """Machines of job: construct, and of that step of a pipeline."""
    infer_machines: MachinesConfig = MachinesConfig()
    """Machines of job: infer, and of the steps evaluate and infer of a pipeline."""
    endpoint: EndpointConfig = EndpointConfig()
    """Machines of job: endpoint."""
    transform: TransformConfig = TransformConfig()
    """Files and machines of job: transform."""
    apply: ApplyConfig = ApplyConfig()
    """Tables and machines of job: apply."""
    wait: bool = False
    """Follow the job until it ends; `gsl launch --wait`."""
    upload: bool = False
    """Copy tables and graph folders of this machine to S3; `gsl launch --upload`."""
    port: Port = 29_500
    """First of the ports that are used, on every host."""

    @property
    def elsewhere(self) -> bool:
        """In containers, whose output folder is their own."""
        return True

    def host_names(self) -> tuple[str, ...]:
        """As SageMaker calls them."""
        return tuple(f"algo-{number + 1}" for number in range(self.hosts))

    def with_paths(self, absolute: Callable[[str], str]) -> SageMakerLaunchConfig:
        """See LaunchConfig."""
        return self.model_copy(update={"apply": self.apply.with_paths(absolute)})

    @model_validator(mode="after")
    def _batches_have_input(self) -> SageMakerLaunchConfig:
        if self.job == "transform" and self.transform.input is None:
            raise KeyedError("transform", "must have input with launch.job: transform, s3://bucket/questions")
        if self.job == "apply" and self.apply.tables is None:
            raise KeyedError("apply", "must have tables with launch.job: apply, a YAML of the new tables")
        if self.apply.instances > 1:
            raise KeyedError("apply", "must have one instance: a processing job does not talk to others")
        return self

    @model_validator(mode="after")
    def _spot_waits(self) -> SageMakerLaunchConfig:
        if self.max_wait is not None and not self.spot:
            raise KeyedError("max_wait", "means nothing without launch.spot. Remove it, or set spot: true")
        if self.max_wait is not None and self.max_wait < self.max_run:
            raise KeyedError("max_wait", f"must be at least launch.max_run, {self.max_run} (got {self.max_wait})")
        return self

    @model_validator(mode="after")
    def _a_network_is_two_lists(self) -> SageMakerLaunchConfig:
        if bool(self.subnets) != bool(self.security_groups):
            key = "security_groups" if self.subnets else "subnets"
            raise KeyedError(key, "must be given too: a VPC needs subnets and security_groups")
        if self.encrypt_traffic and self.hosts == 1:
            raise KeyedError("encrypt_traffic", "means nothing with one host. Remove it, or set hosts")
        return self

    @model_validator(mode="after")
    def _nothing_secret(self) -> SageMakerLaunchConfig:
        for name in self.environment:
            if _SECRET.search(name):
                raise KeyedError(
                    "environment",
                    f"must hold nothing secret (got {name}): everybody who may describe the job sees it. Give the role "
                    "the permission instead",
                )
        for name, pattern in self.metrics.items():
            try:
                groups = re.compile(pattern).groups
            except re.error as err:
                raise KeyedError(
                    "metrics", f"must be regular expressions (got {pattern!r} for {name}: {err})"
                ) from None
            if groups != 1:
                raise KeyedError("metrics", f"must have one group each (got {groups} in {pattern!r} for {name})")
        return self

    @model_validator(mode="after")
    def _spark_has_an_image(self) -> SageMakerLaunchConfig:
        several = self.construct_machines.instances > 1
        if several and self.construct_machines.image is None:
            raise KeyedError("construct_machines", "must have an image with several instances: SageMaker's Spark image")
        if not several and self.construct_machines.image is not None:
            raise KeyedError("construct_machines", "must have no image with one instance: launch.image is used")
        if self.infer_machines.instances > 1:
            raise KeyedError("infer_machines", "must have one instance: a processing job does not talk to others")
        return self
