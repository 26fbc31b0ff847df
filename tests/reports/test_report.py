"""The report of whole runs: every task, what is missing, and the verbs that make it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from graphstorm_like.cli.main import app
from graphstorm_like.config import Pipeline
from graphstorm_like.errors import DataError
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.reports import write as write_module
from graphstorm_like.reports.model import RunReport
from graphstorm_like.reports.run_folder import RunFolder
from graphstorm_like.reports.write import write_report
from graphstorm_like.testing.graphs import write_shop_pipeline
from tests.gconstruct.report.pages import assert_safe

QUIET = Reporter(quiet=True)
SECTIONS = {
    "node_classification": {"classes", "confusion", "calibration"},
    "edge_classification": {"classes", "confusion", "calibration"},
    "node_regression": {"residuals"},
    "edge_regression": {"residuals"},
    "link_prediction": {"ranks"},
    "graph_pretraining": {"ranks"},
}
FAST = ("node_classification",)


def report_of(pipeline: Pipeline) -> RunReport:
    """Written and read again."""
    folder = RunFolder(pipeline.output)
    page = write_report(folder)
    assert_safe(page.read_text(encoding="utf-8"))
    found = RunReport.model_validate_json((folder.path / "report.json").read_bytes())
    assert folder.report() == json.loads(found.model_dump_json())
    return found


@pytest.mark.parametrize(
    "kind", [kind if kind in FAST else pytest.param(kind, marks=pytest.mark.slow) for kind in SECTIONS]
)
def test_every_task_has_its_sections(shop_config: Callable[..., Pipeline], kind: str) -> None:
    pipeline = shop_config(kind, train={"epochs": 2})
    run_pipeline(pipeline, ["train", "evaluate", "infer"], reporter=QUIET)
    found = report_of(pipeline)
    present = {name for name in ("classes", "confusion", "calibration", "residuals", "ranks") if getattr(found, name)}
    assert present == SECTIONS[kind]
    assert found.notes == [], "what is exported gives what evaluate has measured"
    assert set(found.cost) == {"construct", "train", "evaluate", "infer"}
    assert all(cost.seconds > 0 and cost.peak_bytes > 1e6 for cost in found.cost.values())
    evaluated = read_scores(pipeline)
    assert found.looked_at == list(evaluated)[-1]
    for split, metrics in evaluated.items():
        assert {name: score.value for name, score in found.scores[split].items()} == pytest.approx(metrics)
        for name in found.metrics:
            score = found.scores[split][name]
            if score.low is not None:
                assert score.low <= (score.value or 0) <= (score.high or 0)
        assert all(set(of_split[split]) == set(found.metrics) for of_split in found.baselines.values())
    assert found.baselines
    assert [len(curve.loss) for curve in found.curves] == [2]
    assert set(found.curves[0].valid) == set(found.metrics)
    assert found.breakdowns
    rows = found.data.rows[found.looked_at]
    for breakdown in found.breakdowns:
        total = sum(bucket.rows for bucket in breakdown.buckets)
        assert total == rows or kind == "graph_pretraining"
    assert found.examples
    neighbors = found.examples[0].nodes[0].neighbors
    assert neighbors
    titles = pq.read_table(Path(str(pipeline.graph.base)) / "item.parquet", columns=["id", "title"]).to_pydict()
    title_of = dict(zip(titles["id"], titles["title"], strict=True))
    for edge_type, nodes in neighbors.items():
        named = {node.id: node.name for node in nodes}
        wanted = {key: title_of[key] if edge_type.startswith("item:") else "" for key in named}
        assert {key: name.rstrip("…") for key, name in named.items()} == {
            k: w[:39] if len(w) > 40 else w for k, w in wanted.items()
        }
    assert found.maps[0].explained[0] >= found.maps[0].explained[1] > 0


def test_ranks_are_written_under_the_users_ids(shop_config: Callable[..., Pipeline]) -> None:
    """They are what the scores are made of; their rows are the edges of the split."""
    pipeline = shop_config("link_prediction", train={"epochs": 1})
    run_pipeline(pipeline, ["train", "evaluate"], reporter=QUIET)
    table = pq.read_table(Path(pipeline.output) / "evaluate/ranks/test/item--similar--item")
    ranks = table["rank"].to_numpy()
    assert np.mean(1 / ranks) == pytest.approx(read_scores(pipeline)["test"]["mrr"])
    candidates = table["candidates"].to_numpy()
    assert ((candidates >= ranks) & (candidates < 240)).all(), "the source, at least, is filtered out of 240 items"
    edges = pq.read_table(Path(str(pipeline.graph.base)) / "similar.parquet").to_pylist()
    expected = sorted((e["source"], e["target"]) for e in edges if e["split"] == "test")
    assert sorted(zip(table["source"].to_pylist(), table["target"].to_pylist(), strict=True)) == expected
    found = report_of(pipeline)
    assert found.maps == []
    assert found.examples[0].instead == [], "nothing was exported that could be proposed"


def test_a_run_ends_with_its_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing report is a warning; `gsl report` makes it later, and a second run leaves it as it is."""
    path, run = write_shop_pipeline(tmp_path), tmp_path / "run"
    command = ["run", str(path), "train.epochs=1"]
    off = CliRunner().invoke(app, [*command, "report=false"])
    assert off.exit_code == 0, off.output
    assert not (run / "report.html").exists()

    def fail(*_: object, **__: object) -> None:
        raise ValueError("no\nreport")

    with monkeypatch.context() as patched:
        patched.setattr(write_module, "profile_run", fail)
        failed = CliRunner().invoke(app, command)
    assert failed.exit_code == 0
    assert "report: not made, the results are complete without it (ValueError: no)" in failed.output
    assert not (run / "report.html").exists()
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0
    assert f"{run}/report.html" in done.output
    text = (run / "report.html").read_text(encoding="utf-8")
    assert f"gsl run {path} train.epochs=1" in text
    first = (run / "report.json").stat().st_mtime_ns
    assert CliRunner().invoke(app, command).exit_code == 0
    assert (run / "report.json").stat().st_mtime_ns == first, "it is of these results"
    again = CliRunner().invoke(app, ["report", str(run), "-o", str(tmp_path / "other" / "page.html")])
    assert again.exit_code == 0, again.output
    assert f"gsl run {path} train.epochs=1" in (tmp_path / "other" / "page.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "other" / "page.json").read_bytes())["name"] == "shop"


def test_what_is_missing_is_left_out_with_a_note(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be the output folder of a run"):
        RunFolder(tmp_path)
    pipeline = shop_config(train={"epochs": 1})
    run_pipeline(pipeline, ["train"], reporter=QUIET)
    found = report_of(pipeline)
    assert found.scores == {}
    assert found.notes == [
        "The run has not been evaluated: gsl evaluate",
        "There are no predictions or ranks to look at: gsl evaluate and gsl infer.",
    ]
    run_pipeline(pipeline, ["evaluate", "infer"], reporter=QUIET)
    shard = next((Path(pipeline.output) / "infer" / "predictions").glob("*.parquet"))
    table = pq.read_table(shard)
    reordered = table.set_column(0, "id", table["id"].take(list(range(len(table)))[::-1]))
    pq.write_table(reordered, shard)
    found = report_of(pipeline)
    assert found.scores["test"]["accuracy"].value is not None
    assert "must be the graph that the predictions are of" in found.notes[0]
    configuration = Path(pipeline.output) / "train" / "pipeline.json"
    known = configuration.read_text(encoding="utf-8")
    configuration.write_text(known.replace('"task": {', '"task": {"of_old": 1,', 1), encoding="utf-8")
    found = report_of(pipeline)
    assert "cannot read the run's configuration" in found.notes[0]
    assert found.scores["test"]["accuracy"].value is not None
    configuration.write_text(known, encoding="utf-8")
    graph = Path(str(pipeline.graph.path))
    away = graph.rename(graph.with_name("elsewhere"))
    try:
        assert "The graph folder is not here" in report_of(pipeline).notes[-1]
    finally:
        away.rename(graph)


def test_a_split_without_rows_and_one_without_a_class(shop_config: Callable[..., Pipeline]) -> None:
    """Exported predictions may lack what training needed: the report looks at the other split."""
    pipeline = shop_config(train={"epochs": 1})
    run_pipeline(pipeline, ["train", "evaluate", "infer"], reporter=QUIET)
    shard = next((Path(pipeline.output) / "infer" / "predictions").glob("*.parquet"))
    table = pq.read_table(shard)
    labels, splits = table["label"].to_pylist(), table["split"].to_pylist()
    gone = next(label for label in labels if label is not None)
    splits = ["none" if s == "test" or (s == "valid" and n == gone) else s for s, n in zip(splits, labels, strict=True)]
    pq.write_table(table.set_column(table.column_names.index("split"), "split", [splits]), shard)
    found = report_of(pipeline)
    assert found.looked_at == "valid"
    of_class = {score.name: score for score in found.classes}
    assert gone not in of_class or of_class[gone].recall is None
