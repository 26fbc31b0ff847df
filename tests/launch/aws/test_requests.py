"""What is sent to SageMaker: requests fit botocore's own model of the service; what cannot run there is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from graphstorm_like.cli.main import app
from graphstorm_like.config import load_pipeline
from graphstorm_like.errors import ConfigError, LaunchError
from graphstorm_like.graph.remote.credentials import Credentials
from graphstorm_like.launch.aws.plan import Plan, plan_launch
from graphstorm_like.launch.launcher import launch
from graphstorm_like.launch.launchers.base import LAUNCHERS, Source
from graphstorm_like.testing.graphs import write_shop
from tests.container.ml import IN_S3, LAUNCH, shop_yaml

botocore_session = pytest.importorskip("botocore.session")
pytestmark = pytest.mark.aws
STAMP = "20261126-093000-123"


@pytest.fixture
def yaml_file(tmp_path: Path) -> Path:
    return shop_yaml(tmp_path, IN_S3, hosts=2)


def planned(yaml_file: Path, *changes: str) -> Plan:
    return plan_launch(load_pipeline(yaml_file, changes), yaml_file, changes, STAMP)


@pytest.fixture(scope="module")
def service() -> Any:
    return botocore_session.get_session().get_service_model("sagemaker")


def check(service: Any, operation: str, parameters: dict[str, Any]) -> None:
    """Types and required keys as botocore checks them, and patterns, which it leaves to the service."""
    from botocore.validate import ParamValidator

    shape = service.operation_model(operation).input_shape
    tokens = {key: "0" * 36 for key, member in shape.members.items() if member.metadata.get("idempotencyToken")}
    report = ParamValidator().validate({**tokens, **parameters}, shape)
    assert not report.has_errors(), f"{operation}: {report.generate_report()}"
    wrong = [*broken_patterns(shape, parameters, operation)]
    assert wrong == []


def broken_patterns(shape: Any, value: Any, at: str) -> Iterator[str]:
    if shape.type_name == "structure":
        for key, inner in value.items():
            yield from broken_patterns(shape.members[key], inner, f"{at}.{key}")
    elif shape.type_name == "list":
        for inner in value:
            yield from broken_patterns(shape.member, inner, at)
    elif shape.type_name == "map":
        for key, inner in value.items():
            yield from broken_patterns(shape.key, key, f"{at} key")
            yield from broken_patterns(shape.value, inner, f"{at}.{key}")
    elif shape.type_name == "string":
        pattern, longest = shape.metadata.get("pattern"), shape.metadata.get("max", 10**9)
        if len(value) > longest:
            yield f"{at}: {len(value)} characters"
        if shape.enum and value not in shape.enum:
            yield f"{at}: {value} is none of {shape.enum}"
        if pattern and not re.search(r"\\p\{", pattern) and not re.fullmatch(pattern, value):
            yield f"{at}: {value!r} against {pattern}"


def resolved(value: Any) -> Any:
    """A step's arguments as SageMaker would send them: with values in place of expressions."""
    if isinstance(value, dict):
        if set(value) == {"Get"}:
            return "s3://bucket/model.tar.gz" if "Artifacts" in value["Get"] else "abc123"
        if set(value) == {"Std:Join"}:
            return value["Std:Join"]["On"].join(map(resolved, value["Std:Join"]["Values"]))
        return {key: resolved(inner) for key, inner in value.items()}
    return [resolved(inner) for inner in value] if isinstance(value, list) else value


EVERYTHING = [
    "launch.spot=true", "launch.subnets=[subnet-1a]", "launch.security_groups=[sg-2b]", "launch.kms_key=alias/key",
    "launch.encrypt_traffic=true", "launch.environment={HF_HOME: /opt/hf}", "launch.tags={team: graphs}",
    "launch.metrics={rows: 'predictions: ([0-9]+) rows'}", "train.lr=1e-3",
]  # fmt: skip


NEW = """\
graph:
  base: {base}
  nodes: {{ item: {{ files: item.parquet, id: id, text: {{ title: {{ columns: title }} }} }} }}
  edges: [{{ source: user, relation: buys, target: item, files: buys.parquet }}]
"""


