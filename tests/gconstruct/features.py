"""Features of a small table, for the tests of transforms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gconstruct import build_graph
from gconstruct.problems import Problems
from gconstruct.values import Source
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.schema import FeatureSchema

from .tables import graph, item, read, write


def encode(folder: Path, values: Any, **options: Any) -> tuple[np.ndarray, FeatureSchema]:
    """The feature made of a column x with these values."""
    write(folder / "items.parquet", id=[str(i) for i in range(len(values))], x=values)
    return _build(folder, "items.parquet", options)


def encode_csv(folder: Path, lines: list[str], **options: Any) -> tuple[np.ndarray, FeatureSchema]:
    """The same from a CSV file with these fields."""
    text = "id,x\n" + "".join(f"n{i},{line}\n" for i, line in enumerate(lines))
    (folder / "items.csv").write_text(text, encoding="utf-8")
    return _build(folder, "items.csv", options)


def _build(folder: Path, file: str, options: dict[str, Any]) -> tuple[np.ndarray, FeatureSchema]:
    config = graph(folder, {"item": item(files=file, features={"f": {"column": "x", **options}})})
    schema = build_graph(config, force=True).node("item").features["f"]
    column = read(folder / "out/graph/part-0/nodes/item.arrow").column("feature:f")
    stored = {"bfloat16": pa.uint16()}.get(schema.dtype) or getattr(pa, schema.dtype)()
    assert column.type == pa.list_(stored, schema.width)
    return LocalGraph(folder / "out/graph").feature("item", "f").astype(np.float32), schema


class _Rows:
    def place(self, row: int) -> tuple[str, int]:
        return "x.parquet", row + 1

    def label(self) -> str:
        return "x.parquet"


def source_of(values: pa.Array, untyped: bool = False) -> Source:
    """A column x, of rows that are in no file."""
    return Source("x", values, _Rows(), "features.f", Problems(), untyped)
