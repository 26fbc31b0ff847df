"""Runs every plug-in of training_scripts/extend through a whole pipeline; prints what came out as JSON.

A program of its own: what a plug-in registers stays in its process. Arguments: a folder to work in.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from graphstorm_like.config import load_pipeline
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.launch.launcher import launch
from graphstorm_like.launch.stages import read_scores
from graphstorm_like.testing.graphs import shop_pipeline, write_shop

EXTEND = Path(__file__).parents[2] / "training_scripts" / "extend"


def pipeline_of(folder: Path, name: str, plugin: str, task: str, change: Callable[[dict[str, Any]], None]) -> Path:
    """The YAML of a run over the shop with one plug-in."""
    data = shop_pipeline(folder / "tables", folder / name, task)
    data["plugins"] = [str(EXTEND / plugin)]
    data["train"] |= {"epochs": 6}
    data["launch"] = {"threads": 1}
    change(data)
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


def head_and_loss(head: dict[str, Any] | None = None, **task: Any) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        data["task"] |= task | ({} if head is None else {"head": head})

    return change


def graph_network(data: dict[str, Any]) -> None:
    data["model"]["gnn"] = {"type": "sums", "hidden": 16}


def metrics(data: dict[str, Any]) -> None:
    data["task"] |= {"metrics": ["accuracy", "log_loss"], "select_by": "log_loss"}


def transform(data: dict[str, Any]) -> None:
    data["graph"]["nodes"]["item"]["features"]["price"] = {"encode": "cyclic", "column": "price", "period": 10.0}


def text_encoder(data: dict[str, Any]) -> None:
    data["model"]["inputs"] = {}
    data["model"]["text_encoder"] = {"type": "hashed_words", "width": 32}


def image_encoder(data: dict[str, Any]) -> None:
    data["graph"]["nodes"]["item"]["image"] = {"photo": {"column": "photo", "size": [4, 4]}}
    data["graph"]["nodes"]["item"]["features"] = {}
    data["model"]["inputs"] = {"item": {"text": []}}
    data["model"]["image_encoder"] = {"type": "grid", "cells": 2}


def task(data: dict[str, Any]) -> None:
    data["task"] = {"type": "popularity", "edge_type": "user:buys:item", "metrics": ["mae", "r2"]}


def phases(data: dict[str, Any]) -> None:
    polish = {"name": "polish", "type": "polish", "epochs": 1, "lr": 0.001}
    data["train"] |= {"strategy": "custom", "phases": [{"name": "gnn", "type": "gnn"}, polish]}


def launcher(data: dict[str, Any]) -> None:
    data["graph"]["partitions"] = {"count": 2}
    data["launch"] = {"on": "print", "hosts": 2}


def tracker(data: dict[str, Any]) -> None:
    data["train"] |= {"epochs": 1, "track": {"trackers": [{"type": "table"}]}}


def partitions(data: dict[str, Any]) -> None:
    data["graph"]["partitions"] = {"method": "turns", "count": 7}


NODES, LINKS = "node_classification", "link_prediction"
RUNS: dict[str, tuple[str, str, Callable[[dict[str, Any]], None]]] = {
    "encoder": ("encoder_sums.py", NODES, graph_network),
    "loss": ("loss_margin.py", LINKS, head_and_loss(loss={"type": "my_margin", "margin": 0.5})),
    "head": ("link_head_transh.py", LINKS, head_and_loss({"type": "transh"})),
    "negatives": ("negatives_seen.py", LINKS, head_and_loss(negatives={"type": "seen", "count": 32})),
    "metric": ("metric_log_loss.py", NODES, metrics),
    "transform": ("transform_cyclic.py", NODES, transform),
    "text_encoder": ("text_encoder_hashed_words.py", NODES, text_encoder),
    "image_encoder": ("image_encoder_grid.py", NODES, image_encoder),
    "task": ("task_popularity.py", NODES, task),
    "phase": ("phase_polish.py", NODES, phases),
    "launcher": ("launcher_print.py", NODES, launcher),
    "tracker": ("tracker_table.py", NODES, tracker),
    "partitions": ("partitions_turns.py", NODES, partitions),
}


def add_photos(tables: Path) -> None:
    """A picture an item, whose colour tells its kind."""
    from PIL import Image

    items = pq.read_table(tables / "item.parquet")
    colours = {"book": (200, 30, 30), "game": (30, 200, 30), "tool": (30, 30, 200)}
    photos = []
    for kind in items["kind"].to_pylist():
        file = io.BytesIO()
        Image.fromarray(np.full((4, 4, 3), colours[kind], dtype=np.uint8)).save(file, "PNG")
        photos.append(file.getvalue())
    pq.write_table(items.append_column("photo", pa.array(photos)), tables / "item.parquet")


def outcome(pipeline: Pipeline) -> dict[str, Any]:
    """Scores, features of the items, and what inference wrote."""
    output = Path(pipeline.output)
    if not (output / "evaluate").is_dir():
        return {}
    manifest = read_manifest(str(pipeline.graph.path))
    features = manifest.node("item").features
    written, table = pq.read_table(output / "infer" / "predictions"), output / "train" / "numbers.csv"
    return {
        "scores": read_scores(pipeline)["test"],
        "features": {name: feature.width for name, feature in features.items()},
        "columns": written.column_names,
        "rows": len(written),
        "tracked": table.read_text(encoding="utf-8") if table.is_file() else "",
        "items": [part.node_ranges["item"] for part in manifest.partitions],
    }


def main(folder: Path) -> None:
    """All runs; one JSON object by name."""
    add_photos(write_shop(folder / "tables"))
    outcomes = {}
    for name, (plugin, task_type, change) in RUNS.items():
        pipeline = load_pipeline(pipeline_of(folder, name, plugin, task_type, change))
        lines = io.StringIO()
        with redirect_stdout(lines):
            launch(pipeline, quiet=False)
        outcomes[name] = outcome(pipeline) | {"lines": lines.getvalue()}
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
