"""Configurations of GraphStorm (graph construction, training) -> a pipeline, with notes on every key."""
