"""Optimizers of dense weights, one a file, found by the class of their configuration."""

from graphstorm_like.training.optimizers.base import OPTIMIZERS, Groups, build_optimizer, check_optimizer

__all__ = ["OPTIMIZERS", "Groups", "build_optimizer", "check_optimizer"]
