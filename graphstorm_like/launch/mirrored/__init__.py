"""Pipelines whose output, cache or graph is behind a URL run in local folders that are kept equal with the store."""
