"""What an engine must do. `graph.engine` names one; `add_engine` in graphstorm_like.config.engines adds another.

An engine reads the tables and writes the columns of one partition, or of all. The rest is shared: the files of a table
(`inputs`), what a column may hold (`kinds`), messages (`rules`), draws of splits (`splits`), features
(`features`, `transforms`), the order of edges (`csc`), files (`write`), partitions and the manifest.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from graphstorm_like.config.engines import engine_locations
from graphstorm_like.errors import ConfigError, unknown

if TYPE_CHECKING:
    from gconstruct.manifest import Construction
    from gconstruct.report.trace import Trace
    from graphstorm_like.config.graph import GraphConfig

Progress = Callable[[str], None]


class Engine(Protocol):
    """One construction. Made with (GraphConfig, Progress)."""

    writes_partitions: bool
    """Whether `run` writes all of graph.partitions itself. Otherwise it writes one, which is then partitioned."""

    writes_urls: bool
    """Whether graph.path may be a URL: then `run` writes there, and gets no folder."""

    def check(self) -> None:
        """Read headers only. Raises DataError that names every wrong file, column and type."""
        ...

    def run(self, folder: Path, trace: Trace) -> Construction:
        """Read all tables, and write them into the empty `folder` as one partition, part-0, or as all of them.

        Every file must be synced. `trace` gets the steps, nulls, and rows that are left out: the graph's report shows
        them. Raises DataError that names file, column and row.
        """
        ...


def engine_for(config: GraphConfig, progress: Progress) -> Engine:
    """The engine that `graph.engine` names. Raises as `engine_class`."""
    engine: Engine = engine_class(config)(config, progress)
    return engine


def writes_urls(config: GraphConfig) -> bool:
    """Whether the engine that `graph.engine` names writes to URLs itself. Raises as `engine_class`."""
    return bool(engine_class(config).writes_urls)


def engine_class(config: GraphConfig) -> Any:
    """The class of the engine that `graph.engine` names.

    Raises ConfigError when there is none of that name, or when its class cannot be imported.
    """
    locations = engine_locations()
    if config.engine not in locations:
        raise ConfigError(unknown("graph.engine", "engine", config.engine, locations))
    location = locations[config.engine]
    module, _, class_name = location.partition(":")
    try:
        return getattr(importlib.import_module(module), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"graph.engine: {config.engine!r} must be a class that can be imported (got {location}: {error}). "
            "Correct the location that add_engine was given, or install what it imports"
        ) from error
