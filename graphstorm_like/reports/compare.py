"""Runs beside each other: scores, cost, and what differs in their configurations.

The best run is chosen by the validation number that selects models, never by test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from graphstorm_like.errors import DataError
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.reports.run_folder import RunFolder
from graphstorm_like.training.trackers import flat

_NEUTRAL = (
    "name",
    "output",
    "cache",
    "quality",
    "report",
    "baselines",
    "graph.path",
    "graph.base",
    "launch.",
    "train.track.",
)
"""Keys in which runs may differ without differing in what they do"""


@dataclass(frozen=True, slots=True)
class Interval:
    """A score; the ends of its 95 % interval where the run's report has them."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(slots=True)
class ComparedRun:
    """A row of the comparison."""

    name: str
    folder: str
    scores: dict[str, dict[str, Interval]]
    """By split, by metric; numbers of single relations are left out"""
    validated: str
    """'evaluate', or 'training' where the validation scores are those by which training chose its model"""
    seconds: float | None = None
    """Of all stages but construction, which runs may share"""
    cpu_seconds: float | None = None
    peak_bytes: int | None = None
    resumed: bool = False
    """Whether the cost is that of the last attempt alone"""
    best_epoch: int | None = None
    curve: list[tuple[float, float]] = field(default_factory=list)
    """(epoch, validation number) of the last phase"""

    def score(self, split: str, metric: str) -> Interval | None:
        """None: there is none."""
        return self.scores.get(split, {}).get(metric)


@dataclass(slots=True)
class Comparison:
    """All runs, in the order they were given."""

    metric: str | None
    """By which the best is chosen; None: the runs are not selected by the same one"""
    higher_is_better: bool
    best: str | None
    """The best run's name by validation"""
    runs: list[ComparedRun]
    differences: dict[str, list[Any]]
    """By key: the value of each run; None where it has no such key"""
    notes: list[str]
    """Why scores may not be comparable"""
    simple: ComparedRun | None = None
    """The simple model with the best validation score, on the same graph and task; None: none was fitted, or graphs or
    tasks differ"""

    def as_json(self) -> dict[str, Any]:
        """Plain values; NaN is null."""
        content: dict[str, Any] = _plain(asdict(self))
        return content

    def order(self) -> list[ComparedRun]:
        """The best by validation first; those without a score last."""
        if self.metric is None:
            return list(self.runs)
        metric, sign = self.metric, -1.0 if self.higher_is_better else 1.0

        def key(run: ComparedRun) -> tuple[bool, float]:
            score = run.score("valid", metric)
            known = score is not None and math.isfinite(score.value)
            return (not known, sign * score.value if score is not None and known else 0.0)

        return sorted(self.runs, key=key)


def compare(folders: Sequence[RunFolder]) -> Comparison:
    """Compare runs. DataError when there are none, or a run has been given twice."""
    paths = [folder.path.resolve() for folder in folders]
    if not paths:
        raise DataError("gsl compare: must be given runs (got none). Name their output folders")
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise DataError(f"{twice}: must be given once (got it twice). Remove one")
    names = short_names(paths)
    runs = [_run(name, folder) for name, folder in zip(names, folders, strict=True)]
    metrics = {folder.select_by for folder in folders}
    metric = metrics.pop() if len(metrics) == 1 else None
    compared = Comparison(metric, folders[0].higher_is_better, None, runs, differences(folders), _notes(folders))
    if metric is not None:
        compared.simple = None if compared.notes else _simple(folders, metric)
        first = compared.order()[0]
        compared.best = first.name if first.score("valid", metric) is not None else None
    return compared


def short_names(paths: Sequence[Path]) -> list[str]:
    """The last parts of paths, as many as tell them apart."""
    for count in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-count:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def differences(folders: Sequence[RunFolder]) -> dict[str, list[Any]]:
    """Keys of the resolved configurations whose values differ, with the value of each run. Of a section that only some
    runs have, and of one of another type, each key is listed."""
    settings = [flat(folder.settings) for folder in folders]
    keys = dict.fromkeys(key for each in settings for key in each)
    found: dict[str, list[Any]] = {}
    for key in keys:
        values = [each.get(key) for each in settings]
        if len(set(values)) > 1 and not key.startswith(_NEUTRAL):
            found[key] = values
    return found


