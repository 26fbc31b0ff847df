"""Compose files and Kubernetes manifests: their form, and that their commands are ones that `gsl` takes.

That an image is built from the Dockerfile and works is tested by test_images.py, which takes many minutes.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer
import yaml

from graphstorm_like.cli.main import app
from graphstorm_like.config import load_pipeline
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.testing.graphs import write_shop_pipeline

FOLDER = Path(__file__).parents[2] / "docker"
KUBERNETES = sorted(path for path in (FOLDER / "kubernetes").glob("*.yaml") if path.name != "rayjob.yaml")
"""KubeRay's schema is no part of Kubernetes': see test_rayjob.py."""
COMPOSE = sorted(FOLDER.glob("compose*.yaml"))
VERSION = "1.31"


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_kubernetes_takes_it(path: Path) -> None:
    documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    for document in documents:
        kubernetes_validate.validate(document, VERSION, strict=True)
    documents[-1]["spec"]["temlpate"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(documents[-1], VERSION, strict=True)


def commands() -> Iterator[Any]:
    """(file, words after `gsl`) of every container."""
    for path in KUBERNETES:
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            for container in document["spec"].get("template", {}).get("spec", {}).get("containers", []):
                yield pytest.param(container["args"], id=f"{path.name}-{document['metadata']['name']}")
    for path in COMPOSE:
        for name, service in yaml.safe_load(path.read_text(encoding="utf-8"))["services"].items():
            yield pytest.param(service["command"], id=f"{path.name}-{name}")


@pytest.mark.parametrize("words", list(commands()))
def test_gsl_takes_the_command(words: list[str], tmp_path: Path) -> None:
    """Compose's and Kubernetes' variables get a value first."""
    plain = [re.sub(r"\$\{\w+:-([^}]*)\}|\$\(\w+\)", lambda found: found[1] or "0", word) for word in words]
    if plain == ["--help"]:
        return
    verb = typer.main.get_command(app).commands[plain[0]]  # type: ignore[attr-defined]
    told = verb.make_context(plain[0], plain[1:]).params
    if told.get("overrides"):
        pipeline: Pipeline = load_pipeline(write_shop_pipeline(tmp_path), told["overrides"])
        assert pipeline.launch.hosts == pipeline.graph.partitions.count == 2
        if "addresses" in told:
            assert len(told["addresses"].split(",")) == pipeline.launch.hosts


def test_services_of_the_hosts_are_alike() -> None:
    """They differ in their index and address only, and addresses are those that the command names."""
    services = yaml.safe_load((FOLDER / "compose.hosts.yaml").read_text(encoding="utf-8"))["services"]
    hosts = [services["host0"], services["host1"]]
    assert [host["command"][-1] for host in hosts] == ["--index=0", "--index=1"]
    assert hosts[0]["command"][:-1] == hosts[1]["command"][:-1]
    given = next(word for word in hosts[0]["command"] if word.startswith("--addresses="))
    addresses = [host["networks"]["hosts"]["ipv4_address"] for host in hosts]
    assert given == f"--addresses={','.join(addresses)}"


def test_dependencies_of_an_image() -> None:
    def wanted(extras: str) -> subprocess.CompletedProcess[str]:
        script = FOLDER / "dependencies.py"
        return subprocess.run(
            [sys.executable, str(script), extras], cwd=FOLDER.parent, capture_output=True, text=True, timeout=60
        )

    names = {re.split(r"[<>=\[]", line)[0] for line in wanted("text,serve").stdout.split()}
    assert {"torch", "pyarrow", "transformers", "fastapi", "setuptools"} <= names
    assert "ray" not in names
    refused = wanted("text,severe")
    assert refused.returncode == 1
    assert "unknown extra 'severe'" in refused.stderr


def test_the_image_holds_what_it_needs() -> None:
    """Every folder that the Dockerfile copies exists; nothing of the user's or of git goes into the build."""
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    copied = [line.split()[1:-1] for line in text.splitlines() if line.startswith("COPY ") and "--from" not in line]
    for names in copied:
        for name in names:
            assert name.startswith("--") or (FOLDER.parent / name).exists(), name
    ignored = (FOLDER.parent / ".dockerignore").read_text(encoding="utf-8").split()
    assert {".git", ".venv*", "**/runs"} <= set(ignored)
