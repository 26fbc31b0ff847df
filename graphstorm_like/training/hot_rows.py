"""Chooses the rows of other hosts that each host keeps while it trains: those that sampled batches need most often.

Before training the first process of each host samples batches as training will, from a random stream of its own, and
counts the nodes on other hosts that it meets (pre-sampling: Yang et al., GNNLab, EuroSys 2022). So seeds, fanouts and
degrees have their weight, and nothing grows with the graph.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from graphstorm_like.errors import DataError
from graphstorm_like.graph.partition_reader import Column
from graphstorm_like.graph.remote.graph import RemoteGraph
from graphstorm_like.graph.remote.hot_rows import Needed, fill
from graphstorm_like.graph.shared import drop
from graphstorm_like.graph.store import IntArray, NodeType
from graphstorm_like.ranks.names import TABLE_NAMES
from graphstorm_like.ranks.torch_group import cluster
from graphstorm_like.sampling.batch import StreamPosition
from graphstorm_like.sampling.loader import BatchPipeline
from graphstorm_like.sampling.seeds import RankSlice, SeedStream
from graphstorm_like.sampling.steps import FixedRows, SampleNeighbors, Sources, Step
from graphstorm_like.training.experiment import Experiment

BATCHES, SECONDS = 24, 10.0
"""At most so many batches are sampled, and no new one after so many seconds."""

_made: list[tuple[Path, str]] = []
"""Tables that this process, the leader of its host, has made for an earlier training."""


def keep_hot_rows(experiment: Experiment, stream: SeedStream, follow: Callable[[str], None]) -> None:
    """Keep rows on this host as `launch.hot_rows_mb` says. All ranks call it together, before they train. follow: is
    told what is kept."""
    graph, where, ranks = experiment.graph, cluster(), experiment.task.group
    if where is None or not where.hot_rows_mb or not isinstance(graph, RemoteGraph):
        return
    columns = fixed_columns(experiment.sources)
    pipeline = host_batches(experiment, ranks.host, ranks.hosts)
    if not columns or pipeline is None:
        return
    name, what = TABLE_NAMES.new("hot"), "rows of other hosts that are kept"
    ranks.leader_first(what)
    if ranks.leads_host:
        while _made:
            drop(*_made.pop())
        needed = needed_rows(graph, pipeline, first_seeds(stream), list(columns))
        try:
            kept = fill(graph, where.shm, name, columns, needed, where.hot_rows_mb)
            _made.extend((where.shm, table) for table in kept.tables)
            for node_type, (rows, size) in kept.sizes.items():
                follow(f"keeping {rows:,} rows of {node_type} that lie on other hosts ({size / 1e6:,.1f} MB)")
        except DataError as err:
            follow(f"keeping no rows of other hosts: {err}")
    ranks.leader_done(what)
    graph.use_hot_rows(name, columns)


def fixed_columns(sources: Sources) -> dict[NodeType, list[Column]]:
    """Columns of nodes that the model reads and that never change, by type."""
    found: dict[NodeType, list[Column]] = {}
    for row_type, by_name in sources.items():
        columns = [source.column for source in by_name.values() if isinstance(source, FixedRows)]
        if isinstance(row_type, str) and columns:
            found[row_type] = columns
    return found


def host_batches(experiment: Experiment, host: int, hosts: int) -> BatchPipeline | None:
    """Samples batches with a host's share of the seeds; None when training does not sample."""
    learner = experiment.learner
    sampling: list[Step] = []
    for step in learner.batches().steps:
        if isinstance(step, SampleNeighbors):
            sampling.append(replace(step, purpose="hot rows"))
    seeder = learner.objective.seeder(experiment.pipeline.seed, RankSlice(host, hosts))
    return BatchPipeline(seeder, sampling) if sampling else None


def needed_rows(
    graph: RemoteGraph, batches: BatchPipeline, seeds: Iterable[IntArray], types: Sequence[NodeType]
) -> Needed:
    """How many of some batches need each node of other hosts. seeds: of all ranks, for each batch."""
    started = time.monotonic()
    met: dict[NodeType, list[IntArray]] = {node_type: [] for node_type in types}
    for step, ids in enumerate(seeds):
        if time.monotonic() - started > SECONDS:
            break
        input_ids = batches.make(ids, StreamPosition(0, step)).input_ids
        for node_type in met.keys() & input_ids.keys():
            ids_of_type = input_ids[node_type].numpy()
            first, last = graph.starts(node_type)[graph.here : graph.here + 2]
            met[node_type].append(ids_of_type[(ids_of_type < first) | (ids_of_type >= last)])
    return {t: np.unique(np.concatenate(of_batches), return_counts=True) for t, of_batches in met.items() if of_batches}


def first_seeds(stream: SeedStream) -> Iterator[IntArray]:
    """The rows of an epoch's first steps."""
    order = stream.epoch_order(0)
    for step in range(min(stream.steps, BATCHES)):
        yield stream.step_ids(order, step)
