"""Writes tables to a folder, and the pipeline sections that describe them: helpers for generators of test graphs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Rng = np.random.Generator
SPLIT = {"column": "split"}
"""`split:` of a label or of edges that is read from a column named split."""


def write_table(path: Path, **columns: Any) -> str:
    """Write a Parquet file; returns its name."""
    pq.write_table(pa.table(columns), path)
    return path.name


def draw_splits(count: int, rng: Rng) -> list[str]:
    """Random splits: three fifths for training, one fifth each for validation and test."""
    names = ["train", "train", "train", "valid", "test"] * (count // 5 + 1)
    return [str(name) for name in rng.permutation(names[:count])]


def node_table(
    folder: Path, name: str, ids: Sequence[Any], features: Sequence[str] = (), **columns: Any
) -> dict[str, Any]:
    """Section of a node type with a table. A column `label` becomes its label."""
    file = write_table(folder / f"{name}.parquet", key=ids, **columns)
    labels = label_section() if "label" in columns else {}
    return {"files": file, "id": "key", "features": {f: f for f in features}, "labels": labels}


def edge_table(
    folder: Path, edge_type: str, source: Sequence[Any], target: Sequence[Any], **more: Any
) -> dict[str, Any]:
    """Section of an edge type. columns: of its table, besides the ends; other settings are copied to the section."""
    start, relation, end = edge_type.split(":")
    columns = more.pop("columns", {})
    file = write_table(folder / f"edges-{relation}.parquet", source=source, target=target, **columns)
    return {"source": start, "relation": relation, "target": end, "files": file, **more}


def label_section(kind: str = "class") -> dict[str, Any]:
    """`labels:` of a table with the columns `label` and `split`."""
    return {"label": {"column": "label", "kind": kind, "split": SPLIT}}


def classify(node_type: str, **more: Any) -> dict[str, Any]:
    """Node classification of the label `label`."""
    return {"type": "node_classification", "node_type": node_type, "label": "label", **more}


def exact_pipeline(folder: Path, nodes: dict[str, Any], edges: list[Any], task: Any, **train: Any) -> dict[str, Any]:
    """A pipeline with exact steps (all neighbours, no dropout, float32) that exports the embeddings of all node
    types."""
    gnn = {"type": "rgcn", "hidden": 16, "layers": 2, "dropout": 0.0}
    exact = {"epochs": 8, "batch_size": 32, "fanouts": [-1, -1], "lr": 0.02, "precision": "float32", "early_stop": None}
    return {
        "name": "unlike",
        "output": str(folder / "run"),
        "graph": {"base": str(folder), "nodes": nodes, "edges": edges},
        "model": {"gnn": gnn, "input_dropout": 0.0},
        "task": task,
        "train": {**exact, "device": "cpu", "track": {"every_steps": 1}, **train},
        "infer": {"embeddings": list(nodes)},
    }


def of_class(kind: np.ndarray, classes: np.ndarray, rng: Rng) -> list[int]:
    """For each number in `kind`, a random position in `classes` with this number."""
    return [int(rng.choice(np.flatnonzero(classes == k))) for k in kind]
