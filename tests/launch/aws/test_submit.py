"""Jobs that are submitted to moto's server, which answers as AWS would: S3 and SageMaker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graphstorm_like.config import load_pipeline
from graphstorm_like.errors import LaunchError
from graphstorm_like.graph.remote.credentials import Credentials
from graphstorm_like.launch.aws.client import FOLLOWED, Aws, follow
from graphstorm_like.launch.launcher import launcher_of
from graphstorm_like.launch.launchers import Source
from graphstorm_like.testing.graphs import write_shop
from tests.container.ml import IN_S3, shop_yaml

moto_server = pytest.importorskip("moto.server")
boto3 = pytest.importorskip("boto3")
pytestmark = pytest.mark.aws


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The endpoint."""
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client; boto3 finds the server in the environment."""
    told = {
        "ENDPOINT_URL": server,
        "ACCESS_KEY_ID": "key",
        "SECRET_ACCESS_KEY": "secret",
        "DEFAULT_REGION": "us-east-1",
    }
    for name, value in told.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("s3")
    client.create_bucket(Bucket="bucket")
    return client


def submitted(yaml_file: Path, *changes: str) -> str:
    pipeline = load_pipeline(yaml_file, changes)
    answer = launcher_of(pipeline).submit(pipeline, Source(yaml_file, changes), quiet=True)
    assert answer is not None
    return answer


def content(s3: Any, key: str) -> bytes:
    return s3.get_object(Bucket="bucket", Key=key)["Body"].read()


def test_a_job_is_submitted(s3: Any, tmp_path: Path) -> None:
    """The YAML, tables and a closed secret are in S3; the job reads them; then its model is served."""
    tables = write_shop(tmp_path / "tables", items=20, users=5)
    yaml_file = shop_yaml(tmp_path, tables, hosts=2)
    answer = submitted(yaml_file, "launch.upload=true", "train.lr=0.5")
    name = answer.splitlines()[0].removeprefix("CreateTrainingJob: ")
    assert f"--log-stream-name-prefix {name} --follow --region us-east-1" in answer
    job = boto3.client("sagemaker").describe_training_job(TrainingJobName=name)
    assert job["HyperParameters"]["train.lr"] == "0.5"
    assert job["ResourceConfig"]["InstanceCount"] == 2
    for entry in job["InputDataConfig"]:
        prefix = entry["DataSource"]["S3DataSource"]["S3Uri"].removeprefix("s3://bucket/")
        assert s3.list_objects_v2(Bucket="bucket", Prefix=prefix)["KeyCount"] > 0, entry["ChannelName"]
    assert content(s3, "gsl/shop/pipeline/pipeline.yaml") == yaml_file.read_bytes()
    assert content(s3, "gsl/shop/tables/item.parquet") == (tables / "item.parquet").read_bytes()
    secret = content(s3, "gsl/shop/secret/secret").decode()
    assert Credentials.parse(secret).encrypted
    assert Credentials.parse(secret).token not in json.dumps(job, default=str)
    assert s3.head_object(Bucket="bucket", Key="gsl/shop/secret/secret")["ServerSideEncryption"] == "AES256"

    served = submitted(yaml_file, "launch.job=endpoint", "launch.endpoint.name=shop-now")
    assert "CreateEndpoint: shop-now" in served
    endpoint = boto3.client("sagemaker").describe_endpoint(EndpointName="shop-now")
    model = boto3.client("sagemaker").describe_model(ModelName=endpoint["EndpointConfigName"])
    assert model["PrimaryContainer"]["ModelDataUrl"] == job["ModelArtifacts"]["S3ModelArtifacts"]

    asked = ["launch.transform.input=s3://bucket/questions", "launch.wait=true"]
    said = submitted(yaml_file, "launch.job=transform", *asked)
    name = said.splitlines()[0].removeprefix("CreateTransformJob: ")
    transform = boto3.client("sagemaker").describe_transform_job(TransformJobName=name)
    model = boto3.client("sagemaker").describe_model(ModelName=transform["ModelName"])
    assert model["PrimaryContainer"]["ModelDataUrl"] == job["ModelArtifacts"]["S3ModelArtifacts"]
    assert f"aws logs tail /aws/sagemaker/TransformJobs --log-stream-name-prefix {name}" in said

    new = {"graph": {"base": str(tables), "nodes": {"item": {"files": "item.parquet", "id": "id"}}}}
    (tmp_path / "new.yaml").write_text(json.dumps(new))
    said = submitted(yaml_file, "launch.job=apply", "launch.apply.tables=new.yaml", "launch.upload=true")
    name = said.splitlines()[0].removeprefix("CreateProcessingJob: ")
    scored = boto3.client("sagemaker").describe_processing_job(ProcessingJobName=name)
    inputs = {entry["InputName"]: entry["S3Input"]["S3Uri"] for entry in scored["ProcessingInputs"]}
    assert inputs["model"] == job["ModelArtifacts"]["S3ModelArtifacts"]
    assert content(s3, f"gsl/shop/apply/{name}/tables/item.parquet") == (tables / "item.parquet").read_bytes()


def test_a_pipeline_is_made_and_made_anew(s3: Any, tmp_path: Path) -> None:
    yaml_file = shop_yaml(tmp_path, IN_S3)
    for epochs in (3, 4):
        assert "StartPipelineExecution: arn:aws:" in submitted(
            yaml_file, "launch.job=pipeline", "launch.run=two", f"train.epochs={epochs}"
        )
    client = boto3.client("sagemaker")
    definition = json.loads(client.describe_pipeline(PipelineName="two")["PipelineDefinition"])
    assert definition["Steps"][1]["Arguments"]["HyperParameters"]["train.epochs"] == "4"


class Scripted:
    """SageMaker as it answers in the course of a job, one answer at each question."""

    def __init__(self, *answers: dict[str, str]) -> None:
        self.answers = list(answers)

    def describe_training_job(self, **_: str) -> dict[str, str]:
        return self.answers.pop(0)


def test_a_job_is_followed_to_its_end(s3: Any, tmp_path: Path) -> None:
    aws, job = Aws(load_pipeline(shop_yaml(tmp_path, IN_S3)).launch), FOLLOWED["CreateTrainingJob"]
    starting = {"TrainingJobStatus": "InProgress", "SecondaryStatus": "Starting"}
    training = {"TrainingJobStatus": "InProgress", "SecondaryStatus": "Training"}
    done = {"TrainingJobStatus": "Completed", "SecondaryStatus": "Completed"}
    said: list[str] = []
    aws.sagemaker = Scripted(starting, starting, training, done)
    follow(aws, job, "job", said.append, poll_seconds=0.0)
    assert said == ["job: InProgress (Starting)", "job: InProgress (Training)", "job: Completed (Completed)"]
    failed = {"TrainingJobStatus": "Failed", "SecondaryStatus": "Failed", "FailureReason": "loss must be finite"}
    aws.sagemaker = Scripted(training, failed)
    with pytest.raises(LaunchError, match=r"job: must end well \(got Failed: loss must be finite\). Its log: aws logs"):
        follow(aws, job, "job", said.append, poll_seconds=0.0)


def test_one_job_a_run_at_a_time(s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    yaml_file = shop_yaml(tmp_path, IN_S3)
    submitted(yaml_file, "launch.run=busy")
    find = Aws.__init__

    def still_running(self: Aws, config: Any) -> None:
        """moto's jobs are finished as soon as they are made."""
        find(self, config)
        pages = self.sagemaker.get_paginator("list_training_jobs").paginate(NameContains="busy")
        self.sagemaker.get_paginator = lambda _: type("Pages", (), {"paginate": lambda *_, **__: pages})()

    monkeypatch.setattr(Aws, "__init__", still_running)
    with pytest.raises(LaunchError, match="launch.run: must be another than 'busy' while busy-train-"):
        submitted(yaml_file, "launch.run=busy")


def test_what_aws_refuses_is_explained(s3: Any, tmp_path: Path) -> None:
    yaml_file = shop_yaml(tmp_path, IN_S3, s3="s3://no-such-bucket/gsl")
    with pytest.raises(LaunchError, match="s3://no-such-bucket/gsl/shop/pipeline/pipeline.yaml: must be reachable"):
        submitted(yaml_file)
    fresh = shop_yaml(tmp_path, IN_S3, run="never-trained", job="endpoint")
    with pytest.raises(LaunchError, match="no training job of run 'never-trained' has finished"):
        submitted(fresh)