def _run(name: str, folder: RunFolder) -> ComparedRun:
    measured, chosen = folder.scores(), folder.chosen()
    validated = "evaluate" if "valid" in measured else "training"
    if validated == "training":
        measured = {"valid": {key: value for key, value in chosen.items() if _is_score(key, value)}, **measured}
    reported = folder.report().get("scores", {})
    scores = {}
    for split, metrics in measured.items():
        known = reported.get(split, {})
        scores[split] = {key: _interval(value, known.get(key)) for key, value in metrics.items() if "/" not in key}
    run = ComparedRun(name, str(folder.path), scores, validated)
    costs = {stage: cost for stage, cost in folder.cost().items() if stage != "construct"}
    if costs:
        run.seconds = sum(cost.seconds for cost in costs.values())
        run.cpu_seconds = sum(cost.cpu_seconds for cost in costs.values())
        run.peak_bytes = max(cost.peak_bytes for cost in costs.values())
        run.resumed = any(cost.resumed for cost in costs.values())
    epoch = chosen.get("epoch")
    run.best_epoch = epoch if isinstance(epoch, int) else None
    curves, metric = folder.curves(), folder.select_by
    if curves and metric is not None:
        points = [(record["epoch"] + 1, record[metric]) for record in curves[-1].valid if metric in record]
        run.curve = [(float(epoch), float(value)) for epoch, value in points]
    return run


def _simple(folders: Sequence[RunFolder], metric: str) -> ComparedRun | None:
    """Return the best simple model of all runs as a row."""
    rows = []
    for folder in folders:
        for models in folder.simple_models():
            if models.select_by == metric:
                sign = 1.0 if models.higher_is_better else -1.0
                rows.append((sign * models.scores[models.best]["valid"][metric], models))
    if not rows:
        return None
    _, models = max(rows, key=lambda row: row[0])
    scores = {}
    for split, of_split in models.scores[models.best].items():
        scores[split] = {name: Interval(value) for name, value in of_split.items() if "/" not in name}
    return ComparedRun(f"simple model: {models.best}", "", scores, "evaluate")


def _is_score(key: str, value: Any) -> bool:
    return key not in ("epoch", "split") and isinstance(value, int | float)


def _interval(value: float, reported: Any) -> Interval:
    """The score with the interval that the report has of it."""
    if not isinstance(reported, dict) or reported.get("value") is None:
        return Interval(float(value))
    if not math.isclose(reported["value"], value, rel_tol=1e-3, abs_tol=1e-3):
        return Interval(float(value))  # it is about other rows
    return Interval(float(value), reported.get("low"), reported.get("high"))


def _notes(folders: Sequence[RunFolder]) -> list[str]:
    notes = []
    keys = ("type", "node_type", "edge_type", "edge_types", "label")
    if len({str([folder.task.get(key) for key in keys]) for folder in folders}) > 1:
        notes.append("The runs are about different tasks: their scores are not comparable.")
    if len({str(sorted(folder.protocol().items())) for folder in folders}) > 1:
        notes.append("Links were ranked in different ways (see the protocol in evaluate/metrics.json).")
    graphs = {_graph_content(folder) for folder in folders}
    if len(graphs - {""}) > 1:
        notes.append("The runs are on different graphs: rows, splits or features may differ.")
    missing = [folder.path.name for folder in folders if not folder.scores()]
    if missing:
        notes.append(f"Not evaluated, validation scores are those of training: {', '.join(missing)}.")
    return notes


def _graph_content(folder: RunFolder) -> str:
    """Hashes of the graph's files; empty where the graph is not here any more."""
    if folder.graph_folder is None:
        return ""
    try:
        return str(sorted(read_manifest(folder.graph_folder).hashes.items()))
    except DataError:
        return ""


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inside) for key, inside in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inside) for inside in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
