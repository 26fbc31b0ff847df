"""Files besides the tables that features read: they too decide whether a graph folder is up to date."""

from __future__ import annotations

import os
from collections.abc import Iterator

from gconstruct.inputs import InputFile
from gconstruct.problems import Problems
from graphstorm_like.config.features import FeatureConfig
from graphstorm_like.config.graph import GraphConfig


def feature_files(config: GraphConfig, problems: Problems) -> list[InputFile]:
    """The files, each once, in an order that does not depend on that of node types. What is missing goes to
    `problems`."""
    files: dict[str, InputFile] = {}
    for key, feature in _features(config):
        for name in feature.input_files():
            path = os.path.abspath(os.path.join(config.base or ".", os.path.expanduser(name)))
            try:
                stat = os.stat(path)
            except OSError as err:
                fix = "Check the path; a relative one starts at graph.base"
                problems.add(f"{key}: {path} must be a file that can be read ({err.strerror}). {fix}", key)
                continue
            files.setdefault(path, InputFile(path, "vectors", stat.st_size, str(stat.st_mtime_ns)))
    return list(files.values())


def feature_paths(config: GraphConfig) -> Iterator[tuple[str, str]]:
    """The paths as the configuration has them, with the keys of their features."""
    for key, feature in _features(config):
        yield from ((key, path) for path in feature.input_files())


def _features(config: GraphConfig) -> Iterator[tuple[str, FeatureConfig]]:
    for node_type, node in sorted(config.nodes.items()):
        for name, feature in node.features.items():
            yield f"graph.nodes.{node_type}.features.{name}", feature
    for number, edge in enumerate(config.edges):
        for name, feature in edge.features.items():
            yield f"{config.edge_key(number)}.features.{name}", feature
