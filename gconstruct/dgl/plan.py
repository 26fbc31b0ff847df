"""What each tensor of a DistDGL folder becomes: a feature, a label, a mask, or nothing.

This is known from the file that `gsl export` leaves beside its folders, or from the names of the tensors and the
user's options (`--label`, `--reverse`, `--leave-out`). Out: for each type a schema and the tensors of its columns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from gconstruct.problems import counted
from graphstorm_like.config.base import NAME_RULE, EdgeType, Name, edge_name
from graphstorm_like.errors import ConfigError, DataError, unknown
from graphstorm_like.graph.dgl.reading import DglFolder
from graphstorm_like.graph.dgl.tensors import SIDECAR, Sidecar, TensorNames, mask_names
from graphstorm_like.graph.schema import (
    HARD_NEGATIVES_COLUMN,
    SPLIT_COLUMN,
    TIME_COLUMN,
    EdgeTypeSchema,
    FeatureSchema,
    LabelSchema,
    NodeTypeSchema,
    feature_column,
    label_column,
    label_split_column,
)

RowType = str | EdgeType
LABEL_LIKE = ("label", "labels", "y")
"""Tensors of these names are not features unless the user says so: with the answer among the inputs no score counts."""
TOKENS = ("input_ids", "attention_mask", "token_type_ids", "valid_len")
"""Tensors of these names are a tokenizer's output: numbers of words, whose size means nothing."""
BOOKKEEPING = ("orig_id", "orig_ids", "trainer_id")
_LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
_MASK = re.compile(r"^(train|val|test)_mask(_.*)?$")


@dataclass(frozen=True, slots=True)
class Wishes:
    """The user's options for a foreign folder; names are `type/tensor`, edge types source:relation:target."""

    labels: Sequence[str] = ()
    features: Sequence[str] = ()
    """Tensors that are features although they look like something else, e.g. a count in whole numbers."""
    leave_out: Sequence[str] = ()
    reverse: Sequence[tuple[str, str]] = ()
    """Edge types, and the types that hold the same edges the other way round."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor over all partitions."""

    shape: tuple[int, ...]
    """of a row"""
    dtype: np.dtype[Any]
    low: float
    high: float
    """Smallest and largest value; nan when there is none."""
    odd: int = 0
    """Values that are NaN or infinite."""


@dataclass(slots=True)
class Plan:
    """Schemas without counts of labels and splits, and the tensors of their columns."""

    schemas: dict[RowType, NodeTypeSchema | EdgeTypeSchema]
    names: dict[RowType, TensorNames]
    ids: dict[str, str] | None = None
    """By node type, a Parquet file in the folder; None: there is none."""
    dropped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """Lines for the user."""


def written(row_type: RowType) -> str:
    """The written form of a node or edge type."""
    return row_type if isinstance(row_type, str) else edge_name(row_type)


def survey(folder: DglFolder) -> dict[RowType, dict[str, Tensor]]:
    """Shapes, types and bounds of all tensors; DataError when partitions do not agree."""
    surveyed: dict[RowType, dict[str, Tensor]] = {t: {} for t in folder.row_types}
    rows = {t: np.diff(folder.ranges(t), axis=1)[:, 0] for t in folder.row_types}
    for p in range(folder.num_parts):
        for row_type, tensors in folder.tensors(p).items():
            earlier = surveyed[row_type]
            for name, values in tensors.items():
                if not len(values):
                    continue
                if name not in earlier and rows[row_type][:p].any():
                    raise _missing(folder, row_type, name, int(np.flatnonzero(rows[row_type])[0]))
                earlier[name] = _merged(folder, row_type, name, values, p, earlier.get(name))
            if rows[row_type][p]:
                for name in earlier.keys() - tensors.keys():
                    raise _missing(folder, row_type, name, p)
    return surveyed


def _merged(
    folder: DglFolder, row_type: RowType, name: str, values: np.ndarray, p: int, earlier: Tensor | None
) -> Tensor:
    """A tensor with the values of partition p (at least one row), which must be like those of earlier partitions."""
    if values.dtype.kind not in "biuf":
        raise DataError(f"{folder.config}: {written(row_type)}/{name} must be of numbers")
    low, high = np.nan, np.nan
    if values.size:
        low, high = float(np.fmin.reduce(values, axis=None)), float(np.fmax.reduce(values, axis=None))
    shape, odd = values.shape[1:], _odd(values)
    if earlier is None:
        return Tensor(shape, values.dtype, low, high, odd)
    if (earlier.shape, earlier.dtype) != (shape, values.dtype):
        raise DataError(
            f"{folder.config}: {written(row_type)}/{name} must be alike in all partitions (got rows of "
            f"shape {shape}, {values.dtype} in part-{p}, {earlier.shape}, {earlier.dtype} before)"
        )
    low, high = np.fmin(earlier.low, low), np.fmax(earlier.high, high)
    return Tensor(shape, values.dtype, low, high, earlier.odd + odd)


