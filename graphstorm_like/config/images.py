"""Rules between the images of the graph's tables and the parts of the model that read them."""

from __future__ import annotations

from collections.abc import Iterator

from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.model import ModelConfig, NodeInputConfig
from graphstorm_like.errors import unknown

Problem = tuple[tuple[str | int, ...], str]
"""(path in the YAML, message)"""


def check_images(graph: GraphConfig, model: ModelConfig) -> Iterator[Problem]:
    """Images that the model reads must exist, with a size that the image encoder accepts."""
    read: list[str] = []
    for node_type, node in graph.nodes.items():
        inputs = model.inputs.get(node_type, NodeInputConfig()).image
        for i, name in enumerate(inputs or ()):
            if name not in node.image:
                message = unknown("", "image", name, node.image).removeprefix(": ")
                yield ("model", "inputs", node_type, "image", i), message
        names = [name for name in node.image if inputs is None or name in inputs]
        read += [node_type] if names else []
        for name in names:
            rule = None if model.image_encoder is None else model.image_encoder.unreadable(*node.image[name].size)
            if rule is not None:
                yield ("graph", "nodes", node_type, "image", name, "size"), rule
    if read and model.image_encoder is None:
        names_of_types = " and ".join(f"'{node_type}'" for node_type in read)
        yield (
            ("model", "image_encoder"),
            f"must be given, for the model reads the images of {names_of_types}. Add one, e.g. {{type: pixel_patch}}, "
            f"or leave the images out with model.inputs.{read[0]}.image: []",
        )
