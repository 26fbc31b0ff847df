"""Graph networks, one a file, found by the class of their configuration."""

from graphstorm_like.models.encoders.base import GNNS, GraphEncoder

__all__ = ["GNNS", "GraphEncoder"]
