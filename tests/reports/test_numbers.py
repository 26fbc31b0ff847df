"""The numbers of a report, by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from graphstorm_like.config import Pipeline
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.reports import baselines
from graphstorm_like.reports.baselines import constants, majority, popularity_ranks
from graphstorm_like.reports.buckets import bucket_scores, power_buckets, rank_histogram
from graphstorm_like.reports.classes import calibration, class_scores, confusion, count_classes
from graphstorm_like.reports.embedding_map import principal_components
from graphstorm_like.reports.intervals import blocks, interval, mean_interval, sample_values, wilson
from graphstorm_like.reports.plots import ticks
from graphstorm_like.reports.wording import overfitting
from graphstorm_like.sampling.rng import stream
from graphstorm_like.sampling.true_targets import TrueTargets
from graphstorm_like.tasks.ranking import full_ranks, sampled_ranks

TRUE = np.array([0, 0, 0, 1, 1, 3])
SAID = np.array([0, 0, 1, 1, 3, 1])


def test_classes() -> None:
    """Class 2 is nowhere, and so in no table; class 3 is never right."""
    scores = class_scores(count_classes(TRUE, SAID, 4), ["a", "b", "c", "d"])
    found = [(s.name, s.support, s.predicted, s.precision, s.recall, s.f1) for s in scores]
    assert found == [("a", 3, 2, 1.0, 2 / 3, 0.8), ("b", 2, 3, 1 / 3, 0.5, 0.4), ("d", 1, 1, 0.0, 0.0, 0.0)]


def test_a_class_without_rows_has_no_recall() -> None:
    only_said, only_true = class_scores(count_classes(np.array([0]), np.array([1]), 2), ["a", "b"])[::-1]
    assert (only_said.name, only_said.precision, only_said.recall) == ("b", 0.0, None)
    assert (only_true.name, only_true.precision, only_true.recall) == ("a", None, 0.0)


def test_confusion() -> None:
    found = confusion(TRUE, SAID, ["a", "b", "c", "d"])
    assert found.classes == ["a", "b", "d"]
    assert found.counts == [[2, 1, 0], [0, 1, 1], [0, 1, 0]]
    assert [(p.true, p.predicted, p.rows) for p in found.pairs] == [("a", "b", 1), ("b", "d", 1), ("d", "b", 1)]


def test_many_classes_are_put_together() -> None:
    true = np.repeat(np.arange(3000), np.where(np.arange(3000) < 12, 5, 1))
    found = confusion(true, np.roll(true, 1), [f"c{i}" for i in range(3000)])
    assert found.classes == [*(f"c{i}" for i in range(12)), "all others"]
    assert np.sum(found.counts) == len(true)
    assert found.counts[0][0] == 4
    assert found.counts[0][12] == 1, "the last row is of class 2999"
    assert len(found.pairs) == 30


def test_calibration() -> None:
    """Bins hold their upper ends: 0.5 is in the fifth. Gaps: 0.5 of one row, 0.1 of two."""
    found = calibration(np.array([0.5, 0.9, 0.9]), np.array([True, True, True]))
    assert [(round(b.high, 1), b.rows) for b in found.bins if b.rows] == [(0.5, 1), (0.9, 2)]
    assert found.ece == pytest.approx((0.5 + 2 * 0.1) / 3)
    sure = calibration(np.array([1.0, 1.0, 0.0]), np.array([True, False, False]))
    assert sure.ece == pytest.approx(1 / 3)
    assert (sure.bins[-1].rows, sure.bins[0].rows) == (2, 1)


@pytest.mark.parametrize("rows", [40, 3000])
def test_an_interval_is_as_wide_as_theory_says(rows: int) -> None:
    values = (np.random.default_rng(1).random(rows) < 0.3).astype(float)
    low, high = mean_interval(values) or (0, 0)
    error = np.sqrt(values.mean() * (1 - values.mean()) / rows)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.15)


def test_intervals_of_little() -> None:
    assert sorted(np.concatenate(list(blocks(250))).tolist()) == list(range(250))
    assert mean_interval(np.array([1.0])) is None
    assert mean_interval(np.ones(50)) is None, "no width is not certainty"
    assert interval(np.array([np.nan, 1.0, np.nan])) is None
    drawn = sample_values(np.array([[2.0, 1.0], [4.0, 1.0]]), lambda total: total[0] / total[1])
    assert set(drawn.tolist()) == {2.0, 3.0, 4.0}


def test_buckets() -> None:
    found = power_buckets(np.array([0, 1, 2, 3, 3, 8, 10**9]))
    assert [(label, rows.tolist()) for label, rows in found] == [
        ("0", [0]), ("1", [1]), ("2 – 3", [2, 3, 4]), ("8 – 15", [5]), ("≥ 256", [6]),
    ]  # fmt: skip
    assert [label for label, _ in power_buckets(np.array([0, 5, 16, 40]), 16)] == ["0", "1 – 15", "16 – 31", "32 – 63"]
    scored = bucket_scores(np.array([0.0, 1.0, 1.0, 0.0, 0.5, 1.0, 0.25]), found)
    assert [bucket.value for bucket in scored] == [0.0, 1.0, 0.5, 1.0, 0.25]
    assert scored[0].low is None
    assert scored[2].low is not None


def test_ranks() -> None:
    found = rank_histogram(np.array([1.0, 1.5, 2.0, 3.5, 4.0, 31.0]))
    assert [(b.low, b.high, b.rows) for b in found.bins] == [
        (1, 1, 2),
        (2, 3, 2),
        (4, 10, 1),
        (11, 30, 0),
        (31, 100, 1),
    ]
    assert rank_histogram(np.array([2.0, 1e6])).bins[-1].rows == 1


def test_principal_components() -> None:
    rng = np.random.default_rng(0)
    across = rng.normal(size=(200, 2)) * [5.0, 1.0]
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0][:2]
    points, shares = principal_components(across @ turn + 3.0)
    centred = across - across.mean(axis=0)
    assert abs(np.corrcoef(points[:, 0], centred[:, 0])[0, 1]) > 0.999
    variances = np.linalg.eigvalsh(np.cov(centred.T))[::-1]
    np.testing.assert_allclose(shares, variances / variances.sum())
    assert principal_components(np.ones((5, 3)))[1] == (0.0, 0.0)
    assert principal_components(np.array([[1.0], [2.0], [4.0]]))[1] == (1.0, 0.0)


def test_trivial_predictions() -> None:
    outputs = majority(np.array([2, 2, 0]), rows=2, classes=4)
    np.testing.assert_allclose(outputs, [[1 / 3, 0, 2 / 3, 0]] * 2)
    assert constants(np.array([1.0, 2.0, 9.0], dtype=np.float32)) == {"mean": 4.0, "median": 2.0}


@pytest.mark.parametrize("candidates", ["all", 30])
@pytest.mark.parametrize("exclude", [True, False])
def test_popularity_is_ranked_as_the_model_is(
    shop_config: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch, candidates: str | int, exclude: bool
) -> None:
    """The same ranks as those of a model whose score is the number of training edges, also in several draws."""
    monkeypatch.setattr(baselines, "MOST_DRAWN", 1000)
    pipeline = shop_config("link_prediction")
    graph, edge_type = LocalGraph(str(pipeline.graph.path)), ("item", "similar", "item")
    train, rows = graph.edge_rows(edge_type, "train"), graph.edge_rows(edge_type, "test")
    source, target = graph.edges(edge_type, rows)
    protocol = {"candidates": candidates, "source_excluded": exclude}
    found = popularity_ranks(graph, edge_type, train, rows, protocol, pipeline.seed)
    count = graph.manifest.node("item").count
    popular = torch.from_numpy(np.bincount(graph.edges(edge_type, train)[1], minlength=count)).float()[:, None]
    known = TrueTargets(*graph.edges(edge_type), count)
    ones = torch.ones(len(source), 1)
    if candidates == "all":
        expected = full_ranks(ones, popular, source, target, known, exclude)
    else:
        drawn = stream(pipeline.seed, "ranking").integers(count, size=(len(rows), candidates))
        invalid = np.stack([np.isin(drawn[i], known.pairs(source[i : i + 1])[1]) for i in range(len(rows))])
        invalid |= (drawn == source[:, None]) & exclude
        expected = sampled_ranks(ones, popular, target, drawn, invalid)
    np.testing.assert_array_equal(found.rank, expected)
    for at, node in enumerate(source.tolist()):
        among = np.arange(count) if candidates == "all" else drawn[at]
        filtered = [*known.pairs(source[at : at + 1])[1], *([node] if exclude else [])]
        assert found.candidates[at] == 1 + (~np.isin(among, filtered)).sum()


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (-3, 12, [0, 5, 10]), (2, 2, [2])]
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("hits", "rows", "ends"),
    [
        (0, 0, None),
        (0, 2, (0.0, 0.6576)),
        (5, 10, (0.2366, 0.7634)),
        (10, 10, (0.7225, 1.0)),
        (81, 263, (0.2553, 0.3662)),
    ],
)
def test_wilsons_interval(hits: int, rows: int, ends: tuple[float, float] | None) -> None:
    """81 of 263 is the example of Newcombe (1998), Statistics in Medicine 17, method 3."""
    found = wilson(hits, rows)
    assert found == (None if ends is None else pytest.approx(ends, abs=6e-5))


LOSSES = [(float(e), 2.0 * 0.7**e) for e in range(1, 13)]
RISING = [(float(e), 0.5 + 0.01 * e) for e in range(1, 13)]
FALLING = [(float(e), 0.8 - 0.02 * abs(e - 4)) for e in range(1, 13)]


@pytest.mark.parametrize(
    ("loss", "valid", "higher", "valid_loss", "part"),
    [
        ([(1.0, 2.0), (2.0, 0.0009)], RISING, True, 1.3, "fallen to 0.0009, while that of validation rows is 1.300"),
        ([(1.0, 2.0), (2.0, 0.0009)], RISING, True, 0.003, ""),
        (LOSSES, RISING, True, 0.09, ""),
        (LOSSES, FALLING, True, None, "worse since epoch 4 of 12, from 0.800 to 0.640"),
        (LOSSES, [(e, -v) for e, v in FALLING], False, None, "worse since epoch 4 of 12"),
        ([(e, 1.0) for e, _ in LOSSES], FALLING, True, None, ""),
        (LOSSES[:4], FALLING[:4], True, None, ""),
        ([], [], True, None, ""),
    ],
)
def test_overfitting_gets_a_word(
    loss: list[tuple[float, float]],
    valid: list[tuple[float, float]],
    higher: bool,
    valid_loss: float | None,
    part: str,
) -> None:
    said = overfitting(loss, valid, higher, valid_loss)
    assert part in said
    assert bool(said) is bool(part)
    assert not said or "docs/guide/training.md" in said
