"""Which DGL tensor holds which column of ours, in both directions.

DistDGL knows one kind of thing, a tensor a node or edge type: features, labels and masks have names in one space. A
split becomes three masks. What DGL cannot say (classes, reverse types, how a feature was made) stands in a file
beside, so that an exported folder comes back as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from graphstorm_like.config.base import Name
from graphstorm_like.errors import DataError
from graphstorm_like.graph.schema import (
    SPLIT_COLUMN,
    EdgeTypeSchema,
    NodeTypeSchema,
    RelativePath,
    feature_column,
    label_column,
    label_split_column,
)

SIDECAR = "graphstorm_like.json"
"""Beside the configuration of an exported folder; holds a Sidecar."""
MASKS = {"train": "train_mask", "valid": "val_mask", "test": "test_mask"}
"""By our split: the name that DGL's and GraphStorm's users give its mask."""
SEPARATORS = "/:~"
"""DGL joins names with these and splits them again."""


class TensorNames(BaseModel):
    """Of one node or edge type: our column of a feature or label -> tensor; our split column -> split -> tensor."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: dict[str, str] = {}
    masks: dict[str, dict[str, str]] = {}

    def tensors(self) -> set[str]:
        """Names of all tensors."""
        return {*self.columns.values(), *(name for masks in self.masks.values() for name in masks.values())}


class Sidecar(BaseModel):
    """What DGL cannot say of an exported graph. Edge types and rows are those of the schemas."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["graphstorm-like export"] = "graphstorm-like export"
    version: Literal[1] = 1
    nodes: dict[Name, NodeTypeSchema]
    edges: list[EdgeTypeSchema]
    tensors: dict[str, TensorNames]
    """By written type name."""
    ids: dict[Name, RelativePath]
    """By node type: a Parquet file of the user's ids, by position."""
    dropped: dict[str, int] = {}


def tensor_names(schema: NodeTypeSchema | EdgeTypeSchema, where: str) -> TensorNames:
    """Names for all that a type carries; a label takes another name when a feature has its own.

    A type's only split, or the edges' own, gets the plain names train_mask, val_mask, test_mask; others carry their
    label's name behind. DataError when DGL cannot hold a name.
    """
    columns = {feature_column(name): name for name in schema.features}
    for name in schema.labels:
        columns[label_column(name)] = _free(name, "label_", columns.values())
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
    """DataError when DGL cannot hold it."""
    if any(c in name for c in SEPARATORS):
        raise DataError(f"{where}: names must be without {' '.join(SEPARATORS)} for DGL (got {name!r}). Rename it")


def mask_names(tensors: Iterable[str], label: str | None) -> Mapping[str, str]:
    """The masks, by split, that belong to a label (with its name behind, else the plain ones), or to the edges."""
    present = set(tensors)
    own = {split: f"{mask}_{label}" for split, mask in MASKS.items() if f"{mask}_{label}" in present}
    return own or {split: mask for split, mask in MASKS.items() if mask in present}


def _free(name: str, prefix: str, taken: Iterable[str]) -> str:
    """The name, with as many prefixes as it takes."""
    used = set(taken)
    while name in used:
        name = f"{prefix}{name}"
    return name
