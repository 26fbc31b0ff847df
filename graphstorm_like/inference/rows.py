"""The rows that results are asked for: files of ids and of pairs of ids -> positions in a graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.config.train import InferConfig
from graphstorm_like.errors import ConfigError, DataError, unknown
from graphstorm_like.graph.store import Graph, IntArray, NodeType, RowType
from graphstorm_like.ranges import ranges
from graphstorm_like.tasks.outputs import Asked, Triples

EXAMPLES = 3


def read_ids(path: str | Path, where: str) -> pa.Array:
    """The ids [n] in a file, as strings. Raises DataError that names file and row. where: who asks."""
    return _read(path, where, is_pair=False)


def read_pairs(path: str | Path, where: str) -> tuple[pa.Array, pa.Array]:
    """The ids ([n], [n]) of sources and targets in a file, as strings; DataError as `read_ids`."""
    from gconstruct.splits.base import EDGE_SEPARATOR

    parts = pc.split_pattern(_read(path, where, is_pair=True), EDGE_SEPARATOR)
    return pc.list_element(parts, 0), pc.list_element(parts, 1)


def _read(path: str | Path, where: str, is_pair: bool) -> pa.Array:
    from gconstruct.inputs import ID_LIST, resolve
    from gconstruct.problems import Problems
    from gconstruct.splits.id_files import read_ids as read

    problems = Problems()
    files = resolve(where, [str(path)], None, ID_LIST, problems)
    problems.raise_if_any()
    ids = read(files, [], is_pair, where, problems)
    problems.raise_if_any()
    assert ids is not None, "or there are problems"
    return ids


def as_strings(ids: pa.Array | Sequence[Any]) -> pa.Array:
    """Ids in any form as strings; those of integers are their decimal numbers."""
    array = ids if isinstance(ids, pa.Array | pa.ChunkedArray) else pa.array(list(ids))
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if not len(array):
        return pa.array([], pa.large_string())
    if not (pa.types.is_integer(array.type) or _is_string(array.type)):
        raise ConfigError(f"ids: must be strings or integers (got {array.type}). Convert them")
    return pc.cast(array, pa.large_string())


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def positions(graph: Graph, node_type: NodeType, ids: pa.Array, where: str) -> IntArray:
    """Positions [n] of nodes by their ids; DataError counts and names those that the graph lacks. where: who asks."""
    found = pc.index_in(ids, value_set=as_strings(graph.ids(node_type)))
    unknown = ids.filter(pc.is_null(found))
    if len(unknown):
        shown = ", ".join(map(repr, unknown.slice(0, EXAMPLES).to_pylist()))
        raise DataError(
            f"{where}: ids must be those of nodes of {node_type} (got {len(unknown):,} of {len(ids):,} that the graph "
            f"does not have, e.g. {shown}). Leave them out, or add the nodes to the graph"
        )
    at: IntArray = found.to_numpy(zero_copy_only=False).astype(np.int64)
    return at


class EdgeLookup:
    """Edges of one type by their ends, for any number of questions: 16 bytes an edge."""

    def __init__(self, graph: Graph, edge_type: EdgeType) -> None:
        self.graph, self.edge_type = graph, edge_type
        self._width = max(graph.manifest.node(edge_type[2]).count, 1)
        sources, targets = graph.edges(edge_type)
        keys = sources * self._width + targets
        self._order: IntArray = np.argsort(keys, kind="stable")
        self._keys: IntArray = keys[self._order]

    def between(self, sources: IntArray, targets: IntArray, where: str) -> IntArray:
        """Numbers of all edges, parallel ones too, between pairs [n] of nodes, in the order of the pairs; DataError
        counts the pairs that have none. where: who asks."""
        asked = sources * self._width + targets
        first = np.searchsorted(self._keys, asked, side="left")
        counts = np.searchsorted(self._keys, asked, side="right") - first
        missing = np.flatnonzero(counts == 0)
        if len(missing):
            source_type, _, target_type = self.edge_type
            ends = zip(
                self.graph.ids_of(source_type, sources[missing[:EXAMPLES]]).to_pylist(),
                self.graph.ids_of(target_type, targets[missing[:EXAMPLES]]).to_pylist(),
                strict=True,
            )
            shown = ", ".join(f"{source!r} -> {target!r}" for source, target in ends)
            raise DataError(
                f"{where}: pairs must be edges of {edge_name(self.edge_type)} (got {len(missing):,} of {len(asked):,} "
                f"that the graph does not have, e.g. {shown}). Leave them out, or add the edges to the graph"
            )
        rows: IntArray = self._order[ranges(first, counts)[0]]
        return rows


def asked_triples(graph: Graph, relations: Sequence[EdgeType], path: str, where: str, sought: bool) -> Asked:
    """The triples of a file of columns source, relation, target: to be scored, or (sought) with one end empty, to be
    completed. relations: the task's. DataError names the first row that is wrong."""
    from gconstruct.inputs import ID_LIST, resolve
    from gconstruct.problems import Problems
    from gconstruct.splits.id_files import read_columns

    problems = Problems()
    files = resolve(where, [str(path)], None, ID_LIST, problems)
    problems.raise_if_any()
    columns = read_columns(files, 3, where, problems)
    problems.raise_if_any()
    assert columns is not None, "or there are problems"
    sources, names, targets = columns
    empty = [pc.equal(column, "").to_numpy(zero_copy_only=False) for column in (sources, targets)]
    wrong = np.flatnonzero(empty[0] == empty[1] if sought else empty[0] | empty[1])
    if len(wrong):
        rule = "leave one end empty, the source or the target" if sought else "name both ends"
        raise DataError(f"{path}: each row must {rule} (got another row, {wrong[0] + 1:,}). See {where}")
    relation = relation_numbers(relations, names, f"{path}: relation")
    ends = []
    for place, column, none in zip((0, 2), (sources, targets), empty, strict=True):
        nodes = np.full(len(column), -1, dtype=np.int64)
        types = np.array([relations[number][place] for number in relation], dtype=object)
        for node_type in dict.fromkeys(types.tolist()):
            at = np.flatnonzero((types == node_type) & ~none)
            nodes[at] = positions(graph, node_type, column.take(pa.array(at)), where)
        ends.append(nodes)
    return Asked(triples=Triples(relation, *ends))


