"""Losses of links. graphstorm_like/config/link_losses.py says when to use which."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.config.link_losses import (
    BprConfig,
    CrossEntropyConfig,
    FlatNceConfig,
    InfoNceConfig,
    MarginConfig,
    SelfAdversarialConfig,
)
from graphstorm_like.registry import Registry

LINK_LOSSES: Registry[type[LinkLoss]] = Registry("link loss")


class LinkLoss(nn.Module):
    """scores [B, C] of B true edges against their candidates; mask [B, C]: pairs that are not negatives; in_batch:
    whether other edges' targets are negatives; log_q [C] or [B, C]: log of how often each candidate is drawn,
    subtracted from its scores (None: 0); weights [B] of the true edges, each with its negatives (None: 1).

    With in_batch, C is B + K, and the true pair of row i is column i; without, C is 1 + K, and it is column 0 of each
    row. The mask is False there. Returns sum_i w_i loss_i, so that the trainer can divide by the global sum of weights.
    Subclasses define loss_i by `of_rows`.
    """

    def forward(
        self,
        scores: Tensor,
        mask: Tensor,
        in_batch: bool,
        log_q: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> Tensor:
        """See class."""
        losses = self.of_rows(scores, mask, in_batch, log_q)
        return losses.sum() if weights is None else (losses * weights).sum()

    def of_rows(self, scores: Tensor, mask: Tensor, in_batch: bool, log_q: Tensor | None) -> Tensor:
        """[B]: the loss of each true edge and its negatives. See class."""
        raise NotImplementedError


def corrected(logits: Tensor, log_q: Tensor | None) -> Tensor:
    """Without the log of how often each candidate is drawn, if that is known."""
    return logits if log_q is None else logits - log_q


def true_pairs(values: Tensor, in_batch: bool) -> Tensor:
    """[B, C] of all pairs -> [B] of the true ones, a view."""
    return values.diagonal() if in_batch else values[:, 0]


def true_columns(values: Tensor, in_batch: bool) -> Tensor:
    """[B]: which column of [B, C] each row's true pair is."""
    rows = len(values)
    return torch.arange(rows, device=values.device) if in_batch else torch.zeros_like(values[:, 0], dtype=torch.long)


def negatives(mask: Tensor, in_batch: bool) -> Tensor:
    """[B, C] pairs that are negatives."""
    found = ~mask
    true_pairs(found, in_batch).fill_(False)
    return found


def mean_over_negatives(terms: Tensor, mask: Tensor, in_batch: bool) -> Tensor:
    """[B, C] terms of pairs -> [B] their means over each row's negatives; 0 of a row without any."""
    is_negative = negatives(mask, in_batch)
    return terms.masked_fill(~is_negative, 0.0).sum(dim=1) / is_negative.sum(dim=1).clamp(min=1)


@LINK_LOSSES.register(BprConfig)
class Bpr(LinkLoss):
    """Bayesian personalised ranking (Rendle et al., UAI 2009): -log of the chance that the true target ranks first of
    two.

    loss_i = -mean_{j negative of i} log sigmoid( (s_ii - s_ij) / T ),   with s_ij / T - log q_j where q is given.

    Unlike InfoNCE each negative is a comparison of its own: the hardest ones do not take the gradient of the others. A
    row without negatives adds nothing.
    """

    def __init__(self, config: BprConfig) -> None:
        super().__init__()
        self.temperature = config.temperature

    def of_rows(self, scores: Tensor, mask: Tensor, in_batch: bool, log_q: Tensor | None) -> Tensor:
        """See LinkLoss."""
        logits = corrected(scores.float() / self.temperature, log_q)
        return mean_over_negatives(F.softplus(logits - true_pairs(logits, in_batch)[:, None]), mask, in_batch)


@LINK_LOSSES.register(CrossEntropyConfig)
class CrossEntropy(LinkLoss):
    """Binary cross-entropy over pairs, with the same total weight for a row's positives and negatives.

    loss_i = -log sigmoid(a s_ii + b) - mean_{j negative of i} log sigmoid(-(a s_ij + b))

    With q, a s_ij + b - log q_j (noise-contrastive estimation). Scale a and bias b are learnt (as in SigLIP, Zhai et
    al. 2023): cosines alone could not saturate the sigmoid.
    """

    def __init__(self, config: CrossEntropyConfig) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(5.0))
        self.bias = nn.Parameter(torch.tensor(0.0))

    def of_rows(self, scores: Tensor, mask: Tensor, in_batch: bool, log_q: Tensor | None) -> Tensor:
        """See LinkLoss."""
        logits = corrected(scores.float() * self.scale + self.bias, log_q)
        of_true = F.softplus(-true_pairs(logits, in_batch))
        return of_true + mean_over_negatives(F.softplus(logits), mask, in_batch)


