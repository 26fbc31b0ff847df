"""Every kind of task, phase and strategy over two hosts whose partitions DGL's servers serve: with all neighbours the
losses and scores that the own store's servers give, or a refusal by name before anything is started.

Which kinds there are is read from where the configuration finds them: a new one fails here until it is tried.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gconstruct import build_graph
from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.config.choice import members_of
from graphstorm_like.config.phases import PhaseConfig
from graphstorm_like.config.strategies import complete_strategies
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.errors import ConfigError
from graphstorm_like.testing import ranks
from graphstorm_like.testing.graphs import shop_pipeline, write_shop
from graphstorm_like.testing.text import tiny_text_model
from graphstorm_like.testing.times import timed_pipeline, write_timed_shop

pytestmark = [pytest.mark.dgl]
needs_dgl = pytest.mark.skipif(importlib.util.find_spec("dgl") is None, reason="needs dgl")
DGL: dict[str, Any] = {"hosts": 2, "store": "dgl", "dgl": {"trusted_network": True}}
STAGES = ["train", "evaluate", "infer"]
RUNS_SECONDS = 280.0

OF_ITEM, OF_PAIR = {"node_type": "item"}, {"edge_type": "item:similar:item"}
OF_USER = {"node_type": "user", "members": "user:buys:item"}
RANKING = {"candidates": 20}
PAIRS = [{"type": "common_neighbors"}, {"type": "text_neighbors"}, {"type": "popularity"}]
JOINED: dict[str, dict[str, Any]] = {
    "node_classification": OF_ITEM | {"label": "kind"},
    "node_regression": OF_ITEM | {"label": "rating"},
    "node_multi_label": OF_ITEM | {"label": "tags"},
    "edge_classification": OF_PAIR | {"label": "trend"},
    "edge_regression": OF_PAIR | {"label": "gap"},
    "edge_multi_label": OF_PAIR | {"label": "tags"},
    "link_prediction": OF_PAIR | {"negatives": {"uniform": 16}, "pairs": PAIRS},
    "graph_pretraining": {"edge_types": ["user:buys:item"], "ranking": RANKING},
    "set_classification": OF_USER | {"label": "kind"},
    "set_regression": OF_USER | {"label": "spent", "readout": "attention"},
    "set_multi_label": OF_USER | {"label": "tags", "readout": "max"},
}
"""By type: tasks that may be joined."""
ALONE: dict[str, dict[str, Any]] = {
    "node_preference": OF_ITEM | {"label": "kind", "scores": {"book": ["liked"]}, "group_by": "colour"},
    "graph_contrast": {"of_types": ["item", "user"]},
    "graph_bootstrap": {"of_types": ["item", "user"]},
    "edge_feature_reconstruction": {"edge_types": ["item:similar:item"]},
    "feature_reconstruction": {"of_types": ["item"]},
}
"""By type: tasks that may not."""
RELATIONS: dict[str, Any] = {"type": "link_prediction", "edge_types": ["user:buys:item", "item:similar:item"]}
MINED = ["mined_text", "mined_resource_allocation", "mined_page_rank"]
MIX: dict[str, Any] = {
    "type": "mix",
    "count": 32,
    "queue": 90,
    "self_negative": True,
    "parts": [
        *({"share": 1, "negatives": {"type": kind, "candidates": 10}} for kind in MINED),
        {"share": 1, "from_epoch": 2, "negatives": {"type": "mined_model", "refresh_steps": 4}},
    ],
}
LINKS: dict[str, dict[str, Any]] = {
    "of several relations, both ends": RELATIONS | {"ends": "both", "head": {"type": "distmult"}},
    "of inverse relations": RELATIONS | {"ends": "reciprocal", "head": {"type": "transe"}},
    "with mined negatives and a queue": {"type": "link_prediction", **OF_PAIR, "negatives": MIX},
}
PHASES: list[dict[str, Any]] = [
    {"name": "words", "type": "lm", "task": {"type": "graph_pretraining", "edge_types": ["item:similar:item"]}},
    {"name": "graph", "type": "gnn"},
    {"name": "pseudo", "type": "pseudo"},
    {"name": "graph2", "type": "gnn"},
    {"name": "student", "type": "student"},
    {"name": "graph3", "type": "gnn"},
    {"name": "joint", "type": "joint"},
]
"""Every type of phase; the first is GaLM's: the language model learns from edges."""


