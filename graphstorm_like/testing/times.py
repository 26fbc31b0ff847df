"""A tiny shop whose items appear one after another and whose purchases have times, as tables and pipelines.

A user buys items of one kind until half of the days are over, then of another: who looks at the latest purchases knows
which. An item is bought at the earliest on the day on which it appears.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

KINDS = 3
DAYS = 100
START = np.datetime64("2024-01-01")


def write_timed_shop(folder: Path, items: int = 90, users: int = 40, purchases: int = 1200, seed: int = 0) -> Path:
    """Write item.parquet and buys.parquet into `folder`; returns it."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    kind = np.arange(items) % KINDS
    born = rng.integers(0, DAYS // 2, size=items)
    born[:KINDS] = 0
    names = [f"i{i}" for i in range(items)]
    pq.write_table(
        pa.table(
            {
                "id": names,
                "born": START + born,
                "number": born.astype(float),
                "x": rng.normal(size=items) + 0.5 * kind,
                "kind": [f"k{k}" for k in kind],
            }
        ),
        folder / "item.parquet",
    )
    buyer, day = rng.integers(users, size=purchases), rng.integers(DAYS, size=purchases)
    wanted = (buyer + (day >= DAYS // 2)) % KINDS
    bought = np.array([rng.choice(np.flatnonzero((kind == w) & (born <= d))) for w, d in zip(wanted, day, strict=True)])
    pq.write_table(
        pa.table(
            {
                "source": [f"u{u}" for u in buyer],
                "target": [names[i] for i in bought],
                "day": START + day,
                "number": day.astype(float),
                "row": np.arange(purchases, dtype=float),
                "late": ["yes" if d >= DAYS // 2 else "no" for d in day],
            }
        ),
        folder / "buys.parquet",
    )
    return folder


def timed_graph(tables: Path, moments: bool = True) -> dict[str, Any]:
    """`graph:` over the tables. moments: whether times are days, or numbers."""
    item_time, time = ("born", "day") if moments else ({"column": "number", "unit": "number"},) * 2
    cuts: tuple[Any, Any] = ("2024-03-01", "2024-03-21") if moments else (60, 80)
    split = {"by": "time", "column": "day" if moments else "number", "valid_from": cuts[0], "test_from": cuts[1]}
    item = {
        "files": "item.parquet",
        "id": "id",
        "time": item_time,
        "features": {"x": "x"},
        "labels": {"kind": {"column": "kind", "split": {"train": 0.6, "valid": 0.2, "test": 0.2}}},
    }
    buys = {
        "source": "user",
        "relation": "buys",
        "target": "item",
        "files": "buys.parquet",
        "time": time,
        "split": split,
        "features": {"row": {"column": "row", "normalize": "none"}},
        "labels": {"late": {"column": "late", "split": split}},
    }
    return {"base": str(tables), "nodes": {"item": item, "user": {}}, "edges": [buys]}


def timed_pipeline(tables: Path, output: Path, task: str = "link_prediction", **time: Any) -> dict[str, Any]:
    """A pipeline over the tables as a plain dict. time: keys of `model.time`."""
    tasks: dict[str, dict[str, Any]] = {
        "node_classification": {"type": task, "node_type": "item", "label": "kind"},
        "edge_classification": {"type": task, "edge_type": "user:buys:item", "label": "late"},
        "link_prediction": {"type": task, "edge_type": "user:buys:item", "ranking": {"candidates": 20}},
    }
    return {
        "name": "timed",
        "output": str(output),
        "graph": timed_graph(tables),
        "model": {"gnn": {"type": "rgcn", "hidden": 16, "layers": 2, "dropout": 0.1}, "time": {**time}},
        "task": tasks[task],
        "train": {"epochs": 2, "batch_size": 64, "fanouts": [4, 3], "lr": 0.01, "track": {"every_steps": 1}},
        "infer": {"predictions": task != "edge_classification"},
    }
