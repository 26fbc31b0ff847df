"""Degrees of nodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from gconstruct.structure.base import STRUCTURES, Edges, Structure
from gconstruct.transforms.moments import Moments
from graphstorm_like.config.features.degree import DegreeFeature


@STRUCTURES.register(DegreeFeature)
class Degree(Structure[DegreeFeature]):
    """See module."""

    def measure(self, edges: Edges, node_type: str) -> np.ndarray:
        """(nodes, edge types and ends), or (nodes, 1) in all; after log1p."""
        counted = self.config.counted_ends(node_type, edges.edge_types)
        degrees = np.stack([edges.degrees(edge_type, end) for edge_type, end in counted], axis=1).astype(np.float64)
        if self.config.total:
            degrees = degrees.sum(axis=1, keepdims=True)
        return np.log1p(degrees) if self.config.log1p else degrees

    def state(self, numbers: np.ndarray) -> dict[str, Any]:
        """mean and std of each number."""
        if self.config.normalize == "none":
            return {}
        fitted = Moments.of([numbers], numbers.shape[1]).fitted()
        return {name: fitted[name].tolist() for name in ("mean", "std")}

    def apply(self, numbers: np.ndarray, state: dict[str, Any]) -> np.ndarray:
        """See Structure."""
        if self.config.normalize == "none":
            return numbers.astype(np.float32)
        std = np.array(state["std"])
        scaled: np.ndarray = (numbers - np.array(state["mean"])) / np.where(std > 0, std, 1.0)
        return scaled.astype(np.float32)
