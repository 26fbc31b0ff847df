"""Times that nodes pass on to their edges: an edge is there when it and both its nodes are.

Each edge type with a node type that has a time, at either end, gets the latest of the three times as its own. So a
sampler that looks at edges alone never meets a node from the future. Memory: the times of both ends, and of one edge
type's edges.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from gconstruct.manifest import Construction
from gconstruct.opened import GraphFiles, Rows
from gconstruct.problems import counted
from gconstruct.rewrite import rewrite
from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.errors import DataError
from graphstorm_like.graph.schema import SOURCE_COLUMN, TARGET_COLUMN, TIME_COLUMN, TimeSchema


def check_times(config: GraphConfig, in_pieces: bool) -> None:
    """Raises DataError when nodes have a time and the engine writes the graph `in_pieces`, which nobody looks through
    afterwards."""
    for name, node in config.nodes.items():
        if node.time is not None and in_pieces:
            raise DataError(
                f"graph.nodes.{name}.time: must be left out where engine {config.engine} writes several partitions or "
                f"to a URL, for it does not pass times of nodes on to edges. Write one partition into a local folder "
                f"and divide it with gsl partition, or give the edges times of their own"
            )


def passes_on_times(graph: Construction) -> bool:
    """Whether there are nodes with a time."""
    return any(node.time is not None for node in graph.nodes.values())


def pass_on_times(folder: Path, graph: Construction, say: Callable[[str], None]) -> Construction:
    """Of all edge types, in the one partition in `folder`, which `graph` describes; returns its new description. Raises
    DataError when an edge's time is of another kind than its node's."""
    [partition] = graph.partitions
    files, edges, grew = GraphFiles(folder, graph.partitions), [], 0
    of_nodes = {
        name: files.nodes(name).numbers(TIME_COLUMN) for name, node in graph.nodes.items() if node.time is not None
    }
    for edge in graph.edges:
        ends = [(name, column) for name, column in _ends(edge.edge_type) if name in of_nodes]
        if not ends:
            edges.append(edge)
            continue
        kinds = {name: graph.nodes[name].time for name, _ in ends} | {edge_name(edge.edge_type): edge.time}
        kind = _one_kind(kinds, folder)
        name = edge_name(edge.edge_type)
        rows = files.edges(edge.edge_type)
        own = rows.numbers(TIME_COLUMN) if edge.time is not None else None
        grew += rewrite(
            folder / partition.folder / partition.edge_files[name], {TIME_COLUMN: _latest(rows, own, ends, of_nodes)}
        )
        edges.append(edge.model_copy(update={"time": TimeSchema(kind=kind, of_nodes=own is None)}))
        if not edge.is_reverse:
            say(f"{name}: {counted(edge.count, 'edge')} not before {' and '.join(dict.fromkeys(t for t, _ in ends))}")
    whole = partition.model_copy(update={"bytes": partition.bytes + grew})
    return Construction(graph.nodes, edges, [whole], graph.dropped)


def _ends(edge_type: EdgeType) -> list[tuple[str, str]]:
    return [(edge_type[0], SOURCE_COLUMN), (edge_type[2], TARGET_COLUMN)]


def _latest(
    rows: Rows, own: np.ndarray | None, ends: list[tuple[str, str]], of_nodes: dict[str, np.ndarray]
) -> np.ndarray:
    """The latest of an edge's own time and those of its nodes."""
    times = own
    for name, column in ends:
        of_end = of_nodes[name][rows.numbers(column)]
        times = of_end if times is None else np.maximum(times, of_end)
    assert times is not None
    return times


def _one_kind(kinds: dict[str, TimeSchema | None], folder: Path) -> Literal["moment", "number"]:
    given = {name: time.kind for name, time in kinds.items() if time is not None}
    if len(set(given.values())) > 1:
        listed = ", ".join(f"{name}: {kind}" for name, kind in given.items())
        raise DataError(f"{folder}: times must be of one kind (got {listed}). Set or leave out `unit: number` alike")
    return next(iter(given.values()))
