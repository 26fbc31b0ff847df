"""Engines that turn tables into partitions of a graph folder; all write the same schema."""
