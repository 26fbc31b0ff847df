"""How fast and how large is construction? Synthetic tables with string ids -> rows/s, CPU seconds, peak memory.

    python benchmarks/bench_construct.py --edges 1000000 10000000 50000000 --memory 8GB

A node for five edges, ids of 17 characters. Each case runs in a process of its own, so that its peak memory is its own,
and beside it plain pyarrow, which reads the same tables and writes as many bytes as the graph has. A row counts once:
the nodes and edges of the tables, not the reverses. CPU time and memory are those of all processes, Spark's too. With
several sizes, the growth of the time is told.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from measure import Clock, peak_rss_mb, table
from process_tree import ProcessTree

from graphstorm_like.files import fsync_path

_WORDS = ("graph", "node", "edge", "language", "model", "neural", "network", "text", "table", "train")
_TIMEOUT = 3600
_CHUNK = 2_000_000  # rows that are generated at a time


def make_tables(folder: Path, nodes: int, edges: int, file_format: str, seed: int = 0) -> dict[str, Any]:
    """Write item and link tables; returns the `graph:` configuration that reads them (without `path`)."""
    rng = np.random.default_rng(seed)
    _write(folder / f"item.{file_format}", [_items(rng, *part) for part in _parts(nodes)])
    # Squares of uniform draws: a few items get many links, as in real graphs.
    links = (
        pa.table({end: _ids((rng.random(stop - start) ** 2 * nodes).astype(np.int64)) for end in ("source", "target")})
        for start, stop in _parts(edges)
    )
    _write(folder / f"link.{file_format}", links)
    split = {"train": 0.8, "valid": 0.1, "test": 0.1}
    return {
        "base": str(folder),
        "nodes": {
            "item": {
                "files": [f"item.{file_format}"],
                "id": "id",
                "features": {"price": {"column": "price"}, "brand": {"encode": "one_hot", "column": "brand"}},
                "text": {"title": {"columns": ["title"]}},
                "labels": {"kind": {"column": "kind", "split": split}},
            }
        },
        "edges": [
            {
                "source": "item",
                "relation": "link",
                "target": "item",
                "files": [f"link.{file_format}"],
                "split": split,
            }
        ],
    }


def _parts(rows: int) -> list[tuple[int, int]]:
    return [(start, min(start + _CHUNK, rows)) for start in range(0, rows, _CHUNK)]


def _ids(numbers: np.ndarray) -> pa.Array:
    return pa.array(np.char.add("customer-", np.char.zfill(numbers.astype(str), 8)))


def _items(rng: np.random.Generator, start: int, stop: int) -> pa.Table:
    rows = stop - start
    words = np.array(_WORDS)[rng.integers(0, len(_WORDS), (6, rows))]
    return pa.table(
        {
            "id": _ids(np.arange(start, stop)),
            "title": pa.array([" ".join(row) for row in words.T.tolist()]),
            "price": rng.random(rows),
            "brand": pa.array(np.char.add("brand-", rng.integers(0, 50, rows).astype(str))),
            "kind": pa.array(np.array(_WORDS)[rng.integers(0, len(_WORDS), rows)]),
        }
    )


def _write(path: Path, tables: Iterable[pa.Table]) -> None:
    writer: Any = None
    for part in tables:
        if writer is None:
            make = pa.csv.CSVWriter if path.suffix == ".csv" else pa.parquet.ParquetWriter
            writer = make(path, part.schema)
        writer.write_table(part)
    writer.close()


def run(
    edges: Sequence[int] = (1_000_000,),
    formats: Sequence[str] = ("parquet",),
    engines: Sequence[str] = ("arrow",),
    memory: str | None = None,
    folder: Path | None = None,
) -> list[dict[str, Any]]:
    """One row a size, format and engine, after that of plain pyarrow. folder: where the tables and graphs go, for some
    time; default: the system's temporary folder."""
    rows = []
    for size in edges:
        for file_format in formats:
            with tempfile.TemporaryDirectory(dir=folder) as name:
                rows += _run_case(Path(name), size, file_format, engines, memory)
    return rows


