"""`task.type: graph_bootstrap`"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from graphstorm_like.config.base import PositiveInt
from graphstorm_like.config.tasks.self_supervised import Parts, SelfSupervisedConfig


class GraphBootstrapConfig(SelfSupervisedConfig):
    """Predict a node's vector in one view of the graph, as slowly following weights make it, from its vector in another
    view, where each view lacks some edges and some features; no other nodes are compared (BGRL: Thakoor et al., ICLR
    2022)."""

    type: Literal["graph_bootstrap"]
    drop_edges: Parts = [0.2, 0.4]
    """The part of the sampled edges that each of the two views lacks."""
    drop_features: Parts = [0.3, 0.4]
    """The part of the columns of each input that is 0 in a view, the same for all nodes of a batch."""
    decay: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.99
    """How much of the slow weights stays in each step; the rest follows the weights that learn."""
    predictor: PositiveInt = 256
    """Width of the hidden layer that predicts one vector from the other; embeddings are those before it."""
