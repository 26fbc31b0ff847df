"""Losses, one a file; importing this registers them."""

from graphstorm_like.models.losses import cross_entropy, info_nce
from graphstorm_like.models.losses.base import LINK_LOSSES, LinkLoss

__all__ = ["LINK_LOSSES", "LinkLoss", "cross_entropy", "info_nce"]
