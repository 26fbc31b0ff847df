"""The steps that make a batch: a list of callables, MiniBatch -> MiniBatch.

A step is a deterministic function of batch and position. `gsl show batch` prints the list for a real batch, with sizes
and times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.graph.partition_reader import Column
from graphstorm_like.graph.past import ages
from graphstorm_like.graph.schema import feature_column
from graphstorm_like.graph.sparse import SparseRows
from graphstorm_like.graph.store import Block, ExcludedEdges, Graph, IntArray, NodeType, RowType
from graphstorm_like.pending import Pending, wait_for_all
from graphstorm_like.sampling.batch import EdgeTargets, MiniBatch, NodeTargets, StreamPosition, torch_subgraph
from graphstorm_like.sampling.clock import AGE, Clock
from graphstorm_like.sampling.links import number_nodes_in_time
from graphstorm_like.sampling.rng import stream
from graphstorm_like.sampling.seeds import ALL_ROWS, RankSlice


class Step(Protocol):
    """One step of making a batch."""

    def __call__(self, batch: MiniBatch) -> MiniBatch:
        """The batch with something added."""
        ...


class Seeder(Protocol):
    """Turns the ids of a step, of all ranks, into this rank's batch of seeds and targets."""

    def __call__(self, ids: IntArray, position: StreamPosition) -> MiniBatch:
        """A batch that has seeds, targets and position."""
        ...


@dataclass(frozen=True)
class NodeSeeder:
    """Seeds are nodes of one type; labels [count] may be None (inference)."""

    node_type: NodeType
    labels: npt.NDArray[Any] | None
    share: RankSlice = ALL_ROWS

    def __call__(self, ids: IntArray, position: StreamPosition) -> MiniBatch:
        """Node ids -> seeds with their labels."""
        mine, weight = some_of(self.share, ids)
        targets = None
        if self.labels is not None:
            targets = NodeTargets(self.node_type, label_tensor(self.labels[mine]))
        seeds = {self.node_type: torch.from_numpy(mine)}
        return MiniBatch(seeds=seeds, position=position, targets=targets, weight=weight)


def some_of(share: RankSlice, ids: IntArray) -> tuple[IntArray, float]:
    """(a rank's share of a step's ids, weight 1.0). A rank whose share is empty gets one id with weight 0.0, which does
    not count."""
    mine = share.of(ids)
    return (mine, 1.0) if len(mine) else (ids[:1], 0.0)


def label_tensor(labels: npt.NDArray[Any]) -> torch.Tensor:
    """Labels of a store in the dtypes that losses need: class indices int64, several classes and numbers float32."""
    if labels.ndim == 2:
        return torch.from_numpy(labels.astype(np.float32))
    return torch.from_numpy(labels.astype(np.int64 if np.issubdtype(labels.dtype, np.integer) else np.float32))


@dataclass(frozen=True)
class EdgeSeeder:
    """Seeds are the distinct ends of a batch of edges; labels [count] by edge id."""

    graph: Graph
    edge_type: EdgeType
    labels: npt.NDArray[Any]
    share: RankSlice = ALL_ROWS
    clock: Clock | None = None

    def __call__(self, ids: IntArray, position: StreamPosition) -> MiniBatch:
        """Edge ids -> distinct end nodes, and the edges' labels. Ends of edges with points in time of their own are
        distinct by node and time."""
        ids = self.share.arranged(ids)
        source, target = self.graph.edges(self.edge_type, ids)
        ends = {self.edge_type: (torch.from_numpy(source), torch.from_numpy(target))}
        mine, weight = some_of(self.share, np.arange(len(ids)))
        edge_ids = ids[mine]
        times = None if self.clock is None else self.clock.of_edges(self.edge_type, edge_ids)
        nodes = [(self.edge_type[0], source[mine]), (self.edge_type[2], target[mine])]
        seeds, seed_times, (source_positions, target_positions) = number_nodes_in_time(nodes, [times, times])
        targets = EdgeTargets(
            self.edge_type,
            source_positions,
            target_positions,
            label_tensor(self.labels[edge_ids]),
            torch.from_numpy(edge_ids),
        )
        return MiniBatch(
            seeds=seeds, position=position, targets=targets, asked=ends, weight=weight, seed_times=seed_times
        )