def _odd(values: np.ndarray) -> int:
    return int(np.count_nonzero(~np.isfinite(values))) if values.dtype.kind == "f" else 0


def _missing(folder: DglFolder, row_type: RowType, name: str, p: int) -> DataError:
    return DataError(
        f"{folder.config}: {written(row_type)}/{name} must be in all partitions (got none in part-{p}). "
        "Partition the graph again"
    )


# ------------------------------------------------------------------------------------------------ folders of our own


def read_sidecar(folder: DglFolder) -> Sidecar | None:
    """The file that `gsl export` wrote; None in a foreign folder. DataError when it describes another graph."""
    path: Path = folder.folder / SIDECAR
    if not path.is_file():
        return None
    try:
        sidecar = Sidecar.model_validate_json(path.read_bytes())
    except ValidationError as err:
        first = err.errors()[0]
        raise DataError(
            f"{path}: must be as gsl export writes it (got {first['msg']}). Export the graph again"
        ) from None
    counts = {t: node.count for t, node in sidecar.nodes.items()}
    counts |= {edge_name(e.edge_type): e.count for e in sidecar.edges}
    really = {written(t): int(folder.starts(t)[-1]) for t in folder.row_types}
    if counts != really or set(sidecar.tensors) != set(really) or set(sidecar.ids) != set(folder.node_types):
        raise DataError(f"{path}: must be of the graph of {folder.config.name} (got other types or counts). Remove it")
    return sidecar


def plan_from(sidecar: Sidecar, folder: DglFolder, tensors: Mapping[RowType, Mapping[str, Tensor]]) -> Plan:
    """The graph that was exported, without its texts."""
    schemas: dict[RowType, NodeTypeSchema | EdgeTypeSchema] = {t: sidecar.nodes[t] for t in sidecar.nodes}
    schemas |= {e.edge_type: e for e in sidecar.edges}
    names = {t: sidecar.tensors[written(t)] for t in schemas}
    notes: list[str] = []
    for row_type, schema in schemas.items():
        changes: dict[str, Any] = {}  # earlier exports have neither times nor hard negatives
        if schema.time is not None and TIME_COLUMN not in names[row_type].columns:
            changes["time"] = None
        has_negatives = isinstance(schema, EdgeTypeSchema) and schema.hard_negatives > 0
        if has_negatives and HARD_NEGATIVES_COLUMN not in names[row_type].columns:
            changes["hard_negatives"] = 0
        schemas[row_type] = schema.model_copy(update=changes)
        notes += [f"{written(row_type)}/{column} is left out: it was not exported. Export again" for column in changes]
    for row_type, schema in schemas.items():
        missing = names[row_type].tensors() - set(tensors[row_type]) if schema.count else ()
        for name in missing:
            raise DataError(f"{folder.config}: {written(row_type)}/{name} must be there, for {SIDECAR} names it")
        for name, feature in schema.features.items() if schema.count else ():
            shape = tensors[row_type][names[row_type].columns[feature_column(name)]].shape
            if shape != (feature.width,):
                raise DataError(
                    f"{folder.config}: feature {name} of {written(row_type)} must have {feature.width} numbers a row, "
                    f"as {SIDECAR} says (got shape {shape})"
                )
    return Plan(schemas, names, dict(sidecar.ids), dict(sidecar.dropped), notes)


# --------------------------------------------------------------------------------------------------- foreign folders


def plan(folder: DglFolder, tensors: Mapping[RowType, Mapping[str, Tensor]], wishes: Wishes) -> Plan:
    """By names and the user's options. Raises ConfigError for names that do not exist, DataError for tensors that
    cannot be what they are taken for."""
    of_type = {written(t): t for t in folder.row_types}
    labels = _named(of_type, tensors, "--label", wishes.labels)
    features = _named(of_type, tensors, "--feature", wishes.features)
    leave_out = _named(of_type, tensors, "--leave-out", wishes.leave_out)
    new_plan = Plan({}, {})
    for row_type in folder.row_types:
        for part in (row_type,) if isinstance(row_type, str) else row_type:
            if not _is_name(part):
                raise DataError(
                    f"{folder.config}: types must be {NAME_RULE} (got {part!r}). Rename it and partition again"
                )
        chosen = _Chosen(labels[row_type], features[row_type], leave_out[row_type])
        _plan_type(new_plan, folder, row_type, tensors[row_type], chosen)
    _plan_reverses(new_plan, folder, wishes.reverse)
    return new_plan


