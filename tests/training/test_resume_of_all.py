"""Every task and every loss: a run that is cut and goes on ends with the bits of one that was not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gconstruct import build_graph
from graphstorm_like.config import build_pipeline
from graphstorm_like.testing.graphs import shop_pipeline, write_shop

from ..operators import operators, used_in
from .test_resume import Stopped, assert_same_run, train

SIMILAR, ITEM = "item:similar:item", {"node_type": "item"}
BASKET = {"node_type": "basket", "members": "item:in:basket"}
PREFERENCE = {"scores": {"book": ["score"]}, "group_by": "item:in:basket", "most_members": 4}
NEGATIVES = {"uniform": 8}
TASKS: dict[str, dict[str, Any]] = {
    "edge_classification": {"edge_type": SIMILAR, "label": "trend", "loss": "focal"},
    "edge_feature_reconstruction": {"edge_types": [SIMILAR]},
    "edge_multi_label": {"edge_type": SIMILAR, "label": "tags", "loss": "focal"},
    "edge_regression": {"edge_type": SIMILAR, "label": "gap", "loss": "huber"},
    "feature_reconstruction": {"of_types": ["item"]},
    "graph_bootstrap": {"of_types": ["item"]},
    "graph_contrast": {"of_types": ["item"]},
    "graph_pretraining": {
        "edge_types": "all",
        "max_edges_per_relation": 60,
        "negatives": NEGATIVES,
        "loss": {"type": "flat_nce"},
    },
    "link_prediction": {"edge_type": SIMILAR, "negatives": NEGATIVES, "loss": {"type": "cross_entropy"}},
    "node_classification": {**ITEM, "label": "kind", "loss": "cross_entropy"},
    "node_multi_label": {**ITEM, "label": "tags", "loss": "bce"},
    "node_preference": {**ITEM, "label": "kind", **PREFERENCE},
    "node_regression": {**ITEM, "label": "rating", "loss": "mae"},
    "set_classification": {**BASKET, "label": "kind", "readout": "attention"},
    "set_multi_label": {**BASKET, "label": "has", "most_members": 2},
    "set_regression": {**BASKET, "label": "most", "loss": "quantile", "readout": "max"},
}
"""One of each; `multi` has tests of its own, for each way to weigh its tasks."""
LOSSES: dict[str, dict[str, Any]] = {
    "set_regression mse": {"type": "set_regression", **BASKET, "label": "most", "loss": "mse"},
    "node_regression shrinkage": {"type": "node_regression", **ITEM, "label": "rating", "loss": "shrinkage"},
    "link_prediction info_nce": {
        "type": "link_prediction", "edge_type": SIMILAR, "negatives": NEGATIVES,
        "loss": {"type": "info_nce", "temperature": 0.2},
    },
    **{
        f"link_prediction {loss}": {
            "type": "link_prediction", "edge_type": SIMILAR, "negatives": NEGATIVES, "loss": {"type": loss},
        }
        for loss in ("bpr", "margin", "self_adversarial")
    },
}  # fmt: skip
"""Those that are not in TASKS"""
TERMS = [
    {"type": "common_neighbors"},
    {"type": "sketches", "hashes": 16, "registers": 64},
    {"type": "popularity"},
    {"type": "text_neighbors", "k": 5},
]
PAIRS: dict[str, dict[str, Any]] = {
    "link_prediction pairs": {
        "type": "link_prediction", "edge_type": SIMILAR, "negatives": {**NEGATIVES, "in_batch": False}, "pairs": TERMS,
    },
}  # fmt: skip
"""All terms of pairs"""
BATCHES = dict.fromkeys(("edge_classification", "edge_multi_label", "edge_regression", "link_prediction"), 64)
BATCHES |= {"edge_feature_reconstruction": 64, "graph_pretraining": 128, "node_preference": 24}
"""Rows of a step: a few steps an epoch"""
CASES = {name: {"type": name, **task} for name, task in TASKS.items()} | LOSSES | PAIRS


def with_tags(table: Path, rng: np.random.Generator) -> pa.Table:
    read = pq.read_table(table)
    tags = [[name for name in ("new", "old", "rare") if rng.random() < 0.5] for _ in range(read.num_rows)]
    return read.append_column("tags", [tags])


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """`graph:` of 60 items in 40 baskets, with labels of all kinds."""
    folder, rng = tmp_path_factory.mktemp("all"), np.random.default_rng(0)
    tables = write_shop(folder / "tables", items=60, users=15)
    data: dict[str, Any] = shop_pipeline(tables, folder / "run")["graph"]
    pq.write_table(with_tags(tables / "similar.parquet", rng), tables / "similar.parquet")
    items = with_tags(tables / "item.parquet", rng)
    pq.write_table(items.append_column("score", [rng.random(60)]), tables / "item.parquet")
    baskets = [f"b{i}" for i in range(40)]
    of_baskets = {
        "id": baskets,
        "kind": rng.choice(["cheap", "dear"], 40),
        "most": rng.normal(size=40),
        "has": [["a", "b"][: i % 3] for i in range(40)],
    }
    pq.write_table(pa.table(of_baskets), tables / "basket.parquet")
    ends = {"source": rng.choice(items["id"].to_pylist(), 200), "target": rng.choice(baskets, 200)}
    pq.write_table(pa.table(ends), tables / "in.parquet")
    split = {"split": {"train": 0.6, "valid": 0.2, "test": 0.2}}
    data["nodes"]["item"]["labels"] |= {
        "tags": {"column": "tags", "kind": "classes", **split},
        "score": {"column": "score", "kind": "number", **split},
    }
    data["edges"][1]["labels"]["tags"] = {"column": "tags", "kind": "classes", **split}
    labels = {"kind": "class", "most": "number", "has": "classes"}
    basket_labels = {name: {"column": name, "kind": kind, **split} for name, kind in labels.items()}
    data["nodes"]["basket"] = {"files": "basket.parquet", "id": "id", "labels": basket_labels}
    data["edges"].append({"source": "item", "relation": "in", "target": "basket", "files": "in.parquet"})
    data["path"] = str(folder / "graph")
    build_graph(build_pipeline(shop_pipeline(tables, folder / "run") | {"graph": data}).graph)
    return data


def pipeline_of(name: str, graph: dict[str, Any], output: Path) -> dict[str, Any]:
    data = shop_pipeline(Path(graph["base"]), output)
    settings = {
        "epochs": 2,
        "batch_size": BATCHES.get(CASES[name]["type"], 12),
        "fanouts": [3],
        "lr": 0.01,
        "track": {"every_steps": 1},
    }
    data["model"]["gnn"] |= {"hidden": 8, "layers": 1}
    if any(word in name for word in ("reconstruction", "contrast", "bootstrap")):
        settings |= {"evaluate_every": None, "early_stop": None}
    checkpoint = {"checkpoint": {"every_steps": 1, "keep": 1}}
    return data | {"graph": graph, "task": CASES[name], "train": settings | checkpoint}


def test_all_are_tried(graph: dict[str, Any], tmp_path: Path) -> None:
    """A new task, loss or term of pairs must be added here."""
    tried: set[str] = {"tasks/multi"}
    for name in CASES:
        tried.update(used_in(build_pipeline(pipeline_of(name, graph, tmp_path))))
    families = ("tasks/", "label_losses/", "link_losses/", "pair_terms/")
    assert {name for name in operators() if name.startswith(families)} == {
        name for name in tried if name.startswith(families)
    }


@pytest.mark.parametrize("name", CASES)
def test_resumed_is_uninterrupted(graph: dict[str, Any], tmp_path: Path, name: str) -> None:
    """Cut in the middle of the last epoch, after a resume point."""
    pipeline = build_pipeline(pipeline_of(name, graph, tmp_path / "run"))
    train(pipeline, tmp_path / "whole")
    points = [path.name for path in (tmp_path / "whole/checkpoints").glob("step-*")]
    total = int(max(points).removeprefix("step-"))
    assert total >= 4
    with pytest.raises(Stopped):
        train(pipeline, tmp_path / "cut", stop_at=total - 1)
    train(pipeline, tmp_path / "cut")
    assert_same_run(tmp_path / "whole", tmp_path / "cut")
