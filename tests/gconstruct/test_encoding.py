"""Tables that are encoded in pieces get the columns of the whole table."""

from __future__ import annotations

import pickle
from collections import Counter
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gconstruct.encoding import Encoded, TableEncoder
from gconstruct.problems import Problems
from gconstruct.values import Source
from graphstorm_like.config.graph import NodeConfig


@dataclass
class Piece:
    """Rows of a table that is in one file."""

    data: pa.Table
    first: int = 0
    key: str = "graph.nodes.item"

    def __len__(self) -> int:
        return int(self.data.num_rows)

    def place(self, row: int) -> tuple[str, int]:
        return "items.csv", self.first + row + 1

    def label(self) -> str:
        return "items.csv"

    def column(self, name: str) -> pa.Array:
        column = self.data.column(name).combine_chunks()
        return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column

    def untyped(self, name: str) -> bool:
        return name == "kind"

    def source(self, name: str, key: str, problems: Problems) -> Source:
        return Source(name, self.column(name), self, key, problems, self.untyped(name))


CONFIG: dict[str, Any] = {
    "files": "items.csv",
    "id": "id",
    "features": {
        "price": {"column": "price", "missing": "mean"},
        "kind": {"encode": "one_hot", "column": "kind"},
        "vector": {"column": "vector", "normalize": "none", "missing": "zero"},
    },
    "text": {"title": {"columns": ["kind", "title"]}},
    "labels": {
        "kind": {"column": "kind", "split": {"train": 0.5, "valid": 0.2, "test": 0.3}},
        "price": {"column": "price", "kind": "number", "split": {"column": "part"}},
    },
}


def table_of(rows: list[tuple[float | None, str | None, list[float] | None, str | None, str | None]]) -> pa.Table:
    prices, kinds, vectors, titles, parts = zip(*rows, strict=True)
    return pa.table(
        {
            "id": pa.array([f"i{n}" for n in range(len(rows))], pa.large_string()),
            "price": pa.array(prices, pa.float64()),
            "kind": pa.array(kinds, pa.large_string()),
            "vector": pa.array(vectors, pa.large_list(pa.float32())),
            "title": pa.array(titles, pa.large_string()),
            "part": pa.array(parts, pa.large_string()),
        }
    )


def encode(pieces: list[Piece], problems: Problems) -> tuple[dict[str, Any], Encoded, Any] | None:
    """Columns, counts and state; everything that is passed on is pickled on the way."""
    encoder = TableEncoder(NodeConfig.model_validate(CONFIG), "graph.nodes.item")
    statistics = [pickle.loads(pickle.dumps(encoder.fit(piece, problems))) for piece in pieces]
    state = encoder.state(reduce(encoder.merge, statistics), pieces[0], problems)
    if state is None:
        return None
    state, counted, columns = pickle.loads(pickle.dumps(state)), Encoded(), []
    for piece in pieces:
        encoded = encoder.apply(piece, state, lambda piece=piece: piece.column("id"), problems)
        assert encoded is not None
        counted.count(encoded)
        columns.append(encoded.columns)
    joined = {}
    for name, first in columns[0].items():
        parts = [c[name] for c in columns]
        joined[name] = np.concatenate(parts) if isinstance(first, np.ndarray) else pa.concat_arrays(parts)
    return joined, counted, state


