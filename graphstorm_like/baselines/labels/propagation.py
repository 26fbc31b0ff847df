"""The graph alone: label propagation (Zhu and Ghahramani 2002; Zhou et al. 2004)."""

from __future__ import annotations

from collections.abc import Iterator

from graphstorm_like.baselines.base import Baseline
from graphstorm_like.baselines.labels.base import LABELS, LabelData
from graphstorm_like.baselines.labels.votes import training_labels
from graphstorm_like.baselines.outcome import Setting

SHARES = (0.5, 0.8, 0.95)
"""How much of a node's labels comes from its neighbours; the rest is its own."""
STEPS = 30


@LABELS.register
class LabelPropagation(Baseline[LabelData]):
    """Y <- a D^-1 A Y + (1 - a) Y_train, over all relations as one undirected graph."""

    name, reads = "label propagation", "graph"

    def unfit(self, data: LabelData) -> str | None:
        """See Baseline."""
        return "the label is one of edges" if data.node_type is None else data.union.unfit()

    def estimate(self, data: LabelData) -> float:
        """See Baseline."""
        return 5e-7 * data.union.edges * (1 + data.kind.classes)

    def settings(self, data: LabelData) -> Iterator[Setting]:
        """See Baseline."""
        assert data.node_type is not None
        known, at = training_labels(data), data.union.first[data.node_type] + data.ids
        for share in SHARES:
            spread = known
            for _ in range(STEPS):
                spread = share * (data.union.walk @ spread) + (1.0 - share) * known
            yield data.setting(f"a {share:g}", spread[at], data.kind.from_votes)
