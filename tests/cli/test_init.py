"""gsl init, as a user types it; what it wrote runs unchanged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from graphstorm_like.cli.main import app
from graphstorm_like.config import load_pipeline
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.launch.stages import read_scores
from graphstorm_like.testing.unlike import UNLIKE, write_unlike
from graphstorm_like.text.folders import installed_model
from tests.gconstruct.guess.sets import write_citations, write_events

SHOP = Path(__file__).parents[2] / "training_scripts" / "shop" / "tables"


def test_init_writes_a_valid_pipeline_and_says_what_it_decided(tmp_path: Path) -> None:
    write_events(tmp_path / "tables")
    output = tmp_path / "pipeline.yaml"
    done = CliRunner().invoke(app, ["init", str(tmp_path / "tables"), "-o", str(output)])
    assert done.exit_code == 0, done.output
    for part in ("nodes: customer (60), good (40)", "edges: customer:orders:good", "predicts:", "unsure: orders.good"):
        assert part in done.output
    assert load_pipeline(output).graph.base == str(tmp_path / "tables")
    assert CliRunner().invoke(app, ["validate", str(output)]).exit_code == 0


def test_init_overwrites_only_when_asked(tmp_path: Path) -> None:
    output = tmp_path / "pipeline.yaml"
    output.write_text("mine")
    command = ["init", str(SHOP), "-o", str(output), "--target", "user.age", "--quiet"]
    refused = CliRunner().invoke(app, command)
    assert isinstance(refused.exception, ConfigError)
    assert output.read_text() == "mine"
    done = CliRunner().invoke(app, [*command, "--force"])
    assert done.output == ""
    assert load_pipeline(output).task.type == "node_regression"


def test_init_of_nothing(tmp_path: Path) -> None:
    failed = CliRunner().invoke(app, ["init", str(tmp_path / "nothing"), "-o", str(tmp_path / "p.yaml")])
    assert isinstance(failed.exception, DataError)
    assert not (tmp_path / "p.yaml").exists()


Run = Callable[..., dict[str, dict[str, float]]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """(tables, options of init) -> scores of what init wrote, run as it is, in an empty folder. In this process:
    test_cli.py types `gsl run`."""

    def scores(tables: Path, *options: str) -> dict[str, dict[str, float]]:
        monkeypatch.chdir(tmp_path)
        for command in (["init", str(tables), *options], ["run", "pipeline.yaml"]):
            done = CliRunner().invoke(app, command, catch_exceptions=False)
            assert done.exit_code == 0, done.output
        return read_scores(load_pipeline(tmp_path / "pipeline.yaml"))

    return scores


@pytest.mark.slow
def test_the_shop_runs(run: Run) -> None:
    scores = run(SHOP)
    assert scores["test"]["accuracy"] > (0.7 if installed_model() else 0.3)  # 8 categories


@pytest.mark.slow
def test_links_of_the_shop_run(run: Run) -> None:
    assert run(SHOP, "--target", "clicks")["test"]["mrr"] > 0.05  # of 1,600 products


@pytest.mark.slow
def test_citations_run(tmp_path: Path, run: Run) -> None:
    write_citations(tmp_path / "tables")
    assert run(tmp_path / "tables")["test"]["accuracy"] > 0.6  # 4 venues


@pytest.mark.slow
@pytest.mark.parametrize("name", UNLIKE)
def test_unlike_tables_run(tmp_path: Path, run: Run, name: str) -> None:
    write_unlike(name, tmp_path / "tables")
    assert set(run(tmp_path / "tables")) == {"valid", "test"}
