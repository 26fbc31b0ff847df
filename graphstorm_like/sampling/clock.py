"""Points in time of seeds, from `model.time` and the times of a graph (see `graph.past`)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.splits import in_order
from graphstorm_like.config.temporal import END, TemporalConfig, microseconds
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.graph.partitioned_graph import PartitionedGraph
from graphstorm_like.graph.past import Past, TimeBounds, Times
from graphstorm_like.graph.schema import TIME_COLUMN, GraphManifest
from graphstorm_like.graph.store import Graph, IntArray, NodeType, RowType

AGE = "@age"
"""Name of the input that holds ages; no feature of the user may have this name."""


class Clock:
    """The points in time of one task's seeds. own: the node or edge type whose rows have their own, None: all have the
    same. seed: of the run, for vectors of many nodes, which are sampled. Raises DataError when the graph has no times,
    or cannot sample by them."""

    def __init__(self, config: TemporalConfig, graph: Graph, own: RowType | None, seed: int) -> None:
        self.config, self.own, self.seed = config, own if config.is_own else None, seed
        assert isinstance(graph, PartitionedGraph), "all stores are"
        graph.check_samples_by_time()
        self.graph = graph
        self.types = timed_types(graph.manifest)
        kinds = set(self.types.values())
        if len(kinds) != 1:
            got = "none" if not kinds else "points in time and numbers"
            raise DataError(
                f"{graph.folder}: must have times of one kind for model.time (got {got}). Run: gsl construct"
            )
        self.dtype = np.dtype(np.int64 if kinds == {"moment"} else np.float64)
        if self.own is not None and self.own not in self.types:
            raise DataError(f"{graph.folder}: {self.own} must have a time for model.time.at: own. Run: gsl construct")
        self._past = Past(config.pick == "latest", self._duration(config.window), config.strict)
        self._by_edge_type: dict[EdgeType, Past] = {}
        for name, duration in config.windows.items():
            source, relation, target = name.split(":")
            window = Past(self._past.latest, self._duration(duration), config.strict)
            self._by_edge_type[source, relation, target] = window

    def _duration(self, duration: str | int | float | None) -> float | None:
        return microseconds(duration) if isinstance(duration, str) else duration

    @cached_property
    def common(self) -> Any:
        """The point in time of seeds that have none of their own: the one that is given, or the graph's latest; with
        `strict` just after that, so that the latest edges are there too."""
        if self.config.at == END or self.config.is_own:
            columns = (self.graph.column((row_type, TIME_COLUMN)) for row_type in self.types)
            latest = max((times.max() for times in columns if len(times)), default=self.dtype.type(0))
            if not self.config.strict:
                return latest
            return latest + 1 if self.dtype.kind == "i" else np.nextafter(latest, np.inf)
        return self.bound(self.config.at)

    def bound(self, at: str | int | float) -> Any:
        """A given point in time, as bounds hold it. Raises ConfigError when it is none of the graph's kind."""
        try:
            if isinstance(at, str) == (self.dtype.kind == "i"):
                return round(in_order(at) * 1_000_000) if isinstance(at, str) else float(at)
        except ValueError:
            pass
        kind = "a point in time in ISO 8601, such as '2024-01-31'" if self.dtype.kind == "i" else "a number"
        raise ConfigError(f"time: must be {kind}, as the graph's times are (got {at!r})")

    def of_rows(self, row_type: RowType, ids: IntArray) -> Times:
        """[n]: the times of nodes or edges."""
        return times_of(self.graph, row_type, ids)

    def of_nodes(self, node_type: NodeType, ids: IntArray) -> Times:
        """[n]: the bounds of nodes that come without any."""
        if node_type == self.own:
            return self.of_rows(node_type, ids)
        return np.full(len(ids), self.common, dtype=self.dtype)

    def of_edges(self, edge_type: EdgeType, ids: IntArray) -> Times | None:
        """[n]: the bounds of the ends of edges to predict; None: they have none of their own."""
        return self.of_rows(edge_type, ids) if edge_type == self.own else None

    def bounds(self, seeds: Mapping[NodeType, IntArray], given: Mapping[NodeType, Times]) -> TimeBounds:
        """For a sample. given: the bounds of types whose seeds come with them."""
        of_seeds = {t: given[t] if t in given else self.of_nodes(t, ids) for t, ids in seeds.items()}
        return TimeBounds(of_seeds, self._past, self._by_edge_type)


def times_of(graph: Graph, row_type: RowType, ids: IntArray) -> Times:
    """[n]: the times of nodes or edges of a type that has them."""
    assert isinstance(graph, PartitionedGraph), "all stores are"
    times: Times = graph.begin_rows((row_type, TIME_COLUMN), ids).wait()
    return times


def timed_types(manifest: GraphManifest) -> dict[RowType, str]:
    """The kinds of times of the node and edge types that have them."""
    types: dict[RowType, str] = {name: node.time.kind for name, node in manifest.nodes.items() if node.time is not None}
    types |= {edge.edge_type: edge.time.kind for edge in manifest.edges if edge.time is not None}
    return types