def _named(
    of_type: Mapping[str, RowType], tensors: Mapping[RowType, Mapping[str, Tensor]], option: str, words: Sequence[str]
) -> dict[RowType, list[str]]:
    """`type/tensor` words by type."""
    out: dict[RowType, list[str]] = {t: [] for t in tensors}
    for word in words:
        prefix, _, name = word.rpartition("/")
        if prefix not in of_type:
            raise ConfigError(unknown(f"{option} {word}", "type", prefix, of_type))
        if name not in tensors[of_type[prefix]]:
            raise ConfigError(unknown(f"{option} {word}", "tensor", name, tensors[of_type[prefix]]))
        out[of_type[prefix]].append(name)
    return out


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Names of one type's tensors that the user chose for something."""

    labels: Sequence[str]
    features: Sequence[str]
    leave_out: Sequence[str]


def _plan_type(
    new_plan: Plan, folder: DglFolder, row_type: RowType, tensors: Mapping[str, Tensor], chosen: _Chosen
) -> None:
    where, schemas, features, labels = written(row_type), {}, {}, chosen.labels
    columns: dict[str, str] = {}
    masks: dict[str, dict[str, str]] = {}
    candidates = tensors.keys() - set(chosen.leave_out)
    for name in labels:
        schemas[name] = _label_schema(f"{folder.config}: {where}/{name}", name, tensors[name])
        columns[label_column(name)] = name
        masks[label_split_column(name)] = dict(mask_names(candidates, name))
    edge_masks = dict(mask_names(candidates, None)) if not isinstance(row_type, str) and not labels else {}
    if edge_masks:
        masks[SPLIT_COLUMN] = edge_masks
    used = set(labels)
    for mask_tensors in masks.values():
        used.update(mask_tensors.values())
    for name in sorted(tensors.keys() - used):
        if (why := _why_left_out(name, tensors[name], chosen)) is not None:
            new_plan.notes.append(f"{where}/{name} is left out: {why}")
            continue
        if tensors[name].odd:
            raise DataError(
                f"{folder.config}: feature {where}/{name} must be finite (got {counted(tensors[name].odd, 'value')} "
                f"that are NaN or infinite). Take it for a label: --label {where}/{name}, or leave it out: --leave-out "
                f"{where}/{name}"
            )
        largest = max(-tensors[name].low, tensors[name].high)
        if largest > _LARGEST_FLOAT32:
            raise DataError(
                f"{folder.config}: feature {where}/{name} must be at most {_LARGEST_FLOAT32:.2g}, the largest "
                f"number of float32 (got {largest:.2g}). Scale it, or leave it out: --leave-out {where}/{name}"
            )
        columns[feature_column(name)] = name
        if tensors[name].dtype.kind in "iu" and largest > 2**24:
            new_plan.notes.append(
                f"{where}/{name}: its whole numbers above 2**24 are rounded, for features are float32"
            )
        features[name] = FeatureSchema(width=int(np.prod(tensors[name].shape, dtype=np.int64)))
    count = int(folder.starts(row_type)[-1])
    new_plan.names[row_type] = TensorNames(columns=columns, masks=masks)
    if isinstance(row_type, str):
        new_plan.schemas[row_type] = NodeTypeSchema(count=count, id_type="int64", features=features, labels=schemas)
    else:
        new_plan.schemas[row_type] = EdgeTypeSchema(
            edge_type=row_type, count=count, features=features, labels=schemas, split_counts={} if edge_masks else None
        )


def _why_left_out(name: str, tensor: Tensor, chosen: _Chosen) -> str | None:
    if name in chosen.leave_out:
        return "as told"
    if 0 in tensor.shape:
        return "its rows are empty"
    if not _is_name(name):
        return f"names must be {NAME_RULE}"
    if _MASK.match(name):
        return "it is a mask, and no --label is what it splits"
    if name in BOOKKEEPING:
        return "it is DGL's bookkeeping"
    if name in chosen.features:
        return None
    if name in TOKENS:
        return "tokens are no features; --feature takes them for some"
    if name in LABEL_LIKE:
        return "it is named like a label; --label takes it for one"
    if tensor.dtype.kind in "iu" and tensor.shape in ((), (1,)):
        return "whole numbers, one a row, may be classes; --label takes it for a label, --feature for a feature"
    return None


