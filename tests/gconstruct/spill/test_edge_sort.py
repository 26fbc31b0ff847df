"""Edges that are sorted in ranges, against csc.sort_edges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gconstruct.attributes import Attributes
from gconstruct.csc import sort_edges, sorted_ends
from gconstruct.spill import edge_sort
from gconstruct.spill.edge_sort import EdgeSpool, End, Pointers
from gconstruct.write import to_arrow


def same(positions: np.ndarray) -> np.ndarray:
    return positions


def check(
    source: np.ndarray, target: np.ndarray, counts: tuple[int, int], cuts: list[int], memory: int, folder: Path
) -> None:
    rows = len(source)
    columns = {
        "weight": np.stack([source, np.arange(rows)], axis=1).astype(np.float32),
        "text": pa.array([None if row % 7 == 3 else f"edge {row}" for row in range(rows)], pa.large_string()),
    }
    spool = EdgeSpool(folder / "edges", memory)
    for start, end in zip([0, *cuts], [*cuts, rows], strict=True):
        arrays = [to_arrow(values[start:end]) for values in columns.values()]
        spool.append(source[start:end], target[start:end], pa.record_batch(arrays, names=list(columns)))
    assert len(spool) == rows
    for ends, reverse in (((source, target), False), ((target, source), True)):
        ordered = counts[::-1] if reverse else counts
        expected = sort_edges(*ends, *ordered, Attributes({k: to_arrow(v) for k, v in columns.items()}))
        pointers = Pointers(ordered[1])
        indptr: list[np.ndarray] = []
        pieces = list(spool.sorted(reverse, (End(ordered[0], same), End(ordered[1], same))))
        for piece in pieces:
            indptr += pointers.add(piece)
        indptr += pointers.finish()
        assert np.concatenate(indptr).tolist() == expected.indptr.tolist()
        assert pointers.repeated == expected.repeated
        if not pieces:
            continue
        for name in ("source", "target"):
            found = np.concatenate([getattr(piece, name) for piece in pieces])
            assert found.dtype == expected.columns[name].dtype
            assert found.tolist() == expected.columns[name].tolist()
        for name in columns:
            taken = pa.concat_arrays([piece.attributes[name] for piece in pieces])
            assert taken.equals(expected.columns[name])
    spool.delete()
    assert not list(folder.iterdir())


@settings(max_examples=40, deadline=None)
@given(
    edges=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8)), max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=4),
    memory=st.sampled_from([0, 3000, 1 << 20]),
)
def test_any_edges_are_sorted_as_a_whole(edges: list[tuple[int, int]], cuts: list[int], memory: int) -> None:
    import tempfile

    ends = np.array(edges, np.int64).reshape(-1, 2).T
    with tempfile.TemporaryDirectory() as name:
        cuts = sorted(min(cut, len(edges)) for cut in cuts)
        check(ends[0], ends[1], (6, 9), cuts, memory, Path(name))


@pytest.mark.parametrize("memory", [20_000, 1 << 30])
def test_many_edges_of_few_targets(memory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More edges of one target than a range should have: they are cut by source."""
    monkeypatch.setattr(edge_sort, "_ROWS", 500)
    monkeypatch.setattr(edge_sort, "_SAMPLE", 200)
    rng = np.random.default_rng(3)
    source = rng.integers(0, 1000, 8000)
    target = np.where(rng.random(8000) < 0.7, 17, rng.integers(0, 3000, 8000))
    check(source, target, (1000, 4000), [1000, 1000, 5000], memory, tmp_path)


def test_positions_that_are_known_only_in_the_end(tmp_path: Path) -> None:
    spool = EdgeSpool(tmp_path / "edges", 0)
    spool.append(np.array([2, 1, 0]), np.array([0, 1, 1]), pa.record_batch([pa.array([5, 6, 7])], names=["row"]))
    turned = End(3, lambda numbers: 2 - numbers)
    pieces = list(spool.sorted(False, (turned, End(2, same))))
    assert [piece.source.tolist() for piece in pieces] == [[0], [1, 2]] or [
        row for piece in pieces for row in piece.source.tolist()
    ] == [0, 1, 2]
    assert [row for piece in pieces for row in piece.attributes["row"].to_pylist()] == [5, 6, 7]


@pytest.mark.parametrize("large", [2**20, 2**31, 2**40, 2**62])
def test_large_positions_are_sorted_without_overflow(large: int) -> None:
    """Beyond 64 bits for both ends and the row the packed sort is not possible: the result is the same."""
    rng = np.random.default_rng(0)
    source, target = rng.integers(0, large, 300), rng.integers(0, 3, 300) * (large // 3) + rng.integers(0, 9, 300)
    order, sorted_source, sorted_target = sorted_ends(source, target, large, large)
    assert order.tolist() == np.lexsort((source, target)).tolist()
    assert sorted_source.dtype == (np.int32 if large <= 2**31 - 1 else np.int64)
    assert sorted_source.tolist() == source[order].tolist()
    assert sorted_target.tolist() == target[order].tolist()


def test_pointers_beyond_two_billion_edges() -> None:
    """By arithmetic: the count of the edges before is as if there were many."""
    pointers = Pointers(3)
    pointers._edges = 2**31 + 5
    piece = edge_sort.SortedPiece(np.array([0, 1], np.int32), np.array([1, 1], np.int32), {})
    indptr = [*pointers.add(piece), *pointers.finish()]
    assert np.concatenate(indptr).tolist() == [2**31 + 5, 2**31 + 5, 2**31 + 7, 2**31 + 7]
