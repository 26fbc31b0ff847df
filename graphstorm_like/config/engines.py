"""`graph.engine`: what builds graph folders. An engine is a row of a table, to which plug-ins may add.

The table holds where an engine's class is, not the class: checking a configuration imports no engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from graphstorm_like.config.base import NameIn
from graphstorm_like.errors import ConfigError

_engines: dict[str, str] = {}


def add_engine(name: str, location: str) -> None:
    """Let `graph.engine` choose it. location: 'module:class' of a gconstruct.engines.Engine, imported when it is used.

    Raises ConfigError when another engine has the name.
    """
    registered = _engines.setdefault(name, location)
    if registered != location:
        raise ConfigError(
            f"engine: {name}: must be one class (got {registered} and {location}). Give one of them another name"
        )


def engine_locations() -> Mapping[str, str]:
    """'module:class' of every engine by its name."""
    return _engines


add_engine("arrow", "gconstruct.engines.arrow.engine:ArrowEngine")
add_engine("spark", "gconstruct.engines.spark.engine:SparkEngine")

EngineName = Annotated[str, NameIn(_engines)]
