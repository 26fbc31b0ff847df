"""What link prediction reads of the graph between two nodes: sketches of surroundings, lists of mined negatives.

    python benchmarks/bench_links.py /data/links --nodes 100000 --edges 1000000

A generated graph of one relation: targets are drawn by Zipf's law, half of them among the 100 nodes next to the source,
so that ends have neighbours in common. Time and memory of one thread; errors of sketches beside exact counts.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from measure import Clock, exit_with_message, peak_rss_mb, table

from gconstruct import build_graph
from graphstorm_like.config import build_pipeline
from graphstorm_like.config.negatives import MinedPageRankConfig, MinedResourceAllocationConfig
from graphstorm_like.config.pair_terms import SketchesConfig
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.store import IntArray
from graphstorm_like.sampling.negatives.best import Pairs, Scorer, best_wrong
from graphstorm_like.sampling.negatives.mined_page_rank import walks
from graphstorm_like.sampling.negatives.mined_resource_allocation import allocation
from graphstorm_like.sampling.negatives.paths import Neighbors
from graphstorm_like.sampling.true_targets import TrueTargets
from graphstorm_like.tasks.pair_terms.sketches import Sketches

LINK = ("node", "link", "node")


def make_graph(folder: Path, nodes: int, edges: int) -> LocalGraph:
    """A graph folder of generated tables."""
    rng = np.random.default_rng(0)
    source = rng.integers(nodes, size=edges)
    popular = np.minimum((nodes * rng.random(edges) ** 3).astype(np.int64), nodes - 1)
    near = (source + rng.integers(1, 100, size=edges)) % nodes
    target = np.where(rng.random(edges) < 0.5, near, popular)
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"id": np.arange(nodes)}), folder / "nodes.parquet")
    pq.write_table(pa.table({"source": source, "target": target}), folder / "links.parquet")
    edge = {"source": "node", "relation": "link", "target": "node", "files": "links.parquet"}
    data = {
        "graph": {
            "path": str(folder / f"graph-{nodes}-{edges}"),
            "base": str(folder),
            "nodes": {"node": {"files": "nodes.parquet", "id": "id"}},
            "edges": [{**edge, "split": {"train": 0.9, "valid": 0.05, "test": 0.05}}],
        },
        "task": {"type": "link_prediction", "edge_type": "node:link:node"},
    }
    config = build_pipeline(data).graph
    build_graph(config)
    return LocalGraph(Path(config.path or ""), {LINK: None})


def measure_sketches(graph: LocalGraph) -> list[list[str]]:
    """One row: seconds to make them, memory, error of overlaps, milliseconds a training step and a ranked source."""
    term = Sketches(SketchesConfig(type="sketches"), graph, LINK)
    term.weights.data.fill_(1.0)
    clock = Clock()
    near = term.surroundings.near
    made = clock.cpu
    size = (near.one.nbytes + near.two.nbytes + near.sizes.nbytes + len(near.one) * 256) / 1e6
    rows = graph.edge_rows(LINK, "train")
    rng = np.random.default_rng(1)
    steps = []
    for _ in range(5):
        source, target = graph.edges(LINK, rng.choice(rows, 256, replace=False))
        clock = Clock()
        term(source, np.concatenate([target, rng.integers(len(near.one), size=256)]), target).sum().backward()
        steps.append(1000 * clock.cpu)
    with torch.inference_mode():
        term(source[:1], None)
        clock = Clock()
        term(source[:100], None)
        ranked = 1000 * clock.cpu / 100
    return [[f"{made:.1f}", f"{size:.0f}", f"{errors(term):.1%}", f"{np.median(steps[1:]):.0f}", f"{ranked:.1f}"]]


def errors(term: Sketches) -> float:
    """The mean error of |N_2(s) and N_2(t)| of 300 training edges, as a part of |N_2(s) or N_2(t)|."""
    neighbors = term.surroundings.table
    rows = term.graph.edge_rows(LINK, "train")[:300]
    near, found = term.surroundings.near, []

    def two_steps(node: int) -> IntArray:
        one = neighbors.columns[neighbors.starts[node] : neighbors.starts[node + 1]]
        pieces = [neighbors.columns[neighbors.starts[other] : neighbors.starts[other + 1]] for other in one.tolist()]
        return np.unique(np.concatenate([[node], one, *pieces]))

    for source, target in zip(*(end.tolist() for end in term.graph.edges(LINK, rows)), strict=True):
        both, of_source, of_target = (len(x) for x in _sets(two_steps(source), two_steps(target)))
        share = float((near.two[source] == near.two[target]).mean())
        sizes = float(near.sizes[source, 1] + near.sizes[target, 1])
        found.append(abs(share / (1 + share) * sizes - both) / (of_source + of_target - both))
    return float(np.mean(found))


def _sets(one: IntArray, other: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    return np.intersect1d(one, other, assume_unique=True), one, other


def measure_lists(graph: LocalGraph, sources: int) -> list[list[str]]:
    """Rows: kind, sources, CPU seconds, CPU milliseconds a source."""
    known = TrueTargets.of_edges(graph, LINK, graph.edge_rows(LINK, "train"))
    neighbors, count = Neighbors.of(graph, 1000, {LINK: known}), graph.manifest.node("node").count
    ids = np.unique(known.all_pairs()[0])[:sources]
    near = MinedResourceAllocationConfig(type="mined_resource_allocation")
    walked = MinedPageRankConfig(type="mined_page_rank")
    scorers: list[tuple[str, Scorer, int]] = [
        (near.type, allocation(neighbors, LINK, count), len(ids)),
        (walked.type, walks(neighbors, LINK, count, walked), max(len(ids) // 20, 1)),
    ]
    rows = []
    for kind, scorer, many in scorers:
        clock = Clock()
        for block in scorer.blocks(ids[:many]):
            pairs = Pairs(*known.pairs(block))
            best_wrong(partial(scorer.pieces, block), pairs, block, len(block), near, True)
        seconds = clock.cpu
        rows.append([kind, f"{many:,}", f"{seconds:.1f}", f"{1000 * seconds / many:.2f}", f"{peak_rss_mb():,.0f}"])
    return rows


def main(arguments: Sequence[str]) -> None:
    """Make the graph, measure, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the tables and the graph go")
    parser.add_argument("--nodes", type=int, default=100_000)
    parser.add_argument("--edges", type=int, default=1_000_000)
    parser.add_argument("--sources", type=int, default=20_000, help="whose lists are made")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    graph = make_graph(options.folder, options.nodes, options.edges)
    print(f"{options.nodes:,} nodes, {options.edges:,} edges; {peak_rss_mb():,.0f} MB before")
    header = ["lists", "sources", "CPU s", "CPU ms a source", "peak MB so far"]
    print("\n".join(table(header, measure_lists(graph, options.sources))))
    header = [
        "sketches: CPU s",
        "MB",
        "error of overlaps",
        "CPU ms a step of 256 x 512",
        "CPU ms a source, all targets",
    ]
    print("\n".join(table(header, measure_sketches(graph))))
    print(f"{peak_rss_mb():,.0f} MB at most")


if __name__ == "__main__":
    exit_with_message(main)
