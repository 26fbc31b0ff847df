"""Nodes that are copies of each other and lie in different splits of a label, with one label: it can be looked up.

Copies are nodes with equal texts (all of them, at least MIN_TEXT characters). Where a type has no text, nodes that are
equal in all features of columns and images, provided that these tell most nodes apart: many nodes may share a brand and
a colour. Features of the structure do not count: copies have edges of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.leaks.base import HELD_OUT, MAX_ROWS, SHOWN, TRAIN, Leak
from gconstruct.leaks.folder import LeakFolder
from gconstruct.leaks.rowhash import row_hashes
from gconstruct.sets import contained, contained_sorted
from graphstorm_like.config.choice import members_of
from graphstorm_like.config.features import FeatureConfig
from graphstorm_like.graph.schema import (
    FeatureSchema,
    NodeTypeSchema,
    feature_column,
    image_column,
    label_column,
    label_split_column,
    text_column,
)

MIN_TEXT = 32
"""Characters: shorter texts may be equal by chance."""
TELLING = 0.5
"""Share of nodes with different features from which on equal ones are no chance"""
WORTH_TELLING = 0.001
"""Share of validation and test nodes below which copies change no metric"""


@dataclass(frozen=True, slots=True)
class Contents:
    """Rows whose contents are compared."""

    hashes: np.ndarray
    """uint64 (k)"""
    rows: np.ndarray
    """int64 (k): numbers of the nodes, ascending"""
    share: float
    """Share of the nodes that are in the sample; those with equal contents are in it together, or not at all"""


def node_leaks(graph: LeakFolder, name: str, node: NodeTypeSchema) -> Iterator[Leak]:
    """All findings about the labels of one node type."""
    columns = _columns(node)
    if not node.labels or not columns:
        return
    contents = _contents(graph, name, node, columns)
    ordered = np.sort(contents.hashes)
    is_again = ordered[1:] == ordered[:-1]
    if node.text or len(ordered) - np.count_nonzero(is_again) >= TELLING * len(ordered):
        repeated = contained_sorted(contents.hashes, ordered[1:][is_again])
        for label in node.labels:
            yield from _copies(graph, name, node, label, contents, repeated)


def _columns(node: NodeTypeSchema) -> list[str]:
    """Those that copies have in common."""
    if node.text:
        return [text_column(text) for text in node.text]
    features = [name for name, feature in node.features.items() if _is_of_columns(feature)]
    return [*map(feature_column, features), *map(image_column, node.image)]


def _is_of_columns(feature: FeatureSchema) -> bool:
    """Whether it was made of the node's own row; so is what was not made here."""
    made_by = (members_of(FeatureConfig) or {}).get(str(feature.fitted.get("encode")))
    return not (made_by is not None and issubclass(made_by, FeatureConfig)) or made_by.of_columns


def _contents(graph: LeakFolder, name: str, node: NodeTypeSchema, columns: Sequence[str]) -> Contents:
    every = max(1, -(-node.count // MAX_ROWS))
    hashes, rows, start = [np.empty(0, np.uint64)], [np.empty(0, np.int64)], 0
    for file in graph.node_files(name):
        for block in graph.blocks(file.select(columns)):
            chosen = block.columns
            found = row_hashes(chosen, block.num_rows)
            kept = found % np.uint64(every) == 0
            if node.text:
                kept &= _text_length(chosen) >= MIN_TEXT
            hashes.append(found[kept])
            rows.append(start + np.flatnonzero(kept))
            start += block.num_rows
    return Contents(np.concatenate(hashes), np.concatenate(rows), 1 / every)


def _text_length(columns: Sequence[pa.Array]) -> np.ndarray:
    """int64 (n): characters of all texts of a row."""
    lengths = [pc.fill_null(pc.utf8_length(column), 0).to_numpy(zero_copy_only=False) for column in columns]
    return np.stack(lengths).sum(axis=0, dtype=np.int64)  # type: ignore[no-any-return]


def _copies(
    graph: LeakFolder, name: str, node: NodeTypeSchema, label: str, contents: Contents, repeated: np.ndarray
) -> Iterator[Leak]:
    """repeated: bool (k), rows whose contents are those of another row, too. Of others no label is looked at."""
    splits, keys = [np.empty(0, np.uint8)], [np.empty(0, np.uint64)]
    start = 0
    for file in graph.node_files(name):
        for block in graph.blocks(file.select([label_split_column(label), label_column(label)])):
            low, high = np.searchsorted(contents.rows, [start, start + block.num_rows])
            at = pa.array(contents.rows[low:high] - start)
            splits.append(block.column(label_split_column(label)).take(at).to_numpy())
            of_copies = repeated[low:high]
            labels = block.column(label_column(label)).take(at.filter(pa.array(of_copies)))
            keys.append(contents.hashes[low:high][of_copies] ^ row_hashes([labels], len(labels)))
            start += block.num_rows
    in_split, same = np.concatenate(splits), np.concatenate(keys)
    looked_at = int(np.isin(in_split, HELD_OUT).sum())
    in_split, rows = in_split[repeated], contents.rows[repeated]
    copied = np.isin(in_split, HELD_OUT)
    copied[copied] = contained(same[copied], same[in_split == TRAIN])
    count = int(copied.sum())
    if not count or count < WORTH_TELLING * looked_at:
        return
    what = "equal texts" if node.text else "equal features"
    yield Leak(
        rule="copied_nodes",
        where=f"nodes {name}, label {label}",
        count=count,
        looked_at=looked_at,
        total=looked_at if contents.share == 1 else round(looked_at / contents.share),
        what=f"validation and test nodes have a copy among the training nodes: {what} and the same label",
        fix="Leave out repeated nodes, or keep copies together: group_by a column that is the same for all of them",
        examples=_examples(graph, name, rows, same, copied, in_split == TRAIN),
    )


def _examples(
    graph: LeakFolder, name: str, rows: np.ndarray, same: np.ndarray, copied: np.ndarray, trained: np.ndarray
) -> tuple[str, ...]:
    """'copy = original' for the first copies."""
    examples = []
    for at in np.flatnonzero(copied)[:SHOWN]:
        original = np.flatnonzero(trained & (same == same[at]))[0]
        copy_id, original_id = graph.ids(name, rows[[at, original]])
        examples.append(f"{copy_id} = {original_id}")
    return tuple(examples)
