"""An existing graph folder as a GraphConfig, against which the rules between sections are checked.

graph.json is read as plain JSON, because its schema belongs to a layer above. Errors in it are reported by the stage
that opens it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from graphstorm_like.config.features.numeric import NumericFeature
from graphstorm_like.config.graph import (
    EdgeConfig,
    GraphConfig,
    HardNegativesColumn,
    ImageConfig,
    LabelConfig,
    NodeConfig,
    TextConfig,
)
from graphstorm_like.config.splits import ColumnSplit
from graphstorm_like.config.times import TimeConfig


def describe_folder(folder: Path) -> GraphConfig | None:
    """Node types, edge types, features, texts, labels and splits of a graph folder, without tables (so not
    validated); None when there is no folder yet."""
    try:
        manifest = json.loads((folder / "graph.json").read_text(encoding="utf-8"))
        nodes = {name: _node(node) for name, node in manifest["nodes"].items()}
        edges = [_edge(edge) for edge in manifest["edges"] if not edge["is_reverse"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return GraphConfig.model_construct(path=str(folder), nodes=nodes, edges=edges)


def _node(entry: dict[str, Any]) -> NodeConfig:
    images = {
        name: ImageConfig.model_construct(column=name, size=[image["height"], image["width"]])
        for name, image in entry.get("image", {}).items()
    }
    return NodeConfig.model_construct(files=["graph.json"], image=images, **_attributes(entry))


def _attributes(entry: dict[str, Any]) -> dict[str, Any]:
    split = ColumnSplit.model_construct(column="split")
    features = {name: NumericFeature.model_construct(column=name) for name in entry["features"]}
    texts = {name: TextConfig.model_construct() for name in entry["text"]}
    labels = {
        name: LabelConfig.model_construct(column=name, kind=label["kind"], split=split)
        for name, label in entry["labels"].items()
    }
    time = None
    if entry.get("time") is not None:
        unit = "number" if entry["time"]["kind"] == "number" else None
        time = TimeConfig.model_construct(column="time", unit=unit)
    return {"features": features, "text": texts, "labels": labels, "time": time}


def _edge(entry: dict[str, Any]) -> EdgeConfig:
    source, relation, target = entry["edge_type"].split(":")
    split = None if entry["split_counts"] is None else ColumnSplit.model_construct(column="split")
    reverse = False if entry["reverse"] is None else entry["reverse"].split(":")[1]
    return EdgeConfig.model_construct(
        **_attributes(entry),
        files=[],
        source=source,
        relation=relation,
        target=target,
        split=split,
        hard_negatives=HardNegativesColumn.model_construct(column="") if entry.get("hard_negatives") else None,
        reverse=reverse,
    )