def relation_numbers(relations: Sequence[EdgeType], names: pa.Array, where: str) -> IntArray:
    """Numbers [n] of relations by their names, 'buys' or 'user:buys:item'; DataError for a name that none has, or
    several have."""
    by_name: dict[str, list[int]] = {}
    for number, edge_type in enumerate(relations):
        for name in (edge_type[1], edge_name(edge_type)):
            by_name.setdefault(name, []).append(number)
    numbers = {}
    for name in pc.unique(names).to_pylist():
        if name not in by_name:
            raise DataError(unknown(where, "relation", name, by_name))
        if len(by_name[name]) > 1:
            types = ", ".join(edge_name(relations[number]) for number in by_name[name])
            raise DataError(f"{where}: must be an edge type, for several have that name (got {name!r}: {types})")
        numbers[name] = by_name[name][0]
    found = pc.index_in(names, value_set=pa.array(list(numbers), pa.large_string())).to_numpy(zero_copy_only=False)
    chosen: IntArray = np.array([*numbers.values()], dtype=np.int64)[found.astype(np.int64)]
    return chosen


def asked_rows(config: InferConfig, graph: Graph, task: TaskConfig, scores_edges: bool) -> Asked:
    """What `infer:` asks for. scores_edges: whether the task's rows are edges that must be there."""
    nodes = {}
    for name, path in config.nodes.items():
        where = f"infer.nodes.{name}"
        nodes[name] = positions(graph, name, read_ids(path, where), where)
    if task.asks_relations and not (config.pairs is None and config.queries is None):
        relations = task.relations(graph.manifest.original_edge_types())
        sought = config.queries is not None
        file, where = (config.queries, "infer.queries") if sought else (config.pairs, "infer.pairs")
        assert file is not None
        return asked_triples(graph, relations, file, where, sought)
    if config.pairs is None:
        return Asked(nodes)
    sources, targets = read_pairs(config.pairs, "infer.pairs")
    return asked_pairs(graph, task.row_type, scores_edges, (sources, targets), nodes, "infer.pairs")


def asked_pairs(
    graph: Graph,
    row_type: RowType | None,
    scores_edges: bool,
    ids: tuple[pa.Array, pa.Array],
    nodes: dict[NodeType, IntArray],
    where: str,
) -> Asked:
    """Pairs of ids as what is asked for: edges of a task on edges, else pairs to score."""
    if not isinstance(row_type, tuple):
        raise ConfigError(f"{where}: must be left out for a task that is not about pairs of nodes")
    sources, targets = (
        positions(graph, node_type, of_end, where) for node_type, of_end in zip(row_type[::2], ids, strict=True)
    )
    if scores_edges:
        return Asked(nodes, edges=EdgeLookup(graph, row_type).between(sources, targets, where))
    return Asked(nodes, pairs=(sources, targets))
