"""Images of nodes, read from the graph folder batch by batch like features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from graphstorm_like.graph.partition_reader import Column
from graphstorm_like.graph.schema import image_column
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.pending import Pending


@dataclass(frozen=True)
class GraphImage:
    """A FeatureSource of an image column, whose rows are bytes instead of floating-point numbers."""

    graph: Graph
    node_type: NodeType
    name: str

    @property
    def column(self) -> Column:
        """See FixedRows."""
        return (self.node_type, image_column(self.name))

    def rows(self, ids: IntArray) -> npt.NDArray[Any]:
        """uint8 [N, H * W * 3], RGB, row by row."""
        return self.begin_rows(ids).wait()

    def begin_rows(self, ids: IntArray) -> Pending[npt.NDArray[Any]]:
        """See FeatureSource."""
        return self.graph.begin_pixels(self.node_type, self.name, ids)
