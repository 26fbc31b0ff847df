"""gsl compare on folders of runs as they are on disk."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from graphstorm_like.cli.main import app
from graphstorm_like.config import build_pipeline
from graphstorm_like.errors import DataError
from graphstorm_like.files import write_json
from graphstorm_like.launch.state import weights_id
from graphstorm_like.reports.compare import Comparison, compare
from graphstorm_like.reports.run_folder import RunFolder
from graphstorm_like.testing.graphs import shop_pipeline

Scores = dict[str, float]


def written(folder: Path, scores: dict[str, Scores] | None = None, chosen: Scores | None = None, **train: Any) -> Path:
    """A run folder with what compare reads."""
    data = shop_pipeline(folder / "tables", folder)
    data["train"] |= train
    (folder / "train" / "best").mkdir(parents=True)
    write_json(folder / "train" / "pipeline.json", build_pipeline(data).model_dump(mode="json"))
    curve = [{"kind": "valid", "update": 10 * e, "epoch": e, "accuracy": 0.5 + e / 10, "seconds": 1} for e in range(3)]
    lines = "".join(json.dumps(record) + "\n" for record in curve)
    (folder / "train" / "metrics.jsonl").write_text(lines, encoding="utf-8")
    write_json(folder / "train" / "best" / "metrics.json", {"split": "valid", "epoch": 2, **(chosen or {})})
    write_json(folder / "train" / "cost.json", {"seconds": 10.0, "cpu_seconds": 15.0, "peak_bytes": 400_000_000})
    if scores is not None:
        (folder / "evaluate").mkdir()
        write_json(folder / "evaluate" / "metrics.json", scores)
        write_json(folder / "evaluate" / "cost.json", {"seconds": 1.0, "cpu_seconds": 1.5, "peak_bytes": 300_000_000})
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    one = {"valid": {"accuracy": 0.8, "macro_f1": 0.7}, "test": {"accuracy": 0.9, "macro_f1": 0.8}}
    two = {"valid": {"accuracy": 0.85, "macro_f1": 0.6}, "test": {"accuracy": 0.6, "macro_f1": 0.5}}
    first = written(tmp_path / "sweep" / "slow", one)
    report = {"accuracy": {"value": 0.9, "low": 0.86, "high": 0.93}}
    fingerprint = RunFolder(first).fingerprint()
    write_json(first / "report.json", {"fingerprint": fingerprint, "scores": {"test": report}})
    return [first, written(tmp_path / "sweep" / "quick", two, lr=0.03, early_stop=None)]


def compared(*runs: Path) -> Comparison:
    return compare([RunFolder(run) for run in runs])


def test_of_several_kept_models_the_one_that_is_used_is_described(tmp_path: Path) -> None:
    """`infer.kept`: best/ is another one's."""
    run = written(tmp_path / "run")
    models = []
    for epoch in (2, 5, 3):
        folder = run / "train" / "kept" / f"update-{epoch}"
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_text(f"weights of {epoch}")
        write_json(folder / "metrics.json", {"split": "valid", "epoch": epoch, "accuracy": 1 - epoch / 10})
        models.append({"folder": f"kept/update-{epoch}"})
    write_json(run / "train" / "kept.json", {"metric": "accuracy", "models": models})
    assert RunFolder(run).chosen() == {"split": "valid", "epoch": 2, "accuracy": 0.8}
    settings = RunFolder(run).settings
    settings["infer"]["kept"] = 2
    write_json(run / "train" / "pipeline.json", settings)
    assert RunFolder(run).chosen()["epoch"] == 5
    (run / "evaluate").mkdir()  # by gsl evaluate infer.kept=3
    write_json(run / "evaluate" / "done.json", {"model": weights_id(folder)})
    assert RunFolder(run).chosen()["epoch"] == 3
    (found,) = compared(run).runs
    assert (found.best_epoch, found.scores["valid"]["accuracy"].value) == (3, 0.7)


def test_the_best_is_chosen_by_validation_never_by_test(runs: list[Path]) -> None:
    found = compared(*runs)
    assert (found.metric, found.best) == ("accuracy", "quick")
    assert [run.name for run in found.order()] == ["quick", "slow"]
    slow = found.runs[0]
    assert (slow.seconds, slow.cpu_seconds, slow.peak_bytes, slow.best_epoch) == (11.0, 16.5, 400_000_000, 2)
    assert slow.curve == [(1.0, 0.5), (2.0, 0.6), (3.0, 0.7)]
    score = slow.score("test", "accuracy")
    assert score is not None
    assert (score.value, score.low, score.high) == (0.9, 0.86, 0.93)
    assert found.differences["train.lr"] == ["0.01", "0.03"]
    assert found.differences["train.early_stop"] == [None, "None"]
    assert found.differences["train.early_stop.patience"] == ["5", None]
    assert not any(key.startswith(("output", "cache", "graph.base")) for key in found.differences)


def test_lower_is_better_for_errors(tmp_path: Path) -> None:
    task = {"type": "node_regression", "node_type": "item", "label": "rating"}
    runs = []
    for name, value in (("a", 3.0), ("b", 2.0)):
        run = written(tmp_path / name, {"valid": {"rmse": value}})
        settings = json.loads((run / "train" / "pipeline.json").read_text())
        settings["task"] = build_pipeline({**settings, "task": task}).task.model_dump(mode="json")
        write_json(run / "train" / "pipeline.json", settings)
        runs.append(run)
    assert compared(*runs).best == "b"


def test_what_is_not_comparable_is_noted(runs: list[Path], tmp_path: Path) -> None:
    other = written(tmp_path / "training", chosen={"accuracy": 0.99})
    settings = json.loads((other / "train" / "pipeline.json").read_text())
    settings["task"]["label"] = "colour"
    write_json(other / "train" / "pipeline.json", settings)
    found = compared(*runs, other)
    assert found.runs[2].validated == "training"
    assert [note.partition(":")[0] for note in found.notes] == [
        "The runs are about different tasks",
        "Not evaluated, validation scores are those of training",
    ]
    with pytest.raises(DataError, match="must be given once"):
        compared(runs[0], runs[0])


def test_the_verb_prints_tables_json_and_a_page(runs: list[Path], tmp_path: Path) -> None:
    page = tmp_path / "compare.html"
    command = ["compare", *map(str, runs), "-o", str(page)]
    said = CliRunner().invoke(app, command)
    assert said.exit_code == 0, said.output
    assert "0.900 [0.860, 0.930]" in said.output
    assert "best: quick, by its highest validation accuracy, 0.850" in said.output
    answer = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert answer["best"] == "quick"
    assert answer["runs"][0]["scores"]["test"]["accuracy"] == {"value": 0.9, "low": 0.86, "high": 0.93}
    text = page.read_text(encoding="utf-8")
    for part in (
        "2 runs compared",
        "train.lr",
        "0.860 – 0.930",
        "Validation over epochs",
        "Validation accuracy by CPU",
    ):
        assert part in text
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", text), "it loads nothing"


def test_names_in_the_page_are_text(tmp_path: Path) -> None:
    runs = [written(tmp_path / f"<b>{i}", {"valid": {"accuracy": 0.1 * i}}) for i in (1, 2)]
    from graphstorm_like.reports.compare_page import compare_page

    page = compare_page(compared(*runs), "<i>", "gsl")
    assert "<b>1" not in page
    assert "&lt;b&gt;1" in page
