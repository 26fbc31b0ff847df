"""What a temporal sample costs beside a plain one, over one generated graph in one partition, and in memory.

Two node types, power-law degrees. Prints CPU milliseconds a batch of each way to draw; the sampler's one sort of the
edges by time is in the batch before the first that counts.

    python benchmarks/bench_temporal.py --nodes 200000 --edges 4000000 --batches 40
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from gconstruct import build_graph
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.store import IntArray

Times = npt.NDArray[np.float64]
SEEDS = 1024
FANOUTS = [FanoutByType(default=10)] * 2


def write_graph(folder: Path, nodes: int, edges: int, timed: bool) -> Path:
    """A graph folder of users who buy items."""
    rng = np.random.default_rng(0)
    ids = (nodes * rng.random((2, edges)) ** 2).astype(np.int64)
    times = rng.integers(0, 10**6, edges).astype(float)
    table = pa.table({"source": ids[0], "target": ids[1], "at": times})
    pq.write_table(table, folder / "buys.parquet")
    edge: dict[str, object] = {"source": "user", "relation": "buys", "target": "item", "files": "buys.parquet"}
    if timed:
        edge["time"] = {"column": "at", "unit": "number"}
    target = folder / ("graph" if timed else "plain")
    data = {"path": str(target), "base": str(folder), "nodes": {"user": {}, "item": {}}, "edges": [edge]}
    build_graph(GraphConfig.model_validate(data | {"on_leak": "ignore", "report": False}))
    return target


def cpu_ms(sample: Callable[[IntArray, int], object], nodes: int, batches: int) -> float:
    """CPU milliseconds a batch, after one that is not counted."""
    seeds = [np.random.default_rng(step).choice(nodes, SEEDS, replace=False) for step in range(batches + 1)]
    sample(seeds[0], 0)
    started = time.process_time()
    for step, ids in enumerate(seeds[1:], 1):
        sample(ids, step)
    return 1000.0 * (time.process_time() - started) / batches


Points = Callable[[int], np.ndarray]
"""Step -> the points in time of its seeds."""


def measure(folder: Path, nodes: int, batches: int) -> None:
    """Print a line for each way to draw."""
    from graphstorm_like.graph.past import Past, TimeBounds  # versions before them have plain samples alone

    graph = LocalGraph(folder)
    count = graph.manifest.node("item").count
    bounds: dict[str, Points] = {
        "one point in time": lambda step: np.full(SEEDS, 9e5),
        "1,024 points": lambda step: np.random.default_rng(-step % 997).uniform(5e5, 1e6, SEEDS),
    }
    for name, of_seeds in bounds.items():
        for past in (Past(), Past(latest=True), Past(window=2e5)):

            def sample(ids: IntArray, step: int, past: Past = past, of_seeds: Points = of_seeds) -> None:
                times = TimeBounds({"item": of_seeds(step)}, past)
                graph.sample({"item": ids}, FANOUTS, np.random.default_rng(step), None, times)

            kind = "latest" if past.latest else "uniform" if past.window is None else "uniform, window"
            print(f"{name}, {kind}: {cpu_ms(sample, count, batches):.1f} ms", flush=True)


def main(arguments: Sequence[str]) -> None:
    """See module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=200_000, help="of each type")
    parser.add_argument("--edges", type=int, default=4_000_000)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--plain-only", action="store_true", help="only plain samples, of a graph without times")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = write_graph(Path(name), args.nodes, args.edges, not args.plain_only)
        graph = LocalGraph(folder)
        count = graph.manifest.node("item").count

        def plain(ids: IntArray, step: int) -> None:
            graph.sample({"item": ids}, FANOUTS, np.random.default_rng(step))

        print(f"plain: {cpu_ms(plain, count, args.batches):.1f} ms", flush=True)
        if not args.plain_only:
            measure(folder, count, args.batches)


if __name__ == "__main__":
    main(sys.argv[1:])
