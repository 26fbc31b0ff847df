"""Rows that the model has got most wrong, with what a person needs to see why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from graphstorm_like.config.base import edge_name
from graphstorm_like.config.inverses import is_inverse, stored
from graphstorm_like.graph.store import Graph, IntArray
from graphstorm_like.reports.model import Example, ExampleNode, NamedNode
from graphstorm_like.reports.nodes import cut_id, degrees, ids_of, named_nodes, neighbors, texts_of
from graphstorm_like.reports.rows import ScoredRows, positions, shards
from graphstorm_like.reports.run_folder import RunFolder

SHOWN, ALIKE, PROPOSED = 12, 2, 3
"""Examples; those of one pair of classes; targets that are proposed instead"""


def worst_classes(rows: ScoredRows) -> IntArray:
    """Positions of wrong rows, those of which the model was surest first, few of each pair of classes."""
    assert rows.true is not None
    assert rows.predicted is not None
    assert rows.confidence is not None
    wrong = np.flatnonzero(rows.true != rows.predicted)
    seen: Counter[tuple[int, int]] = Counter()
    chosen = []
    for at in wrong[np.argsort(-rows.confidence[wrong], kind="stable")].tolist():
        pair = (int(rows.true[at]), int(rows.predicted[at]))
        seen[pair] += 1
        if seen[pair] <= ALIKE:
            chosen.append(at)
        if len(chosen) == SHOWN:
            break
    return np.array(chosen, dtype=np.int64)


def worst_numbers(rows: ScoredRows) -> IntArray:
    """Positions of the rows that are farthest off; none that are exactly right."""
    assert rows.true is not None
    assert rows.predicted is not None
    error = np.abs(rows.predicted - rows.true)
    order: IntArray = np.argsort(-error, kind="stable")[:SHOWN]
    wrong: IntArray = order[error[order] > 0]
    return wrong


def worst_ranks(rows: ScoredRows) -> IntArray:
    """Positions of the links with the worst ranks; none that are first."""
    assert rows.ranks is not None
    order: IntArray = np.argsort(-rows.ranks, kind="stable")[:SHOWN]
    return order[rows.ranks[order] > 1]


def examples(folder: RunFolder, graph: Graph, rows: ScoredRows, classes: Sequence[str]) -> list[Example]:
    """The worst rows of a split."""
    choose = {"classes": worst_classes, "numbers": worst_numbers, "ranks": worst_ranks}[rows.measured]
    chosen = choose(rows)
    nodes = _nodes(graph, rows, chosen)
    instead = _proposed(folder, graph, rows, nodes) if rows.measured == "ranks" else {}
    found = []
    for i, at in enumerate(chosen.tolist()):
        example = Example(nodes=[of_role[i] for of_role in nodes], true="")
        if not isinstance(rows.row_type, str):
            example.relation = rows.row_type[1]
            if rows.measured != "ranks":
                example.text = texts_of(graph, rows.row_type, int(rows.rows[at]))
        _fill(example, rows, at, classes)
        example.instead = instead.get(example.nodes[0].id, [])
        found.append(example)
    return found


def _fill(example: Example, rows: ScoredRows, at: int, classes: Sequence[str]) -> None:
    """Truth and prediction."""
    if rows.ranks is not None:
        example.true, example.rank = example.nodes[-1].id, float(rows.ranks[at])
        return
    assert rows.true is not None
    assert rows.predicted is not None
    if rows.confidence is None:
        example.true, example.predicted = f"{rows.true[at]:.6g}", f"{rows.predicted[at]:.6g}"
        return
    example.true, example.predicted = classes[int(rows.true[at])], classes[int(rows.predicted[at])]
    example.confidence = float(rows.confidence[at])
    if rows.probabilities is not None:
        example.true_probability = float(rows.probabilities[at, int(rows.true[at])])


def _nodes(graph: Graph, rows: ScoredRows, chosen: IntArray) -> list[list[ExampleNode]]:
    """By end, the nodes of the chosen rows."""
    found = []
    for end in rows.ends:
        nodes = end.ids[chosen]
        around, of_type = neighbors(graph, end.node_type, nodes), degrees(graph, end.node_type)
        names = ids_of(graph, end.node_type, nodes)
        found.append(
            [
                ExampleNode(
                    role=end.role,
                    node_type=end.node_type,
                    id=name,
                    degree=int(of_type[node]),
                    text=texts_of(graph, end.node_type, node),
                    neighbors=around[node],
                )
                for node, name in zip(nodes.tolist(), names, strict=True)
            ]
        )
    return found


def _proposed(
    folder: RunFolder, graph: Graph, rows: ScoredRows, nodes: list[list[ExampleNode]]
) -> dict[str, list[NamedNode]]:
    """Return, by source, the best targets that infer has written for it; of an inverse relation the other way round."""
    known, answer = "source", "target"
    files = shards(folder, "predictions")
    wanted = {node.id for node in nodes[0]}
    found: dict[str, list[NamedNode]] = {}
    answers = rows.ends[-1].node_type
    for file in files:
        columns = pq.read_schema(file).names
        if not {"source", "target", "rank"} <= set(columns):
            return {}
        filters: list[tuple[str, str, Any]] = [("rank", "<=", PROPOSED)]
        if "sought" in columns and not isinstance(rows.row_type, str):
            known, answer = ("target", "source") if is_inverse(rows.row_type) else ("source", "target")
            filters += [("sought", "==", answer), ("relation", "==", edge_name(stored(rows.row_type)))]
        best = pq.read_table(file, columns=[known, answer], filters=filters)
        best = best.filter(pa.array([cut_id(key) in wanted for key in best[known].to_pylist()], pa.bool_()))
        places = positions(graph, answers, best[answer])
        for of_known, node in zip(best[known].to_pylist(), named_nodes(graph, answers, places), strict=True):
            found.setdefault(cut_id(of_known), []).append(node)
    return found
