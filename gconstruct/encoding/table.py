"""All attributes of a node or edge table: features, texts, images, labels and splits, encoded piece by piece.

    fit(piece)                  statistics;  merge(first, second)  statistics of both
    state(statistics, piece)    what the graph folder keeps, from the statistics of all rows
    apply(piece, state)         the columns of these rows, as they are written

One process with the whole table does the same as many that read pieces of it: everything that is passed on can be
pickled. What is wrong goes to `problems`, and the step gives None.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from gconstruct.attributes import Attributes
from gconstruct.encoding.hard_negatives import joined_ids
from gconstruct.encoding.images import encode_image
from gconstruct.encoding.labels import ClassEncoder, LabelEncoder, label_encoder
from gconstruct.encoding.splits import SplitEncoder, SplitPlace
from gconstruct.encoding.texts import encode_text
from gconstruct.encoding.times import encode_time
from gconstruct.features import apply_fitted, fit_feature, fitted_feature, transform_of
from gconstruct.problems import Problems
from gconstruct.splits import HashedIds, split_counts
from gconstruct.values import Source, TableRows
from graphstorm_like.config.graph import EdgeConfig, NodeConfig
from graphstorm_like.graph.schema import (
    HARD_NEGATIVES_COLUMN,
    NO_CLASSES,
    NO_LABEL,
    SPLIT_COLUMN,
    TIME_COLUMN,
    FeatureSchema,
    ImageSchema,
    LabelSchema,
    TextSchema,
    TimeSchema,
    feature_column,
    image_column,
    label_column,
    label_split_column,
    text_column,
)

Statistics = dict[str, Any]
"""By the column of the graph folder"""
Columns = dict[str, np.ndarray | pa.Array]


@dataclass(frozen=True, slots=True)
class TableState:
    """What is known once all rows were seen."""

    features: dict[str, FeatureSchema]
    classes: dict[str, list[str]]
    """By label; empty for numbers"""
    splits: dict[str, dict[str, Any]]
    """By the column of the graph folder"""
    known: bool = False
    """It is that of another graph: there may be classes that it does not know."""
    absent: dict[str, LabelSchema] = field(default_factory=dict)
    """Labels of that graph that the table lacks: no row has one."""
    absent_split: bool = False
    """Whether the edges of that graph have a split, and those of the table are in none."""


@dataclass(slots=True)
class Encoded:
    """Columns of some rows by their name in the graph folder, and counts, which add up over pieces."""

    columns: Columns = field(default_factory=dict)
    label_counts: dict[str, Counter[str]] = field(default_factory=dict)
    """Rows with a label by the name of their split"""
    lost_splits: Counter[str] = field(default_factory=Counter)
    """Rows with a split but no label, by label"""
    split_counts: Counter[str] | None = None
    """Rows by the name of their split; None: the table has no split of its own"""

    def count(self, later: Encoded) -> None:
        """Add the counts of a later piece, not its columns."""
        for label, counts in later.label_counts.items():
            self.label_counts.setdefault(label, Counter()).update(counts)
        self.lost_splits.update(later.lost_splits)
        if later.split_counts is not None:
            self.split_counts = self.split_counts or Counter()
            self.split_counts.update(later.split_counts)


class TableEncoder:
    """The attributes of one table. key: its place in the YAML. base: folder where relative paths start. known: the
    state of another graph, which is taken as it is."""

    def __init__(
        self, config: NodeConfig | EdgeConfig, key: str, base: str = ".", known: TableState | None = None
    ) -> None:
        self._config, self._key, self._base, self._known = config, key, base, known
        self._features = {name: feature for name, feature in config.features.items() if feature.of_columns}
        self._labels = {name: label_encoder(name, label, key) for name, label in config.labels.items()}
        self._images = config.image
        self._splits: dict[str, SplitEncoder] = {}
        for name, label in self._labels.items():
            classes = label.names if isinstance(label, ClassEncoder) else None
            place = SplitPlace(config, f"{label.key}.split", base, classes)
            self._splits[label_split_column(name)] = SplitEncoder(label.config.split, place)
        if config.split is not None:
            self._splits[SPLIT_COLUMN] = SplitEncoder(config.split, SplitPlace(config, f"{key}.split", base))

    @property
    def needs_fit(self) -> bool:
        """Whether `fit` must see all rows before any is encoded."""
        if self._known is not None:
            return bool(self._fitted_splits())
        return bool(self._features or self._labels) or any(s.needs_fit for s in self._splits.values())

    def _fitted_splits(self) -> dict[str, SplitEncoder]:
        """Those that look at all rows."""
        if self._known is None:
            return self._splits
        return {column: split for column, split in self._splits.items() if split.checks_all_rows}

    def fit(self, table: TableRows, problems: Problems) -> Statistics:
        """Statistics of a piece; those of an attribute with a problem are None."""
        statistics: Statistics = {}
        if self._known is None:
            for name, feature in self._features.items():
                statistics[feature_column(name)] = fit_feature(feature, self._feature_source(name, table, problems))
            for name, label in self._labels.items():
                statistics[label_column(name)] = label.fit(table, problems)
        for column, split in self._fitted_splits().items():
            statistics[column] = split.fit(table, problems)
        return statistics

    def merge(self, first: Statistics, second: Statistics) -> Statistics:
        """Statistics of the rows of both; the order of the pieces is that of the table."""
        merged: Statistics = {}
        for column, earlier in first.items():
            later = second[column]
            known = earlier is not None and later is not None
            merged[column] = self._merger(column)(earlier, later) if known else None
        return merged

    def _merger(self, column: str) -> Any:
        if column in self._splits:
            return self._splits[column].merge
        kind, _, name = column.partition(":")
        if kind == label_column("").rstrip(":"):
            return self._labels[name].merge
        return transform_of(self._features[name]).merge

    def state(self, statistics: Statistics, table: TableRows, problems: Problems) -> TableState | None:
        """The state of all attributes. table: any piece, also without rows."""
        before = len(problems)
        if self._known is not None:
            self._split_states(statistics, table, problems)
            return self._known if len(problems) == before else None
        features: dict[str, FeatureSchema] = {}
        for name, feature in self._features.items():
            fitted, source = statistics[feature_column(name)], self._feature_source(name, table, problems)
            schema = None if fitted is None else fitted_feature(feature, fitted, source)
            if schema is not None:
                features[name] = schema
        classes: dict[str, list[str]] = {}
        for name, label in self._labels.items():
            seen = statistics[label_column(name)]
            names = None if seen is None else label.classes(seen, table, problems)
            if names is not None:
                classes[name] = names
        splits = self._split_states(statistics, table, problems)
        return TableState(features, classes, splits) if len(problems) == before else None

    def _split_states(self, statistics: Statistics, table: TableRows, problems: Problems) -> dict[str, dict[str, Any]]:
        """By column, of those that look at all rows; without those that have a problem."""
        states: dict[str, dict[str, Any]] = {}
        for column, split in self._fitted_splits().items():
            state = None if statistics[column] is None else split.state(statistics[column], table, problems)
            if state is not None:
                states[column] = state
        return states

    def apply(self, table: TableRows, state: TableState, hashed_ids: HashedIds, problems: Problems) -> Encoded | None:
        """The columns of a piece. hashed_ids: the strings that splits hash."""
        before, out = len(problems), Encoded()
        for name, schema in state.features.items():
            numbers = apply_fitted(schema, self._feature_source(name, table, problems))
            if numbers is not None:
                out.columns[feature_column(name)] = numbers
        for name, text in self._config.text.items():
            out.columns[text_column(name)] = encode_text(table, text)
        for name, label in self._labels.items():
            labels = label.apply(table, state.classes[name], problems, refuse_unknown=state.known)
            splits = self._apply_split(label_split_column(name), table, state, hashed_ids, problems)
            if labels is not None and splits is not None:
                _add_label(name, label, labels, splits, out)
        _add_absent(state, len(table), out)
        if SPLIT_COLUMN in self._splits:
            splits = self._apply_split(SPLIT_COLUMN, table, state, hashed_ids, problems)
            if splits is not None:
                out.columns[SPLIT_COLUMN], out.split_counts = splits, Counter(split_counts(splits))
        for name, image in self._images.items():
            pixels = encode_image(image, table.source(image.column, f"{self._key}.image.{name}", problems), self._base)
            if pixels is not None:
                out.columns[image_column(name)] = pixels
        self._apply_time(table, out, problems)
        if self._config.hard_negatives is not None:
            # Ids: the positions of nodes are known once all tables are read.
            out.columns[HARD_NEGATIVES_COLUMN] = joined_ids(table, self._config.hard_negatives)
        return out if len(problems) == before else None

    def _apply_time(self, table: TableRows, out: Encoded, problems: Problems) -> None:
        if self._config.time is not None:
            source = table.source(self._config.time.column, f"{self._key}.time", problems)
            times = encode_time(self._config.time, source)
            if times is not None:
                out.columns[TIME_COLUMN] = times

    def _apply_split(
        self, column: str, table: TableRows, state: TableState, hashed_ids: HashedIds, problems: Problems
    ) -> np.ndarray | None:
        return self._splits[column].apply(table, state.splits[column], hashed_ids, problems)

    def _feature_source(self, name: str, table: TableRows, problems: Problems) -> Source:
        columns, key = transform_of(self._features[name]).columns, f"{self._key}.features.{name}"
        first, *others = (table.source(column, key, problems) for column in columns)
        return replace(first, others=tuple(others), base=self._base)

    def describe(self, state: TableState, counted: Encoded) -> Attributes:
        """The columns of `counted` with what the manifest says about them. counted: the counts of all pieces."""
        labels: dict[str, LabelSchema] = {}
        for name, label in self._labels.items():
            counts = counted.label_counts.get(name, Counter(split_counts(np.empty(0, np.uint8))))
            labels[name] = LabelSchema(
                kind=label.config.kind,
                classes=state.classes[name],
                counts=dict(counts),
                fitted_split=self._kept(label_split_column(name), state),
            )
        none_labelled = dict(split_counts(np.empty(0, np.uint8)))
        for name, absent in state.absent.items():
            labels[name] = absent.model_copy(update={"counts": none_labelled})
        texts = self._config.text
        text = {n: TextSchema(columns=t.template_columns(), template=t.template) for n, t in texts.items()}
        image = {n: ImageSchema(height=i.size[0], width=i.size[1]) for n, i in self._images.items()}
        splits = None if counted.split_counts is None else dict(counted.split_counts)
        lost = {name: rows for name, rows in counted.lost_splits.items() if rows}
        kept = self._kept(SPLIT_COLUMN, state)
        time = None if self._config.time is None else TimeSchema(kind=self._config.time.kind)
        return Attributes(counted.columns, state.features, text, image, labels, splits, kept, lost, time)

    def _kept(self, column: str, state: TableState) -> dict[str, Any]:
        """What graph.json keeps of a split."""
        if column not in self._splits:
            return state.splits.get(column, {})
        return state.splits[column] if self._splits[column].keeps_state else {}


def no_labels(schema: LabelSchema, rows: int) -> np.ndarray:
    """The column of a label that no row has."""
    if schema.kind == "classes":
        return np.full((rows, len(schema.classes)), NO_CLASSES, dtype=np.uint8)
    return np.full(rows, np.nan, np.float32) if schema.kind == "number" else np.full(rows, NO_LABEL, np.int32)


def _add_absent(state: TableState, rows: int, out: Encoded) -> None:
    """The labels and the split that rows of the known graph have, and these have not."""
    for name, schema in state.absent.items():
        out.columns[label_column(name)] = no_labels(schema, rows)
        out.columns[label_split_column(name)] = np.zeros(rows, dtype=np.uint8)
    if state.absent_split:
        splits = np.zeros(rows, dtype=np.uint8)
        out.columns[SPLIT_COLUMN], out.split_counts = splits, Counter(split_counts(splits))


def _add_label(name: str, encoder: LabelEncoder, labels: np.ndarray, splits: np.ndarray, out: Encoded) -> None:
    """Rows without a label are in no split."""
    labelled = encoder.has_label(labels)
    if encoder.config.split.is_written:  # a draw gives every row a split: that one is not lost
        out.lost_splits[name] = int(np.count_nonzero(~labelled & (splits > 0)))
    splits[~labelled] = 0
    out.label_counts[name] = Counter(split_counts(splits[labelled]))
    out.columns[label_column(name)], out.columns[label_split_column(name)] = labels, splits