def write_tables(folder: Path) -> Path:
    """The tiny shop, with lists of classes, a soft score of each item, and labels of users."""
    write_shop(folder, items=120, users=40)
    rng = np.random.default_rng(5)

    def with_tags(table: pa.Table) -> pa.Table:
        sizes = rng.integers(3, size=len(table))
        tags = [rng.choice(["new", "old", "rare"], size=size, replace=False).tolist() for size in sizes]
        return table.append_column("tags", pa.array(tags, pa.list_(pa.string())))

    items, pairs = (pq.read_table(folder / f"{name}.parquet") for name in ("item", "similar"))
    items = items.append_column("liked", pa.array(rng.random(len(items))))
    users = sorted(set(pq.read_table(folder / "buys.parquet")["source"].to_pylist()))
    columns = {"id": users, "kind": rng.choice(["a", "b"], len(users)), "spent": rng.normal(size=len(users))}
    for name, table in {"item": items, "similar": pairs, "user": pa.table(columns)}.items():
        pq.write_table(with_tags(table), folder / f"{name}.parquet")
    return folder


def cases() -> dict[str, dict[str, Any]]:
    """By name: a task, and what else is set."""
    tasks = {name: {"type": name} | task for name, task in JOINED.items()}
    found = {"all that may be joined": {"type": "multi", "tasks": tasks, "select_by": "node_classification.accuracy"}}
    found |= {name: {"type": name} | task for name, task in ALONE.items()}
    found |= LINKS
    made: dict[str, dict[str, Any]] = {}
    for name, task in found.items():
        made[name] = {"task": task, "train": {"evaluate_every": None, "epochs": 2} if name in ALONE else {}}
    made["all phases"] = {"strategy": "custom", "phases": PHASES}
    return made | {strategy: {"strategy": strategy} for strategy in complete_strategies()}


CASES = cases()


def configured(folder: Path, name: str, store: str) -> Pipeline:
    """The pipeline of a case, in which all neighbours are taken, and numbers are not rounded to half their size."""
    case, strategies = dict(CASES[name]), "strategy" in CASES[name]
    data = shop_pipeline(folder / "tables", folder / store / name, text_model=str(folder / "lm"))
    split = {"train": 0.6, "valid": 0.2, "test": 0.2}
    many, number = {"column": "tags", "kind": "classes", "split": split}, {"kind": "number", "split": split}
    nodes, (buys, similar) = data["graph"]["nodes"], data["graph"]["edges"]
    nodes["item"]["labels"] |= {"tags": many, "liked": number | {"column": "liked"}}
    nodes["item"]["labels"]["colour"] = {"column": "colour", "split": split}
    labels = {"kind": {"column": "kind", "split": split}, "spent": number | {"column": "spent"}, "tags": many}
    nodes["user"] = {"files": "user.parquet", "id": "id", "labels": labels}
    buys["split"], similar["labels"]["tags"] = split, many | {"split": {"column": "split"}}
    data["graph"] |= {"path": str(folder / "graph"), "partitions": {"count": 2, "method": "random"}}
    data["cache"] = str(folder / store / "cache")
    data["model"]["text_encoder"]["dtype"] = "float32"
    data["model"]["inputs"] = {"item": {"text": ["title"] if strategies else [], "embedding": not strategies}}
    data["task"] = case.pop("task", data["task"])
    data["train"] = {"epochs": 1, "batch_size": 64, "fanouts": [-1, -1], "precision": "float32"}
    data["train"] |= case.pop("train", {}) | case | {"lm": {"epochs": 1}, "track": {"every_steps": 1}}
    data["launch"] = DGL | {"store": store}
    return build_pipeline(data).with_absolute_paths(folder)


