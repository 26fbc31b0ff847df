"""Losses, one a file, found by the class of their configuration."""

from graphstorm_like.models.losses.base import LINK_LOSSES, LinkLoss

__all__ = ["LINK_LOSSES", "LinkLoss"]
