"""Tuning of all weights."""

from __future__ import annotations

from graphstorm_like.config.tuning import FullTuning
from graphstorm_like.text.tuning.base import TUNINGS, Tuning


@TUNINGS.register(FullTuning)
class Full(Tuning[FullTuning]):
    """See FullTuning."""
