"""Rows of the model's inputs for the nodes of a graph and for new ones after them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.graph.store import IntArray
from graphstorm_like.pending import Pending
from graphstorm_like.sampling.steps import FeatureSource

Rows = npt.NDArray[Any]


@dataclass(frozen=True)
class WithNewRows:
    """A FeatureSource: rows 0..count-1 of `known`, then the rows of `new` [m, F]."""

    known: FeatureSource
    count: int
    new: Rows

    def rows(self, ids: IntArray) -> Rows:
        """[N, F] rows."""
        return self.begin_rows(ids).wait()

    def begin_rows(self, ids: IntArray) -> Pending[Rows]:
        """See FeatureSource."""
        is_new = ids >= self.count
        if not is_new.any():
            return self.known.begin_rows(ids)
        pending = self.known.begin_rows(ids[~is_new])

        def read() -> Rows:
            of_known, of_new = np.asarray(pending.wait()), self.new[ids[is_new] - self.count]
            rows = np.empty((len(ids), *of_new.shape[1:]), dtype=np.result_type(of_known, of_new))
            rows[~is_new], rows[is_new] = of_known, of_new
            return rows

        return Pending(read)


def with_new_rows(
    known: Mapping[Any, Mapping[str, FeatureSource]],
    counts: Mapping[Any, int],
    new: Mapping[Any, Mapping[str, Rows]],
) -> dict[Any, dict[str, FeatureSource]]:
    """All inputs by type and name. counts: known rows by type. new: of the types that have new rows, all inputs."""
    joined: dict[Any, dict[str, FeatureSource]] = {}
    for row_type, by_name in known.items():
        joined[row_type] = dict(by_name)
        if row_type in new:
            for name, source in by_name.items():
                joined[row_type][name] = WithNewRows(source, counts[row_type], new[row_type][name])
    return joined
