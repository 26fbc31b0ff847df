"""Preferences within a group, from soft scores: a margin ranking loss whose margin is the difference of the scores.

For a pair (i, j) of a group and a class c, q the scores and f the probabilities of the model:

gap = q_ic - q_jc;  loss_c = max(0, m - sign(gap) (f_ic - f_jc)) where |gap| > min_gap, else 0;  m = |gap|, or a number

One-vs-rest over the classes, summed. After a published abstract on preference learning from language models' scores of
utterances in a session; the formula is our reconstruction. What is common to all scores of a group is in no gap. The
absolute level of f stays free, so that some rows need labels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class IntraGroupPairwise(nn.Module):
    """margin: None for the difference of the scores. Scores [M, C] and probabilities [M, C] of M members."""

    def __init__(self, margin: float | None, min_gap: float) -> None:
        super().__init__()
        self.margin, self.min_gap = margin, min_gap

    def forward(self, probabilities: Tensor, scores: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Losses [P] of the pairs (first [P], second [P]) of members."""
        gap = scores[first] - scores[second]
        ahead = torch.sign(gap) * (probabilities[first] - probabilities[second])
        margin = gap.abs() if self.margin is None else torch.full_like(gap, self.margin)
        losses = torch.relu(margin - ahead) * (gap.abs() > self.min_gap)
        return losses.sum(dim=1)
