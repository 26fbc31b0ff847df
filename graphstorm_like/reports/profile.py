"""RunFolder -> RunReport: everything that the report says, as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.config.base import edge_name
from graphstorm_like.config.inverses import stored
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.graph.schema import SPLITS, LabelSchema
from graphstorm_like.graph.store import Graph, RowType, type_name
from graphstorm_like.launch.state import DONE_FILE, STAGES
from graphstorm_like.launch.summary import suspicions
from graphstorm_like.reports.buckets import bucket_scores, histogram, power_buckets, rank_histogram
from graphstorm_like.reports.classes import calibration, class_scores, confusion, count_classes
from graphstorm_like.reports.embedding_map import embedding_map
from graphstorm_like.reports.examples import examples
from graphstorm_like.reports.model import Breakdown, Cost, CurveRecord, Data, NumberSpread, Residuals, RunReport, Score
from graphstorm_like.reports.nodes import degrees, text_bytes
from graphstorm_like.reports.rows import ScoredRows, labelled_rows, ranked_rows
from graphstorm_like.reports.run_folder import Curve, RunFolder
from graphstorm_like.reports.scores import Rows, Scorer
from graphstorm_like.reports.wording import overfitting
from graphstorm_like.tasks import open_graph
from graphstorm_like.tasks.graph_pretraining import relation_rows

POINTS, FIRST_TEXT = 1500, 16
"""Points of a scatter plot; bytes of the longest texts of the first bucket"""
MOST_EXAMPLES, MOST_MAPS = 12, 4
MEASURES = {"classes": ("accuracy", True), "numbers": ("mean absolute error", False), "ranks": ("mrr", True)}
"""What is shown by bucket, and whether more is better"""


def profile_run(folder: RunFolder, command: Sequence[str] | None = None) -> RunReport:
    """Everything about a run. What cannot be shown is left out, with a note that says why."""
    report = _facts(folder, command)
    if folder.graph_folder is None:
        report.notes.append("The graph folder is not here: scores come without intervals, baselines and examples.")
        return report
    try:
        task = folder.task_config
    except ConfigError as error:
        report.notes.append(f"Scores come alone, for this version cannot read the run's configuration: {error}")
        return report
    on_leak = folder.settings.get("graph", {}).get("on_leak", "warn")
    report.warnings = suspicions(task, on_leak, folder.graph_folder, folder.scores())
    graph = open_graph(task, folder.graph_folder, folder.seed)
    _Profiler(folder, graph, report).fill()
    return report


def _facts(folder: RunFolder, command: Sequence[str] | None) -> RunReport:
    """What needs no graph."""
    train = folder.settings.get("train", {})
    chosen = folder.chosen().get("epoch")
    curves = folder.curves()
    records = [_curve(curve, chosen if curve is curves[-1] else None) for curve in curves]
    scores = {
        split: {name: Score(value=value) for name, value in metrics.items()}
        for split, metrics in folder.scores().items()
    }
    notes = [] if scores else ["The run has not been evaluated: gsl evaluate"]
    return RunReport(
        fingerprint=folder.fingerprint(),
        name=folder.name,
        task=folder.task,
        strategy=str(train.get("strategy", "")),
        phases=[curve.phase for curve in curves],
        seed=folder.seed,
        finished=_finished(folder),
        data=Data(),
        scores=scores,
        attacked=folder.attacked(),
        protocol=folder.protocol(),
        curves=[record for record in records if record.loss or record.valid],
        cost={stage: Cost(**asdict(cost)) for stage, cost in folder.cost().items()},
        versions=folder.versions(),
        command=None if command is None else list(command),
        settings=folder.settings,
        notes=notes,
    )


def _finished(folder: RunFolder) -> str | None:
    files = [folder.stage(stage) / DONE_FILE for stage in STAGES[1:]]
    times = [file.stat().st_mtime for file in files if file.is_file()]
    return datetime.fromtimestamp(max(times), UTC).strftime("%Y-%m-%d %H:%M UTC") if times else None


def _curve(curve: Curve, best_epoch: int | None) -> CurveRecord:
    losses = curve.epochs or curve.steps
    names = {"kind", "update", "epoch", "seconds"}
    valid: dict[str, list[tuple[float, float]]] = {}
    for record in curve.valid:
        for name, value in record.items():
            if name not in names and "/" not in name and isinstance(value, int | float):
                valid.setdefault(name, []).append((record["epoch"] + 1.0, float(value)))
    points = [(record["epoch"] + 1.0, float(record["loss"])) for record in losses if "loss" in record]
    return CurveRecord(phase=curve.phase, loss=points, valid=valid, best_epoch=best_epoch)


class _Profiler:
    """Fills in what comes from the graph and the exported files."""

    def __init__(self, folder: RunFolder, graph: Graph, report: RunReport) -> None:
        self.folder, self.graph, self.report = folder, graph, report
        self.task = folder.task_config
        self.manifest = graph.manifest
        self.relations = self.task.ranked_relations(self.manifest.original_edge_types())
        self.label: str | None = getattr(self.task, "label", None)

    @property
    def _metrics_of_one_task(self) -> bool:
        return bool(getattr(self.task, "metrics", []))

    def fill(self) -> None:
        """All sections, each of which may be missing."""
        self.report.data = self._data()
        try:
            rows = self._rows()
        except DataError as error:
            self.report.notes.append(str(error))
            return
        if not self._metrics_of_one_task:
            self.report.notes.append("Of several tasks at once the report shows the scores and the curves alone.")
        elif not rows:
            self.report.notes.append("There are no predictions or ranks to look at: gsl evaluate and gsl infer.")
        scorer = Scorer(self.task, self._training_labels(), self.report.data.classes)
        self._scores(scorer, rows)
        self._overfitting(rows)
        split = next((split for split in ("test", "valid") if rows.get(split)), None)
        if split is not None:
            self.report.looked_at = split
            self._look_at(rows[split])
        self._maps()

    # ------------------------------------------------------------------------------------------------------- data

    def _data(self) -> Data:
        nodes = {name: node.count for name, node in self.manifest.nodes.items()}
        edges = {edge_name(edge.edge_type): edge.count for edge in self.manifest.edges if not edge.is_reverse}
        data = Data(nodes=nodes, edges=edges)
        schema, row_type = self._schema(), self.task.row_type
        if schema is not None and row_type is not None:
            data.classes = list(schema.classes)
            for split in SPLITS[1:]:
                self._label_facts(data, split, self._labels_of(row_type, split))
        elif self.relations:
            by_relation = [
                relation_rows(self.graph, relation) for relation in dict.fromkeys(map(stored, self.relations))
            ]
            for split in SPLITS[1:]:
                data.rows[split] = sum(len(rows[split]) for rows in by_relation)
        return data

    @staticmethod
    def _label_facts(data: Data, split: str, labels: npt.NDArray[Any]) -> None:
        data.rows[split] = len(labels)
        if data.classes:
            data.class_counts[split] = np.bincount(labels, minlength=len(data.classes)).tolist()
        elif len(labels):
            values = labels.astype(np.float64)
            data.numbers[split] = NumberSpread(
                mean=float(values.mean()), std=float(values.std()), min=float(values.min()), max=float(values.max())
            )

    def _schema(self) -> LabelSchema | None:
        row_type = self.task.row_type
        if self.label is None or row_type is None:
            return None
        known = self.manifest.node(row_type) if isinstance(row_type, str) else self.manifest.edge(row_type)
        schema = known.labels.get(self.label)
        return schema if schema is not None and schema.kind != "classes" else None

    def _labels_of(self, row_type: RowType, split: str) -> npt.NDArray[Any]:
        """Labels of the rows of a split that have one."""
        assert self.label is not None
        if isinstance(row_type, str):
            values, rows = self.graph.label(row_type, self.label), self.graph.label_rows(row_type, self.label, split)
        else:
            values = self.graph.edge_label(row_type, self.label)
            rows = self.graph.edge_label_rows(row_type, self.label, split)
        found: npt.NDArray[Any] = values[rows]
        return found[~np.isnan(found)] if found.dtype.kind == "f" else found[found >= 0]

    def _training_labels(self) -> npt.NDArray[Any] | None:
        row_type = self.task.row_type
        return None if self._schema() is None or row_type is None else self._labels_of(row_type, "train")

    def _rows(self) -> dict[str, Rows]:
        """By split: rows of the task's type, or of each relation."""
        row_type = self.task.row_type
        if self._schema() is not None and row_type is not None:
            labelled = labelled_rows(self.folder, self.graph, row_type)
            return {split: [rows] for split, rows in labelled.items()}
        found: dict[str, list[ScoredRows]] = {}
        for relation in self.relations if self._metrics_of_one_task else ():
            for split, rows in ranked_rows(self.folder, self.graph, relation).items():
                found.setdefault(split, []).append(rows)
        return dict(found)

    # ----------------------------------------------------------------------------------------------------- scores

    def _scores(self, scorer: Scorer, rows: Mapping[str, Rows]) -> None:
        report, evaluated = self.report, self.folder.scores()
        report.metrics = scorer.facts()
        for split, metrics in evaluated.items():
            if split in rows:
                report.scores[split] = scorer.scores(split, rows[split], metrics)
                report.notes += scorer.differences(split, rows[split], metrics)
        if any(part.outputs is None for parts in rows.values() for part in parts):
            classes = len(report.data.classes)
            report.notes.append(f"With so many rows and {classes:,} classes, intervals and baselines are left out.")
        report.baselines = _simple_scores(self.folder)
        if not report.baselines and self._schema() is not None:
            report.baselines = scorer.label_baselines(rows)
        elif not report.baselines and rows:
            seed = self.folder.seed
            report.baselines = scorer.link_baselines(self.graph, self.relations, report.protocol, seed)
        for models in self.folder.simple_models():
            report.best_baseline = models.best
            if models.beats(evaluated):
                report.notes.insert(0, f"{models.warning(evaluated)}.")

    def _overfitting(self, rows: Mapping[str, Rows]) -> None:
        """Say of the last phase whether it has learnt its rows by heart."""
        chosen = next((name for name, facts in self.report.metrics.items() if facts.selects), None)
        if not self.report.curves or chosen is None:
            return
        curve = self.report.curves[-1]
        loss = getattr(self.task, "loss", None)
        valid_loss = None
        if getattr(loss, "type", None) == "cross_entropy" and not getattr(loss, "label_smoothing", 0.0):
            valid_loss = _cross_entropy(rows.get("valid", ()))
        higher = self.report.metrics[chosen].higher_is_better
        curve.overfitting = overfitting(curve.loss, curve.valid.get(chosen, ()), higher, valid_loss)

    # ------------------------------------------------------------------------------------------------ one split

    def _look_at(self, parts: Rows) -> None:
        report, classes = self.report, self.report.data.classes
        measured = parts[0].measured
        if measured == "classes":
            self._look_at_classes(parts[0], classes)
        elif measured == "numbers":
            report.residuals = residuals(parts[0])
        else:
            report.ranks = rank_histogram(np.concatenate([rows.ranks for rows in parts if rows.ranks is not None]))
        for rows in parts[:MOST_MAPS]:
            report.breakdowns += self._breakdowns(rows)
        found = [example for rows in parts for example in examples(self.folder, self.graph, rows, classes)]
        if measured == "ranks":
            found.sort(key=lambda example: -(example.rank or 0.0))
        report.examples = found[:MOST_EXAMPLES]

    def _look_at_classes(self, rows: ScoredRows, classes: Sequence[str]) -> None:
        assert rows.true is not None
        assert rows.predicted is not None
        assert rows.confidence is not None
        self.report.classes = class_scores(count_classes(rows.true, rows.predicted, len(classes)), classes)
        self.report.confusion = confusion(rows.true, rows.predicted, classes)
        self.report.calibration = calibration(rows.confidence, rows.true == rows.predicted)

    def _breakdowns(self, rows: ScoredRows) -> list[Breakdown]:
        measured, found = _row_measures(rows), []
        name, higher = MEASURES[rows.measured]
        several = len(self.relations) > 1 and not isinstance(rows.row_type, str)
        relation = f"{type_name(rows.row_type)}, " if several else ""
        values: list[tuple[str, str, npt.NDArray[np.int64] | None, int]] = []
        for end in rows.ends:
            of = f"{relation}{end.name}"
            values.append(("degree", of, degrees(self.graph, end.node_type)[end.ids], 1))
            values.append(("text length", of, text_bytes(self.graph, end.node_type, end.ids), FIRST_TEXT))
        if rows.measured != "ranks" and not isinstance(rows.row_type, str):
            values.append(("text length", "edge", text_bytes(self.graph, rows.row_type, rows.rows), FIRST_TEXT))
        for by, of, numbers, first in values:
            if numbers is None:
                continue
            buckets = bucket_scores(measured, power_buckets(numbers, first))
            if len(buckets) > 1:
                found.append(Breakdown(by=by, of=of, measure=name, higher_is_better=higher, buckets=buckets))
        return found

    def _maps(self) -> None:
        exported = [name for name in self.folder.exported().get("tables", {}) if name.startswith("embeddings/")]
        for table in exported[:MOST_MAPS]:
            node_type = table.removeprefix("embeddings/")
            if node_type not in self.manifest.nodes:
                continue
            found = embedding_map(self.folder, self.graph, node_type, self.label)
            if found is not None:
                self.report.maps.append(found)


