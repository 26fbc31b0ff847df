"""Which partition each node goes to, by the method of `graph.partitions`.

In: an opened graph folder and its types. Out: by node type int32 (n), the partition of each node.
"""

from __future__ import annotations

import numpy as np

from gconstruct.partitioners.base import PARTITIONERS, Assignment, OpenedGraph
from graphstorm_like.config.partitioners import PartitionsConfig
from graphstorm_like.config.plugins import plugin_of


def check_method(config: PartitionsConfig) -> None:
    """Raises MissingExtraError before the work begins, instead of in the middle of it."""
    if config.count > 1:
        PARTITIONERS.of(config)(config).check()


def assign(graph: OpenedGraph, config: PartitionsConfig) -> Assignment:
    """A partition for every node. One partition needs no method."""
    if config.count == 1:
        return {name: np.zeros(node.count, np.int32) for name, node in graph.nodes.items()}
    return PARTITIONERS.of(config)(config).assign(graph)


def method_plugins(config: PartitionsConfig) -> dict[str, str]:
    """Hash of the plug-in that a method is of, by its name; empty for our own."""
    if plugin_of(type(config).__module__) is None:
        return {}
    modules = (type(config).__module__, PARTITIONERS.of(config).__module__)
    return dict(plugin for module in modules if (plugin := plugin_of(module)) is not None)
