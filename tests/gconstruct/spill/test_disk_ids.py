"""Ids in buckets on disk, against dictionaries of Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gconstruct.spill.disk_ids import DiskIds, read_sorted

TYPES = {"string": pa.large_string(), "int64": pa.int64()}


def ids_of(kind: str, values: list[int]) -> list[Any]:
    return values if kind == "int64" else [f"node-{value}" for value in values]


def add(ids: DiskIds, batches: list[list[Any]], kind: str) -> None:
    start = 0
    for batch in batches:
        ids.add_known(pa.array(batch, TYPES[kind]), np.arange(start, start + len(batch)))
        start += len(batch)


@pytest.mark.parametrize("kind", TYPES)
def test_known_ids_are_found(kind: str, tmp_path: Path) -> None:
    known = ids_of(kind, list(range(0, 5000, 2)))
    ids = DiskIds(tmp_path / "ids", TYPES[kind], 1000)
    add(ids, [known[:100], [], known[100:]], kind)
    asked = ids_of(kind, [4, 3, 4998, 5000, 0, 4])
    for _ in range(2):
        found = ids.start_round()
        found.add(pa.array(asked[:4], TYPES[kind]))
        found.add(pa.array(asked[4:], TYPES[kind]))
        assert found.resolve(None) == 0
        assert [numbers.tolist() for numbers in found.numbers()] == [[2, -1, 2499, -1], [0, 2]]
        found.delete()


@pytest.mark.parametrize("kind", TYPES)
def test_repeated_ids_are_left_out_and_the_rest_numbered_anew(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 800, 1000).tolist()
    known = ids_of(kind, values)
    ids = DiskIds(tmp_path / "ids", TYPES[kind], 1000)
    add(ids, [known[:300], known[300:]], kind)
    gone, first = ids.drop_repeated()
    first_rows: dict[Any, int] = {}
    for row, value in enumerate(known):
        first_rows.setdefault(value, row)
    expected = [row for row, value in enumerate(known) if first_rows[value] != row]
    assert gone.tolist() == expected
    assert first.tolist() == [first_rows[known[row]] for row in expected]
    found = ids.start_round()
    found.add(pa.array(known, TYPES[kind]))
    found.resolve(None)
    position = {value: number for number, value in enumerate(first_rows)}
    assert next(iter(found.numbers())).tolist() == [position[value] for value in known]


@pytest.mark.parametrize("memory", [1, 10_000, 1 << 30])
@pytest.mark.parametrize("kind", [*TYPES, "integers as text"])
def test_created_ids_are_sorted_as_one_column_would_be(kind: str, memory: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    values = rng.integers(0, 3000, 2500).tolist()
    data_type = TYPES.get(kind, pa.large_string())
    made = [str(value) for value in values] if kind == "integers as text" else ids_of(kind, values)
    known = [*dict.fromkeys(made[:200])]
    ids = DiskIds(tmp_path / "ids", data_type, 100_000)
    ids.add_known(pa.array(known, data_type), np.arange(len(known)))
    provisional, created = [], 0
    for part in (made[:1000], made[1000:], made[500:1500]):
        found = ids.start_round()
        found.add(pa.array(part[:400], data_type))
        found.add(pa.array(part[400:], data_type))
        created += found.resolve(len(known) + created)
        provisional.append(np.concatenate(list(found.numbers())))
    wanted = sorted(set(made) - set(known), key=int if kind == "integers as text" else None)
    assert created == len(wanted)
    ranks, path = ids.sort_created(len(known), created, memory)
    assert [value for piece in read_sorted(path) for value in piece.to_pylist()] == wanted
    position = {value: number for number, value in enumerate([*known, *wanted])}
    for part, numbers in zip((made[:1000], made[1000:], made[500:1500]), provisional, strict=True):
        final = [n if n < len(known) else len(known) + ranks[n - len(known)] for n in numbers.tolist()]
        assert final == [position[value] for value in part]


def test_no_created_ids_give_an_empty_file(tmp_path: Path) -> None:
    ids = DiskIds(tmp_path / "ids", pa.int64(), 0)
    ids.add_known(pa.array([1]), np.array([0]))
    ranks, path = ids.sort_created(1, 0, 100)
    assert len(ranks) == 0
    assert list(read_sorted(path)) == []