@pytest.fixture
def new_tables(tmp_path: Path) -> Path:
    (tmp_path / "new.yaml").write_text(NEW.format(base=IN_S3))
    (tmp_path / "asked.csv").write_text("id\ni-1\n")
    return tmp_path / "new.yaml"


BATCHES = {
    "transform": [
        "launch.transform={input: s3://bucket/questions, batch: single, content: csv, concurrent: 4, timeout: 90}"
    ],
    "apply": [
        "launch.apply={tables: new.yaml, attach: true, unknown: mean, ids: asked.csv, top_k: 5, evaluate: true,"
        " volume: 7}"
    ],
}


@pytest.mark.parametrize("job", ["train", "construct", "infer", "endpoint", "transform", "apply"])
def test_requests_fit_the_service(service: Any, yaml_file: Path, new_tables: Path, job: str) -> None:
    needed = [*BATCHES.get(job, ()), f"launch.job={job}"]
    for changes in (needed, [*EVERYTHING, *needed]):
        for operation, parameters in planned(yaml_file, *changes).calls:
            check(service, operation, parameters)


def test_the_steps_of_a_pipeline_fit_the_service(service: Any, yaml_file: Path) -> None:
    plan = planned(yaml_file, *EVERYTHING, "launch.job=pipeline")
    for operation, parameters in plan.calls:
        check(service, operation, parameters)
    definition = json.loads(plan.calls[1][1]["PipelineDefinition"])
    steps = {step["Name"]: step for step in definition["Steps"]}
    assert list(steps) == ["Construct", "Train", "Evaluate", "Infer", "Register"]
    assert [step.get("DependsOn") for step in steps.values()] == [
        None,
        ["Construct"],
        ["Train"],
        ["Evaluate"],
        ["Infer"],
    ]
    named = {"Processing": "ProcessingJob", "Training": "TrainingJob"}
    for step in steps.values():
        arguments = resolved(step["Arguments"])
        if kind := named.get(step["Type"]):
            check(service, f"Create{kind}", {f"{kind}Name": "step", **arguments})
        else:
            check(service, "CreateModelPackage", arguments)
    made = places(steps["Construct"])["results"]
    read, inputs = places(steps["Train"]), places(steps["Infer"])
    assert read["graph"] == f"{made}/graph/" == "s3://bucket/gsl/shop/pipeline-runs/abc123/construct/graph/"
    assert inputs["graph"] == read["graph"]
    assert inputs["checkpoints"] == f"{read['left']}/"


def places(step: dict[str, Any]) -> dict[str, str]:
    """URLs of what a step reads and leaves, by name."""
    arguments = resolved(step["Arguments"])
    found = {i["InputName"]: i["S3Input"]["S3Uri"] for i in arguments.get("ProcessingInputs", ())}
    outputs = arguments.get("ProcessingOutputConfig", {}).get("Outputs", ())
    found |= {o["OutputName"]: o["S3Output"]["S3Uri"] for o in outputs}
    channels = arguments.get("InputDataConfig", ())
    found |= {c["ChannelName"]: c["DataSource"]["S3DataSource"]["S3Uri"] for c in channels}
    return found | {"left": arguments.get("CheckpointConfig", {}).get("S3Uri", "")}


def test_a_training_job(yaml_file: Path) -> None:
    plan = planned(yaml_file, "train.lr=1e-3", "train.lr=2e-3", "launch.spot=true", "launch.max_run=100")
    request = plan.calls[0][1]
    assert request["TrainingJobName"] == f"shop-train-{STAMP}"
    assert request["HyperParameters"] == {
        "train.lr": "2e-3", "launch.spot": "true", "launch.max_run": "100",
        "gsl_stages": "construct,train,evaluate,infer",
    }  # fmt: skip
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 200}
    assert request["ResourceConfig"]["InstanceCount"] == 2
    assert [c["ChannelName"] for c in request["InputDataConfig"]] == ["pipeline", "secret"], "tables are in S3"
    assert request["CheckpointConfig"]["S3Uri"] == "s3://bucket/gsl/shop/checkpoints"


