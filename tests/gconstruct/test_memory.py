"""The graph does not depend on how much memory construction may take, nor on threads; and it takes no more."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gconstruct import build_graph
from gconstruct.engines.arrow import engine, work
from gconstruct.spill import budget, edge_sort
from gconstruct.spill.budget import Memory, Share, available_memory
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.schema import feature_column

from .tables import graph, item, link, read, write

SPLIT = {"train": 0.6, "valid": 0.2, "test": 0.2}


def tables(folder: Path, seed: int = 0, rows: int = 2000) -> GraphConfig:
    """Items with a table to which edges add, users without one, edges with attributes; some rows are left out."""
    rng = np.random.default_rng(seed)
    names = [f"item {number}" for number in rng.integers(0, rows, rows)]
    words = pa.array([None if number % 11 == 0 else f"text {number}" for number in range(rows)])
    for part, chosen in enumerate((slice(0, rows // 3), slice(rows // 3, rows))):
        write(
            folder / f"items-{part}.parquet",
            id=[None if number % 97 == 0 else names[number] for number in range(rows)[chosen]],
            price=rng.random(rows)[chosen],
            brand=[f"brand {number % 7}" for number in range(rows)[chosen]],
            title=words[chosen],
            kind=[None if number % 5 == 0 else f"kind {number % 3}" for number in range(rows)[chosen]],
        )
    ends = [f"item {number}" for number in rng.integers(0, rows + 200, 4 * rows)]
    again = rng.integers(0, 2 * rows, 2 * rows) % (2 * rows - 200)  # some edges more than once
    source, target = ([part[row] for row in again] for part in (ends[: 2 * rows], ends[2 * rows :]))
    write(folder / "links.parquet", source=source, target=target, weight=rng.random(2 * rows))
    users = [None if number % 50 == 0 else f"user {number}" for number in rng.integers(0, rows // 2, rows).tolist()]
    write(folder / "buys.csv", source=users, target=ends[:rows], text=[f"note {number}" for number in range(rows)])
    features: dict[str, Any] = {"price": {"column": "price", "normalize": "standard"}}
    features["brand"] = {"encode": "one_hot", "column": "brand"}
    labels = {"kind": {"column": "kind", "split": SPLIT}}
    nodes = {
        "item": item(
            files="items-*.parquet",
            features=features,
            text={"title": {"columns": ["title"]}},
            labels=labels,
            on_bad_id="skip",
        ),
        "user": None,
    }
    edges = [
        link(on_unknown_node="drop", on_repeated_edge="drop", features={"weight": "weight"}, split=SPLIT),
        link(
            source="user", relation="buys", files="buys.csv", on_unknown_node="create", on_bad_id="skip",
            text={"note": {"columns": ["text"]}},
        ),
    ]  # fmt: skip
    return graph(folder, nodes, edges)


def contents(folder: Path) -> dict[str, bytes]:
    """All files but the report, which tells of seconds."""
    files = sorted(path for path in (folder / "out" / "graph").rglob("*") if path.is_file())
    found = [path for path in files if path.stem != "report"]
    return {path.relative_to(folder / "out" / "graph").as_posix(): path.read_bytes() for path in found}


def limit(memory: int, threads: int, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(engine, "cores", lambda: threads)
    patch.setattr(work, "ROWS_PER_BATCH", 150)
    small = Memory(memory, Share(memory), memory, memory, memory, max(memory // 4, 1))
    patch.setattr(engine.Memory, "of", staticmethod(lambda *_: dataclasses.replace(small, ids=Share(memory))))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_graph_does_not_depend_on_memory_or_threads(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tables(tmp_path, seed, rows=1200)
    built = []
    for memory, threads in ((1 << 30, 1), (1 << 30, 3), (150_000, 2), (20_000, 2)):
        with monkeypatch.context() as patch:
            limit(memory, threads, patch)
            manifest = build_graph(config, force=True)
        built.append(contents(tmp_path))
    assert manifest.dropped["nodes.item: repeated id"] > 300
    assert manifest.dropped["edges.item:link:item: repeated edge"] > 0
    assert any(path.endswith("user.arrow") for path in built[0])
    for name in built[0]:
        assert all(other[name] == built[0][name] for other in built[1:]), name
    assert all(other.keys() == built[0].keys() for other in built)
    assert not any("scratch" in name for name in built[-1])


def test_problems_are_told_in_the_same_words_with_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "items.parquet", id=[f"i{number % 900}" for number in range(1000)])
    write(tmp_path / "more.parquet", id=[f"i{number}" for number in range(900)])
    ends = [f"i{number % 1000}" for number in range(3000)]
    write(tmp_path / "links.parquet", source=ends, target=ends[::-1])
    for config in (
        graph(tmp_path, {"item": item()}),
        graph(tmp_path, {"item": item(files="more.parquet")}, [link()]),
        graph(tmp_path, {"item": None}, [link(on_repeated_edge="error")]),
    ):
        told = []
        for memory in (1 << 30, 10_000):
            with monkeypatch.context() as patch:
                limit(memory, 2, patch)
                with pytest.raises(DataError) as caught:
                    build_graph(config)
            told.append(str(caught.value))
        assert told[0] == told[1]


def test_repeated_edges_are_kept_dropped_or_told(tmp_path: Path) -> None:
    write(tmp_path / "items.parquet", id=["a", "b"])
    write(tmp_path / "links.parquet", source=["a", "b", "a", "a"], target=["b", "a", "b", "b"], w=[1.0, 2.0, 3.0, 4.0])
    weights = {"features": {"w": {"column": "w", "normalize": "none"}}}
    assert build_graph(graph(tmp_path, {"item": item()}, [link(**weights)])).edges[0].count == 4
    manifest = build_graph(graph(tmp_path, {"item": item()}, [link(on_repeated_edge="drop", **weights)]))
    assert manifest.dropped == {"edges.item:link:item: repeated edge": 2}
    table = read(tmp_path / "out/graph/part-0/edges/item--link--item.arrow").to_pydict()
    assert [row[0] for row in table[feature_column("w")]] == [2.0, 1.0]
    with pytest.raises(DataError) as caught:
        build_graph(graph(tmp_path, {"item": item()}, [link(on_repeated_edge="error")]))
    assert str(caught.value) == (
        f"{tmp_path}/links.parquet row 3: the edge must be another edge than those of earlier rows (got ('a', 'b'); "
        "2 such rows, also ('a', 'b') in row 4). Drop the rows or set graph.edges[0].on_repeated_edge: keep or drop"
    )


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tables(tmp_path, rows=300)
    before = sorted(path.name for path in tmp_path.iterdir())
    limit(10_000, 2, monkeypatch)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(edge_sort.Buckets, "add", full)
    with pytest.raises(DataError, match="must be writable.*No space left on device"):
        build_graph(config)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_memory_does_not_make_a_folder_out_of_date(tmp_path: Path) -> None:
    write(tmp_path / "items.parquet", id=["a"])
    config = graph(tmp_path, {"item": item()})
    build_graph(config)
    said: list[str] = []
    build_graph(config.model_copy(update={"memory": 10**9}), progress=said.append)
    assert said == [f"{config.path} is up to date"]


def test_the_memory_of_the_machine_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1e8 < available_memory() < 1e14
    (tmp_path / "memory.max").write_text("123456789\n")
    monkeypatch.setattr(budget, "_CGROUP_LIMITS", (str(tmp_path / "memory.max"), str(tmp_path / "none")))
    assert available_memory() == 123456789
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory() > 123456789


@pytest.mark.parametrize("total", [50_000_000, 8_000_000_000])
def test_the_parts_of_memory_fit_into_it(total: int) -> None:
    memory = Memory.of(total, waiting=3, threads=4)
    parts = [memory.ids.limit, memory.rows, 3 * memory.edges, memory.columns, 6 * memory.batch]
    assert sum(parts) < total


_KILL = """
import os, signal, sys
from gconstruct import build_graph
from gconstruct.engines.arrow import engine
from gconstruct.spill import {module}
from graphstorm_like.config.graph import GraphConfig
from tests.gconstruct.test_memory import limit
import pytest
limit(10_000, 2, pytest.MonkeyPatch())
calls = []
original = {module}.{name}
def dying(*arguments):
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments)
{module}.{name} = dying
build_graph(GraphConfig.model_validate_json(sys.argv[1]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "name"), [("disk_ids", "DiskIds.load"), ("batches", "Buckets.add"), ("columns", "ColumnsWriter.finish")]
)
def test_after_a_kill_the_next_build_is_whole(module: str, name: str, tmp_path: Path) -> None:
    config = tables(tmp_path, rows=500)
    code = _KILL.format(module=module, name=name)
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code, config.model_dump_json()], check=False, timeout=120, cwd=root)
    assert done.returncode == -signal.SIGKILL
    assert [entry[:11] for entry in os.listdir(tmp_path / "out")] == [".graph.tmp-"]
    manifest = build_graph(config)
    assert os.listdir(tmp_path / "out") == ["graph"] or set(os.listdir(tmp_path / "out")) == {"graph", ".graph.checked"}
    assert manifest.num_nodes > 100


