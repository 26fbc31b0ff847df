"""Ids of a node type: the same positions in memory, on disk, and when they move to disk half-way."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gconstruct.spill import id_map
from gconstruct.spill.budget import Share
from gconstruct.spill.id_map import IdMap

TYPES = {"string": pa.large_string(), "int64": pa.int64()}
MEMORY = {"in memory": 1 << 30, "half-way": 30_000, "on disk": 0}


def values_of(kind: str, numbers: list[int]) -> list[Any]:
    return numbers if kind == "int64" else [f"id {number}" for number in numbers]


def expected_positions(table: list[Any], edges: list[Any]) -> dict[Any, int]:
    known = list(dict.fromkeys(table))
    return {value: position for position, value in enumerate([*known, *sorted(set(edges) - set(known))])}


def check(kind: str, batches: list[list[int]], rounds: list[list[list[int]]], memory: int, folder: Path) -> None:
    ids = IdMap(folder / "ids", TYPES[kind], Share(memory))
    table = [value for batch in batches for value in values_of(kind, batch)]
    for batch in batches:
        ids.add(pa.array(values_of(kind, batch), TYPES[kind]))
    repeated = ids.seal()
    rows = [row for row, value in enumerate(table) if table.index(value) < row]
    assert repeated.rows.tolist() == rows
    assert repeated.firsts.tolist() == [table.index(table[row]) for row in rows]
    assert ids.table_count == len(set(table))
    number_lists = []
    for of_round in rounds:
        found = ids.start_round(create=True, memory=100)
        for batch in of_round:
            found.add(pa.array(values_of(kind, batch), TYPES[kind]))
        list(found.numbers())
        number_lists.append([numbers.copy() for numbers in found.numbers()])
        found.delete()
    edges = [value for of_round in rounds for batch in of_round for value in values_of(kind, batch)]
    ids.close(500)
    position = expected_positions(table, edges)
    assert ids.count == len(position)
    created = [value for piece in ids.created() for value in piece.to_pylist()]
    assert created == list(position)[ids.table_count :]
    for of_round, found_numbers in zip(rounds, number_lists, strict=True):
        for batch, numbers in zip(of_round, found_numbers, strict=True):
            assert ids.positions(numbers).tolist() == [position[value] for value in values_of(kind, batch)]


@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("kind", TYPES)
def test_positions_do_not_depend_on_memory(kind: str, memory: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    batches = [rng.integers(0, 900, size).tolist() for size in (0, 100, 500, 300)]
    rounds = [[rng.integers(0, 1500, size).tolist() for size in sizes] for sizes in ((200, 0, 400), (300,), (50, 50))]
    check(kind, batches, rounds, MEMORY[memory], tmp_path)


@settings(max_examples=20, deadline=None)
@given(
    batches=st.lists(st.lists(st.integers(0, 9), max_size=8), max_size=4),
    rounds=st.lists(st.lists(st.lists(st.integers(0, 15), max_size=6), max_size=3), max_size=2),
    memory=st.sampled_from([0, 4_500, 1 << 20]),
)
def test_any_batches(batches: list[list[int]], rounds: list[list[list[int]]], memory: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        check("string", batches, rounds, memory, Path(name))


@pytest.mark.parametrize("memory", MEMORY.values())
def test_a_round_without_creation_leaves_unknown_ids(memory: int, tmp_path: Path) -> None:
    ids = IdMap(tmp_path / "ids", pa.int64(), Share(memory))
    ids.add(pa.array([7, 8, 7, 9]))
    assert ids.seal().rows.tolist() == [2]
    found = ids.start_round(create=False, memory=0)
    found.add(pa.array([9, 1, 7]))
    assert [numbers.tolist() for numbers in found.numbers()] == [[2, -1, 0]]
    ids.close(100)
    assert (ids.count, list(ids.created())) == (3, [])


@pytest.mark.parametrize("memory", [0, 1 << 20])
def test_text_of_integers_is_sorted_by_value(memory: int, tmp_path: Path) -> None:
    ids = IdMap(tmp_path / "ids", pa.large_string(), Share(memory))
    ids.seal()
    found = ids.start_round(create=True, memory=0)
    found.add(pa.array(["10", "9", "-3"], pa.large_string()))
    list(found.numbers())
    ids.close(100)
    assert [value for piece in ids.created() for value in piece.to_pylist()] == ["-3", "9", "10"]


def test_ids_of_several_types_share_the_memory(tmp_path: Path) -> None:
    share = Share(100_000)
    first, second = (IdMap(tmp_path / name, pa.int64(), share) for name in ("first", "second"))
    first.add(pa.array(range(1000)))
    assert first.in_memory
    second.add(pa.array(range(5000)))
    assert (first.in_memory, second.in_memory) == (True, False)
    assert id_map.IdIndex().nbytes < 10_000