@dataclass(frozen=True)
class SampleNeighbors:
    """Layered neighbour sampling around the seeds, without the edges that the step predicts, and their reverses.

    What is drawn for a node depends on the step and the node, not on the rank: all ranks together sample what a single
    process would, and a node that several of them meet has the same neighbours on each.
    """

    graph: Graph
    fanouts: Sequence[FanoutByType]
    seed: int
    exclude_targets: bool = True
    purpose: str = "neighbors"
    """Purpose of the random stream: training and inference draw independently."""
    clock: Clock | None = None
    """Of temporal models: neighbours are of each seed's past alone."""

    def __call__(self, batch: MiniBatch) -> MiniBatch:
        """Adds blocks and input ids; with a clock the ages of input nodes that have a time, too."""
        seeds = {t: ids.numpy() for t, ids in batch.seeds.items()}
        ends: dict[EdgeType, tuple[IntArray, IntArray]] = {}
        for edge_type, (source, target) in batch.asked.items() if self.exclude_targets else ():
            ends.update(self.graph.reverse_pairs(edge_type, source.numpy(), target.numpy()).ends)
        exclude = ExcludedEdges(ends) if ends else None
        rng = stream(self.seed, self.purpose, batch.position.epoch, batch.position.step)
        if self.clock is not None:
            return self._of_the_past(batch, self.clock, seeds, rng, exclude)
        blocks, input_ids = torch_subgraph(self.graph.sample(seeds, self.fanouts, rng, exclude))
        return batch.replace(blocks=blocks, input_ids=input_ids)

    def _of_the_past(
        self,
        batch: MiniBatch,
        clock: Clock,
        seeds: dict[NodeType, IntArray],
        rng: np.random.Generator,
        exclude: ExcludedEdges | None,
    ) -> MiniBatch:
        bounds = clock.bounds(seeds, {t: times.numpy() for t, times in batch.seed_times.items()})
        subgraph = self.graph.sample(seeds, self.fanouts, rng, exclude, bounds)
        blocks, input_ids = torch_subgraph(subgraph)
        features = dict(batch.features)
        for node_type, ids in subgraph.input_ids.items():
            if node_type in clock.types:
                age = ages(subgraph.input_bounds[node_type], clock.of_rows(node_type, ids))
                features[node_type] = {**features.get(node_type, {}), AGE: torch.from_numpy(age)}
        return batch.replace(blocks=blocks, input_ids=input_ids, features=features)


FeatureRows: TypeAlias = "npt.NDArray[np.floating[Any]] | SparseRows"
"""[N, F]: dense, or by entries. numpy.asarray makes both dense."""


class FeatureSource(Protocol):
    """A source of rows of numbers for the nodes or edges of one type."""

    def rows(self, ids: IntArray) -> FeatureRows:
        """[N, F] rows."""
        ...

    def begin_rows(self, ids: IntArray) -> Pending[Any]:
        """Start to read [N, F] rows; the result waits for them."""
        ...


@runtime_checkable
class FixedRows(Protocol):
    """A FeatureSource that reads a column of the graph whose rows never change."""

    @property
    def column(self) -> Column:
        """The column."""
        ...


@dataclass(frozen=True)
class GraphFeature:
    """A dense feature of the graph folder as a FeatureSource."""

    graph: Graph
    row_type: RowType
    name: str

    @property
    def column(self) -> Column:
        """See FixedRows."""
        return (self.row_type, feature_column(self.name))

    def rows(self, ids: IntArray) -> npt.NDArray[np.float32]:
        """[N, F] rows."""
        return self.graph.gather(self.row_type, self.name, ids)

    def begin_rows(self, ids: IntArray) -> Pending[npt.NDArray[np.float32]]:
        """See FeatureSource."""
        return self.graph.begin_gather(self.row_type, self.name, ids)


