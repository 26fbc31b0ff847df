"""The hash table of ids, against dictionaries of Python."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gconstruct.hashing import hash_strings
from gconstruct.spill import id_index, id_keys
from gconstruct.spill.id_index import IdIndex, IdLookup, hash_ids
from gconstruct.spill.id_keys import LONGEST, hash_words
from gconstruct.spill.ordered import ordered_map

TYPES = {"string": pa.large_string(), "int64": pa.int64()}


def numbered(known: dict[Any, int], ids: list[Any]) -> list[int]:
    return [known.setdefault(value, len(known)) for value in ids]


@settings(max_examples=60, deadline=None)
@given(
    batches=st.lists(st.lists(st.text("ab", max_size=12), max_size=60), max_size=6),
    asked=st.lists(st.text("ab", max_size=12), max_size=20),
)
def test_numbers_are_those_of_a_dictionary(batches: list[list[str]], asked: list[str]) -> None:
    index, known = IdIndex(), dict[str, int]()
    for batch in batches:
        ids = pa.array(batch, pa.large_string())
        assert index.insert(ids).tolist() == numbered(known, batch)
        assert index.count == len(known)
    found = index.find(pa.array(asked, pa.large_string()))
    assert found.tolist() == [known.get(value, -1) for value in asked]
    assert [value for piece in index.ids() for value in piece.to_pylist()] == list(known)


@pytest.mark.parametrize("kind", TYPES)
def test_many_ids_in_growing_batches(kind: str) -> None:
    rng = np.random.default_rng(1)
    index, known = IdIndex(), dict[Any, int]()
    for size in (1, 0, 10, 5_000, 300, 20_000):
        values = rng.integers(-(2**40) if size == 10 else 0, 15_000, size)
        batch = values.tolist() if kind == "int64" else [f"node-{value:07}" for value in values]
        assert index.insert(pa.array(batch, TYPES[kind])).tolist() == numbered(known, batch)
    asked = list(known)[::-1]
    assert index.find(pa.array(asked, TYPES[kind])).tolist() == [known[value] for value in asked]
    assert index.ids_from(1).to_pylist() == list(known)[1:]
    assert index.nbytes > 8 * len(known)


def test_slices_of_arrays_are_read_where_they_lie() -> None:
    ids = pa.array(["x", "a", "b", "a", "y"], pa.large_string())
    index = IdIndex()
    assert index.insert(ids.slice(1, 3)).tolist() == [0, 1, 0]
    assert index.find(ids.slice(2)).tolist() == [1, 0, -1]


@pytest.mark.parametrize("hashed", ["all equal", "two values"])
def test_ids_with_equal_hashes_stay_different(hashed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = np.uint64(0 if hashed == "all equal" else 1)
    monkeypatch.setattr(id_keys, "hash_words", lambda words: hash_words(words) & mask)
    monkeypatch.setattr(id_index, "hash_words", lambda words: hash_words(words) & mask)
    # The keys of long strings are hashes.
    monkeypatch.setattr(id_keys, "hash_strings", lambda ids: hash_strings(ids) & mask)
    for long in ("", "l" * LONGEST):
        index, known = IdIndex(), dict[str, int]()
        for batch in (["a", "b", "a", "c", "b"], ["d", "a", "d", "e"]):
            batch = [long + value for value in batch]
            assert index.insert(pa.array(batch, pa.large_string())).tolist() == numbered(known, batch)
        asked = [long + value for value in ("e", "x", "b")]
        assert index.find(pa.array(asked, pa.large_string())).tolist() == [4, -1, 1]


def test_ids_of_any_length_and_bytes() -> None:
    """Keys get wider with longer ids; zeros and the byte that ends a key are bytes like others."""
    shuffled = random.Random(3).sample
    ends = ["", "\0", "\1", "\1\0", "\0\1", "\1\0\0\0\0\0\0\0", "é"]
    lengths = [*range(6), 7, 8, 15, 16, *range(20, 40), 100]
    values = ["x" * length + end for length in lengths for end in ends]
    index, known = IdIndex(), dict[str, int]()
    for longest in (3, 12, 20, 1000):
        short = [value for value in values if len(value) <= longest]
        batch = shuffled(short, len(short))
        unknown = pa.array([value for value in values if value not in known], pa.large_string())
        assert set(index.find(unknown).tolist()) == {-1}
        assert index.insert(pa.array(batch, pa.large_string())).tolist() == numbered(known, batch)
        assert index.ids_from(0).to_pylist() == list(known)
    assert index.find(pa.array(values, pa.large_string())).tolist() == [known[value] for value in values]


def test_integers_hash_to_different_numbers() -> None:
    ids = pa.array([0, 1, -1, 2**63 - 1, -(2**63)], pa.int64())
    assert len(set(hash_ids(ids).tolist())) == 5


@pytest.mark.parametrize("kind", TYPES)
def test_rows_of_batches_in_threads(kind: str) -> None:
    values = np.random.default_rng(2).permutation(3_000)
    ids = values.tolist() if kind == "int64" else [f"node-{value}" for value in values]
    lookup = IdLookup(pa.array(ids[:2_000]))
    expected = {value: row for row, value in enumerate(ids[:2_000])}
    asked = [[None, *ids[start : start + 100], None] for start in range(0, 3_000, 100)]
    found = ordered_map(lambda batch: lookup.find(pa.array(batch)).tolist(), asked, 4)
    assert list(found) == [[expected.get(value, -1) for value in batch] for batch in asked]
    assert lookup.find(pa.array([None, None], TYPES[kind])).tolist() == [-1, -1]
    assert IdLookup(pa.array([], TYPES[kind])).find(pa.array(ids[:2])).tolist() == [-1, -1]