rows_of_a_table = st.lists(
    st.tuples(
        st.one_of(st.none(), st.floats(-1000, 1000)),
        st.sampled_from([None, "1", "2", "10", "x"]),
        st.one_of(st.none(), st.lists(st.floats(-9, 9, width=32), min_size=3, max_size=3)),
        st.sampled_from([None, "", "a title"]),
        st.sampled_from([None, "train", " Val", "test"]),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(rows_of_a_table, st.integers(0, 30), st.integers(0, 30))
def test_pieces_are_encoded_like_the_whole_table(rows: list[Any], first_cut: int, second_cut: int) -> None:
    table = table_of(rows)
    low, high = sorted((min(first_cut, len(rows)), min(second_cut, len(rows))))
    pieces = [Piece(table.slice(0, low)), Piece(table.slice(low, high - low), low), Piece(table.slice(high), high)]
    problems, problems_of_pieces = Problems(), Problems()
    whole = encode([Piece(table)], problems)
    in_pieces = encode(pieces, problems_of_pieces)
    assert problems.messages == problems_of_pieces.messages
    if whole is None or in_pieces is None:
        assert whole is None
        assert in_pieces is None
        return
    for name, column in whole[0].items():
        if isinstance(column, np.ndarray) and column.dtype == np.float32:
            np.testing.assert_allclose(column, in_pieces[0][name], rtol=1e-5, atol=1e-6)
        elif isinstance(column, np.ndarray):
            np.testing.assert_array_equal(column, in_pieces[0][name])
        else:
            assert column.to_pylist() == in_pieces[0][name].to_pylist()
    assert whole[1].label_counts == in_pieces[1].label_counts
    assert whole[1].lost_splits == in_pieces[1].lost_splits


def test_classes_of_csv_are_integers_only_when_all_pieces_say_so() -> None:
    rows: list[Any] = [(1.0, kind, None, None, "train") for kind in ("10", "9", "10")]
    encoded = encode([Piece(table_of(rows)), Piece(table_of([(1.0, "2", None, None, "train")]), 3)], Problems())
    assert encoded is not None
    assert encoded[2].classes["kind"] == ["2", "9", "10"]
    encoded = encode([Piece(table_of(rows)), Piece(table_of([(1.0, "x", None, None, "train")]), 3)], Problems())
    assert encoded is not None
    assert encoded[2].classes["kind"] == ["10", "9", "x"]
    assert encoded[0]["label:kind"].tolist() == [0, 1, 0, 2]


def test_rows_of_several_pieces_that_break_a_rule_are_one_message() -> None:
    encoder = TableEncoder(NodeConfig.model_validate(CONFIG), "graph.nodes.item")
    problems = Problems()
    for first in (0, 2, 4):
        rows: list[Any] = [(np.inf, "a", None, None, "train"), (1.0, "a", None, None, "later")]
        of_piece = Problems()
        encoder.fit(Piece(table_of(rows), first), of_piece)
        problems.add_all(pickle.loads(pickle.dumps(of_piece)))
    infinite, words = [m for m in problems.messages if "price" in m], [m for m in problems.messages if "later" in m]
    assert (
        "items.csv row 1: column 'price' must be finite (got inf; 3 such rows, also inf in row 3 and inf in row 5)"
        in (infinite[0])
    )
    assert len(words) == 1
    assert "3 such rows" in words[0]


def test_counts_of_pieces_add_up() -> None:
    counted = Encoded()
    counted.count(Encoded(label_counts={"x": Counter(train=2, test=0)}, split_counts=Counter(train=1, valid=0)))
    counted.count(Encoded(label_counts={"x": Counter(train=1, test=4)}, split_counts=Counter(train=2, valid=0)))
    assert counted.label_counts == {"x": Counter(train=3, test=4)}
    assert counted.split_counts == Counter(train=3, valid=0)
    assert "valid" in (counted.split_counts or {})


def test_lists_of_another_length_in_a_later_piece_are_reported_with_their_row() -> None:
    pieces = [
        Piece(table_of([(1.0, "a", [1.0, 2.0, 3.0], None, "train")])),
        Piece(table_of([(1.0, "a", [1.0, 2.0], None, "train")]), 1),
    ]
    problems = Problems()
    with pytest.raises(AssertionError):
        encode(pieces, problems)
    assert (
        "items.csv row 2: column 'vector' must be a list of 3 numbers, as when it was fitted (got a list of 2)"
        in (problems.messages[0])
    )
