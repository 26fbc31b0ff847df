"""Sends what was planned to S3 and SageMaker, and follows jobs. The only module that imports boto3."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphstorm_like.config.launchers.sagemaker import SageMakerLaunchConfig
from graphstorm_like.errors import LaunchError, MissingExtraError
from graphstorm_like.launch.aws.order import Order
from graphstorm_like.launch.aws.plan import Call, Plan
from graphstorm_like.launch.aws.tables import Upload

POLL_SECONDS = 20.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Followed:
    """How to ask after a kind of job, and what its answer says."""

    describe: str
    name: str
    status: str
    good: frozenset[str]
    bad: frozenset[str]
    detail: str | None = None
    logs: str | None = None


FOLLOWED = {
    "CreateTrainingJob": Followed(
        "describe_training_job", "TrainingJobName", "TrainingJobStatus", frozenset({"Completed"}),
        frozenset({"Failed", "Stopped"}), "SecondaryStatus", "/aws/sagemaker/TrainingJobs",
    ),
    "CreateProcessingJob": Followed(
        "describe_processing_job", "ProcessingJobName", "ProcessingJobStatus", frozenset({"Completed"}),
        frozenset({"Failed", "Stopped"}), None, "/aws/sagemaker/ProcessingJobs",
    ),
    "CreateTransformJob": Followed(
        "describe_transform_job", "TransformJobName", "TransformJobStatus", frozenset({"Completed"}),
        frozenset({"Failed", "Stopped"}), None, "/aws/sagemaker/TransformJobs",
    ),
    "CreateEndpoint": Followed(
        "describe_endpoint", "EndpointName", "EndpointStatus", frozenset({"InService"}),
        frozenset({"Failed", "OutOfService"}), None, "/aws/sagemaker/Endpoints",
    ),
    "StartPipelineExecution": Followed(
        "describe_pipeline_execution", "PipelineExecutionArn", "PipelineExecutionStatus", frozenset({"Succeeded"}),
        frozenset({"Failed", "Stopped"}),
    ),
}  # fmt: skip
_REPLACED_BY = {"CreatePipeline": "UpdatePipeline", "CreateEndpoint": "UpdateEndpoint", "CreateModelPackageGroup": None}
"""What is called where a thing of that name exists already; None: nothing."""


class Aws:
    """Clients of S3 and SageMaker, with the credentials that boto3 finds. Raises MissingExtraError without boto3."""

    def __init__(self, config: SageMakerLaunchConfig) -> None:
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise MissingExtraError("launch.on: sagemaker", "boto3", "aws") from None
        self.config = config
        patient = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=20, read_timeout=60)
        with _explained("AWS"):
            session = boto3.session.Session(region_name=config.region)
            self.s3 = session.client("s3", config=patient)
            self.sagemaker = session.client("sagemaker", config=patient)
            self.region = str(session.region_name)

    def upload(self, uploads: tuple[Upload, ...], say: Say) -> None:
        """Copy files and contents; encrypted by the configuration's key, else by S3's own."""
        extra: dict[str, str] = {"ServerSideEncryption": "AES256"}
        if self.config.kms_key is not None:
            extra = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.config.kms_key}
        for upload in uploads:
            bucket, _, key = upload.url.removeprefix("s3://").partition("/")
            with _explained(upload.url):
                if isinstance(upload.source, Path):
                    self.s3.upload_file(str(upload.source), bucket, key, ExtraArgs=extra)
                else:
                    self.s3.put_object(Bucket=bucket, Key=key, Body=upload.source, **extra)
            if not upload.secret:
                say(upload.shown())

    def check_alone(self, order: Order) -> None:
        """Raise LaunchError when a training job of the run is running: two would write the same resume points."""
        place = f"{order.url('checkpoints')}"
        with _explained("SageMaker"):
            pages = self.sagemaker.get_paginator("list_training_jobs").paginate(
                NameContains=order.job_name("train").removesuffix(order.stamp), StatusEquals="InProgress"
            )
            for page in pages:
                for job in page["TrainingJobSummaries"]:
                    told = self.sagemaker.describe_training_job(TrainingJobName=job["TrainingJobName"])
                    if told.get("CheckpointConfig", {}).get("S3Uri") == place:
                        raise LaunchError(
                            f"launch.run: must be another than '{order.run}' while {job['TrainingJobName']} trains it. "
                            f"Wait for its end, or stop it: aws sagemaker stop-training-job --training-job-name "
                            f"{job['TrainingJobName']}"
                        )

    def last_model(self, order: Order) -> str:
        """The model.tar.gz of the run's last training job that has finished. Raises LaunchError when there is none."""
        place = order.url("output")
        with _explained("SageMaker"):
            pages = self.sagemaker.get_paginator("list_training_jobs").paginate(
                NameContains=order.job_name("train").removesuffix(order.stamp),
                StatusEquals="Completed",
                SortBy="CreationTime",
                SortOrder="Descending",
            )
            for page in pages:
                for job in page["TrainingJobSummaries"]:
                    told = self.sagemaker.describe_training_job(TrainingJobName=job["TrainingJobName"])
                    if told["OutputDataConfig"]["S3OutputPath"] == place:
                        return str(told["ModelArtifacts"]["S3ModelArtifacts"])
        raise LaunchError(
            f"launch.model: must be given, for no training job of run '{order.run}' has finished. Train first, or set "
            "launch.model to s3://.../model.tar.gz"
        )

    def send(self, call: Call) -> tuple[Call, Mapping[str, Any]]:
        """Send a request. What exists already is brought up to date, where that has a meaning. Returns what was sent,
        and the answer."""
        operation, parameters = call
        from botocore.exceptions import ClientError

        with _explained(f"SageMaker's {operation}"):
            try:
                return call, self._call(operation, parameters)
            except ClientError as err:
                if operation not in _REPLACED_BY or not _exists_already(err):
                    raise
            other = _REPLACED_BY[operation]
            if other is None:
                return call, {}
            changed = {key: value for key, value in parameters.items() if key != "Tags"}
            return call, self._call(other, changed)

    def _call(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        from botocore import xform_name

        answer: Mapping[str, Any] = getattr(self.sagemaker, xform_name(operation))(**parameters)
        return answer

    def states(self, job: Followed, name: str, poll_seconds: float = POLL_SECONDS) -> Iterator[tuple[str, str]]:
        """(status, detail or reason) of a job whenever it changes, until the job has ended."""
        last: tuple[str, str] | None = None
        while True:
            with _explained(name):
                told = getattr(self.sagemaker, job.describe)(**{job.name: name})
            status = str(told[job.status])
            state = status, str(told.get("FailureReason") or told.get(job.detail or "", ""))
            if state != last:
                last = state
                yield state
            if status in job.good | job.bad:
                return
            time.sleep(poll_seconds)


def submit(plan: Plan, aws: Aws, say: Say) -> list[tuple[Call, Mapping[str, Any]]]:
    """Copy and send everything; returns what was sent with the answers."""
    if plan.order.config.job in ("train", "pipeline"):
        aws.check_alone(plan.order)
    aws.upload(plan.uploads, say)
    return [aws.send(call) for call in plan.calls]


def name_of(call: Call, answer: Mapping[str, Any]) -> tuple[Followed, str] | None:
    """How to follow what a request has started, and its name; None: it has started nothing."""
    followed = FOLLOWED.get(call[0])
    if followed is None:
        return None
    return followed, str(call[1].get(followed.name) or answer[followed.name])


def follow(aws: Aws, job: Followed, name: str, say: Say, poll_seconds: float = POLL_SECONDS) -> None:
    """Say the states of a job until it ends. Raises LaunchError, with SageMaker's reason, unless it ends well."""
    status, detail = "", ""
    for status, detail in aws.states(job, name, poll_seconds):
        say(f"{name}: {status}{f' ({detail})' if detail else ''}")
    if status in job.bad:
        logs = f" Its log: {log_command(job, name, aws.region)}" if job.logs is not None else ""
        raise LaunchError(f"{name}: must end well (got {status}: {detail or 'no reason given'}).{logs}")


def log_command(job: Followed, name: str, region: str) -> str:
    """The command that shows a job's log."""
    return f"aws logs tail {job.logs} --log-stream-name-prefix {name} --follow --region {region}"


@contextmanager
def _explained(where: str) -> Iterator[None]:
    """Errors of AWS as LaunchErrors."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError, Boto3Error) as err:
        raise LaunchError(
            f"{where}: must be reachable and allow this (got {type(err).__name__}: {err}). Check credentials, region, "
            "names and permissions"
        ) from err


def _exists_already(err: Any) -> bool:
    """Whether the error says that a thing of the name exists."""
    error = err.response.get("Error", {})
    text = f"{error.get('Code', '')} {error.get('Message', '')}".lower()
    return any(word in text for word in ("already exist", "must be unique", "cannot create already existing"))
