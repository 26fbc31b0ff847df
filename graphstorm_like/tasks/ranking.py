"""Ranks of true targets among candidates, other true targets filtered out (Bordes et al., NeurIPS 2013).

rank = 1 + number of candidates scored higher + half of those scored equal, so that a constant score gains nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphstorm_like.errors import TrainingError
from graphstorm_like.graph.store import IntArray
from graphstorm_like.sampling.true_targets import TrueTargets

Scores = Callable[[Tensor, Tensor], Tensor]
"""Rows of queries, rows of keys -> scores."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """Of n true answers. rank [n]; candidates [n]: how many each was ranked among, itself included, those that were
    filtered out not."""

    rank: npt.NDArray[np.float64]
    candidates: npt.NDArray[np.float64]

    @classmethod
    def together(cls, parts: Sequence[Ranks]) -> Ranks:
        """One after the other."""
        ranks, candidates = [part.rank for part in parts], [part.candidates for part in parts]
        return cls(np.concatenate(ranks), np.concatenate(candidates))

    def __len__(self) -> int:
        return len(self.rank)

    def __getitem__(self, rows: IntArray) -> Ranks:
        return Ranks(self.rank[rows], self.candidates[rows])

    def ordered(self) -> Ranks:
        """By rank, then by candidates."""
        return self[np.lexsort((self.candidates, self.rank))]


def products(queries: Tensor, keys: Tensor) -> Tensor:
    """[n, D] and [m, D] -> [n, m] inner products of all pairs."""
    return queries @ keys.T


def pair_products(queries: Tensor, keys: Tensor) -> Tensor:
    """[..., D] and [..., D] -> [...] inner products of the pairs."""
    return (queries * keys).sum(dim=-1)


@torch.inference_mode()
def full_ranks(
    queries: Tensor,
    keys: Tensor,
    sources: IntArray,
    targets: IntArray,
    known: TrueTargets,
    exclude_self: bool,
    score: Scores = products,
    more: Callable[[IntArray], Tensor] | None = None,
) -> npt.NDArray[np.float64]:
    """Filtered rank of each of B true targets among all N candidates. queries [B, D], keys [N, D]. more: source ids
    [n] -> [n, N], added to their scores."""
    ranks = np.empty(len(sources))
    chunk = max(1, 40_000_000 // max(1, len(keys)))
    for start in range(0, len(sources), chunk):
        stop = min(start + chunk, len(sources))
        scores = score(queries[start:stop], keys)
        if more is not None:
            scores = scores + more(sources[start:stop])
        true = torch.from_numpy(targets[start:stop]).to(scores.device)
        best = scores.gather(1, true[:, None]).clone()
        rows, known_targets = known.pairs(sources[start:stop])
        scores[torch.from_numpy(rows), torch.from_numpy(known_targets)] = float("-inf")
        if exclude_self:
            scores[torch.arange(stop - start), torch.from_numpy(sources[start:stop])] = float("-inf")
        ranks[start:stop] = _rank(scores, best)
    return ranks


@torch.inference_mode()
def sampled_ranks(
    queries: Tensor,
    keys: Tensor,
    true: IntArray,
    candidates: IntArray,
    invalid: npt.NDArray[np.bool_],
    score: Scores = pair_products,
    more: Callable[[slice], Tensor] | None = None,
) -> npt.NDArray[np.float64]:
    """Rank of each true target among its own candidates. true [B] and candidates [B, C] are rows of keys. more: rows
    of the edges -> [n, 1 + C], added to the scores of the true target and its candidates."""
    ranks = np.empty(len(true))
    for start in range(0, len(true), 1024):
        part = slice(start, start + 1024)
        # The true target goes through the same sum as the others, and not through a matrix product, whose tiles round
        # differently: equal vectors must score equal to the last bit.
        columns = torch.from_numpy(np.concatenate([true[part, None], candidates[part]], axis=1))
        scores = score(queries[part, None], keys[columns])
        if more is not None:
            scores = scores + more(part)
        excluded = torch.from_numpy(invalid[part]).to(scores.device)
        ranks[part] = _rank(scores[:, 1:].masked_fill(excluded, float("-inf")), scores[:, :1])
    return ranks


def _rank(scores: Tensor, best: Tensor) -> npt.NDArray[np.float64]:
    if bool(best.isnan().any()) or bool(scores.isnan().any()):
        raise TrainingError("ranking: scores must be numbers (got NaN). Lower train.lr or look for extreme features")
    higher = (scores > best).sum(1).double()
    equal = (scores == best).sum(1).double()
    rank: npt.NDArray[np.float64] = (1.0 + higher + 0.5 * equal).cpu().numpy()
    return rank