@pytest.mark.known_answer("launchers/sagemaker")
def test_a_batch_transform(yaml_file: Path) -> None:
    """The lines of files, in batches, by what serves an endpoint; the graph of the run is fetched by the container."""
    asked = ["launch.job=transform", "launch.transform.input=s3://bucket/questions/today.jsonl"]
    (_, model), (operation, job) = planned(yaml_file, *asked).calls
    assert operation == "CreateTransformJob"
    pipeline = load_pipeline(yaml_file, asked)
    text = LAUNCHERS.of(pipeline.launch)(pipeline.launch).request(pipeline, Source(yaml_file, asked))
    operations = [request["operation"] for request in json.loads(text)["requests"]]
    assert operations == ["CreateModel", "CreateTransformJob"]
    assert job["ModelName"] == model["ModelName"]
    assert model["PrimaryContainer"]["ModelDataUrl"].startswith("s3://bucket/gsl/shop/output/")
    graph = "s3://bucket/gsl/shop/checkpoints/run/graph"
    assert model["PrimaryContainer"]["Environment"] == {"GSL_GRAPH": graph, "GSL_TIMEOUT": "600"}
    assert job["ModelClientConfig"]["InvocationsTimeoutInSeconds"] == 600
    assert job["BatchStrategy"] == "MultiRecord"
    read, left = job["TransformInput"], job["TransformOutput"]
    assert read["DataSource"]["S3DataSource"]["S3Uri"] == "s3://bucket/questions/today.jsonl"
    assert (read["ContentType"], read["SplitType"]) == ("application/jsonlines", "Line")
    assert (left["Accept"], left["AssembleWith"]) == ("application/jsonlines", "Line")
    assert left["S3OutputPath"] == f"s3://bucket/gsl/shop/transform/shop-transform-{STAMP}"
    assert "MaxConcurrentTransforms" not in job, "the container says how many it takes"
    (_, model), (_, job) = planned(
        yaml_file, *BATCHES["transform"], "launch.job=transform", "launch.model=s3://bucket/m/model.tar.gz",
        "launch.environment={GSL_GRAPH: /opt/ml/model/graph-data}",
    ).calls  # fmt: skip
    assert (job["BatchStrategy"], job["MaxConcurrentTransforms"]) == ("SingleRecord", 4)
    assert job["TransformInput"]["ContentType"] == "text/csv"
    assert model["PrimaryContainer"]["ModelDataUrl"] == "s3://bucket/m/model.tar.gz"
    told = {"GSL_GRAPH": "/opt/ml/model/graph-data", "GSL_TIMEOUT": "90"}
    assert model["PrimaryContainer"]["Environment"] == told


def test_a_model_on_new_tables(yaml_file: Path, new_tables: Path) -> None:
    plan = planned(yaml_file, *BATCHES["apply"], "launch.job=apply")
    ((_, job),) = plan.calls
    place = f"s3://bucket/gsl/shop/apply/shop-apply-{STAMP}"
    assert job["AppSpecification"]["ContainerEntrypoint"][-1] == "processing"
    told = job["AppSpecification"]["ContainerArguments"]
    assert told == [
        "apply", 'unknown="mean"', "top_k=5", 'format="parquet"', "evaluate=true", "plugins=false",
    ]  # fmt: skip
    inputs = {entry["InputName"]: entry["S3Input"]["S3Uri"] for entry in job["ProcessingInputs"]}
    assert inputs["model"].endswith("/output/model.tar.gz")
    assert inputs["told"] == f"{place}/told/"
    assert inputs["graph"] == "s3://bucket/gsl/shop/checkpoints/run/graph/"
    assert "tables" not in inputs, "they are in S3, where the job reads them"
    assert [upload.url for upload in plan.uploads] == [f"{place}/told/new.yaml", f"{place}/told/ids/asked.csv"]
    assert job["ProcessingResources"]["ClusterConfig"]["VolumeSizeInGB"] == 7
    assert job["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"] == f"{place}/scored"


