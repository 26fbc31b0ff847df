"""What every kind of negatives has in its configuration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.choice import Choice
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.problems import Problem


class NegativesConfig(Choice, tag="type", default="uniform"):
    """Where wrong targets come from. Known true targets among them are masked, not punished."""

    type: str

    def check(self, graph: GraphConfig, edge_types: Iterable[EdgeType]) -> Iterator[Problem]:
        """What a graph lacks for negatives of these relations; paths begin at `negatives`."""
        return iter(())

    in_batch: bool = True
    """Besides those that are drawn, the other edges' targets; with several relations, those of any relation into the
    same node type."""
    popularity_correction: bool = False
    """Subtract from each score the log of how often its target is drawn (Yi et al., RecSys 2019): without it, in-batch
    negatives teach a model to mark down what is popular. Changes nothing where all nodes are drawn alike. The default
    of graph_pretraining is true."""
