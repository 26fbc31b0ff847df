"""What simple models of any task have in common, how they are found, and which of them a task is compared with."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar

from graphstorm_like.baselines.outcome import Setting
from graphstorm_like.baselines.union import UnionGraph
from graphstorm_like.config.model import ModelConfig
from graphstorm_like.config.tasks import TaskConfig
from graphstorm_like.registry import Registry, import_modules
from graphstorm_like.tasks import Task

Data = TypeVar("Data")
Reads = Literal["nothing", "features", "text", "graph", "text and graph"]
ORDER: dict[Reads, int] = {"nothing": 0, "features": 1, "text": 2, "graph": 3, "text and graph": 4}
"""In which simple models stand in a table: the more they read, the later."""


class Baseline(ABC, Generic[Data]):
    """A simple model. Data: what those of a family read of a task."""

    name: ClassVar[str]
    reads: ClassVar[Reads]
    needs_packages: ClassVar[bool] = True
    """Whether fitting needs the extra `baseline`"""

    @abstractmethod
    def unfit(self, data: Data) -> str | None:
        """Why it says nothing of this task; None: it does."""

    def estimate(self, data: Data) -> float:
        """Return about how many seconds fitting and scoring take on one core, within a factor of three; infinity: it is
        not known, or minutes."""
        return math.inf

    @abstractmethod
    def settings(self, data: Data) -> Iterator[Setting]:
        """Fitted on what is to be learnt from; validation chooses among them."""


class Family(Generic[Data]):
    """Simple models of one kind of task. The modules of `package` register them when they are imported, so that a new
    one is a new file; a plug-in registers its own in the same way."""

    def __init__(self, package: str) -> None:
        self.package = package
        self._models: list[type[Baseline[Data]]] = []

    def register(self, model: Any) -> Any:
        """Decorator of a simple model."""
        self._models.append(model)
        return model

    def __iter__(self) -> Iterator[type[Baseline[Data]]]:
        """By what they read; of the same, in the order of their modules."""
        import_modules(self.package)
        return iter(sorted(self._models, key=lambda model: ORDER[model.reads]))


@dataclass(frozen=True)
class Around:
    """What simple models may read beside a task: its configuration and the model's, the run's seed, and all relations
    as one graph."""

    config: TaskConfig
    model: ModelConfig
    seed: int
    union: UnionGraph


@dataclass(frozen=True)
class Contest:
    """A task and the simple models that it is compared with, or why there are none."""

    task: Task
    family: Family[Any] | None = None
    data: Any = None
    why_not: str | None = None
    prefix: str = ""
    """What the run's own scores have before the names of the task's metrics."""


CONTESTS: Registry[Callable[[Any, Around], Iterator[Contest]]] = Registry(
    "contest", "graphstorm_like.baselines.contests"
)
"""By the class of the task; called with the task and what is around it."""


def contests(task: Task, around: Around) -> Iterator[Contest]:
    """Those of a task: one, or one for each of several."""
    find = CONTESTS.get(task)
    if find is None:
        yield Contest(task, why_not=f"there are no simple models of task.type: {around.config.type}")
    else:
        yield from find(task, around)
