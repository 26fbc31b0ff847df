"""Engines that turn tables into partitions of a graph folder; all write the same schema."""

from gconstruct.engines.base import Engine, engine_for, writes_urls

__all__ = ["Engine", "engine_for", "writes_urls"]