_PEAK = """
import sys
from pathlib import Path
from gconstruct import build_graph
from gconstruct.partition import partition_graph
from graphstorm_like.config.graph import GraphConfig
config = GraphConfig.model_validate_json(sys.argv[1])
if sys.argv[2] == "build":
    build_graph(config)
else:
    partition_graph(config.path, config.path + "-parted", 4, memory=config.memory)
print(int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024)
"""


@pytest.mark.slow
def test_memory_stays_within_the_budget(tmp_path: Path) -> None:
    """Tables and a graph of several times the memory: 12 million edges, 1.5 million ids of 17 characters. With the leak
    guard and the report; and of its partitions."""
    rng = np.random.default_rng(0)
    ids = pa.array(np.char.add("customer-", np.char.zfill(np.arange(1_500_000).astype(str), 8)))
    pa.parquet.write_table(pa.table({"id": ids}), tmp_path / "items.parquet")
    schema = pa.schema({"source": pa.string(), "target": pa.string(), "weight": pa.float64()})
    with pa.parquet.ParquetWriter(tmp_path / "links.parquet", schema) as writer:
        for _ in range(12):
            ends = [ids.take(pa.array(rng.integers(0, len(ids), 1_000_000))) for _ in range(2)]
            writer.write_table(pa.table([*ends, rng.random(1_000_000)], schema=schema))
    edge = link(features={"weight": {"column": "weight", "normalize": "standard"}}, split=SPLIT)
    config = graph(tmp_path, {"item": item()}, [edge])
    peaks = {}
    for memory in (400_000_000, 4_000_000_000):
        limited = config.model_copy(update={"memory": memory, "path": str(tmp_path / "out" / str(memory))})
        for step in ("build", "partition"):
            done = subprocess.run(
                [sys.executable, "-c", _PEAK, limited.model_dump_json(), step],
                check=True, capture_output=True, text=True, timeout=600,
            )  # fmt: skip
            peaks[memory, step] = int(done.stdout.splitlines()[-1])
    print(peaks)
    for ending in ("", "-parted"):
        small, large = (
            {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*.arrow")}
            for folder in (tmp_path / "out" / f"{memory}{ending}" for memory in (400_000_000, 4_000_000_000))
        )
        assert small == large
    assert max(peaks[400_000_000, step] for step in ("build", "partition")) < 400_000_000
