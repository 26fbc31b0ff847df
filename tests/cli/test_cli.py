"""The command line, as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from graphstorm_like.cli.main import app
from graphstorm_like.errors import DataError
from graphstorm_like.testing.graphs import write_shop_pipeline

VERBS = [
    "apply", "baseline", "bench", "cache", "compare", "construct", "convert", "doctor", "evaluate", "export", "host",
    "import", "index", "infer", "init", "launch", "pack", "partition", "report", "run", "schema", "search", "secret",
    "serve", "show", "stitch", "sweep", "train", "validate", "worker",
]  # fmt: skip


def gsl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "graphstorm_like.cli.main", *arguments], capture_output=True, text=True, timeout=120
    )


def test_the_verbs_are_these() -> None:
    """Knobs live in the YAML; a new verb is a decision."""
    names = [c.name for c in app.registered_commands] + [g.name for g in app.registered_groups]
    assert sorted(str(n) for n in names) == VERBS


def test_run_in_one_command(tmp_path: Path) -> None:
    yaml = write_shop_pipeline(tmp_path)
    done = gsl("run", str(yaml), "train.epochs=1")
    assert done.returncode == 0, done.stderr
    for part in ("construct: done", "train: done", "test: accuracy", "infer: done"):
        assert part in done.stdout


def test_errors_are_messages_with_exit_codes(tmp_path: Path) -> None:
    yaml = write_shop_pipeline(tmp_path)
    bad = gsl("run", str(yaml), "train.epoch=1")
    assert bad.returncode == 2
    assert "unknown key" in bad.stderr
    assert "Did you mean 'epochs'?" in bad.stderr
    assert "Traceback" not in bad.stderr
    missing = gsl("validate", str(tmp_path / "nothing.yaml"))
    assert missing.returncode == 2
    (tmp_path / "tables" / "item.parquet").unlink()
    lost = gsl("construct", str(yaml))
    assert lost.returncode == 3
    assert "item.parquet" in lost.stderr
    assert not (tmp_path / "run" / "graph").exists()


@pytest.mark.parametrize("arguments", [["doctor"], ["schema"], ["--version"], ["--help"], ["show", "--help"]])
def test_small_verbs(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 0


def test_validate_and_schema(tmp_path: Path) -> None:
    yaml = write_shop_pipeline(tmp_path)
    runner = CliRunner()
    assert "valid (2 node types, 2 edge types)" in runner.invoke(app, ["validate", str(yaml)]).output
    resolved = runner.invoke(app, ["validate", str(yaml), "--resolved", "train.lr=1e-4"]).output
    assert "lr: 0.0001" in resolved
    assert "task" in json.loads(runner.invoke(app, ["schema"]).output)["properties"]


def test_partition_and_show(shop: tuple[Path, Path], tmp_path: Path) -> None:
    command = ["partition", str(shop[1]), str(tmp_path / "three"), "--count", "3"]
    runner = CliRunner()
    first = runner.invoke(app, command)
    assert first.exit_code == 0, first.output
    assert "partitioning 300 nodes" in first.output
    assert "up to date" in runner.invoke(app, [*command, "--method", "random", "--seed", "0"]).output
    other = runner.invoke(app, [*command, "--seed", "1"])
    assert isinstance(other.exception, DataError)
    shown = runner.invoke(app, ["show", "graph", str(tmp_path / "three")]).output
    for part in ("3 partition(s)", "nodes by type", "item 80, user 20", "edges by partition"):
        assert part in shown
    assert runner.invoke(app, ["partition", str(shop[1]), str(tmp_path / "none")]).exit_code == 2  # no --count


def test_partition_reports(shop: tuple[Path, Path], tmp_path: Path) -> None:
    """As text, or as JSON and nothing else; options of the method are KEY=VALUE."""
    target, runner = str(tmp_path / "two"), CliRunner()
    command = ["partition", str(shop[1]), target, "--count", "2", "--method", "fennel", "passes=2", "balance=[types]"]
    made = runner.invoke(app, command)
    assert made.exit_code == 0, made.output
    for part in ("fennel, pass 2", "halo", "edge cut: ", "largest partition over the mean one: nodes:item 1.0"):
        assert part in made.output
    again = json.loads(runner.invoke(app, [*command, "--json"]).stdout)
    assert again == json.loads(runner.invoke(app, ["show", "partitions", target, "--json"]).stdout)
    assert again["cut"] < 0.5
    assert runner.invoke(app, [*command, "--quiet"]).stdout == ""
    wrong = runner.invoke(app, [*command[:5], "--method", "fennel", "passes=0"])
    assert "partitions.passes: must be greater than 0 (got 0)" in str(wrong.exception)
