"""Features of tables with several columns, of nodes and of edges, through a whole construction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gconstruct import build_graph
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.schema import FeatureSchema

from ..tables import graph, item, link, write

LINK = ("item", "link", "item")


def encode_columns(folder: Path, table: dict[str, Any], **options: Any) -> tuple[np.ndarray, FeatureSchema]:
    """The feature of a node table with these columns; ids are '0', '1' ... unless there is a column `id`."""
    count = len(next(iter(table.values())))
    write(folder / "items.parquet", **{"id": [str(i) for i in range(count)], **table})
    config = graph(folder, {"item": item(features={"f": options})})
    schema = build_graph(config, force=True).node("item").features["f"]
    return LocalGraph(folder / "out/graph").feature("item", "f").astype(np.float32), schema


def encode_edges(folder: Path, table: dict[str, Any], **options: Any) -> np.ndarray:
    """The feature of edges 0 -> 0, 1 -> 1 ... whose table has these columns."""
    ids = [str(i) for i in range(len(next(iter(table.values()))))]
    write(folder / "items.parquet", id=ids)
    write(folder / "links.parquet", source=ids, target=ids, **table)
    edge = link(features={"f": options}, reverse=False)
    build_graph(graph(folder, {"item": item()}, [edge]), force=True)
    return LocalGraph(folder / "out/graph").feature(LINK, "f").astype(np.float32)
