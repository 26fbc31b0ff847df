"""Engines: found by name, imported when used, and strangers to the rest of construction."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

import gconstruct
from gconstruct import build_graph
from gconstruct.engines import ENGINES, Engine, base, engine_for
from gconstruct.manifest import Construction
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.errors import ConfigError
from graphstorm_like.graph.schema import ID_COLUMN, NodeTypeSchema, PartitionSchema

from .tables import graph, item, read, write


def test_the_table_holds_what_the_configuration_allows() -> None:
    assert set(ENGINES) == set(get_args(GraphConfig.model_fields["engine"].annotation))


def test_an_unknown_engine_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "ENGINES", {})
    with pytest.raises(ConfigError, match="graph.engine: unknown engine 'arrow'"):
        engine_for(graph(tmp_path, {"item": item()}), print)


def test_an_engine_is_imported_when_it_is_used() -> None:
    code = "import sys, gconstruct.engines; print([m for m in sys.modules if m.startswith('gconstruct.engines.arrow')])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_only_the_table_knows_engines() -> None:
    """What engines share does not import one of them."""
    folder = Path(gconstruct.__file__).parent
    for path in folder.rglob("*.py"):
        if folder / "engines" in path.parents:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            assert not (module or "").startswith("gconstruct.engines."), path


class SmallEngine:
    """Takes its one node type from nowhere: all that the protocol asks for."""

    def __init__(self, config: GraphConfig, progress: Any) -> None:
        self.config = config

    def check(self) -> None:
        """Nothing can be wrong."""

    def run(self, folder: Path) -> Construction:
        """Three items."""
        import pyarrow as pa

        from gconstruct.write import write_columns

        (folder / "part-0" / "nodes").mkdir(parents=True)
        size = write_columns(folder / "part-0" / "nodes" / "item.arrow", {ID_COLUMN: pa.array([1, 2, 3])})
        part = PartitionSchema(
            folder="part-0",
            node_ranges={"item": (0, 3)},
            node_files={"item": "nodes/item.arrow"},
            edge_files={},
            bytes=size,
        )
        return Construction(nodes={"item": NodeTypeSchema(count=3, id_type="int64")}, partitions=[part])


@pytest.mark.parametrize("partitions", [1, 2])
def test_another_engine_needs_no_more_than_the_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, partitions: int
) -> None:
    monkeypatch.setitem(ENGINES, "arrow", f"{__name__}:SmallEngine")
    write(tmp_path / "items.parquet", id=["a"])
    config = graph(tmp_path, {"item": item()})
    config = config.model_copy(update={"partitions": config.partitions.model_copy(update={"count": partitions})})
    small: Engine = SmallEngine(config, print)
    small.check()
    manifest = build_graph(config)
    assert manifest.num_nodes == 3
    ids: list[int] = []
    for p in range(partitions):
        ids += read(tmp_path / "out/graph" / f"part-{p}/nodes/item.arrow").column("id").to_pylist()
    assert sorted(ids) == [1, 2, 3]
