"""What do partition methods cost, and how good are their partitions? -> cut, balance, halo, seconds, memory.

    python benchmarks/bench_partition.py --nodes 1000000 --edges 10000000
    python benchmarks/bench_partition.py --graph FOLDER --counts 2 4 16 --methods random metis fennel

Without --graph: a generated graph of communities of 500 nodes, 80 % of whose edges stay within; both ends are drawn so
that a few nodes have many edges; ids are shuffled. Each case decides where nodes go (it writes nothing) in a process
of its own. Seconds and memory are of that, of all processes: anonymous memory (RssAnon, every 5 ms) above that of
the start; pages of mapped files are the kernel's to drop.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measure import exit_with_message, table

_COMMUNITY, _WITHIN = 500, 0.8
_TIMEOUT = 7200
METHODS = ("random", "range", "metis", "fennel", "ldg")


def build(folder: Path, nodes: int, edges: int, seed: int = 0) -> Path:
    """The generated graph's folder."""
    from gconstruct import build_graph
    from graphstorm_like.config.graph import GraphConfig

    rng = np.random.default_rng(seed)
    groups = max(nodes // _COMMUNITY, 1)
    size = nodes // groups
    source = (rng.random(edges) ** 1.5 * groups * size).astype(np.int64)
    within = source // size * size + (rng.random(edges) ** 1.5 * size).astype(np.int64)
    target = np.where(rng.random(edges) < _WITHIN, within, rng.integers(groups * size, size=edges))
    names = rng.permutation(groups * size)
    split = np.where(rng.random(nodes) < 0.3, "train", "test")
    pq.write_table(pa.table({"id": np.arange(nodes), "kind": split, "split": split}), folder / "item.parquet")
    pq.write_table(pa.table({"source": names[source], "target": names[target]}), folder / "link.parquet")
    labels = {"kind": {"column": "kind", "split": {"column": "split"}}}
    config = {
        "path": str(folder / "graph"),
        "base": str(folder),
        "nodes": {"item": {"files": "item.parquet", "id": "id", "labels": labels}},
        "edges": [{"source": "item", "relation": "link", "target": "item", "files": "link.parquet"}],
    }
    build_graph(GraphConfig.model_validate(config))
    return folder / "graph"


def run(
    folder: Path, counts: Sequence[int], methods: Sequence[str], options: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """One row a count and method."""
    for count in counts:
        for method in methods:
            command = [sys.executable, __file__, "--graph", str(folder), "--measure", method, "--counts", str(count)]
            done = subprocess.run(
                [*command, "--set", *options], check=True, stdout=subprocess.PIPE, text=True, timeout=_TIMEOUT
            )
            yield {"partitions": count, "method": method, **json.loads(done.stdout)}


def measure(folder: Path, count: int, method: str, options: Sequence[str]) -> dict[str, Any]:
    """Decide once in this process, then count what came out."""
    from gconstruct.assign import assign
    from gconstruct.opened import GraphFiles
    from gconstruct.partitioners.base import OpenedGraph
    from graphstorm_like.config.overrides import apply_override
    from graphstorm_like.config.partitioners import PartitionsConfig
    from graphstorm_like.graph.schema import read_manifest

    values: dict[str, Any] = {"count": count, "method": method}
    for option in options:
        apply_override(values, option)
    config = PartitionsConfig.model_validate(values)
    manifest = read_manifest(folder)
    files = GraphFiles(folder, manifest.partitions)
    with tempfile.TemporaryDirectory() as scratch:
        graph = OpenedGraph(files, manifest.nodes, manifest.edges, Path(scratch), lambda _: None)
        with Memory() as memory:
            started, before = time.perf_counter(), sum(os.times()[:4])
            parts = assign(graph, config)
            seconds, cpu = time.perf_counter() - started, sum(os.times()[:4]) - before
    quality = assess(graph, parts, count)
    return {**quality, "seconds": round(seconds, 1), "cpu_s": round(cpu, 1), "memory_mb": round(memory.peak / 1e6)}


def assess(graph: Any, parts: dict[str, np.ndarray], count: int) -> dict[str, Any]:
    """Edge cut (reverse types not counted); largest over mean partition by type, training nodes and edges; halo nodes
    as a share of all nodes."""
    cut = total = 0
    edges = np.zeros(count, np.int64)
    halo = {name: np.zeros(len(of) * count, bool) for name, of in parts.items()}
    for edge in graph.edges:
        rows = graph.files.edges(edge.edge_type)
        source, target = rows.numbers("source"), rows.numbers("target")
        of, to = parts[edge.edge_type[0]][source], parts[edge.edge_type[2]][target]
        edges += np.bincount(to, minlength=count)
        halo[edge.edge_type[0]][(source.astype(np.int64) * count + to)[of != to]] = True
        if not edge.is_reverse:
            cut, total = cut + int(np.count_nonzero(of != to)), total + len(of)
    types = [np.bincount(of, minlength=count) for of in parts.values()]
    trained = [np.bincount(of[graph.is_training(name)], minlength=count) for name, of in parts.items()]
    copies = sum(int(flags.sum()) for flags in halo.values())
    return {
        "cut": round(cut / max(total, 1), 4),
        "types": _uneven(types, 100 * count),
        "training": _uneven(trained, 100 * count),
        "edges": _uneven([edges], 0),
        "halo": round(copies / max(sum(map(len, parts.values())), 1), 3),
    }


def _uneven(sizes: Sequence[np.ndarray], least: int) -> float:
    """Largest over mean, of the worst of those of `least` rows or more."""
    return round(max((s.max() * len(s) / s.sum() for s in sizes if s.sum() > least), default=1.0), 3)


class Memory:
    """Most anonymous memory of this process and its children within a with block, above that at its start: bytes."""

    def __enter__(self) -> Memory:
        self._stop = threading.Event()
        self._start = _anonymous(os.getpid())
        self.peak = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.005):
            self.peak = max(self.peak, _anonymous(os.getpid()) - self._start)


def _anonymous(process: int) -> int:
    """RssAnon of a process and its descendants, bytes; of one that has ended, 0."""
    folder = Path("/proc") / str(process)
    try:
        status = (folder / "status").read_text(encoding="ascii", errors="replace")
        children = [child for task in (folder / "task").iterdir() for child in (task / "children").read_text().split()]
    except OSError:
        return 0
    own = int(status.split("RssAnon:")[1].split()[0]) * 1024 if "RssAnon:" in status else 0
    return own + sum(_anonymous(int(child)) for child in children)


def main(arguments: Sequence[str]) -> None:
    """Print a table of the results."""
    parser = argparse.ArgumentParser(description="Measure partition methods.")
    parser.add_argument("--graph", type=Path, help="a graph folder; default: a generated one")
    parser.add_argument("--nodes", type=int, default=100_000)
    parser.add_argument("--edges", type=int, default=1_000_000)
    parser.add_argument("--counts", type=int, nargs="+", default=[2, 4, 16])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="more keys of graph.partitions")
    parser.add_argument("--measure", metavar="METHOD", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure is not None:
        print(json.dumps(measure(options.graph, options.counts[0], options.measure, options.set)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = options.graph or build(Path(name), options.nodes, options.edges)
        rows = list(run(folder, options.counts, options.methods, options.set))
    cells = [[f"{v:,}" if isinstance(v, int | float) else str(v) for v in row.values()] for row in rows]
    print("\n".join(table(list(rows[0]), cells)))


if __name__ == "__main__":
    exit_with_message(main)
