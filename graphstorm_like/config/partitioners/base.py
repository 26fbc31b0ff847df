"""What every partition method has in its configuration."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated

from pydantic import Field

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.choice import Choice


class PartitionsConfig(Choice, tag="method", default="random"):
    """How many partitions the graph folder has, and which nodes go where. In a run over several hosts each host owns
    one."""

    method: str
    count: PositiveInt = 1
    """Number of partitions: launch.hosts."""

    def problem(self, columns: Mapping[str, Collection[str]]) -> str | None:
        """What is wrong with it for a graph whose node types have these columns (features, texts, labels, by the names
        that the YAML gives them; `id`, `position`); None: nothing."""
        return None


class SeededPartitions(PartitionsConfig):
    """Base of methods that draw at random."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Of the random draws: the same graph and seed give the same partitions."""
