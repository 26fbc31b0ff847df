"""How fast and how large is construction? Synthetic tables with string ids -> rows/s, CPU seconds, peak memory.

    python benchmarks/bench_construct.py --nodes 1000000 --edges 5000000

Each case runs in a process of its own, so that its peak memory is its own. A row counts once: the nodes of the table
and the edges of the table, not their reverses.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from measure import table

_WORDS = ("graph", "node", "edge", "language", "model", "neural", "network", "text", "table", "train")
_TIMEOUT = 3600


def make_tables(folder: Path, nodes: int, edges: int, file_format: str, seed: int = 0) -> dict[str, Any]:
    """Write item and link tables; returns the `graph:` configuration that reads them (without `path`)."""
    rng = np.random.default_rng(seed)
    names = np.char.add("item-", np.arange(nodes).astype(str))
    words = np.array(_WORDS)[rng.integers(0, len(_WORDS), (6, nodes))]
    item = pa.table(
        {
            "id": pa.array(names),
            "title": pa.array([" ".join(row) for row in words.T.tolist()]),
            "price": rng.random(nodes),
            "brand": pa.array(np.char.add("brand-", rng.integers(0, 50, nodes).astype(str))),
            "kind": pa.array(np.array(_WORDS)[rng.integers(0, len(_WORDS), nodes)]),
        }
    )
    # Squares of uniform draws: a few items get many links, as in real graphs.
    ends = [pa.array(names).take(pa.array((rng.random(edges) ** 2 * nodes).astype(np.int64))) for _ in range(2)]
    link = pa.table({"source": ends[0], "target": ends[1]})
    for name, rows in (("item", item), ("link", link)):
        path = folder / f"{name}.{file_format}"
        if file_format == "csv":
            pa.csv.write_csv(rows, path)
        else:
            pa.parquet.write_table(rows, path)
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


def run(
    nodes: int = 200_000, edges: int = 1_000_000, formats: Sequence[str] = ("parquet", "csv")
) -> list[dict[str, Any]]:
    """One row a format: rows, seconds, rows/s, CPU seconds, peak MB of memory, MB written."""
    rows = []
    for file_format in formats:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            graph = make_tables(folder, nodes, edges, file_format)
            config = folder / "graph.json"
            config.write_text(json.dumps({**graph, "path": str(folder / "graph")}))
            done = subprocess.run(
                [sys.executable, __file__, "--measure", str(config)],
                check=True,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
            )
            rows.append({"format": file_format, "nodes": nodes, "edges": edges, **json.loads(done.stdout)})
    return rows


def measure(config: Path) -> dict[str, Any]:
    """Build once in this process."""
    from gconstruct import build_graph
    from graphstorm_like.config.graph import GraphConfig

    graph = GraphConfig.model_validate_json(config.read_text())
    started = time.perf_counter()
    manifest = build_graph(graph)
    seconds = time.perf_counter() - started
    usage = resource.getrusage(resource.RUSAGE_SELF)
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, in KB elsewhere
    rows = manifest.num_nodes + sum(e.count for e in manifest.edges if not e.is_reverse)
    return {
        "seconds": round(seconds, 2),
        "rows_per_second": round(rows / seconds),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": round(usage.ru_maxrss * unit / 1e6),
        "written_mb": round(sum(p.bytes for p in manifest.partitions) / 1e6),
    }


def format_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as text."""
    cells = [[f"{v:,}" if isinstance(v, int | float) else str(v) for v in row.values()] for row in rows]
    return "\n".join(table(list(rows[0]), cells))


def main() -> None:
    """Print a table of the results."""
    parser = argparse.ArgumentParser(description="Measure graph construction on synthetic tables.")
    parser.add_argument("--nodes", type=int, default=200_000)
    parser.add_argument("--edges", type=int, default=1_000_000)
    parser.add_argument("--formats", nargs="+", choices=("parquet", "csv"), default=["parquet", "csv"])
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        print(json.dumps(measure(options.measure)))
        return
    rows = run(options.nodes, options.edges, options.formats)
    print(format_table(rows))


if __name__ == "__main__":
    main()
