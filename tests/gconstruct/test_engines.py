"""Engines: found by name, imported when used, and strangers to the rest of construction."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gconstruct
from gconstruct import build_graph
from gconstruct.engines import Engine, engine_for
from gconstruct.manifest import Construction
from gconstruct.report.trace import Trace
from graphstorm_like.config.engines import add_engine, engine_locations
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.errors import ConfigError
from graphstorm_like.graph.schema import ID_COLUMN, NodeTypeSchema, PartitionSchema

from .tables import graph, item, read, write


@pytest.fixture
def engines() -> Iterator[dict[str, str]]:
    """The table of engines, as it was again afterwards."""
    table = engine_locations()
    assert isinstance(table, dict)
    before = dict(table)
    yield table
    table.clear()
    table.update(before)


def test_every_engine_of_the_table_can_be_made(tmp_path: Path) -> None:
    for name in engine_locations():
        engine_for(graph(tmp_path, {"item": item()}).model_copy(update={"engine": name}), print)


def test_an_unknown_engine_is_named(tmp_path: Path) -> None:
    config = graph(tmp_path, {"item": item()}).model_copy(update={"engine": "arow"})
    message = "graph.engine: unknown engine 'arow' (known: arrow, spark). Did you mean 'arrow'?"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        engine_for(config, print)


@pytest.mark.parametrize("location", ["no_such_module:Engine", f"{__name__}:NoSuchClass", __name__])
def test_an_engine_that_cannot_be_imported_is_named(tmp_path: Path, engines: dict[str, str], location: str) -> None:
    add_engine("mine", location)
    config = graph(tmp_path, {"item": item()}).model_copy(update={"engine": "mine"})
    with pytest.raises(ConfigError, match=f"graph.engine: 'mine' must be a class that can be imported .got {location}"):
        engine_for(config, print)


def test_an_engine_has_one_class(engines: dict[str, str]) -> None:
    add_engine("arrow", engines["arrow"])  # the same again, e.g. of a module that is imported twice
    with pytest.raises(ConfigError, match="engine: arrow: must be one class"):
        add_engine("arrow", "elsewhere:Engine")


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

    writes_partitions = writes_urls = False

    def __init__(self, config: GraphConfig, progress: Any) -> None:
        self.config = config

    def check(self) -> None:
        """Nothing can be wrong."""

    def run(self, folder: Path, trace: Trace) -> Construction:
        """Three items."""
        import pyarrow as pa

        from gconstruct.write import write_columns

        (folder / "part-0" / "nodes").mkdir(parents=True)
        with trace.step("nodes.item") as step:
            step.advance(1, 3)
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
    tmp_path: Path, engines: dict[str, str], partitions: int
) -> None:
    add_engine("small", f"{__name__}:SmallEngine")
    write(tmp_path / "items.parquet", id=["a"])
    config = graph(tmp_path, {"item": item()})
    count = config.partitions.model_copy(update={"count": partitions})
    config = GraphConfig.model_validate(config.model_copy(update={"engine": "small", "partitions": count}).model_dump())
    small: Engine = SmallEngine(config, print)
    small.check()
    seen: list[tuple[str, int, int]] = []
    manifest = build_graph(config, follow=lambda *now: seen.append(now))
    assert seen == [("nodes.item", 1, 3), ("nodes.item", 3, 3)]
    assert manifest.num_nodes == 3
    ids: list[int] = []
    for p in range(partitions):
        ids += read(tmp_path / "out/graph" / f"part-{p}/nodes/item.arrow").column("id").to_pylist()
    assert sorted(ids) == [1, 2, 3]
