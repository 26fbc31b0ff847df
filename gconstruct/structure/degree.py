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
        return self.numbers(np.stack([edges.degrees(edge_type, end) for edge_type, end in counted], axis=1))

    def numbers(self, degrees: np.ndarray) -> np.ndarray:
        """float64 (n, width) of some nodes. degrees: int64 (n, counted ends)"""
        numbers: np.ndarray = degrees.astype(np.float64)
        if self.config.total:
            numbers = numbers.sum(axis=1, keepdims=True)
        return np.log1p(numbers) if self.config.log1p else numbers

    def state(self, numbers: np.ndarray) -> dict[str, Any]:
        """mean and std of each number."""
        return self.state_of(Moments.of([numbers], numbers.shape[1]))

    def state_of(self, moments: Moments) -> dict[str, Any]:
        """The same, of statistics that were merged."""
        if self.config.normalize == "none":
            return {}
        fitted = moments.fitted()
        return {name: fitted[name].tolist() for name in ("mean", "std")}

    def apply(self, numbers: np.ndarray, state: dict[str, Any]) -> np.ndarray:
        """See Structure."""
        if self.config.normalize == "none":
            return numbers.astype(np.float32)
        std = np.array(state["std"])
        scaled: np.ndarray = (numbers - np.array(state["mean"])) / np.where(std > 0, std, 1.0)
        return scaled.astype(np.float32)
