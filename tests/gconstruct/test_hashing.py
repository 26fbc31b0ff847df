"""Hashes: equal for equal strings whatever their Arrow layout, and as good as random otherwise."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gconstruct.hashing import hash_strings, uniform

MASK = (1 << 64) - 1


def one(data: bytes, seed: int) -> int:
    """The same hash, one string at a time in plain Python."""

    def mix(z: int) -> int:
        z = (z + 0x9E3779B97F4A7C15) & MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    state = mix(mix((seed + 0x9E3779B97F4A7C15) & MASK) ^ (len(data) * 0x9E3779B97F4A7C15 & MASK))
    for at in range(0, len(data), 8):
        state = mix(state ^ int.from_bytes(data[at : at + 8], "little"))
    return state


@given(st.lists(st.text(max_size=40), max_size=30), st.integers(0, 2**63 - 1))
def test_vectors_hash_like_one_string_at_a_time(strings: list[str], seed: int) -> None:
    assert hash_strings(pa.array(strings, pa.string()), seed).tolist() == [one(s.encode(), seed) for s in strings]


def test_known_answers_never_change() -> None:
    hashes = hash_strings(pa.array(["", "a", "item-12345", "ünïcode \U0001f600"]), seed=7).tolist()
    assert hashes == [9391409690812996836, 620399026711338457, 12891315367448882144, 3129992364240913369]


@given(st.lists(st.one_of(st.none(), st.text(max_size=20)), min_size=1, max_size=40), st.data())
def test_chunks_slices_and_types_do_not_matter(strings: list[str | None], data: st.DataObject) -> None:
    array = pa.array(strings, pa.string())
    expected = hash_strings(array, 1).tolist()
    cut = data.draw(st.integers(0, len(strings)))
    chunked = pa.chunked_array([array.slice(0, cut), array.slice(cut)], pa.string())
    for layout in (chunked, array.cast(pa.large_string()), array.dictionary_encode()):
        assert hash_strings(layout, 1).tolist() == expected
    assert hash_strings(array.slice(cut), 1).tolist() == expected[cut:]


@pytest.mark.parametrize("dtype", [pa.int8(), pa.int64(), pa.uint32()])
def test_integers_hash_as_their_decimal_string(dtype: pa.DataType) -> None:
    numbers = [0, 1, 100, 127]
    assert hash_strings(pa.array(numbers, dtype)).tolist() == hash_strings(pa.array(map(str, numbers))).tolist()


def test_nulls_share_a_value_that_no_string_has() -> None:
    for layout in (pa.array([None, "", "a", None]), pa.array([None, "", "a", None]).dictionary_encode()):
        hashes = hash_strings(layout, 3)
        assert hashes[0] == hashes[3]
        assert len(set(hashes.tolist())) == 3


def test_no_values_at_all() -> None:
    assert hash_strings(pa.array([], pa.string())).shape == (0,)
    assert hash_strings(pa.chunked_array([], pa.string())).shape == (0,)


@pytest.mark.parametrize("pattern", ["{}", "item-{:08d}", "http://host.example/path/to/{}", "{:032x}"])
def test_draws_are_uniform_and_no_two_ids_collide(pattern: str) -> None:
    ids = pa.array([pattern.format(i) for i in range(100_000)])
    draws = uniform(ids, 0)
    assert draws.min() >= 0
    assert draws.max() < 1
    counts = np.histogram(draws, 100, (0, 1))[0]
    # chi-square with 99 degrees of freedom: above 150 once in 1,400 times for true randomness; the seed is fixed
    assert ((counts - 1000) ** 2 / 1000).sum() < 150
    assert len(np.unique(hash_strings(ids))) == 100_000


def test_seeds_draw_independently() -> None:
    ids = pa.array([f"item-{i}" for i in range(50_000)])
    assert abs(np.corrcoef(uniform(ids, 0), uniform(ids, 1))[0, 1]) < 0.02


def test_one_bit_of_input_changes_half_of_the_hash() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 128, (2000, 20), dtype=np.uint8)
    flipped = rows.copy()
    flipped[np.arange(2000), rng.integers(0, 20, 2000)] ^= np.uint8(1) << rng.integers(0, 7, 2000).astype(np.uint8)
    one_way, other = (hash_strings(pa.array([bytes(r).decode() for r in v])) for v in (rows, flipped))
    changed = np.unpackbits((one_way ^ other).view(np.uint8).reshape(2000, 8), axis=1)
    assert abs(changed.mean() - 0.5) < 0.01
    assert np.abs(changed.mean(axis=0) - 0.5).max() < 0.06
