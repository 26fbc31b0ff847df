"""A comparison as plain tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gconstruct.report import wording
from graphstorm_like.launch.show.table import Rows, table
from graphstorm_like.reports.compare import ComparedRun, Comparison, Interval
from graphstorm_like.reports.wording import metric as number

BESIDE = 3
"""Keys that differ are columns of the scores up to so many; more of them get a table of their own"""


def metrics_of(comparison: Comparison) -> list[tuple[str, str]]:
    """(split, metric) of every column of scores: the metric that selects first, then as the runs have them; scores of
    training rows are left out."""
    found: dict[tuple[str, str], None] = {}
    for split in ("valid", "test"):
        names = dict.fromkeys(name for run in comparison.runs for name in run.scores.get(split, {}))
        ordered = sorted(names, key=lambda name: name != comparison.metric)
        found |= dict.fromkeys((split, name) for name in ordered)
    return list(found)


def compare_lines(comparison: Comparison) -> Iterator[str]:
    """Scores, what differs, notes, and the best."""
    beside = len(comparison.differences) <= BESIDE
    keys = list(comparison.differences) if beside else []
    columns = metrics_of(comparison)
    position = {run.name: i for i, run in enumerate(comparison.runs)}
    rows: Rows = []
    for run in comparison.order():
        settings = [shown(comparison.differences[key][position[run.name]]) for key in keys]
        scores = [score_text(run.score(*column)) for column in columns]
        rows.append([run.name, *settings, *scores, *cost_cells(run)])
    if (simple := comparison.simple) is not None:
        scores = [score_text(simple.score(*column)) for column in columns]
        rows.append([simple.name, *("-" for _ in keys), *scores, *cost_cells(simple)])
    heads = [f"{split} {name}" for split, name in columns]
    yield from table(["run", *keys, *heads, "time", "CPU time", "peak"], rows)
    if not beside:
        yield ""
        names = [run.name for run in comparison.runs]
        rows = [[key, *map(shown, values)] for key, values in comparison.differences.items()]
        yield from table(["what differs", *names], rows)
    yield ""
    for note in comparison.notes:
        yield f"note: {note}"
    yield best_line(comparison)


def best_line(comparison: Comparison) -> str:
    """Which run is best, and by what."""
    if comparison.metric is None:
        return "best: not named, for the runs are selected by different metrics"
    best = next((run for run in comparison.runs if run.name == comparison.best), None)
    score = None if best is None else best.score("valid", comparison.metric)
    if best is None or score is None:
        return f"best: not named, for no run has a validation {comparison.metric}"
    direction = "highest" if comparison.higher_is_better else "lowest"
    return f"best: {best.name}, by its {direction} validation {comparison.metric}, {number(score.value)}"


def score_text(score: Interval | None) -> str:
    """'0.812 [0.790, 0.834]'; '-' of none"""
    if score is None:
        return "-"
    text = number(score.value)
    if score.low is None or score.high is None:
        return text
    return f"{text} [{number(score.low)}, {number(score.high)}]"


def cost_cells(run: ComparedRun) -> Sequence[str]:
    """Time, CPU time and peak memory."""
    mark = "+" if run.resumed else ""
    times = [
        f"{wording.seconds(value)}{mark}" if value is not None else "-" for value in (run.seconds, run.cpu_seconds)
    ]
    return [*times, wording.size(run.peak_bytes) if run.peak_bytes else "-"]


def shown(value: Any) -> str:
    """A value of the configuration; '-' where a run has no such key."""
    return "-" if value is None else str(value)
