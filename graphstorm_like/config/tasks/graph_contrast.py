"""`task.type: graph_contrast`"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveFloat, PositiveInt
from graphstorm_like.config.tasks.self_supervised import Parts, SelfSupervisedConfig


class GraphContrastConfig(SelfSupervisedConfig):
    """Tell a node in one view of the graph from other nodes in another view, where each view lacks some edges and some
    features (GRACE: Zhu et al. 2020)."""

    type: Literal["graph_contrast"]
    drop_edges: Parts = [0.2, 0.4]
    """The part of the sampled edges that each of the two views lacks."""
    drop_features: Parts = [0.3, 0.4]
    """The part of the columns of each input that is 0 in a view, the same for all nodes of a batch."""
    temperature: PositiveFloat = 0.5
    """Cosines are divided by it."""
    projection: PositiveInt = 128
    """Width of the vectors that are compared; embeddings are those before the projection."""
