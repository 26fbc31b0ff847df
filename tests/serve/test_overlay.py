"""New edges laid over others: the neighbours of a graph that holds both."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from graphstorm_like.graph.draws import NodeDraws
from graphstorm_like.graph.overlay import InEdges, both_hops
from graphstorm_like.graph.store import Hop

EDGES = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5)), max_size=25)


def neighbours(hop: Hop, rows: np.ndarray) -> dict[int, list[tuple[int, int]]]:
    """(source, edge) by target, in order."""
    found: dict[int, list[tuple[int, int]]] = {int(row): [] for row in rows}
    for i, at in enumerate(hop.rows):
        part = slice(hop.offsets[i], hop.offsets[i + 1])
        found[int(rows[at])] += zip(hop.sources[part].tolist(), hop.edge_ids[part].tolist(), strict=True)
    return found


def in_edges(edges: list[tuple[int, int]], first: int) -> InEdges:
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2)
    return InEdges(ends[:, 0], ends[:, 1], first + np.arange(len(ends)))


@settings(max_examples=60, deadline=None)
@given(first=EDGES, second=EDGES, rows=st.lists(st.integers(0, 7), unique=True, max_size=8))
def test_all_neighbours(first: list[tuple[int, int]], second: list[tuple[int, int]], rows: list[int]) -> None:
    wanted, draws = np.array(rows, dtype=np.int64), NodeDraws(0, ("a", "x", "a"))
    hops = [in_edges(first, 0).hop(wanted, -1, draws), in_edges(second, 100).hop(wanted, -1, draws)]
    expected: dict[int, list[tuple[int, int]]] = {row: [] for row in rows}
    for start, edges in ((0, first), (100, second)):
        for number, (source, target) in enumerate(edges):
            if target in expected:
                expected[target].append((source, start + number))
    joined = both_hops(*hops)
    assert neighbours(joined, wanted) == expected
    assert (np.diff(joined.rows) > 0).all()
    assert joined.offsets[-1] == len(joined.sources)


def test_a_fanout_limits_the_neighbours() -> None:
    hop = in_edges([(i, 1) for i in range(9)], 50).hop(np.array([1, 3]), 4, NodeDraws(0, ("a", "x", "a")))
    assert hop.rows.tolist() == [0]
    assert len(set(hop.sources.tolist())) == 4
    assert (hop.edge_ids == hop.sources + 50).all()
