"""The simple models that `gsl run` fits by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from graphstorm_like.baselines import quick
from graphstorm_like.baselines.labels.base import LABELS
from graphstorm_like.baselines.links.base import LINKS
from graphstorm_like.cli.main import app
from graphstorm_like.launch.simple_models import SimpleModels, read_simple_models
from graphstorm_like.launch.summary import _scores
from graphstorm_like.progress import Reporter
from graphstorm_like.reports.compare import compare
from graphstorm_like.reports.run_folder import RunFolder
from graphstorm_like.testing.graphs import write_shop_pipeline

QUIET = Reporter(quiet=True)
MODELS = {"node_classification": LABELS, "link_prediction": LINKS}


def never(text: str) -> None:
    raise AssertionError(text)


@pytest.fixture
def without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "find_spec", lambda name: None)


@pytest.mark.parametrize("kind", list(MODELS))
def test_quick_models_are_scored_on_the_runs_own_splits(shop_config, kind: str) -> None:
    pipeline = shop_config(kind)
    quick.baselines_of_run(pipeline, QUIET, False, never)
    path = Path(pipeline.output) / "baselines.json"
    (found,) = read_simple_models(path.parent)
    written = json.loads(path.read_text())["tasks"][""]["baselines"]
    left_out = {model["name"] for model in written if "not_applicable" in model}
    assert left_out <= {"features, boosted trees"}, "they may take minutes; all others take seconds on 240 nodes"
    assert set(found.scores) | left_out == {model.name for model in MODELS[kind]}
    assert {"valid", "test"} <= set(found.scores[found.best])
    best = max(scores["valid"][found.select_by] for scores in found.scores.values())
    assert found.scores[found.best]["valid"][found.select_by] == best, "validation chooses it, not test"


def test_they_are_fitted_once_for_each_state(shop_config, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = shop_config()
    fitted: list[str] = []
    original = quick.fit_baselines

    def fit(given: Any, reporter: Any, left_out: Any) -> Any:
        fitted.append(given.name)
        return original(given, reporter, left_out)

    monkeypatch.setattr(quick, "fit_baselines", fit)
    for fresh, times in ((False, 1), (False, 1), (True, 2)):
        quick.baselines_of_run(pipeline, QUIET, fresh, never)
        assert len(fitted) == times
    other = pipeline.model_copy(update={"seed": 7})
    quick.baselines_of_run(other, QUIET, False, never)
    assert len(fitted) == 3


@pytest.mark.parametrize(("kind", "name"), [("node_classification", "majority"), ("link_prediction", "popularity")])
def test_without_the_extra_only_those_that_need_none(shop_config, without_packages: None, kind: str, name: str) -> None:
    pipeline = shop_config(kind)
    quick.baselines_of_run(pipeline, QUIET, False, never)
    content = json.loads((Path(pipeline.output) / "baselines.json").read_text())["tasks"][""]["baselines"]
    assert [model["name"] for model in content if "not_applicable" not in model] == [name]
    assert any("pip install 'graphstorm-like[baseline]'" in model.get("not_applicable", "") for model in content)


def test_what_takes_long_is_left_out_with_its_reason(shop_config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LABELS, "_models", [model for model in LABELS if model.name in ("majority", "neighbour vote")])
    monkeypatch.setattr(quick, "MOST_SECONDS", 0.0)
    pipeline = shop_config()
    said: list[str] = []
    monkeypatch.setattr(QUIET, "line", said.append)
    monkeypatch.setattr(LABELS._models[0], "estimate", lambda self, data: 0.0)
    quick.baselines_of_run(pipeline, QUIET, False, never)
    content = json.loads((Path(pipeline.output) / "baselines.json").read_text())["tasks"][""]["baselines"]
    assert content[1] == {"name": "neighbour vote", "not_applicable": "it may take more than 0 s; gsl baseline fits it"}
    assert said[-1].startswith("simple models: 1 fitted, 1 left out")
    monkeypatch.setattr(quick, "LEAST_BUDGET", -1.0)
    quick.baselines_of_run(pipeline, QUIET, True, said.append)
    assert "the models before it took the budget" in (Path(pipeline.output) / "baselines.json").read_text()


def test_a_failure_costs_a_warning(shop_config, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError("no\nmemory")

    monkeypatch.setattr(quick, "fit_baselines", fail)
    said: list[str] = []
    pipeline = shop_config()
    quick.baselines_of_run(pipeline, QUIET, False, said.append)
    assert said == ["simple models: not fitted, the results are complete without them (no)"]
    assert read_simple_models(Path(pipeline.output)) == []


def test_a_foreign_file_is_none(tmp_path: Path) -> None:
    for text in ("", "[]", '{"tasks": 1}', '{"tasks": {"": {"baselines": [1], "best": "x"}}}'):
        (tmp_path / "baselines.json").write_text(text)
        assert read_simple_models(tmp_path) == []


def models(higher: bool, value: float) -> SimpleModels:
    scores = {"vote": {"valid": {"m": value}, "test": {"m": value}}}
    return SimpleModels("", "m", higher, "test", "vote", scores, False)


@pytest.mark.parametrize(
    ("higher", "own", "below"), [(True, 0.5, True), (True, 0.7, False), (False, 0.5, False), (False, 0.7, True)]
)
def test_the_summary_says_when_the_network_is_below(higher: bool, own: float, below: bool) -> None:
    lines = list(_scores({"valid": {"m": 0.9}, "test": {"m": own}}, [models(higher, 0.6)]))
    assert "0.6000" in lines[1], "it stands beside the score"
    said = [line for line in lines if line.startswith("warning: The network is below the simple model 'vote'")]
    assert bool(said) is below


@pytest.mark.slow
def test_a_run_ends_with_them(tmp_path: Path) -> None:
    """On by default; summary, report and comparison have them; --no-baselines leaves them out."""
    path, run = write_shop_pipeline(tmp_path), tmp_path / "run"
    path.write_text(path.read_text().replace("baselines: false\n", ""))
    command = ["run", str(path), "train.epochs=1"]
    off = CliRunner().invoke(app, [*command, "--no-baselines"])
    assert off.exit_code == 0, off.output
    assert not (run / "baselines.json").exists()
    assert "simple model" not in off.output
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "simple models: 6 fitted" in done.output
    assert "simple model, test" in done.output
    (found,) = read_simple_models(run)
    report = json.loads((run / "report.json").read_text())
    assert report["best_baseline"] == found.best
    assert set(report["baselines"]) == set(found.scores)
    comparison = compare([RunFolder(run)])
    assert comparison.simple is not None
    assert comparison.simple.name == f"simple model: {found.best}"
    again = CliRunner().invoke(app, command)
    assert "simple models: up to date" in again.output
