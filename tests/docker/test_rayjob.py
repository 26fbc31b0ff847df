"""The Kubernetes template: its command is one that `gsl` takes, and asks for what the template gives."""

from __future__ import annotations

import shlex
from pathlib import Path

import typer
import yaml

from graphstorm_like.cli.main import app
from graphstorm_like.config import load_pipeline
from graphstorm_like.testing.graphs import write_shop_pipeline

JOB = Path(__file__).parents[2] / "docker" / "kubernetes" / "rayjob.yaml"


def test_the_template(tmp_path: Path) -> None:
    job = yaml.safe_load(JOB.read_text(encoding="utf-8"))
    words = shlex.split(job["spec"]["entrypoint"])
    assert words[:2] == ["gsl", "launch"]
    verb = typer.main.get_command(app).commands["launch"]  # type: ignore[attr-defined]
    told = verb.make_context("launch", words[2:]).params
    launch = load_pipeline(write_shop_pipeline(tmp_path), [*told["overrides"], f"launch.on={told['on']}"]).launch
    assert launch.on == "ray"
    (group,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert group["replicas"] == launch.hosts
    assert launch.cpus * launch.trainers <= float(limits["cpu"])
    assert launch.gpus * launch.trainers <= limits["nvidia.com/gpu"]
    mounts = {m["mountPath"] for m in group["template"]["spec"]["containers"][0]["volumeMounts"]}
    assert mounts == {"/data", "/dev/shm"}
