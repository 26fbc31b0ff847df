"""What terms of pairs add to a training step of link prediction: CPU milliseconds a step, with each term and without.

    python benchmarks/bench_pair_terms.py /data/pairs --nodes 50000 --relations 4

A generated graph of one node type: relations of `--degree` edges a node each, half of them to one of the 100 nodes next
to the source, half to popular ones; the first is predicted. Vectors are learnt; RGCN of one layer, one thread.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from measure import Clock, exit_with_message, peak_rss_mb, table

from gconstruct import build_graph
from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.batch import StreamPosition
from graphstorm_like.training.experiment import build_experiment

WORDS = 2000


def write_tables(folder: Path, nodes: int, relations: int, degree: int) -> dict[str, Any]:
    """`graph:` of generated tables."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    near = np.arange(nodes)[:, None] // 50 + rng.integers(0, WORDS, size=(nodes, 12)) * (rng.random((nodes, 12)) < 0.7)
    words = [" ".join(f"w{word % WORDS}" for word in row) for row in near.tolist()]
    pq.write_table(pa.table({"id": np.arange(nodes), "words": words}), folder / "node.parquet")
    edges = []
    for number in range(relations):
        source = np.repeat(np.arange(nodes), degree)
        popular = np.minimum((nodes * rng.random(len(source)) ** 3).astype(np.int64), nodes - 1)
        beside = (source + rng.integers(1, 100, size=len(source))) % nodes
        target = np.where(rng.random(len(source)) < 0.5, beside, popular)
        pq.write_table(pa.table({"source": source, "target": target}), folder / f"r{number}.parquet")
        edges.append({"source": "node", "relation": f"r{number}", "target": "node", "files": f"r{number}.parquet"})
    edges[0]["split"] = {"train": 0.9, "valid": 0.05, "test": 0.05}  # type: ignore[assignment]
    node = {"files": "node.parquet", "id": "id", "text": {"words": {"columns": "words"}}}
    return {"path": str(folder / "graph"), "base": str(folder), "nodes": {"node": node}, "edges": edges}


def pipeline_of(data: dict[str, Any], pairs: dict[str, Any] | None, options: argparse.Namespace) -> Pipeline:
    """With a term of pairs; None: without."""
    task: dict[str, Any] = {
        "type": "link_prediction",
        "edge_type": "node:r0:node",
        "negatives": {"in_batch": False, "uniform": options.drawn},
    }
    if pairs is not None:
        task["pairs"] = pairs
    model = {"gnn": {"type": "rgcn", "layers": 1, "hidden": 128}, "inputs": {"node": {"embedding": True, "text": []}}}
    train = {"batch_size": options.batch, "fanouts": [10], "device": "cpu"}
    return build_pipeline({"graph": data, "model": model, "task": task, "train": train, "output": data["path"]})


def measure(data: dict[str, Any], pairs: dict[str, Any] | None, options: argparse.Namespace) -> list[str]:
    """A row: term, CPU seconds until the first step is done, CPU ms of a batch, of loss and gradients, of both."""
    pipeline = pipeline_of(data, pairs, options)
    clock = Clock()
    experiment = build_experiment(pipeline, Reporter(quiet=True))
    batches, stream = experiment.learner.batches(), experiment.task.stream(options.batch, 0)
    order = stream.epoch_order(0)
    made, learnt = [], []
    for step in range(options.steps + 1):
        part = Clock()
        batch = batches.make(stream.step_ids(order, step), StreamPosition(0, step))
        made.append(1000 * part.cpu)
        part = Clock()
        experiment.learner.backward(batch)
        learnt.append(1000 * part.cpu)
        if step == 0:
            first = clock.cpu
    both = np.median(made[1:]) + np.median(learnt[1:])
    name = "none" if pairs is None else pairs["type"]
    numbers = [f"{first:.1f}", f"{np.median(made[1:]):.0f}", f"{np.median(learnt[1:]):.0f}", f"{both:.0f}"]
    return [name, *numbers, f"{peak_rss_mb():,.0f}"]


def main(arguments: Sequence[str]) -> None:
    """Make the graph, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the tables and the graph go")
    parser.add_argument("--nodes", type=int, default=50_000)
    parser.add_argument("--relations", type=int, default=4)
    parser.add_argument("--degree", type=int, default=5)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--drawn", type=int, default=8192)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--terms", nargs="*", default=["common_neighbors"])
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    data = write_tables(options.folder, options.nodes, options.relations, options.degree)
    build_graph(pipeline_of(data, None, options).graph)
    header = ["term", "CPU s to the first step", "batch, CPU ms", "loss and gradients", "both", "peak MB so far"]
    measure(data, None, options)  # what is first touched costs more
    rows = [measure(data, None, options)]
    for term in options.terms:
        rows.append(measure(data, {"type": term}, options))
    print("\n".join(table(header, rows)))


if __name__ == "__main__":
    exit_with_message(main)
