"""What an engine must do, and which engines there are: `graph.engine` is a name of this table.

An engine reads the tables and writes the columns of one partition. The rest is shared: which files a table is made of
(`inputs`), what a column may hold (`kinds`), messages (`rules`), draws of splits (`splits`), features
(`features`, `transforms`), the order of edges (`csc`), files (`write`), partitions and the manifest.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from graphstorm_like.errors import ConfigError, unknown

if TYPE_CHECKING:
    from gconstruct.manifest import Construction
    from graphstorm_like.config.graph import GraphConfig

Progress = Callable[[str], None]
ENGINES = {"arrow": "gconstruct.engines.arrow.engine:ArrowEngine"}
"""By name, `module:class` of an Engine whose constructor takes (GraphConfig, Progress): imported when it is used."""


class Engine(Protocol):
    """One construction."""

    def check(self) -> None:
        """Look at headers only. Raises DataError that names every file, column and type that is wrong."""
        ...

    def run(self, folder: Path) -> Construction:
        """Read all tables, and write them into the empty `folder` as one partition, part-0.

        Every file must be synced. Raises DataError that names file, column and row.
        """
        ...


def engine_for(config: GraphConfig, progress: Progress) -> Engine:
    """The engine that `graph.engine` names. Raises ConfigError when there is none of that name."""
    if config.engine not in ENGINES:
        raise ConfigError(unknown("graph.engine", "engine", config.engine, ENGINES))
    module, _, name = ENGINES[config.engine].partition(":")
    engine: Engine = getattr(importlib.import_module(module), name)(config, progress)
    return engine
