"""What the networks share that take means of neighbours."""

from __future__ import annotations

from graphstorm_like.config.base import Name
from graphstorm_like.config.gnns.base import GnnConfig


class WeighedGnnConfig(GnnConfig):
    """A network whose means may be weighed by a feature of the edges."""

    edge_weight: Name | None = None
    """A feature of edges, one number of at least 0 an edge (`normalize: none` or `min_max`): means of neighbours are
    weighed by it. Edges of types without the feature weigh the same. null: all do."""

    @property
    def weight_column(self) -> str | None:
        """See GnnConfig."""
        return self.edge_weight
