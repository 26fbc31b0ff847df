"""Categories of large vocabularies: hashing and frequency."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .pieces import applied, assert_pieces_do_not_matter, fitted, numbers_of, refused, strings

words = st.lists(st.none() | st.sampled_from(["a", "b", "c", "dd", "e e"]), max_size=40)


@pytest.mark.known_answer("features/hashing")
def test_a_hash_picks_a_column() -> None:
    column = strings("a", "b", None, "a")
    values, schema = fitted(column, encode="hashing", buckets=64)
    assert values.shape == (4, 64)
    assert values.sum(axis=1).tolist() == [1, 1, 0, 1]
    np.testing.assert_array_equal(values[0], values[3])
    assert values[0].argmax() != values[1].argmax()
    new = applied(schema, strings("never seen", "a"))
    assert new[0].sum() == 1
    np.testing.assert_array_equal(new[1], values[0])
    assert numbers_of(column, encode="hashing", buckets=64, salt=1)[0].argmax() != values[0].argmax()


def test_the_columns_of_a_hash_never_change() -> None:
    """Trained models depend on them."""
    values = numbers_of(strings("a", "b", "graph", ""), encode="hashing", buckets=1000)
    assert values.argmax(axis=1).tolist() == [157, 277, 691, 800]


def test_integers_hash_like_their_text() -> None:
    integers = numbers_of(pa.array([7, 12]), encode="hashing", buckets=32)
    np.testing.assert_array_equal(integers, numbers_of(strings("7", "12"), encode="hashing", buckets=32))


def test_lists_of_categories() -> None:
    lists = numbers_of(pa.array([["a", "b", "a", None], [], None]), encode="hashing", buckets=512)
    text = numbers_of(strings("a; b;a", "", None), encode="hashing", buckets=512, separator=";")
    np.testing.assert_array_equal(lists, text)
    assert lists.sum(axis=1).tolist() == [2, 0, 0]


def test_several_hashes_and_signs() -> None:
    names = strings(*(f"name {i}" for i in range(2000)))
    once = numbers_of(names, encode="hashing", buckets=100)
    assert len(np.unique(once, axis=0)) == 100
    thrice = numbers_of(names, encode="hashing", buckets=100, hashes=3, signed=True)
    assert len(np.unique(thrice, axis=0)) > 1990
    assert thrice.mean() == pytest.approx(0, abs=0.01)
    assert np.abs(thrice).sum(axis=1).max() <= 3


def test_wide_rows_of_categories_share_few_columns_with_others() -> None:
    names = strings(*(f"name {i}" for i in range(10_000)))
    used = numbers_of(names, encode="hashing", buckets=100).sum(axis=0)
    assert used.min() > 60
    assert used.max() < 150


@pytest.mark.known_answer("features/frequency")
def test_frequencies() -> None:
    column = strings("a", "b", "a", None, "c", "a")
    values, schema = fitted(column, encode="frequency")
    assert values[:, 0] == pytest.approx(np.log1p([3, 1, 3, 0, 1, 3]))
    assert (schema.fitted["categories"], schema.fitted["total"]) == (["a", "b", "c"], 5)
    assert applied(schema, strings("b", "never seen", None))[:, 0] == pytest.approx([np.log(2), 0, 0])
    shares = numbers_of(column, encode="frequency", value="share")
    assert shares[:, 0] == pytest.approx([0.6, 0.2, 0.6, 0, 0.2, 0.6])


def test_rare_categories_share_a_frequency() -> None:
    column = strings(*["a"] * 6, *["b"] * 4, "c", "c", "d")
    values, schema = fitted(column, encode="frequency", value="share", max_categories=2)
    assert schema.fitted["categories"] == ["a", "b"]
    assert values[[0, 6, 10, 12], 0] == pytest.approx([6 / 13, 4 / 13, 1.5 / 13, 1.5 / 13])
    assert applied(schema, strings("never seen"))[0, 0] == pytest.approx(1.5 / 13)


def test_what_has_no_frequency() -> None:
    [message] = refused(strings(None, None), encode="frequency")
    assert "must have at least one category (got 2 rows without)" in message


@given(words, st.lists(st.integers(0, 40), max_size=4), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_pieces_do_not_matter(column: list[str | None], cuts: list[int], keep: int) -> None:
    values = strings("a", *column)
    assert_pieces_do_not_matter(values, cuts, encode="frequency", max_categories=keep)
    assert_pieces_do_not_matter(values, cuts, encode="hashing", buckets=8)
