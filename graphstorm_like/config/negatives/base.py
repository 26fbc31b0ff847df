"""What every kind of negatives has in its configuration."""

from __future__ import annotations

from graphstorm_like.config.choice import Choice


class NegativesConfig(Choice, tag="type", default="uniform"):
    """Where wrong targets come from. Known true targets among them are masked, not punished."""

    type: str
    in_batch: bool = True
    """Besides those that are drawn, the other edges' targets; with several relations, those of any relation into the
    same node type."""
    popularity_correction: bool = False
    """Subtract from each score the log of how often its target is drawn (Yi et al., RecSys 2019): without it, in-batch
    negatives teach a model to mark down what is popular. Changes nothing where all nodes are drawn alike. The default
    of graph_pretraining is true."""
