"""Heads that score links, one a file, found by the class of their configuration."""

from graphstorm_like.models.link_heads.base import LINK_HEADS, LinkHead

__all__ = ["LINK_HEADS", "LinkHead"]
