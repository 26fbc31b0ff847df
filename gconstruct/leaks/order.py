"""Splits of one table that contradict each other: one is by time or keeps groups together, another is not.

Two splits of a table are in one graph when tasks differ in their labels. If one of them must not mix earlier and later
rows, or the rows of a group, neither must the other. Groups are not in the graph folder: what is said about them
follows from the configuration alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from gconstruct.leaks.base import HELD_OUT, SHOWN, TRAIN, Leak
from gconstruct.leaks.folder import LeakFolder
from graphstorm_like.config.base import edge_name
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.splits import SplitConfig, TimeSplit
from graphstorm_like.graph.schema import (
    SOURCE_COLUMN,
    SPLIT_COLUMN,
    TARGET_COLUMN,
    EdgeTypeSchema,
    NodeTypeSchema,
    label_split_column,
)

Splits = Mapping[str, SplitConfig]
"""By column of the graph folder"""


def split_leaks(graph: LeakFolder, config: GraphConfig) -> Iterator[Leak]:
    """All findings about tables with several splits."""
    for name, node in config.nodes.items():
        splits: dict[str, SplitConfig] = {label_split_column(n): label.split for n, label in node.labels.items()}
        schema = graph.manifest.nodes.get(name)
        if schema is not None:
            yield from _of_table(graph, f"nodes {name}", splits, schema)
    for edge in config.edges:
        splits = {label_split_column(n): label.split for n, label in edge.labels.items()}
        splits |= {} if edge.split is None else {SPLIT_COLUMN: edge.split}
        if edge.edge_type in {known.edge_type for known in graph.manifest.edges}:
            schema_of_edge = graph.manifest.edge(edge.edge_type)
            yield from _of_table(graph, f"edges {edge_name(edge.edge_type)}", splits, schema_of_edge)


def _of_table(graph: LeakFolder, table: str, splits: Splits, schema: NodeTypeSchema | EdgeTypeSchema) -> Iterator[Leak]:
    for column, split in splits.items():
        others = {name: other for name, other in splits.items() if name != column}
        where = f"{table}{_named(column)}"
        for name, other in others.items():
            if isinstance(other, TimeSplit) and not _by_time_too(split, other):
                yield from _later_training(graph, where, column, name, schema)
                break
        groups = {name: key for name, other in others.items() if (key := getattr(other, "group_by", None)) is not None}
        for name, group_by in groups.items():
            if getattr(split, "group_by", None) != group_by:
                yield from _split_groups(where, column, name, group_by, schema)
                break


def _named(column: str) -> str:
    return f", label {column.partition(':')[2]}" if column != SPLIT_COLUMN else ""


def _by_time_too(split: SplitConfig, other: TimeSplit) -> bool:
    return isinstance(split, TimeSplit) and split.column == other.column


def _later_training(
    graph: LeakFolder, where: str, column: str, time_column: str, schema: NodeTypeSchema | EdgeTypeSchema
) -> Iterator[Leak]:
    """Training rows of one split that are later, by the other one's parts, than some of its test rows."""
    blocks = [block for file in _files(graph, schema) for block in graph.blocks(file)]
    tested = [_earliest(block.column(column).to_numpy(), block.column(time_column).to_numpy()) for block in blocks]
    earliest = min((time for time in tested if time is not None), default=None)
    if earliest is None:
        return
    count, trained = 0, 0
    examples: list[str] = []
    for block in blocks:
        split, time = block.column(column).to_numpy(), block.column(time_column).to_numpy()
        is_later = (split == TRAIN) & (time > earliest)
        count += int(np.count_nonzero(is_later))
        trained += int(np.count_nonzero(split == TRAIN))
        if len(examples) < SHOWN:
            examples += _examples(graph, schema, block, np.flatnonzero(is_later)[: SHOWN - len(examples)])
    if count:
        other = _named(time_column).removeprefix(", ") or "the edges"
        yield Leak(
            rule="later_training",
            where=where,
            count=count,
            looked_at=trained,
            total=trained,
            what=f"training rows are later than validation or test rows, by the times that split {other}",
            fix="Split both by time, if what is predicted lies in the future",
            examples=tuple(examples),
        )


def _earliest(split: np.ndarray, time: np.ndarray) -> int | None:
    """The earliest part of validation and test rows; None when there are none."""
    tested = time[np.isin(split, HELD_OUT) & (time > 0)]
    return int(tested.min()) if tested.size else None


def _files(graph: LeakFolder, schema: NodeTypeSchema | EdgeTypeSchema) -> list[pa.RecordBatch]:
    if isinstance(schema, EdgeTypeSchema):
        return graph.edge_files(schema.edge_type)
    return graph.node_files(next(name for name, node in graph.manifest.nodes.items() if node is schema))


def _examples(
    graph: LeakFolder, schema: NodeTypeSchema | EdgeTypeSchema, file: pa.RecordBatch, rows: np.ndarray
) -> list[str]:
    if isinstance(schema, EdgeTypeSchema):
        source, target = (file.column(name).to_numpy()[rows] for name in (SOURCE_COLUMN, TARGET_COLUMN))
        return list(graph.pair_examples(schema.edge_type, source, target))
    return [repr(value) for value in file.column("id").take(pa.array(rows)).to_pylist()]


def _split_groups(
    where: str, column: str, other: str, group_by: str, schema: NodeTypeSchema | EdgeTypeSchema
) -> Iterator[Leak]:
    counts = schema.labels[column.partition(":")[2]].counts if column != SPLIT_COLUMN else None
    if counts is None and isinstance(schema, EdgeTypeSchema):
        counts = schema.split_counts
    held_out = 0 if counts is None else counts.get("valid", 0) + counts.get("test", 0)
    if held_out:
        named = _named(other).removeprefix(", ") or "the edges"
        yield Leak(
            rule="split_groups",
            where=where,
            count=held_out,
            looked_at=held_out,
            total=held_out,
            what=f"validation and test rows may have training rows of their group beside them: {named} keeps rows of "
            f"one '{group_by}' together, this split does not",
            fix=f"Set group_by: {group_by} for both, with one seed, or for neither",
        )
