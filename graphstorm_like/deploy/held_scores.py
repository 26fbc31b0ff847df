"""Scores of a run's test rows with their spread, from the predictions that `gsl infer` has written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.config.tasks.labels import EdgeLabelConfig, NodeLabelConfig
from graphstorm_like.deploy.bootstrap import MAX_ROWS, bounds, samples
from graphstorm_like.deploy.run import FinishedRun
from graphstorm_like.files import read_object
from graphstorm_like.inference.writers import MANIFEST_FILE
from graphstorm_like.launch.state import stage_folder
from graphstorm_like.tasks.targets import TARGETS, LabelTarget


@dataclass(frozen=True)
class HeldRows:
    """What was predicted for the labelled test rows [n], and their labels, as the target measures them."""

    target: LabelTarget
    predicted: npt.NDArray[np.float32]
    labels: npt.NDArray[Any]

    def intervals(self) -> dict[str, tuple[float, float]]:
        """By metric, the bounds within which the metric of 95 % of the samples lies: rows drawn with replacement."""
        found: dict[str, list[float]] = {}
        for (rows,) in samples([len(self.labels)]):
            for name, value in self.target.metrics(self.predicted[rows], self.labels[rows]).items():
                found.setdefault(name, []).append(value)
        return bounds(found)

    def of_classes(self) -> list[tuple[str, float, float, float, int]]:
        """(class, precision, recall, F1, test rows) of each class that test rows have; none for numbers."""
        if not self.target.classes:
            return []
        rows, sets = [], self.labels.ndim == 2
        predicted = self.target.chosen(self.predicted) if sets else self.predicted.argmax(axis=1)
        for number, name in enumerate(self.target.classes):
            true = self.labels[:, number] == 1 if sets else self.labels == number
            said = predicted[:, number] if sets else predicted == number
            right = int((true & said).sum())
            precision, recall = right / max(int(said.sum()), 1), right / max(int(true.sum()), 1)
            f1 = 2 * precision * recall / (precision + recall) if right else 0.0
            if true.any():
                rows.append((name, precision, recall, f1, int(true.sum())))
        return rows


def held_rows(run: FinishedRun) -> HeldRows | None:
    """The test rows of a finished run; None when it has not been inferred with these weights, or the task has no
    labels."""
    folder = stage_folder(run.pipeline, "infer")
    manifest = read_object(folder / MANIFEST_FILE) or {}
    table = manifest.get("tables", {}).get("predictions")
    task: TaskConfig = run.pipeline.task
    if table is None or manifest.get("model") != run.weights_id or manifest.get("format", "parquet") != "parquet":
        return None
    if not issubclass(type(task), NodeLabelConfig | EdgeLabelConfig):
        return None
    rows = pa.concat_tables([_of_splits(folder / shard["file"]) for shard in table["shards"]])
    train, test = (rows.filter(pc.equal(rows["split"], split)) for split in ("train", "test"))
    if not len(test) or not len(train):
        return None
    chosen = np.unique(np.linspace(0, len(test) - 1, min(len(test), MAX_ROWS)).astype(np.int64))
    return _held_rows(task, manifest, train["label"], test.take(pa.array(chosen)))


def _of_splits(path: Path) -> pa.Table:
    """The labelled rows of the training and test splits in a shard."""
    table = pq.read_table(path)
    kept = [name for name in ("prediction", "probabilities", "label", "split") if name in table.schema.names]
    return table.select(kept).filter(pc.is_in(table["split"], pa.array(["train", "test"])))


def _held_rows(task: Any, manifest: Mapping[str, Any], train: pa.ChunkedArray, test: pa.Table) -> HeldRows:
    classes = list(manifest.get("classes", []))
    if not classes:
        target = TARGETS.of(task)(task, [], train.to_numpy())
        return HeldRows(target, test["prediction"].to_numpy(), test["label"].to_numpy())
    names = pa.array(classes)

    def numbers(labels: pa.ChunkedArray) -> npt.NDArray[np.int64]:
        found: npt.NDArray[np.int64] = pc.index_in(labels, value_set=names).to_numpy().astype(np.int64)
        return found

    probabilities = [part.to_numpy() for part in test["probabilities"].combine_chunks().flatten()]
    read = _sets(classes) if pa.types.is_list(test["label"].type) else numbers
    target = TARGETS.of(task)(task, classes, read(train))
    return HeldRows(target, np.stack(probabilities, axis=1), read(test["label"]))


def _sets(classes: Sequence[str]) -> Callable[[pa.ChunkedArray], npt.NDArray[np.uint8]]:
    """A function from lists of names of classes to [n, C], 1 where a row has the class."""

    def read(labels: pa.ChunkedArray) -> npt.NDArray[np.uint8]:
        lists = labels.combine_chunks()
        having = np.zeros((len(lists), len(classes)), dtype=np.uint8)
        columns = pc.index_in(lists.flatten(), value_set=pa.array(classes, pa.string())).to_numpy()
        having[pc.list_parent_indices(lists).to_numpy(), columns] = 1
        return having

    return read