def test_new_tables_of_this_machine(yaml_file: Path, new_tables: Path) -> None:
    tables = write_shop(new_tables.parent / "tables", items=20, users=5)
    new_tables.write_text(NEW.format(base="tables"))
    changes = ["launch.job=apply", "launch.apply.tables=new.yaml"]
    with pytest.raises(LaunchError, match=r"graph.nodes.item.files: must be in S3 .*'item.parquet' below .*--upload"):
        planned(yaml_file, *changes)
    plan = planned(yaml_file, *changes, "launch.upload=true")
    place = f"s3://bucket/gsl/shop/apply/shop-apply-{STAMP}"
    sources = {upload.url: upload.source for upload in plan.uploads}
    assert sources[f"{place}/tables/item.parquet"] == tables / "item.parquet"
    assert set(sources) == {
        f"{place}/{name}" for name in ("told/new.yaml", "tables/item.parquet", "tables/buys.parquet")
    }
    inputs = {entry["InputName"] for entry in plan.calls[0][1]["ProcessingInputs"]}
    assert inputs == {"told", "model", "tables"}, "not attached"
    with pytest.raises(ConfigError, match="launch.apply.tables: must be a YAML file that can be read"):
        planned(yaml_file, "launch.job=apply", "launch.apply.tables=none.yaml")
    with pytest.raises(ConfigError, match="launch.apply.ids: must be a file of this machine"):
        planned(yaml_file, *changes, "launch.apply.ids=none.csv")


def test_the_secret_is_in_no_request(yaml_file: Path) -> None:
    plan = planned(yaml_file)
    (secret,) = [upload for upload in plan.uploads if upload.secret]
    assert isinstance(secret.source, bytes)
    made = Credentials.parse(secret.source.decode())
    assert made.encrypted
    assert made.token not in plan.text() + repr(plan.calls)
    assert secret.url == "s3://bucket/gsl/shop/secret/secret"
    assert secret.source.decode() not in plan.text() + repr(plan.calls)
    assert not any(upload.secret for upload in planned(yaml_file, "launch.hosts=1", "graph.partitions.count=1").uploads)


LINES = """\
epoch 2/15: 40 % (12/s, 3 s left) loss 0.7311, 1,234 seeds/s
[t0] epoch 3/15: loss 1.2588 [3 s], valid accuracy 0.2625, macro_f1 -0.2378 (best) [1 s]
epoch 4/15: loss 1.1e-05 [3 s]
[t0] test: accuracy 0.5463, macro_f1 0.5439
valid: accuracy 0.9, macro_f1 0.8
"""


def test_metrics_of_the_log(yaml_file: Path) -> None:
    request = planned(yaml_file, "launch.metrics={share: '([0-9]+) %'}").calls[0][1]
    found = {}
    for definition in request["AlgorithmSpecification"]["MetricDefinitions"]:
        pattern = re.compile(definition["Regex"])
        found[definition["Name"]] = [m[1] for line in LINES.splitlines() if (m := pattern.search(line))]
    assert found == {
        "train:loss": ["1.2588", "1.1e-05"], "train:step_loss": ["0.7311"], "valid:accuracy": ["0.2625"],
        "valid:macro_f1": ["-0.2378"], "test:accuracy": ["0.5463"], "test:macro_f1": ["0.5439"], "share": ["40"],
    }  # fmt: skip


def test_tables_of_this_machine(tmp_path: Path) -> None:
    tables = write_shop(tmp_path / "tables", items=20, users=5)
    yaml_file = shop_yaml(tmp_path, tables)
    with pytest.raises(LaunchError, match=r"graph.nodes.item.files: must be in S3 .*'item.parquet' below .*--upload"):
        planned(yaml_file)
    plan = planned(yaml_file, "launch.upload=true")
    assert {u.url for u in plan.uploads} == {
        f"s3://bucket/gsl/shop/{name}"
        for name in ("pipeline/pipeline.yaml", "tables/item.parquet", "tables/buys.parquet", "tables/similar.parquet")
    }
    assert [c["ChannelName"] for c in plan.calls[0][1]["InputDataConfig"]] == ["pipeline", "tables"]
    with pytest.raises(LaunchError, match="must be a path below graph.base to be copied"):
        planned(yaml_file, "launch.upload=true", f"graph.nodes.item.files={tables}/item.parquet")


