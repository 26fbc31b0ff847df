"""Samplers of negatives: one kind per file, looked up by the class of its configuration."""

from graphstorm_like.sampling.negatives.base import NEGATIVES, Negatives

__all__ = ["NEGATIVES", "Negatives"]