def losses(pipeline: Pipeline) -> dict[str, list[float]]:
    """By folder with a log: a phase's, or the run's."""
    found: dict[str, list[float]] = {}
    for file in sorted(Path(pipeline.output).rglob("metrics.jsonl")):
        lines = map(json.loads, file.read_text(encoding="utf-8").splitlines())
        found[file.parent.name] = [line["loss"] for line in lines if line["kind"] == "train"]
    return found


def scores(pipeline: Pipeline) -> dict[str, dict[str, float]]:
    """By split; none for what learns without labels."""
    file = Path(pipeline.output) / "evaluate" / "metrics.json"
    found: dict[str, dict[str, float]] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return found


# ------------------------------------------------------------------------------------------------------ what there is


def test_every_type_is_here() -> None:
    """Tasks, phases; strategies are read where they are run."""
    tasks, phases = members_of(TaskConfig), members_of(PhaseConfig)
    assert tasks is not None
    assert phases is not None
    assert {name for name, task in tasks.items() if task.may_be_joined} == JOINED.keys()
    assert {name for name, task in tasks.items() if not task.may_be_joined} == {*ALONE, "multi"}
    assert {phase["type"] for phase in PHASES} == phases.keys()


# ---------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        ("launch.dgl", {}, r"launch\.dgl\.trusted_network: must be true for launch\.store: dgl"),
        ("launch.wire", "float16", r"launch\.wire: must be float32 with launch\.store: dgl.*\(got float16\)"),
        ("train.workers", 1, r"train\.workers: must be 0 with launch\.store: dgl \(got 1\).*set launch\.store: own"),
        ("train.draw_by", "weight", r"train\.draw_by: must be left out with launch\.store: dgl.*launch\.store: own"),
        ("model.time", {"at": "end"}, r"launch\.store: must be own with model\.time \(got dgl\)"),
    ],
)
def test_what_is_refused(tmp_path: Path, at: str, value: Any, message: str) -> None:
    """By name, with the store that does it, before anything is started; all of it goes with the other store."""
    tables = write_timed_shop(tmp_path)
    data = timed_pipeline(tables, tmp_path / "run", "node_classification")
    data["graph"]["partitions"], data["launch"] = {"count": 2}, dict(DGL)
    data["graph"]["edges"][0]["features"] = {"weight": {"column": "row"}}
    data["model"].pop("time", None)
    assert build_pipeline(data).launch.uses_dgl
    section, key = at.split(".")
    data[section][key] = value
    with pytest.raises(ConfigError, match=message):
        build_pipeline(data)
    data["launch"] |= {"store": "own"}
    assert not build_pipeline(data).launch.uses_dgl


# ------------------------------------------------------------------------------------------------------- what is run


def check_same(own: Pipeline, dgl: Pipeline) -> None:
    """The same losses in every phase, and the same scores."""
    expected, found = losses(own), losses(dgl)
    assert expected
    assert found.keys() == expected.keys()
    for phase, of_phase in expected.items():
        assert len(of_phase) >= 2
        np.testing.assert_allclose(found[phase], of_phase, rtol=1e-5, atol=1e-6)
    assert scores(own).keys() == scores(dgl).keys()
    for split, metrics in scores(own).items():
        assert scores(dgl)[split] == pytest.approx(metrics, abs=1e-5)


@needs_dgl
@pytest.mark.slow
@pytest.mark.dist
def test_both_stores_take_the_same_steps(tmp_path: Path) -> None:
    """All cases of a store run in the same processes, one after the other: what takes time is to start them."""
    write_tables(tmp_path / "tables")
    tiny_text_model(tmp_path / "lm")
    pipelines = {store: [configured(tmp_path, name, store) for name in CASES] for store in ("own", "dgl")}
    build_graph(pipelines["own"][0].graph)
    for store, of_store in pipelines.items():
        ranks.run_pipelines(of_store, STAGES, 2, 1, store, RUNS_SECONDS)
    wrong = {}
    for name, own, dgl in zip(CASES, *pipelines.values(), strict=True):
        try:
            check_same(own, dgl)
        except AssertionError as err:
            wrong[name] = str(err)
    assert wrong == {}
