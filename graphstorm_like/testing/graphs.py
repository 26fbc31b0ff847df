"""A tiny shop as tables and pipelines: items with text, numbers and categories, users, and three relations.

An item's class follows from its words and from its neighbours, so that a working model learns it in seconds. Its rating
follows from its class. The labels of a pair of similar items follow from their prices: `gap` is the difference of the
logarithms, `trend` its sign. Every tenth item has no rating, and every tenth pair has no labels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

CLASSES = ("book", "game", "tool")
_WORDS = (("novel", "reading", "story"), ("graph", "playing", "level"), ("package", "library", "files"))


def write_shop(folder: Path, items: int = 240, users: int = 60, seed: int = 0) -> Path:
    """Write item.parquet, buys.parquet and similar.parquet into `folder`; returns it."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    kind = rng.integers(3, size=items)
    splits = np.array(["train", "valid", "test"])
    words = [" ".join(rng.choice(_WORDS[k], size=4)) for k in kind]
    names = [f"item-{i:04d}" for i in range(items)]
    prices = rng.lognormal(size=items)
    # Its own random stream, so that the other columns do not change.
    noise = np.random.default_rng([seed, 1]).normal(size=items)
    classes = [CLASSES[k] for k in kind]
    ratings = [100.0 + 20.0 * kind[i] + 4.0 * noise[i] if i % 10 else None for i in range(items)]
    table = pa.table(
        {
            "id": names,
            "title": words,
            "price": prices,
            "colour": rng.choice(["red", "green", "blue"], size=items),
            "kind": classes,
            "rating": ratings,
            "split": splits[rng.choice(3, p=[0.6, 0.2, 0.2], size=items)],
        }
    )
    pq.write_table(table, folder / "item.parquet")
    # Each user buys items of one kind; similar items are of one kind.
    taste = rng.integers(3, size=users)
    of_kind = [np.flatnonzero(kind == k) for k in range(3)]
    buyer = rng.integers(users, size=4 * items)
    bought = [int(rng.choice(of_kind[taste[u]])) for u in buyer]
    buyers = [f"u{u}" for u in buyer]
    purchases = [names[i] for i in bought]
    pq.write_table(pa.table({"source": buyers, "target": purchases}), folder / "buys.parquet")
    drawn = {(a, int(rng.choice(of_kind[kind[a]]))) for a in range(items) for _ in range(4)}
    pairs = [(a, b) for a, b in sorted(drawn) if a != b]
    gaps = [float(np.log1p(prices[b]) - np.log1p(prices[a])) if i % 10 else None for i, (a, b) in enumerate(pairs)]
    trends = [_trend(gap) for gap in gaps]
    sources = [names[a] for a, _ in pairs]
    targets = [names[b] for _, b in pairs]
    pq.write_table(
        pa.table(
            {
                "source": sources,
                "target": targets,
                "weight": rng.random(len(pairs)),
                "gap": gaps,
                "trend": trends,
                "split": splits[rng.choice(3, p=[0.7, 0.15, 0.15], size=len(pairs))],
            }
        ),
        folder / "similar.parquet",
    )
    return folder


def _trend(gap: float | None) -> str | None:
    if gap is None:
        return None
    return "up" if gap > 0 else "down"


def shop_pipeline(
    tables: Path, output: Path, task: str = "node_classification", text_model: str | None = None
) -> dict[str, Any]:
    """A pipeline over the shop as a plain dict, for any type of task."""
    tasks: dict[str, dict[str, Any]] = {
        "node_classification": {"type": task, "node_type": "item", "label": "kind"},
        "node_regression": {"type": task, "node_type": "item", "label": "rating"},
        "edge_classification": {"type": task, "edge_type": "item:similar:item", "label": "trend"},
        "edge_regression": {"type": task, "edge_type": "item:similar:item", "label": "gap"},
        "link_prediction": {"type": task, "edge_type": "item:similar:item", "negatives": {"uniform": 16}},
        "graph_pretraining": {"type": task, "edge_types": "all", "ranking": {"candidates": 50}},
    }
    item: dict[str, Any] = {
        "files": "item.parquet",
        "id": "id",
        "features": {"price": {"column": "price", "log1p": True}, "colour": {"column": "colour", "encode": "one_hot"}},
        "text": {"title": {"columns": "title"}},
        "labels": {
            "kind": {"column": "kind", "split": {"column": "split"}},
            "rating": {"column": "rating", "kind": "number", "split": {"column": "split"}},
        },
    }
    similar = {"source": "item", "relation": "similar", "target": "item", "files": "similar.parquet"}
    similar_labels = {
        "trend": {"column": "trend", "split": {"column": "split"}},
        "gap": {"column": "gap", "kind": "number", "split": {"column": "split"}},
    }
    model: dict[str, Any] = {"gnn": {"type": "rgcn", "hidden": 16, "layers": 2, "dropout": 0.1}}
    if text_model is None:
        model["inputs"] = {"item": {"text": [], "embedding": True}}
    else:
        model["text_encoder"] = {"name": text_model, "max_tokens": 16}
    return {
        "name": "shop",
        "output": str(output),
        "baselines": False,
        "graph": {
            "base": str(tables),
            "nodes": {"item": item, "user": {}},
            "edges": [
                {"source": "user", "relation": "buys", "target": "item", "files": "buys.parquet"},
                {
                    **similar,
                    "split": {"column": "split"},
                    "features": {"weight": {"column": "weight"}},
                    "labels": similar_labels,
                },
            ],
        },
        "model": model,
        "task": tasks[task],
        "train": {"epochs": 3, "batch_size": 32, "fanouts": [5, 5], "lr": 0.01, "track": {"every_steps": 1}},
    }


def write_shop_pipeline(folder: Path, task: str = "node_classification", text_model: str | None = None) -> Path:
    """Tables and pipeline.yaml in one folder; returns the YAML's path."""
    tables = write_shop(folder / "tables")
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump(shop_pipeline(tables, folder / "run", task, text_model)), encoding="utf-8")
    return path
