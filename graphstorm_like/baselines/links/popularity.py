"""No inputs at all: the targets that have most training edges of the relation."""

from __future__ import annotations

import numpy as np

from graphstorm_like.baselines.links.base import LINKS, LinkBaseline
from graphstorm_like.baselines.links.relation import Relation, Scorer


@LINKS.register
class Popularity(LinkBaseline):
    """The same ranking for every source."""

    name, reads = "popularity", "nothing"
    needs_packages, seconds_a_cell = False, 8e-9
    ways, may_tie = ("training edges",), False

    def lacks(self, relation: Relation) -> str | None:
        """See LinkBaseline."""
        return None

    def scorer(self, relation: Relation, way: str) -> Scorer:
        """See LinkBaseline."""
        return lambda sources: np.broadcast_to(relation.popularity, (len(sources), relation.shape[1]))
