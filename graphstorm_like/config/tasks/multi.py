"""`task.type: multi`"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from graphstorm_like.config.base import EdgeType, KeyedError, Name, PositiveFloat, PositiveInt, edge_name
from graphstorm_like.config.choice import json_choices, members_of
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.metrics import selected_metric
from graphstorm_like.config.problems import Problem, below
from graphstorm_like.config.task_weightings import ChosenWeighting
from graphstorm_like.config.task_weightings.fixed import FixedWeightingConfig
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
    batch_sizes: dict[Name, PositiveInt] = {}
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

    def relations(self, edge_types: Sequence[EdgeType]) -> tuple[EdgeType, ...]:
        """See TaskConfig."""
        return tuple(dict.fromkeys(e for task in self.tasks.values() for e in task.relations(edge_types)))

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

    def scored_inputs(self) -> tuple[EdgeType, ScoredEdgeInputs] | None:
        """See TaskConfig."""
        found = [inputs for task in self.tasks.values() if (inputs := task.scored_inputs()) is not None]
        return found[0] if found else None

    def check(self, graph: GraphConfig) -> Iterator[Problem]:
        """See TaskConfig. Besides, what one task excludes from message passing, the others must too."""
        has_split = {edge.edge_type: edge.split is not None for edge in graph.edges}
        hidden: dict[EdgeType, tuple[str | None, str]] = {}
        readers: list[str] = []
        for name, task in self.tasks.items():
            at = ("tasks", name)
            yield from below(at, task.check(graph))
            for edge_type, label in task.hidden_edges(has_split).items():
                known, other = hidden.setdefault(edge_type, (label, name))
                if known != label:
                    yield (
                        at,
                        f"must hold out the same edges of '{edge_name(edge_type)}' as task {other}, for messages pass "
                        f"through one graph (got the split of {_whose(label)} and of {_whose(known)})",
                    )
            if task.scored_inputs() is not None:
                readers.append(name)
        if len(readers) > 1:
            yield ("tasks", readers[1], "inputs"), f"must be left out: task {readers[0]} reads inputs of edges already"

    def check_validation(self, graph: GraphConfig) -> Iterator[Problem]:
        """See TaskConfig."""
        for name, task in self.tasks.items():
            yield from below(("tasks", name), task.check_validation(graph))


def _whose(label: str | None) -> str:
    return "the edges" if label is None else f"label '{label}'"
