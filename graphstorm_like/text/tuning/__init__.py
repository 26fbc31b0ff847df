"""Ways to tune a language model, one file each, found by the class of their configuration."""

from graphstorm_like.text.tuning.base import TUNINGS, Tuning, tuning_of

__all__ = ["TUNINGS", "Tuning", "tuning_of"]
