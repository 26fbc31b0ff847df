"""Small tables and configurations that the tests of construction share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from gconstruct.spill.columns import ColumnsWriter
from gconstruct.write import write_columns
from graphstorm_like.config.graph import GraphConfig


def write(path: Path, **columns: Any) -> Path:
    """A table of these columns, in the format of the path's suffix."""
    table = pa.table(columns)
    if path.name.endswith(".csv"):
        pa.csv.write_csv(table, path, pa.csv.WriteOptions(quoting_style="needed"))
    else:
        pa.parquet.write_table(table, path)
    return path


def graph(folder: Path, nodes: dict[str, Any], edges: list[dict[str, Any]] | None = None) -> GraphConfig:
    """Configuration of a graph of the tables in `folder`; it goes to folder/out/graph."""
    return GraphConfig.model_validate(
        {"path": str(folder / "out" / "graph"), "base": str(folder), "nodes": nodes, "edges": edges or []}
    )


def item(**options: Any) -> dict[str, Any]:
    """The node type of items.parquet."""
    return {"files": "items.parquet", "id": "id", **options}


def link(**options: Any) -> dict[str, Any]:
    """The edge type of links.parquet."""
    return {"source": "item", "relation": "link", "target": "item", "files": "links.parquet", **options}


def read(path: Path) -> pa.Table:
    """An Arrow file as anyone would open it: memory-mapped, one record batch."""
    with pa.memory_map(str(path)) as source:
        reader = pa.ipc.open_file(source)
        assert reader.num_record_batches == 1
        return reader.read_all()


def fail_at(module: Any, when: int, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module's `when`-th file is not written: an error instead."""
    calls: list[Path] = []

    def failing(path: Path, columns: Any) -> int:
        calls.append(path)
        if len(calls) == when:
            raise error
        return write_columns(path, columns)

    monkeypatch.setattr(module, "write_columns", failing)


def fail_at_batches(when: int, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """The `when`-th file of columns that come in batches is not written: an error instead."""
    calls: list[ColumnsWriter] = []
    finish = ColumnsWriter.finish

    def failing(self: ColumnsWriter, first: Sequence[str] = ()) -> int:
        calls.append(self)
        if len(calls) == when:
            raise error
        return finish(self, first)

    monkeypatch.setattr(ColumnsWriter, "finish", failing)