@dataclass(frozen=True)
class SparseFeature:
    """A sparse feature of the nodes of a graph folder as a FeatureSource."""

    graph: Graph
    node_type: NodeType
    name: str

    def rows(self, ids: IntArray) -> SparseRows:
        """[N, F] rows."""
        return self.begin_rows(ids).wait()

    def begin_rows(self, ids: IntArray) -> Pending[SparseRows]:
        """See FeatureSource."""
        return self.graph.begin_entries(self.node_type, self.name, ids)


def node_feature(graph: Graph, node_type: NodeType, name: str) -> FeatureSource:
    """The source of a feature of nodes, as it is stored."""
    if graph.manifest.node(node_type).features[name].sparse:
        return SparseFeature(graph, node_type, name)
    return GraphFeature(graph, node_type, name)


def as_tensors(rows: FeatureRows) -> Tensor | SparseRows[Tensor]:
    """The rows of a source as tensors; dense ones without a copy."""
    if not isinstance(rows, SparseRows):
        return torch.from_numpy(rows)
    # Entries are views of Arrow memory, which tensors must not write to.
    offsets, indices, values = (torch.from_numpy(np.array(a)) for a in (rows.offsets, rows.indices, rows.values))
    return SparseRows(offsets, indices, values, rows.width)


Sources = Mapping[RowType, Mapping[str, FeatureSource]]
Fetch = Pending[dict[str, Any]]
"""Tensors, or SparseRows of tensors, by name."""


def begin_fetch(sources: Sources, row_type: RowType, ids: Tensor) -> Fetch:
    """Start to read rows [N, F], by name, of some nodes or edges of a type."""
    numbers = ids.numpy()
    pending = {name: source.begin_rows(numbers) for name, source in sources.get(row_type, {}).items()}
    return Pending(lambda: {name: as_tensors(each.wait()) for name, each in pending.items()})


def begin_edge_inputs(block: Block, sources: Sources) -> Pending[Block]:
    """Start to read the edge inputs of a block's relations; the result is the block with them."""
    pending = {t: begin_fetch(sources, t, r.edge_ids) for t, r in block.relations.items()}

    def read() -> Block:
        inputs = wait_for_all(pending)
        relations = {t: replace(r, inputs=inputs[t]) for t, r in block.relations.items()}
        return replace(block, relations=relations)

    return Pending(read)


def fetch_edge_inputs(block: Block, sources: Sources) -> Block:
    """The block with the edge inputs of its relations."""
    return begin_edge_inputs(block, sources).wait()


@dataclass(frozen=True)
class FetchFeatures:
    """Dense features and cached text vectors of the input nodes, of the edges whose types have edge inputs, and of the
    edges that are scored."""

    sources: Sources
    scored: Mapping[str, FeatureSource] = field(default_factory=dict)

    def __call__(self, batch: MiniBatch) -> MiniBatch:
        """Adds features, and inputs to the relations."""
        # All reads start before the first wait: rows on other hosts come in one answer per host.
        pending_features = {t: begin_fetch(self.sources, t, ids) for t, ids in batch.input_ids.items()}
        blocks = [begin_edge_inputs(block, self.sources) for block in batch.blocks]
        scored_ids = {} if batch.targets is None else batch.targets.scored
        pending_scored = {t: begin_fetch({t: self.scored}, t, ids) for t, ids in scored_ids.items()}
        features = {t: {**batch.features.get(t, {}), **f} for t, f in wait_for_all(pending_features).items()}
        targets = batch.targets
        for edge_type, inputs in wait_for_all(pending_scored).items():
            assert targets is not None
            targets = targets.with_inputs(edge_type, inputs)
        return batch.replace(features=features, blocks=tuple(block.wait() for block in blocks), targets=targets)
