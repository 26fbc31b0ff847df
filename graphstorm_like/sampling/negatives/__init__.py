"""Who draws negatives, one kind a file, found by the class of its configuration."""

from graphstorm_like.sampling.negatives.base import NEGATIVES, Negatives

__all__ = ["NEGATIVES", "Negatives"]