def _run_case(
    folder: Path, edges: int, file_format: str, engines: Sequence[str], memory: str | None
) -> list[dict[str, Any]]:
    graph = make_tables(folder, edges // 5, edges, file_format)
    what = {"format": file_format, "nodes": edges // 5, "edges": edges}
    rows = []
    for engine in engines:
        target, config = folder / engine, folder / f"{engine}.json"
        config.write_text(json.dumps({**graph, "path": str(target), "engine": engine, "memory": memory}))
        rows.append({**what, "by": engine, **_process("--measure", str(config))})
        if len(rows) == 1:  # the baseline writes as many bytes as a graph has
            rows.insert(0, {**what, "by": "pyarrow", **_process("--baseline", str(folder), str(target))})
    for row in rows[1:]:
        row["times"] = round(row["seconds"] / rows[0]["seconds"], 1)
    return rows


def _process(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, __file__, *arguments], check=False, capture_output=True, text=True, timeout=_TIMEOUT
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def measure(config: Path) -> dict[str, Any]:
    """Build once in this process."""
    from gconstruct import build_graph
    from graphstorm_like.config.graph import GraphConfig

    graph = GraphConfig.model_validate_json(config.read_text())
    clock = Clock()
    with ProcessTree() as others:  # Spark's Java, and its Python processes
        manifest = build_graph(graph)
    rows = manifest.num_nodes + sum(e.count for e in manifest.edges if not e.is_reverse)
    figures = _figures(clock, rows, sum(p.bytes for p in manifest.partitions))
    if others.cpu_seconds:
        figures["cpu_seconds"] = round(figures["cpu_seconds"] + others.cpu_seconds, 2)
        figures["peak_mb"] = round(others.peak_mb)
    return figures


def baseline(tables: Path, graph: Path) -> dict[str, Any]:
    """Read the tables and write the graph's files once more, with plain pyarrow and nothing else."""
    files = sorted(graph.rglob("*.arrow"))
    clock, rows, written = Clock(), 0, 0
    read: Any
    for path in sorted(tables.iterdir()):
        if path.suffix in (".parquet", ".csv"):
            read = pa.parquet.read_table(path) if path.suffix == ".parquet" else pa.csv.read_csv(path)
            rows += read.num_rows
            del read
    for number, path in enumerate(files):
        with pa.memory_map(str(path)) as source:
            batches = pa.ipc.open_file(source).read_all()
            with pa.OSFile(str(tables / f"copy-{number}"), "wb") as sink:
                with pa.ipc.new_file(sink, batches.schema) as writer:
                    writer.write_table(batches)
                written += sink.tell()
        fsync_path(tables / f"copy-{number}")
    return _figures(clock, rows, written)


def _figures(clock: Clock, rows: int, written: int) -> dict[str, Any]:
    seconds = clock.wall
    return {
        "seconds": round(seconds, 2),
        "rows_per_second": round(rows / seconds),
        "cpu_seconds": round(clock.cpu, 2),
        "peak_mb": round(peak_rss_mb()),
        "written_mb": round(written / 1e6),
        "times": 1.0,
    }


def growth(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The exponent e of seconds = c * edges^e between the smallest and the largest size of each kind."""
    lines = []
    kinds = dict.fromkeys((row["format"], row["by"]) for row in rows)
    for file_format, by in kinds:
        same = [row for row in rows if (row["format"], row["by"]) == (file_format, by)]
        first, last = same[0], same[-1]
        if last["edges"] > first["edges"]:
            ratio = math.log(last["edges"] / first["edges"])
            exponents = [f"{math.log(last[k] / first[k]) / ratio:.2f} ({k})" for k in ("seconds", "cpu_seconds")]
            lines.append(f"growth of {by}, {file_format}: {', '.join(exponents)}")
    return lines


def format_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as text."""
    cells = [[f"{v:,}" if isinstance(v, int | float) else str(v) for v in row.values()] for row in rows]
    return "\n".join(table(list(rows[0]), cells))


def main() -> None:
    """Print a table of the results."""
    parser = argparse.ArgumentParser(description="Measure graph construction on synthetic tables.")
    parser.add_argument("--edges", type=int, nargs="+", default=[1_000_000], help="Sizes; a node for five edges.")
    parser.add_argument("--formats", nargs="+", choices=("parquet", "csv"), default=["parquet"])
    parser.add_argument("--engine", nargs="+", default=["arrow"], help="Engines of graph.engine.")
    parser.add_argument("--memory", help="graph.memory, e.g. 8GB")
    parser.add_argument("--folder", type=Path, help="Where the tables and graphs go, for some time.")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--baseline", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        print(json.dumps(measure(options.measure)))
        return
    if options.baseline is not None:
        print(json.dumps(baseline(*options.baseline)))
        return
    rows = run(options.edges, options.formats, options.engine, options.memory, options.folder)
    print(format_table(rows))
    print("\n".join(growth(rows)))


if __name__ == "__main__":
    main()
