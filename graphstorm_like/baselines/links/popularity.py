"""No inputs at all: the targets that have most training edges."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from graphstorm_like.baselines.links.base import LinkBaseline, LinkData
from graphstorm_like.baselines.outcome import Setting


class Popularity(LinkBaseline):
    """The same ranking for every source."""

    name = "popularity"

    def unfit(self, data: LinkData) -> str | None:
        """See LinkBaseline."""
        return None

    def settings(self, data: LinkData) -> Iterator[Setting]:
        """See LinkBaseline."""
        yield data.setting(
            "training edges", lambda sources: np.broadcast_to(data.popularity, (len(sources), data.shape[1]))
        )
