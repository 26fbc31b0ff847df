"""Graph encoders, one a file; importing this registers them."""

from graphstorm_like.models.encoders import none, rgat, rgcn, sage
from graphstorm_like.models.encoders.base import GNNS, GraphEncoder

__all__ = ["GNNS", "GraphEncoder", "none", "rgat", "rgcn", "sage"]
