"""GraphStorm's `multi_task_learning` -> a task of several tasks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gconstruct.convert.notes import Section
from gconstruct.convert.tables import GraphSection
from gconstruct.convert.task_part import convert_task
from gconstruct.convert.training import Pool
from gconstruct.guess.names import as_name

_SELECTS = {"regression": "rmse", "multi_label": "micro_f1", "classification": "accuracy", "prediction": "mrr"}
"""What selects by default, by how a task's type ends."""


def convert_tasks(chosen: Sequence[tuple[str, Section]], general: Pool, graph: GraphSection | None) -> dict[str, Any]:
    """Several of their tasks as one of ours. general: the sections that all of them share."""
    tasks: dict[str, dict[str, Any]] = {}
    of_tasks: dict[str, dict[str, Any]] = {"batch_sizes": {}, "weights": {}}
    for kind, section in chosen:
        pool = Pool([section, *general.sections], general.notes)
        task = convert_task(kind, pool, graph)
        weight, size = section.take("task_weight"), section.take("batch_size")
        if weight is not None and float(weight) == 0.0:
            section.notes.near(section.path("task_weight"), "0: the task is left out, for nothing would learn from it")
            continue
        name = _name(task, tasks)
        tasks[name] = task
        if weight is not None:
            of_tasks["weights"][name] = float(weight)
        if size is not None:
            of_tasks["batch_sizes"][name] = int(size)
    several = {"type": "multi", "tasks": tasks} | {key: values for key, values in of_tasks.items() if values}
    if any(_selects(task) in ("rmse", "mae", "mse") for task in tasks.values()):
        first = next(iter(tasks))
        several["select_by"] = f"{first}.{_selects(tasks[first])}"
    return several


def single_tasks(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The tasks of one of several, or the only one."""
    yield from task["tasks"].values() if "tasks" in task else [task]


def _name(task: Mapping[str, Any], others: Mapping[str, Any]) -> str:
    """The label, or `links`; with a number where another task is called so."""
    plain = as_name(str(task.get("label", "links")))
    numbered = (f"{plain}_{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain([plain], numbered) if name not in others)


def _selects(task: Mapping[str, Any]) -> str:
    ending = next(ending for ending in _SELECTS if task["type"].endswith(ending))
    return str(task.get("select_by", _SELECTS[ending]))
