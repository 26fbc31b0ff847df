"""Several tasks at once: streams, batches, losses of each task as alone, exact resume, what is refused, a whole run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from safetensors.torch import load_file
from typer.testing import CliRunner

from graphstorm_like.cli.main import app
from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.errors import ConfigError
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.batch import StreamPosition
from graphstorm_like.sampling.joined import JoinedTargets
from graphstorm_like.sampling.seeds import JoinedSeedStream, SeedStream
from graphstorm_like.tasks import Evaluation, MultiTask
from graphstorm_like.testing.graphs import shop_pipeline, write_shop
from graphstorm_like.testing.text import tiny_text_model
from graphstorm_like.training.experiment import build_experiment

from ..sampling.test_steps import REVERSE, SIMILAR, message_pairs
from ..training.test_resume import Stopped, assert_same_run, train

QUIET = Reporter(quiet=True)
TASKS: dict[str, Any] = {
    "kind": {"type": "node_classification", "node_type": "item", "label": "kind"},
    "gap": {
        "type": "edge_regression", "edge_type": "item:similar:item", "label": "gap",
        "metrics": ["r2", "rmse"], "select_by": "r2",
    },
    "buys": {"type": "graph_pretraining", "edge_types": ["user:buys:item"], "ranking": {"candidates": 20}},
}  # fmt: skip
MULTI = {"type": "multi", "tasks": TASKS, "batch_sizes": {"gap": 64}}
ALL_NEIGHBOURS = {"fanouts": [-1, -1], "batch_size": 48, "precision": "float32"}


@pytest.fixture
def several(shop_config: Callable[..., Pipeline]) -> Callable[..., Pipeline]:
    """A function (changes of the task, other sections) -> pipeline of the three tasks over the shop."""

    def make(task: dict[str, Any] | None = None, **changes: Any) -> Pipeline:
        data = shop_config(**changes).model_dump(mode="json")
        data["task"] = {**MULTI, **(task or {})}
        return build_pipeline(data)

    return make


def test_the_longest_stream_passes_once_and_the_others_again() -> None:
    long, short = SeedStream(np.arange(10), 4, 0), SeedStream(np.arange(3), 2, 0)
    joined = JoinedSeedStream(np.arange(0), 6, 0, streams=(long, short), starts=(0, 100))
    assert (joined.steps, joined.size) == (3, 10 + 6)
    order = joined.epoch_order(1)
    steps = [joined.step_ids(order, i) for i in range(3)]
    assert [len(ids) for ids in steps] == [6, 6, 4]
    ids = np.concatenate(steps)
    assert sorted(ids[ids < 100].tolist()) == list(range(10))
    assert all((of_step >= 100).sum() == 2 for of_step in steps)
    again = ids[ids >= 100]
    assert sorted(again[:3].tolist()) == sorted(again[3:].tolist()) == [100, 101, 102]
    assert ids[ids < 100].tolist() == long.epoch_order(1).tolist()
    assert not np.array_equal(joined.epoch_order(0), order)


@pytest.mark.known_answer("tasks/multi")
def test_each_task_has_the_loss_that_it_has_alone(
    several: Callable[..., Pipeline], shop_config: Callable[..., Pipeline]
) -> None:
    """On the same rows, with all neighbours but the excluded edges of all tasks."""
    model = {"gnn": {"type": "rgcn", "hidden": 16, "layers": 2, "dropout": 0.0}}
    experiment = build_experiment(several(train=ALL_NEIGHBOURS, model=model), QUIET)
    task = experiment.task
    assert isinstance(task, MultiTask)
    stream = task.stream(48, 0)
    ids = stream.step_ids(stream.epoch_order(0), 0)
    batch = experiment.learner.batches().make(ids, StreamPosition(0, 0))
    targets = batch.targets
    assert isinstance(targets, JoinedTargets)
    assert [len(ids[(ids >= s) & (ids < e)]) for s, e in _spans(task)] == [48, 64, 48]
    experiment.model.eval()
    hidden = experiment.model(experiment.learner.embeddings.put_into(batch)[0])
    loss, weight = task.loss(hidden, batch)
    assert weight == 1.0
    wanted = 0.0
    for of_task, part in zip(task.tasks, targets.parts, strict=True):
        total, count = of_task.loss(part.vectors(hidden), part.of(batch))
        wanted += total.item() / count
    assert loss.item() == pytest.approx(wanted, rel=1e-5)
    kind = targets.parts[0].of(batch)
    labels = task.tasks[0].labels[kind.seeds["item"].numpy()]  # type: ignore[operator]
    assert kind.targets.labels.tolist() == labels.tolist()  # type: ignore[union-attr]
    # The edges that `gap` asks about are no messages for any task.
    first, last = _spans(task)[1]
    asked = ids[(ids >= first) & (ids < last)] - first
    input_ids = batch.input_ids["item"].numpy()
    messages = set(message_pairs(batch.blocks, input_ids, SIMILAR))
    messages |= {(s, t) for t, s in message_pairs(batch.blocks, input_ids, REVERSE)}
    banned = {tuple(pair) for pair in np.stack(experiment.graph.edges(SIMILAR, asked), 1).tolist()}
    assert len(messages) > 100
    assert not messages & banned


def _spans(task: MultiTask) -> list[tuple[int, int]]:
    starts = task.stream(1, 0).starts
    return list(zip(starts, [*starts[1:], 1 << 60], strict=True))


@pytest.mark.parametrize("weighting", ["uncertainty", {"type": "excess_risk", "warmup_epochs": 1, "step_size": 0.1}])
def test_resume_is_exact(several: Callable[..., Pipeline], tmp_path: Path, weighting: Any) -> None:
    changes = {"epochs": 2, "batch_size": 240, "checkpoint": {"every_steps": 1, "keep": 1}}
    pipeline = several({"weighting": weighting}, train=changes)
    train(pipeline, tmp_path / "whole")
    with pytest.raises(Stopped):
        train(pipeline, tmp_path / "cut", stop_at=6)
    train(pipeline, tmp_path / "cut")
    assert_same_run(tmp_path / "whole", tmp_path / "cut")
    lines = (tmp_path / "cut/metrics.jsonl").read_text(encoding="utf-8").splitlines()
    steps = [record for record in map(json.loads, lines) if record["kind"] == "train"]
    assert {"loss/kind", "weight/kind", "weight/buys"} <= set(steps[-1])
    assert steps[-1]["weight/kind"] != 1.0
    # What weights are made of is in resume points alone.
    in_best = load_file(tmp_path / "cut/best/model.safetensors")
    assert all(name.startswith(("model.", "task.heads.for_")) for name in in_best)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_sizes": {"gaps": 3}}, r"task\.batch_sizes: must name tasks, kind, gap, buys \(got 'gaps'\)"),
        ({"select_by": "kind.f1"}, r"task\.select_by: must be one of 'mean', 'kind\.accuracy', .* \(got 'kind\.f1'\)"),
        ({"tasks": {"a": TASKS["kind"]}}, r"task\.tasks"),
        ({"tasks": {**TASKS, "more": MULTI}}, r"task\.tasks\.more\.type: must be a task of its own \(got 'multi'\)"),
        (
            {"tasks": {**TASKS, "gap": {**TASKS["gap"], "select_by": "rmse"}}},
            r"select_by: must be a task's metric, such as 'kind\.accuracy' \(got 'mean'\): that of gap is better when",
        ),
        (
            {"tasks": {**TASKS, "buys_too": TASKS["buys"]}},
            r"task\.tasks\.buys_too: must rank other relations than task buys \(got 'user:buys:item' in both\)",
        ),
        (
            {"tasks": {**TASKS, "kind": {**TASKS["kind"], "label": "kin"}}},
            r"task\.tasks\.kind\.label: unknown label 'kin'",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    data = shop_pipeline(tmp_path, tmp_path / "run")
    data["task"] = {**MULTI, **changes}
    with pytest.raises(ConfigError, match=message):
        build_pipeline(data)


DRAWN = {"train": 0.8, "valid": 0.1, "test": 0.1}


@pytest.mark.parametrize("excluded", [True, False])
@pytest.mark.parametrize("split", [{"column": "split"}, {"column": "another"}, DRAWN])
def test_tasks_on_the_same_edges_hold_out_the_same(tmp_path: Path, split: dict[str, Any], excluded: bool) -> None:
    """Whatever one task hides; splits that somebody has written into one column are one."""
    data = shop_pipeline(tmp_path, tmp_path / "run")
    similar = next(edge for edge in data["graph"]["edges"] if edge["relation"] == "similar")
    similar["labels"]["gap"]["split"], similar["split"] = split, {"column": "split"}
    gap = {**TASKS["gap"], "exclude_target_edges": excluded}
    links = {"type": "link_prediction", "edge_type": "item:similar:item"}
    data["task"] = {**MULTI, "tasks": {**TASKS, "gap": gap, "links": links}}
    if split == {"column": "split"}:
        build_pipeline(data)
        return
    message = r"tasks\.links: must hold out the same edges of 'item:similar:item' as task gap \(got the split of"
    with pytest.raises(ConfigError, match=message):
        build_pipeline(data)


@pytest.mark.slow
def test_a_whole_run(tmp_path: Path) -> None:
    """From tables to scores, predictions of every task, report, and a packed model on new tables."""
    write_shop(tmp_path / "tables")
    data = shop_pipeline(tmp_path / "tables", tmp_path / "run")
    data["task"] = {**MULTI, "weighting": "grad_norm"}
    data["train"] |= {"epochs": 4, "batch_size": 96}
    data["launch"] = {"on": "local", "threads": 1}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    done = CliRunner().invoke(app, ["run", str(tmp_path / "p.yaml")])
    assert done.exit_code == 0, done.output
    scores = json.loads((tmp_path / "run/evaluate/metrics.json").read_text(encoding="utf-8"))
    assert scores["test"]["kind.accuracy"] > 0.6
    assert scores["test"]["gap.r2"] > 0.3
    assert scores["valid"]["mean"] == pytest.approx(
        np.mean([scores["valid"][name] for name in ("kind.accuracy", "gap.r2", "buys.mrr")])
    )
    predicted = {name: pq.read_table(tmp_path / f"run/infer/predictions/{name}") for name in ("kind", "gap")}
    assert predicted["kind"]["id"].to_pylist()[:2] == ["item-0000", "item-0001"]
    assert set(predicted["gap"].column_names) >= {"source", "target", "prediction", "label"}
    assert "Of several tasks at once" in (tmp_path / "run/report.json").read_text(encoding="utf-8")
    for command in (["show", "batch", "p.yaml"], ["pack", "run", "-o", "model"]):
        shown = CliRunner().invoke(app, [str(tmp_path / a) if a in ("p.yaml", "run", "model") else a for a in command])
        assert shown.exit_code == 0, shown.output
    graph = {key: data["graph"][key] for key in ("base", "nodes", "edges")}
    (tmp_path / "new.yaml").write_text(yaml.safe_dump({"graph": graph}), encoding="utf-8")
    arguments = ["apply", str(tmp_path / "model"), "--tables", str(tmp_path / "new.yaml"), "--out", str(tmp_path / "s")]
    applied = CliRunner().invoke(app, arguments)
    assert applied.exit_code == 0, applied.output
    again = pq.read_table(tmp_path / "s/predictions/kind")
    assert again["prediction"].to_pylist() == predicted["kind"]["prediction"].to_pylist()


def test_the_relation_that_selects_may_have_no_test_edges(
    several: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = build_experiment(several(), QUIET)
    task = experiment.task
    assert isinstance(task, MultiTask)
    buys = dict(task.named())["buys"]
    monkeypatch.setattr(buys, "select_by", "mrr/user:likes:item")
    monkeypatch.setattr(buys, "scored_splits", ("valid", "test"))
    monkeypatch.setattr(buys, "evaluate", lambda *arguments: {"mrr": 0.25})
    scores = task.evaluate(experiment.embedder(), "test", Evaluation("layer_wise", (), 0))
    assert scores["mean"] == pytest.approx((scores["kind.accuracy"] + scores["gap.r2"] + 0.25) / 3)


@pytest.mark.slow
def test_selecting_by_one_task_without_a_graph_network(tmp_path: Path) -> None:
    data = shop_pipeline(write_shop(tmp_path / "tables"), tmp_path / "run")
    data["task"] = {**MULTI, "select_by": "gap.rmse", "weighting": {"type": "group_dro"}, "weights": {"gap": 2.0}}
    data["model"]["gnn"] = {"type": "none", "hidden": 16}
    data["train"] = {"epochs": 2, "batch_size": 64}
    pipeline = build_pipeline(data).with_absolute_paths(tmp_path)
    run_pipeline(pipeline, reporter=QUIET)
    chosen = json.loads((tmp_path / "run/train/best/metrics.json").read_text(encoding="utf-8"))
    lines = (tmp_path / "run/train/metrics.jsonl").read_text(encoding="utf-8").splitlines()
    valid = [record["gap.rmse"] for record in map(json.loads, lines) if record["kind"] == "valid"]
    assert chosen["gap.rmse"] == min(valid)


@pytest.mark.slow
def test_language_models_learn_too(tmp_path: Path) -> None:
    """End to end, with a head that reads inputs of the scored edges."""
    tables = write_shop(tmp_path / "tables", items=80, users=20)
    data = shop_pipeline(tables, tmp_path / "run", text_model=str(tiny_text_model(tmp_path / "lm")))
    edge = {"type": "edge_classification", "edge_type": "item:similar:item", "label": "trend"}
    tasks = {"kind": TASKS["kind"], "trend": {**edge, "inputs": {"features": ["weight"]}}}
    data["task"] = {"type": "multi", "tasks": tasks, "weighting": {"type": "excess_risk", "warmup_epochs": 0}}
    phases = [{"name": "both", "type": "joint", "epochs": 1}]
    data["train"] = {"batch_size": 64, "fanouts": [3, 3], "track": {"every_steps": 1}}
    data["train"] |= {"strategy": "joint", "phases": phases}
    pipeline = build_pipeline(data).with_absolute_paths(tmp_path)
    run_pipeline(pipeline, ["construct", "train", "infer"], reporter=QUIET)
    lines = (tmp_path / "run/train/metrics.jsonl").read_text(encoding="utf-8").splitlines()
    steps = [record for record in map(json.loads, lines) if record["kind"] == "train"]
    assert steps[-1]["weight/kind"] != steps[0]["weight/kind"]
    assert pq.read_table(tmp_path / "run/infer/predictions/trend").num_rows > 100
