"""Attacks, one a file, found by the class of their configuration."""

from graphstorm_like.models.attacks.base import ATTACKS, Attack, Rows, attack_of

__all__ = ["ATTACKS", "Attack", "Rows", "attack_of"]