def _label_schema(where: str, name: str, tensor: Tensor) -> LabelSchema:
    """Whole numbers are classes, named by their number, and negative ones mean no label; rows of zeros and ones are
    labels of several classes. Other numbers are for regression."""
    if not _is_name(name):
        raise DataError(f"{where}: a label's name must be {NAME_RULE}. Rename the tensor")
    if (
        len(tensor.shape) == 1
        and tensor.shape[0] > 1
        and tensor.dtype.kind in "biu"
        and 0 <= tensor.low <= tensor.high <= 1
    ):
        return LabelSchema(kind="classes", classes=[str(i) for i in range(tensor.shape[0])])
    if tensor.shape not in ((), (1,)):
        raise DataError(
            f"{where}: a label must be one number a row, or whole zeros and ones, one for each class "
            f"(got rows of shape {tensor.shape})"
        )
    if tensor.dtype.kind == "f":
        return LabelSchema(kind="number")
    if not 0 <= tensor.high < 2**31 - 1:
        raise DataError(f"{where}: classes must be numbered from 0 (got {tensor.low:.0f} to {tensor.high:.0f})")
    return LabelSchema(kind="class", classes=[str(i) for i in range(int(tensor.high) + 1)])


def _plan_reverses(new_plan: Plan, folder: DglFolder, pairs: Sequence[tuple[str, str]]) -> None:
    """Reverse types get the labels and splits of their originals, even if they have tensors of their own."""
    edge_types: dict[str, EdgeType] = {edge_name(t): t for t in folder.edge_types}
    paired: set[EdgeType] = set()
    for pair in pairs:
        for name in pair:
            if name not in edge_types:
                raise ConfigError(unknown(f"--reverse {','.join(pair)}", "edge type", name, edge_types))
        forward, reverse = (edge_types[name] for name in pair)
        if forward == reverse or forward[::2] != reverse[2::-2] or paired & {forward, reverse}:
            raise ConfigError(
                f"--reverse {','.join(pair)}: must be two edge types with swapped ends that are in no other pair"
            )
        paired |= {forward, reverse}
        forward_schema, reverse_schema = new_plan.schemas[forward], new_plan.schemas[reverse]
        assert isinstance(forward_schema, EdgeTypeSchema)
        if forward_schema.count != reverse_schema.count:
            raise DataError(
                f"--reverse {','.join(pair)}: must have as many edges (got {forward_schema.count:,}, "
                f"{reverse_schema.count:,})"
            )
        feature_tensors = {
            column: name for column, name in new_plan.names[reverse].columns.items() if column.startswith("feature:")
        }
        new_plan.names[reverse] = TensorNames(columns=feature_tensors)
        new_plan.schemas[forward] = forward_schema.model_copy(update={"reverse": reverse})
        changes = {
            "reverse": forward,
            "is_reverse": True,
            "labels": forward_schema.labels,
            "split_counts": forward_schema.split_counts,
        }
        new_plan.schemas[reverse] = reverse_schema.model_copy(update=changes)
    for schema in new_plan.schemas.values():
        if (
            isinstance(schema, EdgeTypeSchema)
            and schema.edge_type not in paired
            and new_plan.names[schema.edge_type].masks
        ):
            name, twins = edge_name(schema.edge_type), _twins(schema, new_plan)
            if twins:
                new_plan.notes.append(
                    f"{name} has masks: where {' or '.join(twins)} holds its edges the other way round, say so with "
                    f"--reverse {name},{twins[0]}, or its held-out edges stay visible in it"
                )


def _twins(schema: EdgeTypeSchema, new_plan: Plan) -> list[str]:
    """Edge types in the opposite direction with as many edges."""
    return [
        edge_name(candidate.edge_type)
        for candidate in new_plan.schemas.values()
        if isinstance(candidate, EdgeTypeSchema)
        and candidate.edge_type != schema.edge_type
        and candidate.edge_type[::2] == schema.edge_type[2::-2]
        and candidate.count == schema.count
    ]


def _is_name(value: str) -> bool:
    try:
        _NAME.validate_python(value)
    except ValidationError:
        return False
    return True


_NAME: TypeAdapter[str] = TypeAdapter(Name)


def summary(plan: Plan) -> list[str]:
    """A line for each type: its features, labels and splits."""
    lines = []
    for row_type, schema in plan.schemas.items():
        what = [f"features {', '.join(schema.features)}"] if schema.features else []
        what += [f"{label.kind} label {name}" for name, label in schema.labels.items()]
        if isinstance(schema, EdgeTypeSchema) and schema.split_counts is not None:
            what.append("split of its edges")
        unit = "node" if isinstance(row_type, str) else "edge"
        lines.append(f"{written(row_type)}: {counted(schema.count, unit)}" + "".join(f", {w}" for w in what))
    return lines
