"""What simple models of a label have in common: the labelled rows of a task, and how predictions are scored."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.baselines.base import Family
from graphstorm_like.baselines.labels.kinds import KINDS, Fitted, Numbers, Predict
from graphstorm_like.baselines.outcome import Scores, Setting
from graphstorm_like.baselines.terms import joined_texts, text_names, tfidf
from graphstorm_like.baselines.union import UnionGraph
from graphstorm_like.config.features import made_by
from graphstorm_like.config.model import ModelConfig
from graphstorm_like.graph.schema import SPLITS, EdgeTypeSchema, FeatureSchema, NodeTypeSchema
from graphstorm_like.graph.store import IntArray, NodeType, RowType
from graphstorm_like.inputs.choose import chosen_inputs, scored_inputs
from graphstorm_like.tasks import LabelTask


class LabelData:
    """The labelled rows of a task in one order: training, validation, test. Inputs are made when they are asked for."""

    def __init__(self, task: LabelTask, config: Any, model: ModelConfig, union: UnionGraph) -> None:
        self.task, self.union, self.graph = task, union, task.graph
        self._config, self._model = config, model
        parts = [task.rows(split) for split in SPLITS[1:]]
        self.ids: IntArray = np.concatenate(parts)
        ends = np.cumsum([0, *map(len, parts)])
        self.part = {split: slice(ends[i], ends[i + 1]) for i, split in enumerate(SPLITS[1:])}
        self.labels: Numbers = task.labels[self.ids]
        self.kind = KINDS.of(task.target)(task.target, self.labels[self.part["train"]])

    @property
    def node_type(self) -> NodeType | None:
        """Whose label it is; None: that of edges."""
        return self.task.row_type if isinstance(self.task.row_type, str) else None

    def score(self, predicted: Numbers, split: str) -> Scores:
        """The task's own metrics, from predictions for the rows of a split."""
        part = self.part[split]
        return self.task.target.metrics(predicted.astype(np.float32), self.labels[part])

    def setting(self, name: str, rows: Any, predict: Predict) -> Setting:
        """A fitted model of inputs [labelled rows, F]."""
        return Setting(name, lambda split: self.score(predict(rows[self.part[split]]), split))

    def settings(self, rows: Any, fitted: Iterable[Fitted]) -> Iterator[Setting]:
        """Of models of the same inputs."""
        for setting, predict in fitted:
            yield self.setting(setting, rows, predict)

    # ------------------------------------------------------------------------------------------------ inputs

    @cached_property
    def places(self) -> list[tuple[RowType, IntArray]]:
        """(type, ids) of what a row reads: a node reads itself; an edge itself and both its ends."""
        if self.node_type is not None:
            return [(self.node_type, self.ids)]
        edge_type = self.task.row_type
        sources, targets = self.graph.edges(edge_type, self.ids)  # type: ignore[arg-type]
        return [(edge_type, self.ids), (edge_type[0], sources), (edge_type[2], targets)]

    @property
    def has_text(self) -> bool:
        """Whether a place has a text."""
        return any(self._texts_of(row_type) for row_type, _ in self.places)

    @cached_property
    def terms(self) -> Any:
        """Sparse TF-IDF rows [n, terms] of the texts of all places, each with columns of its own."""
        import scipy.sparse as sp

        train = np.arange(len(self.kind.train))
        blocks = []
        for row_type, ids in self.places:
            if self._texts_of(row_type):
                blocks.append(tfidf(joined_texts(self.graph, row_type, ids), train))
        return sp.hstack(blocks).tocsr()

    @property
    def text_bytes(self) -> int:
        """About how many bytes the texts of all places have."""
        total = 0.0
        for row_type, ids in self.places:
            for name in self._texts_of(row_type):
                column = self.graph.text(row_type, name)
                total += column.nbytes * len(ids) / max(1, len(column))
        return int(total)

    def _texts_of(self, row_type: RowType) -> list[str]:
        """All texts of nodes; of the scored edges those that the task lets a head read."""
        if isinstance(row_type, str):
            return text_names(self.graph, row_type)
        return scored_inputs(self._config, self.graph.manifest).get(row_type, ([], []))[1]

    def _features_of(self, row_type: RowType) -> list[str]:
        if isinstance(row_type, str):
            return chosen_inputs(self._model, self.graph.manifest, row_type).features
        return scored_inputs(self._config, self.graph.manifest).get(row_type, ([], []))[0]

    @cached_property
    def feature_width(self) -> int:
        """Numbers a row that the model reads of all places; 0 where it reads none."""
        return sum(self._schema(row_type, name).width for row_type, _, name in self._all_features())

    @cached_property
    def features(self) -> npt.NDArray[np.float32]:
        """The features that the model reads [n, F], of all places; F is `feature_width`."""
        columns = [np.zeros((len(self.ids), 0), dtype=np.float32)]
        for row_type, ids, name in self._all_features():
            columns.append(np.asarray(self.graph.gather(row_type, name, ids), dtype=np.float32))
        return np.concatenate(columns, axis=1)

    @cached_property
    def feature_entries(self) -> Any:
        """The same as a sparse matrix; wide features of categories are never dense."""
        import scipy.sparse as sp

        blocks = []
        for row_type, ids, name in self._all_features():
            if self._schema(row_type, name).sparse:
                rows = self.graph.begin_entries(row_type, name, ids).wait()
                entries = (rows.values.astype(np.float32), rows.indices, rows.offsets)
                blocks.append(sp.csr_matrix(entries, shape=rows.shape))
            else:
                blocks.append(sp.csr_matrix(np.asarray(self.graph.gather(row_type, name, ids), dtype=np.float32)))
        return sp.hstack(blocks).tocsr()

    def _all_features(self) -> list[tuple[RowType, IntArray, str]]:
        """(type, ids, feature) of all places, without words of texts that models of texts read."""
        found = []
        for row_type, ids in self.places:
            schemas = self._row_schema(row_type).text
            texts = [set(schemas[name].columns) for name in self._texts_of(row_type)]
            for name in self._features_of(row_type):
                if not _says_words_of(self._row_schema(row_type).features[name], texts):
                    found.append((row_type, ids, name))
        return found

    def _row_schema(self, row_type: RowType) -> NodeTypeSchema | EdgeTypeSchema:
        manifest = self.graph.manifest
        return manifest.node(row_type) if isinstance(row_type, str) else manifest.edge(row_type)

    def _schema(self, row_type: RowType, name: str) -> FeatureSchema:
        return self._row_schema(row_type).features[name]


def _says_words_of(feature: FeatureSchema, texts: Sequence[Collection[str]]) -> bool:
    """Whether it is made of the columns of a text alone, and says which words they have."""
    kind, fitted = made_by(feature.fitted), feature.fitted
    columns = fitted.get("columns") or [fitted.get("column")]
    return kind.of_texts and any(set(columns) <= set(text) for text in texts)


LABELS: Family[LabelData] = Family("graphstorm_like.baselines.labels")
