"""Engines that turn tables into partitions of a graph folder; all write the same schema."""

from gconstruct.engines.base import ENGINES, Engine, engine_for

__all__ = ["ENGINES", "Engine", "engine_for"]
