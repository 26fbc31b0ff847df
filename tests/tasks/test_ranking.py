"""Filtered ranks against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphstorm_like.config.tasks.ranking import RANKING_METRICS
from graphstorm_like.errors import TrainingError
from graphstorm_like.sampling.true_targets import TrueTargets
from graphstorm_like.tasks.metrics import Metrics
from graphstorm_like.tasks.ranking import full_ranks, sampled_ranks


def slow_rank(scores: np.ndarray, true: int, banned: set[int]) -> float:
    others = [scores[j] for j in range(len(scores)) if j != true and j not in banned]
    return 1 + sum(o > scores[true] for o in others) + 0.5 * sum(o == scores[true] for o in others)


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 9), st.integers(1, 25), st.integers(0, 10_000), st.booleans())
def test_full_ranks(nodes: int, edges: int, seed: int, exclude_self: bool) -> None:
    rng = np.random.default_rng(seed)
    source, target = rng.integers(nodes, size=edges), rng.integers(nodes, size=edges)
    if exclude_self:
        keep = source != target
        source, target = source[keep], target[keep]
    # Small integers: ties are common.
    vectors = torch.from_numpy(rng.integers(-1, 2, size=(nodes, 3))).float()
    known = TrueTargets(source, target, nodes)
    got = full_ranks(vectors[source], vectors, source, target, known, exclude_self)
    for i, (s, t) in enumerate(zip(source.tolist(), target.tolist(), strict=True)):
        banned = {b for a, b in zip(source.tolist(), target.tolist(), strict=True) if a == s and b != t}
        banned |= {s} if exclude_self else set()
        assert got[i] == slow_rank((vectors @ vectors[s]).numpy(), t, banned)


def test_known_targets_of_sources_without_any() -> None:
    known = TrueTargets(np.array([2, 0, 2]), np.array([5, 6, 7]), 4)
    rows, targets = known.pairs(np.array([1, 2, 3, 0]))
    assert rows.tolist() == [1, 1, 3]
    assert targets.tolist() == [5, 7, 6]


def test_sampled_ranks() -> None:
    keys = torch.tensor([[1.0], [2.0], [3.0], [0.0]])
    queries = torch.tensor([[1.0], [1.0]])
    candidates = np.array([[0, 2, 3], [0, 2, 1]])
    invalid = np.array([[False, False, False], [False, True, False]])
    assert sampled_ranks(queries, keys, np.array([1, 1]), candidates, invalid).tolist() == [2.0, 1.5]


def test_a_constant_score_gains_nothing() -> None:
    n = 101
    keys = torch.zeros(n, 2)
    source, target = np.array([0]), np.array([5])
    rank = full_ranks(keys[:1], keys, source, target, TrueTargets(source, target, n), False)
    assert rank.tolist() == [51.0]


@pytest.mark.known_answer("metrics/hits", "metrics/mrr")
def test_metrics() -> None:
    found = Metrics(RANKING_METRICS).measure(np.array([1.0, 2.0, 10.5]), np.ones(3))
    assert found == {
        "mrr": pytest.approx((1 + 0.5 + 1 / 10.5) / 3),
        "hits@1": pytest.approx(1 / 3),
        "hits@10": pytest.approx(2 / 3),
    }


def test_equal_vectors_score_equal_among_sampled_candidates() -> None:
    """At real widths: the true target must not win or lose by the rounding of another kernel."""
    torch.manual_seed(0)
    keys = torch.randn(1, 128).expand(300, 128).contiguous()
    candidates = np.random.default_rng(0).integers(300, size=(300, 100))
    ranks = sampled_ranks(torch.randn(300, 128), keys, np.arange(300), candidates, np.zeros((300, 100), dtype=bool))
    assert set(ranks.tolist()) == {51.0}


def test_nan_scores_are_refused() -> None:
    keys = torch.full((5, 2), float("nan"))
    source, target = np.array([0]), np.array([1])
    with pytest.raises(TrainingError, match="scores must be numbers"):
        full_ranks(keys[:1], keys, source, target, TrueTargets(source, target, 5), True)