@LINK_LOSSES.register(FlatNceConfig)
class FlatNce(LinkLoss):
    """FlatNCE (Chen et al. 2021, "Simpler, Faster, Stronger"): the log odds of the negatives, learnt without
    saturation.

    v_i = log sum_{j negative of i} exp( (s_ij - s_ii) / T ),   loss_i = exp(v_i - stop(v_i)), stop: without gradient

    with s_ij / T - log q_j where q is given. InfoNCE is log(1 + exp(v_i)), whose gradient is that of v_i times 1 -
    p_i, for p_i the probability of the true target: once p_i rounds to 1 nothing is left of it. Here the gradient is
    that of v_i: weights over the negatives alone, which sum to 1, and -1 for the true target. The value itself would
    always be 1; InfoNCE's value is reported instead, without a gradient. A row without negatives adds nothing.
    """

    def __init__(self, config: FlatNceConfig) -> None:
        super().__init__()
        self.temperature = config.temperature

    def of_rows(self, scores: Tensor, mask: Tensor, in_batch: bool, log_q: Tensor | None) -> Tensor:
        """See LinkLoss."""
        logits = corrected(scores.float() / self.temperature, log_q)
        # The true pair must not be among the negatives: with it the gradient would be InfoNCE's again.
        not_negative = ~negatives(mask, in_batch)
        has_negatives = ~not_negative.all(dim=1)  # the log of an empty sum is -inf, and its gradient NaN
        of_negatives = logits[has_negatives].masked_fill(not_negative[has_negatives], float("-inf"))
        odds = torch.logsumexp(of_negatives - true_pairs(logits, in_batch)[has_negatives, None], dim=1)
        info_nce = F.softplus(odds.detach())
        found = info_nce + torch.exp(odds - odds.detach()) - 1.0
        return found.new_zeros(len(logits)).masked_scatter(has_negatives, found)


@LINK_LOSSES.register(InfoNceConfig)
class InfoNce(LinkLoss):
    """InfoNCE (van den Oord et al. 2018): -log softmax of the true target among its candidates.

    loss_i = -log( exp(s_ii / T) / sum_{j not masked} exp(s_ij / T) ), with s_ij / T - log q_j where q is given.

    Needs many negatives, and vectors of unit length (T = 0.05 .. 0.2).
    """

    def __init__(self, config: InfoNceConfig) -> None:
        super().__init__()
        self.temperature = config.temperature

    def of_rows(self, scores: Tensor, mask: Tensor, in_batch: bool, log_q: Tensor | None) -> Tensor:
        """See LinkLoss."""
        logits = corrected(scores.float() / self.temperature, log_q)
        logits = logits.masked_fill(mask, float("-inf"))
        return F.cross_entropy(logits, true_columns(logits, in_batch), reduction="none")


@LINK_LOSSES.register(MarginConfig)
class Margin(LinkLoss):
    """Margin ranking loss (Bordes et al., NeurIPS 2013): negatives at least a margin below the true target.

    loss_i = mean_{j negative of i} max(0, margin - s_ii + s_ij),   with s_ij - log q_j where q is given.

    What is already ranked well has no gradient: training ends by itself, and most of many random negatives teach
    nothing. A row without negatives adds nothing.
    """

    def __init__(self, config: MarginConfig) -> None:
        super().__init__()
        self.margin = config.margin

    def of_rows(self, scores: Tensor, mask: Tensor, in_batch: bool, log_q: Tensor | None) -> Tensor:
        """See LinkLoss."""
        raised = corrected(scores.float(), log_q)
        missing = self.margin + raised - true_pairs(raised, in_batch)[:, None]
        return mean_over_negatives(F.relu(missing), mask, in_batch)


@LINK_LOSSES.register(SelfAdversarialConfig)
class SelfAdversarial(LinkLoss):
    """Binary cross-entropy with negatives that weigh by the model's own scores (Sun et al., RotatE, ICLR 2019,
    equation 5).

    z_ij = a s_ij + b (- log q_j),   p_ij = softmax over the negatives j of i of alpha z_ij, without gradient
    loss_i = -log sigmoid(z_ii) - sum_{j negative of i} p_ij log sigmoid(-z_ij)

    Scale a and bias b are learnt, as in cross_entropy, of which this is the case alpha = 0. A row without negatives
    has the first part alone.
    """

    def __init__(self, config: SelfAdversarialConfig) -> None:
        super().__init__()
        self.sharpness = config.sharpness
        self.scale = nn.Parameter(torch.tensor(5.0))
        self.bias = nn.Parameter(torch.tensor(0.0))

    def of_rows(self, scores: Tensor, mask: Tensor, in_batch: bool, log_q: Tensor | None) -> Tensor:
        """See LinkLoss."""
        logits = corrected(scores.float() * self.scale + self.bias, log_q)
        is_negative = negatives(mask, in_batch)
        # The lowest number and not -inf, whose softmax over a row without negatives is NaN.
        hardness = (self.sharpness * logits.detach()).masked_fill(~is_negative, torch.finfo(logits.dtype).min)
        weights = hardness.softmax(dim=1) * is_negative
        return F.softplus(-true_pairs(logits, in_batch)) + (weights * F.softplus(logits)).sum(dim=1)