def test_a_graph_that_exists(tmp_path: Path, yaml_file: Path) -> None:
    changes = ["graph={path: s3://bucket/graph}", "launch.hosts=1"]
    request = planned(yaml_file, *changes).calls[0][1]
    assert request["HyperParameters"]["gsl_stages"] == "train,evaluate,infer"
    urls = {c["ChannelName"]: c["DataSource"]["S3DataSource"]["S3Uri"] for c in request["InputDataConfig"]}
    assert urls["graph"] == "s3://bucket/graph/"
    with pytest.raises(LaunchError, match="launch.job: must be another than construct"):
        planned(yaml_file, *changes, "launch.job=construct")
    with pytest.raises(LaunchError, match="graph.path: must be in S3"):
        planned(yaml_file, f"graph={{path: {tmp_path}/graph}}", "launch.hosts=1")
    constructed = planned(yaml_file, "launch.stages=[train]").calls[0][1]["InputDataConfig"]
    assert constructed[1]["DataSource"]["S3DataSource"]["S3Uri"] == "s3://bucket/gsl/shop/construct/graph/"


def test_spark_on_several_machines(service: Any, yaml_file: Path) -> None:
    several = ["launch.job=construct", "launch.construct_machines={instances: 4, image: spark}"]
    with pytest.raises(LaunchError, match="launch.construct_machines.instances: must be 1 with graph.engine: arrow"):
        planned(yaml_file, *several)
    plan = planned(yaml_file, *several, "graph.engine=spark")
    check(service, *plan.calls[0])
    program = plan.calls[0][1]["AppSpecification"]
    assert program["ContainerEntrypoint"] == ["smspark-submit", "/opt/ml/processing/input/pipeline/construct.py"]
    assert program["ContainerArguments"][-1] == "graph.path=s3://bucket/gsl/shop/construct/graph"
    assert "s3://bucket/gsl/shop/pipeline/construct.py" in {upload.url for upload in plan.uploads}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (["train.lr=1", "train={epochs: 2}"], "override train: must not be given together with train.lr"),
        ([f"name={'x' * 2600}"], "of one line of at most 2500 characters"),
    ],
)
def test_overrides_that_cannot_travel(yaml_file: Path, changes: list[str], says: str) -> None:
    with pytest.raises(LaunchError, match=says):
        plan_launch(load_pipeline(yaml_file), yaml_file, changes, STAMP)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("launch.role=me", "launch.role: must be the ARN of a role"),
        ("launch.s3=bucket/x", "launch.s3: must be a URL s3://bucket/prefix"),
        ("launch.instance_type=g5.xlarge", "launch.instance_type: must be a SageMaker instance type"),
        ("launch.max_wait=100", "launch.max_wait: means nothing without launch.spot"),
        ("launch.subnets=[subnet-1]", "launch.security_groups: must be given too"),
        ("launch.environment={MY_TOKEN: x}", "launch.environment: must hold nothing secret (got MY_TOKEN)"),
        ("launch.metrics={a: 'loss'}", "launch.metrics: must have one group each (got 0 in 'loss' for a)"),
        ("launch.construct_machines={instances: 2}", "must have an image with several instances"),
        ("launch.instance=ml.m5.large", "launch.instance: unknown key"),
        ("launch.job=transform", "launch.transform: must have input with launch.job: transform"),
        ("launch.job=apply", "launch.apply: must have tables with launch.job: apply"),
        ("launch.apply={instances: 2}", "launch.apply: must have one instance"),
        ("launch.transform={concurrent: 20}", "concurrent: must be at most 100 MB in all"),
        ("launch.transform={input: /data}", "launch.transform.input: must be a URL s3://bucket/prefix"),
    ],
)
def test_what_means_nothing_is_refused(yaml_file: Path, change: str, says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        load_pipeline(yaml_file, [change])


def test_print_needs_neither_network_nor_output(yaml_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("socket.socket.connect", None)
    done = CliRunner().invoke(app, ["launch", str(yaml_file), "train.lr=1e-3", "--job", "pipeline", "--print"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    built = ["graph={path: s3://bucket/graph}", "launch.hosts=1", "--print"]  # a URL stays one
    assert '"s3://bucket/graph/"' in CliRunner().invoke(app, ["launch", str(yaml_file), *built]).output
    operations = ["CreateModelPackageGroup", "CreatePipeline", "StartPipelineExecution"]
    assert [request["operation"] for request in told["requests"]] == operations
    assert told["requests"][1]["parameters"]["PipelineDefinition"]["Steps"][0]["Name"] == "Construct"
    assert not (yaml_file.parent / "run").exists()
    with pytest.raises(LaunchError, match="gsl launch PIPELINE --on sagemaker"):
        launch(load_pipeline(yaml_file))
    assert LAUNCH["role"] in done.output
