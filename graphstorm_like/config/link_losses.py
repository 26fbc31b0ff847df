"""`task.loss`: what link prediction minimises.

info_nce           ranking among many candidates; the default
flat_nce           the same with small batches or in bfloat16
cross_entropy      links that are true or not, each for itself
bpr                recommendations: the true target above each negative
margin             distances, such as TransE's
self_adversarial   knowledge graphs: hard negatives weigh more
"""

from __future__ import annotations

from typing import Literal

from graphstorm_like.config.base import PositiveFloat
from graphstorm_like.config.choice import Choice


class LinkLossConfig(Choice, tag="type"):
    """Scores of true links and their negatives -> a loss."""

    type: str


class BprConfig(LinkLossConfig):
    """Bayesian personalised ranking (Rendle et al. 2009): the true target above each negative, by a sigmoid of the
    difference of both scores, the mean over an edge's negatives."""

    type: Literal["bpr"]
    temperature: PositiveFloat = 0.1
    """Differences are divided by it; 1 is the paper's, for scores that are no cosines."""


class CrossEntropyConfig(LinkLossConfig):
    """Binary cross-entropy on every pair, positives and negatives weighted alike in sum."""

    type: Literal["cross_entropy"]


class FlatNceConfig(LinkLossConfig):
    """FlatNCE (Chen et al. 2021): InfoNCE with a gradient that does not fade as a positive wins, so that bfloat16 and
    small temperatures do not lose it. The number that is logged is InfoNCE's."""

    type: Literal["flat_nce"]
    temperature: PositiveFloat = 0.1
    """Scores are divided by it: low ones punish the hardest negatives most."""


class InfoNceConfig(LinkLossConfig):
    """Softmax of the positive among all its candidates (van den Oord et al. 2018)."""

    type: Literal["info_nce"]
    temperature: PositiveFloat = 0.1
    """Scores are divided by it: low ones punish the hardest negatives most."""


class MarginConfig(LinkLossConfig):
    """Margin ranking (TransE, Bordes et al. 2013): the true target above each negative by `margin`; what is farther
    below costs nothing. The mean over an edge's negatives."""

    type: Literal["margin"]
    margin: PositiveFloat = 0.5
    """In units of the scores: cosines differ by 2 at most."""


class SelfAdversarialConfig(LinkLossConfig):
    """Binary cross-entropy in which an edge's negatives weigh by how likely the model itself holds them (RotatE, Sun et
    al. 2019)."""

    type: Literal["self_adversarial"]
    sharpness: PositiveFloat = 1.0
    """The paper's alpha: high for the hardest negatives alone, near 0 for all alike, as with cross_entropy."""
