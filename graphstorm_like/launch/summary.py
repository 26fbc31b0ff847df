"""The last lines of `gsl run`: scores, where the results are, and what to do next."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from graphstorm_like.config.metrics import selected_metric
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.errors import DataError
from graphstorm_like.files import read_object
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.graph.store import type_name
from graphstorm_like.launch.show.table import table
from graphstorm_like.launch.simple_models import SimpleModels, read_simple_models
from graphstorm_like.launch.stages import METRICS_FILE, read_scores
from graphstorm_like.launch.state import MAIN_FILES, best_weights, stage_folder

PERFECT, MANY_ROWS = 0.995, 200
"""A score from which on many rows are suspicious. 200 rows: by chance 0.995 is reached of 0.97 in one of 50 runs."""


def summary(pipeline: Pipeline, arguments: Sequence[str], shown: Callable[[Path], str] = str) -> Iterator[str]:
    """Summary of a pipeline whose stages are all up to date; no lines when its scores cannot be read.

    arguments: the YAML's path and the overrides, as the user gave them. shown: a folder's URL, where it has one.
    """
    try:
        scores = read_scores(pipeline)
    except DataError:
        return
    exported = stage_folder(pipeline, "infer")
    tables = _tables(read_object(exported / MAIN_FILES["infer"]) or {})
    yield ""
    yield f"{pipeline.name}: {pipeline.task.type}"
    simple = read_simple_models(Path(pipeline.output)) if pipeline.baselines else []
    yield from _scores(scores, simple)
    yield from warning_block(suspicions_of_run(pipeline)).splitlines()
    yield ""
    places = {
        "graph": shown(stage_folder(pipeline, "construct")),
        "model": shown(best_weights(pipeline).parent),
    }
    if scores:
        places["scores"] = shown(stage_folder(pipeline, "evaluate") / METRICS_FILE)
    for name, rows in tables.items():
        places[name] = f"{shown(exported / name)} ({rows:,} rows)"
    if (report := Path(pipeline.output) / "report.html").is_file():
        places["report"] = shown(report)
    width = max(map(len, places))
    for name, place in places.items():
        yield f"{name.ljust(width)}  {place}"
    yield ""
    yield "next:"
    first = next((name for name in ("predictions", *tables) if name in tables), None)
    if first is not None:
        yield f"  {_print_rows(shown(exported / first))}"
    gsl = _program("gsl")
    yield f"  {gsl} show graph {shlex.join(arguments)}"
    yield f"  {gsl} show batch {shlex.join(arguments)}"


def suspicions(
    task: TaskConfig, on_leak: str, graph_folder: Path, scores: Mapping[str, Mapping[str, float | None]]
) -> list[str]:
    """What makes the scores of a run too good to be believed: inputs that tell the label alone, as construction has
    found, and a nearly perfect score of many rows."""
    from gconstruct.leaks import TELLING_INPUT, read_leaks

    if on_leak == "ignore":
        return []
    about = type_name(task.row_type) if task.row_type is not None else ""
    ending = f" {about}, label {getattr(task, 'label', None)}"
    found = [leak for leak in read_leaks(graph_folder) or [] if leak.rule == TELLING_INPUT]
    lines = [leak.line() for leak in found if leak.where.endswith(ending)]
    metric = _selecting_metric(task)
    for split, of_split in scores.items():
        value = None if metric is None else of_split.get(metric)
        rows = _labelled(graph_folder, task, split)
        if value is not None and PERFECT <= value <= 1 and rows >= MANY_ROWS:
            lines.append(
                f"{metric} of {split} is suspiciously perfect ({value:.4f} of {rows:,} rows): look for an input "
                "that is made from the label, or known only after it"
            )
    return lines


def _selecting_metric(task: TaskConfig) -> str | None:
    """The metric that selects, where more is better: the best is 1. None of several tasks, and where there is none."""
    with suppress(AttributeError, StopIteration):
        if selected_metric(task).higher_is_better:
            return str(getattr(task, "select_by"))  # noqa: B009
    return None


def suspicions_of_run(pipeline: Pipeline) -> list[str]:
    """Suspicions about a finished run; none where its scores cannot be read."""
    try:
        return suspicions(
            pipeline.task, pipeline.graph.on_leak, stage_folder(pipeline, "construct"), read_scores(pipeline)
        )
    except DataError:
        return []


def _labelled(graph_folder: Path, task: TaskConfig, split: str) -> int:
    """Rows that a split has of the task's label, or of its edges; 0 where they cannot be told."""
    row_type, label = task.row_type, getattr(task, "label", None)
    try:
        manifest = read_manifest(graph_folder)
    except DataError:
        return 0
    if row_type is None:
        return 0
    if isinstance(row_type, str):
        schema = manifest.node(row_type).labels.get(label or "")
        return 0 if schema is None else schema.counts.get(split, 0)
    edge = manifest.edge(row_type)
    counts = edge.split_counts if label is None else edge.labels[label].counts
    return (counts or {}).get(split, 0)


def warning_block(lines: Sequence[str]) -> str:
    """Suspicions as a block that is not overlooked; empty without any."""
    if not lines:
        return ""
    rule = "!" * 72
    warnings = "\n".join(f"WARNING: {line}" for line in lines)
    return f"{rule}\nTOO GOOD TO BE TRUE: these scores may say nothing about new data\n{warnings}\n{rule}"


def _scores(scores: dict[str, dict[str, float]], simple: Sequence[SimpleModels] = ()) -> Iterator[str]:
    """One row per metric, one column per split. Metrics of single relations ('mrr/a:r:b') are only in the file, because
    there may be many. The last column is that of the best simple model of each task.
    Nothing of a task without scores, such as learning from the graph alone."""
    metrics = dict.fromkeys(name for of_split in scores.values() for name in of_split if "/" not in name)
    rows = []
    beside = {name: value for models in simple for name, value in models.compared().items()}
    for name in metrics:
        numbers = [of_split.get(name) for of_split in scores.values()]
        numbers += [beside.get(name)] if simple else []
        rows.append([name, *("-" if number is None else f"{number:.4f}" for number in numbers)])
    if rows:
        heads = [f"simple model, {simple[0].split}"] if simple else []
        yield from table(["metric", *scores, *heads], rows)
    for models in simple:
        of_task = f" of {models.task}" if models.task else ""
        yield f"simple model{of_task}: {models.best}, the best of {len(models.scores)} by validation"
        if models.beats(scores):
            yield f"warning: {models.warning(scores)}"


def _tables(manifest: dict[str, Any]) -> dict[str, int]:
    """Rows of each exported table."""
    return {name: table["rows"] for name, table in manifest.get("tables", {}).items()}


def _print_rows(folder: str) -> str:
    """A command that prints the first rows of an exported table."""
    rows = f"pq.read_table({json.dumps(folder)}).slice(0, 5).to_pylist()"
    code = f'import pyarrow.parquet as pq; print(*{rows}, sep="\\n")'
    return f"{_program('python')} -c {shlex.quote(code)}"


def _program(name: str) -> str:
    """A program of this environment: its name, or its path where the name alone starts another one or none."""
    own = Path(sys.executable).parent / name
    on_path = shutil.which(name)
    is_active = on_path is not None and Path(on_path).parent.resolve() == own.parent.resolve()
    return name if is_active or not own.exists() else shlex.quote(str(own))
