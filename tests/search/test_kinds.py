"""Kinds of indexes: what is nearest, on known answers and beside a plain computation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphstorm_like.config.search import ExactSearchConfig, HnswSearchConfig, IvfSearchConfig, SearchConfig
from graphstorm_like.errors import DataError
from graphstorm_like.search import kinds
from graphstorm_like.search.kinds import INDEXES, Floats, VectorIndex
from graphstorm_like.search.recall import found_share, measure_recall

EXACT = ExactSearchConfig(type="exact")
EVERYTHING = [EXACT, IvfSearchConfig(type="ivf", lists=4, probes=4), HnswSearchConfig(type="hnsw")]
"""With settings under which the approximate kinds miss nothing on a few hundred vectors."""


def index_of(config: SearchConfig, vectors: Floats) -> VectorIndex:
    index = INDEXES.of(config)(config, vectors)
    index.build()
    return index


def some_vectors(count: int, width: int = 8, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


@pytest.mark.known_answer("search/exact", "search/hnsw", "search/ivf")
@pytest.mark.parametrize("config", EVERYTHING, ids=lambda config: config.type)
def test_the_largest_inner_products_come_first(config: SearchConfig) -> None:
    vectors, queries = some_vectors(200), some_vectors(7, seed=1)
    scores, rows = index_of(config, vectors).search(queries, 5)
    products = queries @ vectors.T
    np.testing.assert_array_equal(rows, np.argsort(-products, axis=1)[:, :5])
    np.testing.assert_allclose(scores, -np.sort(-products, axis=1)[:, :5], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("config", EVERYTHING, ids=lambda config: config.type)
def test_more_than_there_are(config: SearchConfig) -> None:
    scores, rows = index_of(config, some_vectors(3)).search(some_vectors(2, seed=1), 5)
    assert (rows[:, 3:] == -1).all()
    assert (scores[:, 3:] == -np.inf).all()
    assert [sorted(line) for line in rows[:, :3].tolist()] == [[0, 1, 2]] * 2


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(1, 30),
    k=st.integers(1, 8),
    block=st.integers(1, 9),
    values=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_exact_search_does_not_depend_on_blocks(count: int, k: int, block: int, values: int, seed: int) -> None:
    """Also with many equal scores: the scores of all blocks together, and each row once."""
    rng = np.random.default_rng(seed)
    vectors = rng.integers(0, values, size=(count, 2)).astype(np.float32)
    queries = rng.integers(0, values, size=(4, 2)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kinds, "BLOCK_VECTORS", block)
        patch.setattr(kinds, "BLOCK_SCORES", 2 * block)
        scores, rows = index_of(EXACT, vectors).search(queries, k)
    kept = min(k, count)
    expected = -np.sort(-(queries @ vectors.T), axis=1)[:, :kept]
    np.testing.assert_array_equal(scores[:, :kept], expected)
    for query, line in zip(queries, rows[:, :kept], strict=True):
        assert len(set(line.tolist())) == kept
        np.testing.assert_array_equal(np.sort(vectors[line] @ query)[::-1], vectors[line] @ query)


def test_recall_counts_what_was_found() -> None:
    assert found_share(np.array([[0, 1], [2, -1]]), np.array([[1, 5], [2, 3]])) == pytest.approx(2 / 3)
    vectors = some_vectors(900, 16)
    few = measure_recall(index_of(IvfSearchConfig(type="ivf", lists=20, probes=1), vectors), vectors)
    more = measure_recall(index_of(IvfSearchConfig(type="ivf", lists=20, probes=12), vectors), vectors)
    assert 0.1 < few.value < more.value <= 1.0
    assert (few.k, few.queries) == (10, 200)


@pytest.mark.parametrize("config", EVERYTHING[1:], ids=lambda config: config.type)
def test_saved_and_read_again(config: SearchConfig, tmp_path: Path) -> None:
    vectors, queries = some_vectors(200), some_vectors(5, seed=1)
    built = index_of(config, vectors)
    built.save(tmp_path)
    opened = INDEXES.of(config)(config, vectors)
    opened.load(tmp_path)
    np.testing.assert_array_equal(opened.search(queries, 4)[1], built.search(queries, 4)[1])
    with pytest.raises(DataError, match=r"index\.faiss: must hold 199 vectors \(got 200\)\. Make it again: gsl index"):
        INDEXES.of(config)(config, vectors[:199]).load(tmp_path)
    (tmp_path / "index.faiss").write_bytes(b"no index")
    with pytest.raises(DataError, match=r"index\.faiss: must be an index of faiss"):
        opened.load(tmp_path)
