"""Losses of labels, one a file, found by the class of their configuration."""

from graphstorm_like.models.label_losses.base import LABEL_LOSSES, LabelLoss, NumberLoss

__all__ = ["LABEL_LOSSES", "LabelLoss", "NumberLoss"]
