"""Weights of true edges in the loss of links: a feature of the edges, by edge id. In memory: 4 bytes an edge, which the
processes of a host share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.inverses import stored
from graphstorm_like.errors import DataError
from graphstorm_like.graph.partitioned_graph import once_a_host
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.graph.store import Graph, IntArray

KEY = "task.edge_weight"


class LossWeights:
    """train: ids of the training edges by relation. DataError for a feature that cannot weigh them."""

    def __init__(self, graph: Graph, train: Mapping[EdgeType, IntArray], feature: str) -> None:
        rows = {edge_type: ids for edge_type, ids in train.items() if stored(edge_type) == edge_type}
        self._of_type: dict[EdgeType, npt.NDArray[np.float32]] = {}
        for edge_type in weighed_relations(graph.manifest, list(rows), feature):
            self._of_type[edge_type] = _read(graph, edge_type, feature)
            _check(graph, edge_type, feature, self._of_type[edge_type][rows[edge_type]])
        alike = [edge_type for edge_type in rows if edge_type not in self._of_type and len(rows[edge_type])]
        if not alike and not any(self._of_type[e][ids].any() for e, ids in rows.items() if e in self._of_type):
            raise DataError(
                f"{graph.folder}: feature '{feature}' must be above 0 for a training edge of "
                f"{', '.join(map(edge_name, self._of_type))} (got 0 for all). Name another as {KEY}, or leave it out"
            )

    def __call__(self, edges: Mapping[EdgeType, IntArray]) -> Tensor:
        """Edge ids by relation -> weights [B], relation by relation. An inverse has the weights of its edges."""
        pieces = []
        for edge_type, ids in edges.items():
            known = self._of_type.get(stored(edge_type))
            pieces.append(np.ones(len(ids), dtype=np.float32) if known is None else known[ids])
        return torch.from_numpy(np.concatenate(pieces))


def weighed_relations(manifest: GraphManifest, edge_types: Sequence[EdgeType], feature: str) -> list[EdgeType]:
    """The edge types that have the feature. DataError when none has, or when it is not one dense number."""
    weighed = []
    for edge_type in edge_types:
        schema = manifest.edge(edge_type).features.get(feature)
        if schema is None:
            continue
        if schema.width != 1 or schema.sparse:
            got = "a sparse one" if schema.sparse else f"{schema.width} numbers"
            raise DataError(
                f"graph folder, edge type {edge_name(edge_type)}: feature '{feature}' must be one number to weigh "
                f"edges in the loss (got {got}). Name another as {KEY}"
            )
        weighed.append(edge_type)
    if not weighed:
        names = ", ".join(map(edge_name, edge_types))
        raise DataError(f"graph folder: {names} must have a feature '{feature}' for {KEY} (got none)")
    return weighed


def _read(graph: Graph, edge_type: EdgeType, feature: str) -> npt.NDArray[np.float32]:
    def make() -> npt.NDArray[np.float32]:
        every = np.arange(graph.manifest.edge(edge_type).count)
        return np.ascontiguousarray(graph.gather(edge_type, feature, every)[:, 0], dtype=np.float32)

    return once_a_host(graph, f"loss weights:{edge_name(edge_type)}:{feature}", make)


def _check(graph: Graph, edge_type: EdgeType, feature: str, weights: npt.NDArray[np.float32]) -> None:
    wrong = weights[~(np.isfinite(weights) & (weights >= 0.0))]
    if len(wrong):
        raise DataError(
            f"{graph.folder}, edge type {edge_name(edge_type)}: feature '{feature}' must be at least 0, and finite, to "
            f"weigh edges in the loss (got {wrong[0]:g} for {len(wrong):,} of {len(weights):,} training "
            f"edges or like it). Construct it with normalize: none or min_max, or leave out {KEY}"
        )
