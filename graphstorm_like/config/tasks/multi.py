"""`task.type: multi`"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from graphstorm_like.config.base import EdgeType, KeyedError, Name, PositiveFloat, edge_name
from graphstorm_like.config.batch_size import BatchSize
from graphstorm_like.config.choice import json_choices, members_of
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.metrics import selected_metric
from graphstorm_like.config.problems import Problem, below
from graphstorm_like.config.task_weightings import ChosenWeighting, FixedWeightingConfig
from graphstorm_like.config.tasks.base import ScoredEdgeInputs, TaskConfig
from graphstorm_like.errors import did_you_mean

MEAN = "mean"


class _SingleTask:
    """Annotation of a field: a task that is not several."""

    def names(self) -> list[str]:
        """Tags of the tasks that may be one of several."""
        members = members_of(TaskConfig) or {}
        return [tag for tag, member in members.items() if cast(type[TaskConfig], member).may_be_joined]

    def check(self, value: Any) -> Any:
        """ValueError for a task of several tasks."""
        tag = value.get("type") if isinstance(value, dict) else None
        known = members_of(TaskConfig) or {}
        if isinstance(tag, str) and tag in known and tag not in self.names():
            raise KeyedError("type", f"must be a task of its own (got {tag!r})")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(json_choices(TaskConfig, self.names()))


class MultiTaskConfig(TaskConfig):
    """Several tasks at once: one shared model, a head a task. A step takes rows of every task; an epoch is one pass
    over the rows of the task with the most steps, while those of the others come again."""

    may_be_joined: ClassVar[bool] = False

    type: Literal["multi"]
    tasks: Annotated[dict[Name, Annotated[TaskConfig, _SingleTask()]], Field(min_length=2)]
    """By names of your own, each with its label, split, loss and metrics as if it were the only one."""
    batch_sizes: dict[Name, BatchSize] = {}
    """Rows a step, by task; others: train.batch_size."""
    weights: dict[Name, PositiveFloat] = {}
    """Of the tasks' losses, by task; others: 1. What `weighting` begins with."""
    weighting: ChosenWeighting = FixedWeightingConfig(type="fixed")
    """How the weights change: a name, or a mapping with `type` and settings."""
    select_by: str = MEAN
    """What early stopping and the best checkpoint follow: `mean`, the mean of the tasks' own `select_by`, which must
    all be better when they are higher; or one of a task, `<task>.<metric>`."""

    @model_validator(mode="after")
    def _names(self) -> MultiTaskConfig:
        for key in ("batch_sizes", "weights"):
            for name in getattr(self, key):
                if name not in self.tasks:
                    hint = did_you_mean(name, self.tasks)
                    raise KeyedError(key, f"must name tasks, {', '.join(self.tasks)} (got {name!r}).{hint}")
        lower = [name for name, task in self.tasks.items() if not selected_metric(task).higher_is_better]
        if self.select_by == MEAN and lower:
            raise KeyedError(
                "select_by",
                f"must be a task's metric, such as {next(iter(self.selectable()))!r} (got 'mean'): that of {lower[0]} "
                f"is better when it is lower",
            )
        if self.select_by != MEAN and self.select_by not in self.selectable():
            hint = did_you_mean(self.select_by, list(self.selectable()))
            listed = ", ".join(map(repr, [MEAN, *self.selectable()]))
            raise KeyedError("select_by", f"must be one of {listed} (got {self.select_by!r}).{hint}")
        return self

    def selectable(self) -> dict[str, bool]:
        """Metrics that may select the model, and whether each is better when it is higher."""
        found = {}
        for name, task in self.tasks.items():
            for metric in getattr(task, "metrics", []):
                found[f"{name}.{metric.name}"] = metric.higher_is_better
        return found

    def labels(self) -> dict[str | EdgeType, list[str]]:
        """See TaskConfig."""
        found: dict[str | EdgeType, list[str]] = {}
        for task in self.tasks.values():
            for row_type, names in task.labels().items():
                found[row_type] = [*found.get(row_type, []), *names]
        return found

    @property
    def ranks_given(self) -> bool:
        """See TaskConfig."""
        return any(task.ranks_given for task in self.tasks.values())

    @property
    def reads_pairs(self) -> bool:
        """See TaskConfig."""
        return any(task.reads_pairs for task in self.tasks.values())

    @property
    def reads_all_relations(self) -> bool:
        """See TaskConfig."""
        return any(task.reads_all_relations for task in self.tasks.values())

    @property
    def compared_texts(self) -> tuple[str, ...]:
        """See TaskConfig."""
        return tuple(node_type for task in self.tasks.values() for node_type in task.compared_texts)

    @property
    def reads_linked_edges(self) -> bool:
        """See TaskConfig."""
        return any(task.reads_linked_edges for task in self.tasks.values())

    def relations(self, edge_types: Sequence[EdgeType]) -> tuple[EdgeType, ...]:
        """See TaskConfig."""
        return tuple(dict.fromkeys(e for task in self.tasks.values() for e in task.relations(edge_types)))

    @property
    def read_edges(self) -> tuple[EdgeType, ...]:
        """See TaskConfig."""
        return tuple(dict.fromkeys(e for task in self.tasks.values() for e in task.read_edges))

    def node_types(self, edge_types: Sequence[EdgeType]) -> tuple[str, ...]:
        """See TaskConfig."""
        return tuple(dict.fromkeys(t for task in self.tasks.values() for t in task.node_types(edge_types)))

    def hidden_edges(self, has_split: Mapping[EdgeType, bool]) -> dict[EdgeType, str | None]:
        """See TaskConfig."""
        hidden: dict[EdgeType, str | None] = {}
        for task in self.tasks.values():
            hidden |= task.hidden_edges(has_split)
        return hidden

    def held_out_edges(self, has_split: Mapping[EdgeType, bool]) -> dict[EdgeType, int]:
        """See TaskConfig."""
        held_out: dict[EdgeType, int] = {}
        for task in self.tasks.values():
            held_out |= task.held_out_edges(has_split)
        return held_out

    def weighed(self, edge_types: Sequence[EdgeType]) -> list[tuple[str, tuple[EdgeType, ...]]]:
        """See TaskConfig."""
        found = []
        for task in self.tasks.values():
            found += task.weighed(edge_types)
        return found

    def sought_features(self) -> dict[EdgeType, list[str] | None]:
        """See TaskConfig."""
        found: dict[EdgeType, list[str] | None] = {}
        for task in self.tasks.values():
            for edge_type, names in task.sought_features().items():
                known = found.get(edge_type, [])
                found[edge_type] = None if names is None or known is None else [*known, *names]
        return found

    def to_apply(self) -> MultiTaskConfig:
        """See TaskConfig."""
        return self.model_copy(update={"tasks": {name: task.to_apply() for name, task in self.tasks.items()}})

    def scored_inputs(self) -> tuple[EdgeType, ScoredEdgeInputs] | None:
        """See TaskConfig."""
        found = [inputs for task in self.tasks.values() if (inputs := task.scored_inputs()) is not None]
        return found[0] if found else None

    def check(self, graph: GraphConfig) -> Iterator[Problem]:
        """See TaskConfig. Besides, what one task excludes from message passing, the others must too."""
        readers: list[str] = []
        for name, task in self.tasks.items():
            yield from below(("tasks", name), task.check(graph))
            if task.goes_in_order:
                yield ("tasks", name, "snapshots"), "must be left out: rows of several tasks come side by side"
            if task.scored_inputs() is not None:
                readers.append(name)
        yield from self._check_held_out(graph)
        yield from self._check_ranked(graph)
        if len(readers) > 1:
            yield ("tasks", readers[1], "inputs"), f"must be left out: task {readers[0]} reads inputs of edges already"

    def _check_held_out(self, graph: GraphConfig) -> Iterator[Problem]:
        """An edge that is held out for one task may be no training row of another."""
        has_split = {edge.edge_type: edge.split is not None for edge in graph.edges}
        learnt: dict[EdgeType, list[tuple[str, str | None, bool]]] = {}
        for name, task in self.tasks.items():
            hidden = task.hidden_edges(has_split)
            for edge_type, label in task.learnt_edges(has_split).items():
                hides = edge_type in hidden
                for other, others_label, other_hides in learnt.get(edge_type, []):
                    if (hides or other_hides) and not _one_split(graph, edge_type, label, others_label):
                        yield (
                            ("tasks", name),
                            f"must hold out the same edges of '{edge_name(edge_type)}' as task {other} (got the split "
                            f"of {_whose(label)} and of {_whose(others_label)}): tasks share messages and weights. "
                            f"Give both splits one column",
                        )
                        break
                learnt.setdefault(edge_type, []).append((name, label, hides))

    def _check_ranked(self, graph: GraphConfig) -> Iterator[Problem]:
        """Ranks are written by relation."""
        ranked: dict[EdgeType, str] = {}
        for name, task in self.tasks.items():
            relations = task.ranked_relations([edge.edge_type for edge in graph.edges]) if task.ranks_links else ()
            for edge_type in relations:
                other = ranked.setdefault(edge_type, name)
                if other != name:
                    yield (
                        ("tasks", name),
                        f"must rank other relations than task {other} (got '{edge_name(edge_type)}' in both). Leave "
                        f"one out",
                    )
                    break

    def check_validation(self, graph: GraphConfig) -> Iterator[Problem]:
        """See TaskConfig."""
        for name, task in self.tasks.items():
            yield from below(("tasks", name), task.check_validation(graph))


def _one_split(graph: GraphConfig, edge_type: EdgeType, first: str | None, second: str | None) -> bool:
    """Whether two splits of an edge type hold out the same edges for certain: they are one, or were written by somebody
    into the same column or files."""
    if first == second:
        return True
    edge = graph.edge(edge_type)
    if edge is None:
        return False
    splits = []
    for label in (first, second):
        split = edge.split if label is None else edge.labels[label].split if label in edge.labels else None
        if split is None or not split.is_written:
            return False
        splits.append(split)
    return bool(splits[0] == splits[1])


def _whose(label: str | None) -> str:
    return "the edges" if label is None else f"label '{label}'"
