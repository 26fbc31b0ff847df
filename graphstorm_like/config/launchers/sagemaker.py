"""`launch.on: sagemaker`"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from graphstorm_like.config.base import KeyedError, PositiveInt, Strict
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
    job: Literal["train", "construct", "infer", "endpoint", "pipeline"] = "train"
    """train: all stages in a training job. construct, infer: one stage in a processing job. endpoint: serve a model.
    pipeline: a SageMaker pipeline of jobs."""
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
    """With job: endpoint: the model; default: that of the run's last finished training job."""
    group: Slug | None = None
    """With job: pipeline: the model package group; default: launch.run."""
    construct_machines: ConstructMachinesConfig = ConstructMachinesConfig()
    """Machines of job: construct, and of that step of a pipeline."""
    infer_machines: MachinesConfig = MachinesConfig()
    """Machines of job: infer, and of the steps evaluate and infer of a pipeline."""
    endpoint: EndpointConfig = EndpointConfig()
    """Machines of job: endpoint."""
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
