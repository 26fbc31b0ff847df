"""Construction of the same generated tables by this library's engines and by GraphStorm, one after the other.

    python benchmarks/bench_construct_peer.py --peer-venv FOLDER --nodes 2000000 --edges 10000000

One node type with string ids, a number, a category of 50 and a class; one edge type and its reverse. Each side runs in
processes of its own, which are measured together: seconds, CPU seconds, the most memory at one time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measure import table
from peer_environment import PeerError, environment, peer_python
from peer_measure import Run, measure

HERE = Path(__file__).resolve().parent
CHUNK = 2_000_000
CLASSES, BRANDS = 10, 50
PEER = "GraphStorm 0.5.1"


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure construction beside GraphStorm's on the same tables.")
    parser.add_argument("--nodes", type=int, default=200_000)
    parser.add_argument("--edges", type=int, default=1_000_000)
    parser.add_argument("--engines", nargs="+", default=["arrow"], help="Engines of graph.engine.")
    parser.add_argument("--memory", help="graph.memory of the engines; default: what they take by themselves.")
    parser.add_argument("--peer-venv", type=Path, help="Folder of GraphStorm's environment; without it only ours runs.")
    parser.add_argument("--peer-processes", type=int, default=2, help="One file is read by one of them.")
    parser.add_argument("--timeout", type=float, default=7200.0, help="Seconds for one side.")
    return parser.parse_args(arguments)


def write_tables(folder: Path, nodes: int, edges: int, files: int, seed: int = 0) -> None:
    """`files` files of items and of links each; a few items get many links, as in real graphs."""
    rng = np.random.default_rng(seed)
    for kind, rows in (("item", nodes), ("link", edges)):
        starts = np.linspace(0, rows, files + 1).astype(np.int64).tolist()
        for number, (start, stop) in enumerate(itertools.pairwise(starts)):
            make = _items if kind == "item" else _links
            first = make(rng, start, start, nodes)
            with pq.ParquetWriter(folder / f"{kind}-{number}.parquet", first.schema) as writer:
                for at in range(start, stop, CHUNK):
                    writer.write_table(make(rng, at, min(at + CHUNK, stop), nodes))


def _items(rng: np.random.Generator, start: int, stop: int, nodes: int) -> pa.Table:
    rows = stop - start
    return pa.table(
        {
            "id": _names(np.arange(start, stop)),
            "price": rng.random(rows),
            "brand": pa.array(np.char.add("brand-", rng.integers(0, BRANDS, rows).astype(str)), pa.string()),
            "kind": rng.integers(0, CLASSES, rows),
        }
    )


def _links(rng: np.random.Generator, start: int, stop: int, nodes: int) -> pa.Table:
    ends = [_names((rng.random(stop - start) ** 2 * nodes).astype(np.int64)) for _ in range(2)]
    return pa.table({"source": ends[0], "target": ends[1]})


def _names(numbers: np.ndarray) -> pa.Array:
    return pa.array(np.char.add("item-", numbers.astype(str)), pa.string())


def our_graph(folder: Path, path: Path, engine: str, memory: str | None) -> dict[str, Any]:
    """`graph:` of ours."""
    split = {"train": 0.8, "valid": 0.1, "test": 0.1}
    item = {
        "files": "item-*.parquet",
        "id": "id",
        "features": {
            "price": {"column": "price", "normalize": "min_max"},
            "brand": {"encode": "one_hot", "column": "brand"},
        },
        "labels": {"kind": {"column": "kind", "split": split}},
    }
    link = {"source": "item", "relation": "link", "target": "item", "files": "link-*.parquet"}
    graph = {"path": str(path), "base": str(folder), "engine": engine, "nodes": {"item": item}, "edges": [link]}
    return graph | ({} if memory is None else {"memory": memory})


def peer_graph(files: int) -> dict[str, Any]:
    """GraphStorm's construction of the same."""
    features = [
        {"feature_col": "price", "transform": {"name": "max_min_norm"}},
        {"feature_col": "brand", "transform": {"name": "to_categorical"}},
    ]
    item = {
        "node_type": "item",
        "node_id_col": "id",
        "format": {"name": "parquet"},
        "files": [f"item-{n}.parquet" for n in range(files)],
        "features": features,
        "labels": [{"label_col": "kind", "task_type": "classification", "split_pct": [0.8, 0.1, 0.1]}],
    }
    link = {
        "relation": ["item", "link", "item"],
        "source_id_col": "source",
        "dest_id_col": "target",
        "format": {"name": "parquet"},
        "files": [f"link-{n}.parquet" for n in range(files)],
    }
    return {"version": "gconstruct-v0.1", "nodes": [item], "edges": [link]}


def run_ours(folder: Path, engine: str, options: argparse.Namespace) -> Run:
    """Build with one of our engines, in a process of its own."""
    path = folder / f"graph-{engine}"
    config = folder / f"{engine}.json"
    config.write_text(json.dumps(our_graph(folder, path, engine, options.memory)))
    code = (
        "import sys; from gconstruct import build_graph; from graphstorm_like.config.graph import GraphConfig; "
        "build_graph(GraphConfig.model_validate_json(open(sys.argv[1]).read()))"
    )
    path_of_ours = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "PYTHONPATH": path_of_ours}
    return measure([sys.executable, "-c", code, str(config)], folder / f"{engine}.log", options.timeout, env)


def run_peer(folder: Path, options: argparse.Namespace) -> Run:
    """Build with GraphStorm, reverse edges too. It finds its tables from the working folder of `env -C`."""
    config = folder / "peer.json"
    config.write_text(json.dumps(peer_graph(options.peer_processes)))
    command = ["env", "-C", str(folder), str(peer_python(options.peer_venv)), "-m"]
    command += ["graphstorm.gconstruct.construct_graph", "--conf-file", str(config)]
    command += ["--output-dir", str(folder / "peer"), "--num-parts", "1", "--graph-name", "bench"]
    command += ["--add-reverse-edges", "--use-graphbolt", "true", "--num-processes", str(options.peer_processes)]
    return measure(command, folder / "peer.log", options.timeout, environment(OMP_NUM_THREADS="1"))


def results(runs: dict[str, Run], rows: int) -> Iterable[str]:
    """The table; ratios are the peer's figures over ours."""
    peer = runs.get(PEER)
    lines = []
    for side, run in runs.items():
        ratios = ["", ""]
        if peer is not None and side != PEER:
            ratios = [f"{peer.cpu / run.cpu:.1f}x", f"{peer.peak_mb / run.peak_mb:.1f}x"]
        numbers = [f"{run.seconds:.1f}", f"{rows / run.seconds:,.0f}", f"{run.cpu:.1f}", f"{run.peak_mb:,.0f}"]
        lines.append([side, *numbers, *ratios])
    return table(["", "s", "rows/s", "CPU s", "peak MB", "CPU: peer / ours", "memory: peer / ours"], lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table of the results."""
    options = parse_arguments(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tables(folder, options.nodes, options.edges, options.peer_processes)
        size = sum(path.stat().st_size for path in folder.glob("*.parquet")) / 1e6
        print(f"{options.nodes:,} nodes, {options.edges:,} edges, {size:,.0f} MB of Parquet", flush=True)
        runs: dict[str, Run] = {}
        try:
            for engine in options.engines:
                runs[f"ours, {engine}"] = run_ours(folder, engine, options)
                shutil.rmtree(folder / f"graph-{engine}")
            if options.peer_venv is not None:
                runs[PEER] = run_peer(folder, options)
        except PeerError as err:
            print(err, file=sys.stderr)
            return 1
        print("\n".join(results(runs, options.nodes + options.edges)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