def _simple_scores(folder: RunFolder) -> dict[str, dict[str, dict[str, float]]]:
    """Return the scores of simple models by name, split and metric, without validation scores of a part of the rows.
    Of several tasks the name of the task stands before that of the model."""
    found = {}
    for models in folder.simple_models():
        for name, scores in models.scores.items():
            shown = {split: of for split, of in scores.items() if not (split == "valid" and models.valid_is_sample)}
            found[f"{models.task}: {name}" if models.task else name] = shown
    return found


def _cross_entropy(parts: Rows) -> float | None:
    """Return the mean of -log of the probability of the true class; None where probabilities are not known."""
    rows = next(iter(parts), None)
    if rows is None or rows.true is None or rows.probabilities is None or not len(rows):
        return None
    of_true = rows.probabilities[np.arange(len(rows)), rows.true].astype(np.float64)
    return float(-np.log(np.maximum(of_true, 1e-7)).mean())


def _row_measures(rows: ScoredRows) -> npt.NDArray[np.float64]:
    """What MEASURES says, of each row."""
    if rows.ranks is not None:
        return 1.0 / rows.ranks
    assert rows.true is not None
    assert rows.predicted is not None
    if rows.measured == "numbers":
        errors: npt.NDArray[np.float64] = np.abs(rows.predicted - rows.true)
        return errors
    right: npt.NDArray[np.float64] = (rows.true == rows.predicted).astype(np.float64)
    return right


def residuals(rows: ScoredRows) -> Residuals:
    """Of predicted numbers."""
    assert rows.true is not None
    assert rows.predicted is not None
    error = rows.predicted - rows.true
    shown = np.unique(np.linspace(0, len(error) - 1, min(POINTS, len(error))).astype(np.int64))
    percents = (5, 25, 50, 75, 95)
    quantiles = np.percentile(error, percents).tolist()
    return Residuals(
        mean=float(error.mean()),
        std=float(error.std()),
        quantiles={str(percent): float(value) for percent, value in zip(percents, quantiles, strict=True)},
        points=[(float(rows.true[i]), float(rows.predicted[i])) for i in shown.tolist()],
        bins=histogram(error),
    )
