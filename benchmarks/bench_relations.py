"""CPU seconds of an epoch of link prediction over many relations: a generated knowledge graph of one triples table.

    python benchmarks/bench_relations.py /data/relations
    python benchmarks/bench_relations.py /data/relations --triples 30000 task.ends=both --profile 20

The default is as large as FB15k-237: 300,000 triples of 237 relations among 14,541 entities; entities are drawn by
Zipf's law, relations by a milder one. Vectors of the entities are learnt, without a graph network: what is measured
are the batches, the scores, the losses, their gradients and the optimizer.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from bench_gnn import drive
from measure import Clock, exit_with_message, peak_rss_mb, table

from graphstorm_like.config import build_pipeline
from graphstorm_like.config.overrides import apply_override
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.train import CheckpointConfig
from graphstorm_like.device import set_threads
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.training.experiment import build_experiment
from graphstorm_like.training.trainer import Trainer


def zipf(rng: np.random.Generator, count: int, size: int, exponent: float) -> npt.NDArray[np.int64]:
    """`size` numbers below `count`, the i-th in proportion to (i + 1) ** -exponent."""
    up_to = np.cumsum(np.arange(1, count + 1) ** -exponent)
    drawn: npt.NDArray[np.int64] = np.searchsorted(up_to, rng.random(size) * up_to[-1])
    return drawn


def make_triples(triples: int, relations: int, entities: int, seed: int = 0) -> pa.Table:
    """head, relation, tail, split: 1 % of the triples is for validation, 1 % for testing."""
    rng = np.random.default_rng(seed)
    names = [f"relation-{i}" for i in range(relations)]
    relation = np.concatenate([np.arange(relations), zipf(rng, relations, triples - relations, 0.8)])
    ends = [rng.permutation(entities)[zipf(rng, entities, triples, 0.8)] for _ in range(2)]
    split = np.where(rng.random(triples) < 0.01, "valid", np.where(rng.random(triples) < 0.01, "test", "train"))
    return pa.table({"head": ends[0], "relation": pa.array(names).take(relation), "tail": ends[1], "split": split})


def pipeline_on(folder: Path, relations: int, overrides: Sequence[str]) -> Pipeline:
    """Link prediction over all relations of the triples of a folder, at width 128."""
    edge: dict[str, Any] = {"source": "entity", "target": "entity", "files": "triples.parquet", "source_id": "head"}
    edge |= {"target_id": "tail", "relation_column": "relation", "split": {"column": "split"}}
    edge["relations"] = [f"relation-{i}" for i in range(relations)]
    negatives = {"in_batch": False, "uniform": 512}
    data = {
        "name": "relations",
        "output": str(folder / "run"),
        "graph": {"base": str(folder), "path": str(folder / "graph"), "nodes": {"entity": {}}, "edges": [edge]},
        "model": {
            "inputs": {"entity": {"embedding": True, "activation": "none"}},
            "gnn": {"type": "none", "hidden": 128, "layers": 0},
        },
        "task": {"type": "link_prediction", "edge_types": "all", "head": {"type": "distmult"}, "negatives": negatives},
        "train": {"batch_size": 1024},
    }
    for override in overrides:
        apply_override(data, override)
    return build_pipeline(data).with_absolute_paths(folder)


def measure(pipeline: Pipeline, epochs: int) -> list[str]:
    """[step count, CPU seconds and seconds an epoch, milliseconds a step, peak MB] of one process."""
    set_threads(pipeline.launch.threads)
    quiet = Reporter(quiet=True)
    run_pipeline(pipeline, ["construct"], reporter=quiet)
    train = pipeline.train.model_copy(update={"checkpoint": CheckpointConfig()})
    experiment = build_experiment(pipeline.model_copy(update={"train": train}), quiet)
    trainer = Trainer(experiment, Path("unused"), quiet)
    for _ in drive(trainer, 3):
        pass  # what is made once, at the first steps
    clock = Clock()
    for epoch in range(epochs):
        for _ in drive(trainer, trainer.updates_per_epoch, epoch):
            pass
    cpu, wall, steps = clock.cpu / epochs, clock.wall / epochs, trainer.updates_per_epoch
    return [f"{steps:,}", f"{cpu:.1f}", f"{wall:.1f}", f"{1000 * cpu / steps:.0f}", f"{peak_rss_mb():,.0f}"]


def main(arguments: Sequence[str]) -> None:
    """Make the triples, train, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the triples and the graph go")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="values that replace the pipeline's")
    parser.add_argument("--triples", type=int, default=300_000)
    parser.add_argument("--relations", type=int, default=237)
    parser.add_argument("--entities", type=int, default=14_541)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--profile", type=int, default=0, metavar="N", help="print the N functions that took longest")
    options = parser.parse_intermixed_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    triples = make_triples(options.triples, options.relations, options.entities)
    pq.write_table(triples, options.folder / "triples.parquet")
    pipeline = pipeline_on(options.folder, options.relations, options.overrides)
    profile = cProfile.Profile()
    if options.profile:
        profile.enable()
    row = measure(pipeline, options.epochs)
    profile.disable()
    header = ["triples", "relations", "steps", "CPU s an epoch", "seconds", "CPU ms a step", "peak MB"]
    print("\n".join(table(header, [[f"{options.triples:,}", f"{options.relations}", *row]])))
    if options.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(options.profile)


if __name__ == "__main__":
    exit_with_message(main)
