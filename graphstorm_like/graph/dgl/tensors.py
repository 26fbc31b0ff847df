"""Maps our columns to DGL's tensors, in both directions.

DistDGL has named tensors for each node and edge type, and nothing else: features, labels and masks share one namespace.
A split becomes three masks. What DGL cannot express (classes, reverse types, how a feature was made) is written to a
file next to its configuration, so that an exported folder can be imported without loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from graphstorm_like.config.base import Name
from graphstorm_like.errors import DataError
from graphstorm_like.graph.schema import (
    HARD_NEGATIVES_COLUMN,
    SPLIT_COLUMN,
    TIME_COLUMN,
    EdgeTypeSchema,
    NodeTypeSchema,
    RelativePath,
    feature_column,
    label_column,
    label_split_column,
)

SIDECAR = "graphstorm_like.json"
"""File next to the configuration of an exported folder; holds a Sidecar."""
MASKS = {"train": "train_mask", "valid": "val_mask", "test": "test_mask"}
"""By our split: the name that users of DGL and GraphStorm give its mask."""
SEPARATORS = "/:~"
"""DGL joins names with these and splits them again."""


class TensorNames(BaseModel):
    """The names of one node or edge type: our column of a feature, a label, the time or the hard negatives -> tensor;
    our split column -> split -> tensor."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: dict[str, str] = {}
    masks: dict[str, dict[str, str]] = {}

    def tensors(self) -> set[str]:
        """Names of all tensors."""
        return {*self.columns.values(), *(name for masks in self.masks.values() for name in masks.values())}


class Sidecar(BaseModel):
    """What DGL cannot express about an exported graph. Edge types and rows are those of the schemas."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["graphstorm-like export"] = "graphstorm-like export"
    version: Literal[1] = 1
    nodes: dict[Name, NodeTypeSchema]
    edges: list[EdgeTypeSchema]
    tensors: dict[str, TensorNames]
    """By written type name."""
    ids: dict[Name, RelativePath]
    """By node type: a Parquet file of the user's own ids, by position."""
    dropped: dict[str, int] = {}


def tensor_names(schema: NodeTypeSchema | EdgeTypeSchema, where: str) -> TensorNames:
    """Names for all columns of a type; a label gets another name when a feature has the same one.

    A type's only split, or the edges' own, gets the plain names train_mask, val_mask, test_mask; others get their
    label's name as a suffix. DataError when DGL cannot use a name.
    """
    columns = {feature_column(name): name for name in schema.features}
    for name in schema.labels:
        columns[label_column(name)] = _free(name, "label_", columns.values())
    if schema.time is not None:
        columns[TIME_COLUMN] = _free(TIME_COLUMN, "row_", columns.values())
    if isinstance(schema, EdgeTypeSchema) and schema.hard_negatives:
        columns[HARD_NEGATIVES_COLUMN] = _free(HARD_NEGATIVES_COLUMN, "row_", columns.values())
    splits = {label_split_column(name): f"_{name}" for name in schema.labels}
    if len(splits) == 1:
        splits = dict.fromkeys(splits, "")
    if isinstance(schema, EdgeTypeSchema) and schema.split_counts is not None:
        splits = {label_split_column(name): f"_{name}" for name in schema.labels} | {SPLIT_COLUMN: ""}
    masks: dict[str, dict[str, str]] = {}
    for column, suffix in splits.items():
        used_names = TensorNames(columns=columns, masks=masks).tensors()
        masks[column] = {split: _free(f"{mask}{suffix}", "split_", used_names) for split, mask in MASKS.items()}
    names = TensorNames(columns=columns, masks=masks)
    for name in names.tensors():
        check_name(name, where)
    return names


def check_name(name: str, where: str) -> None:
    """DataError when DGL cannot use a name."""
    if any(c in name for c in SEPARATORS):
        raise DataError(f"{where}: names must be without {' '.join(SEPARATORS)} for DGL (got {name!r}). Rename it")


def mask_names(tensors: Iterable[str], label: str | None) -> Mapping[str, str]:
    """By split, the masks of a label (with its name as a suffix, else the plain ones), or of the edges."""
    present = set(tensors)
    own = {split: f"{mask}_{label}" for split, mask in MASKS.items() if f"{mask}_{label}" in present}
    return own or {split: mask for split, mask in MASKS.items() if mask in present}


def _free(name: str, prefix: str, used_names: Iterable[str]) -> str:
    """The name, with as many prefixes as it takes to be unused."""
    used = set(used_names)
    while name in used:
        name = f"{prefix}{name}"
    return name
