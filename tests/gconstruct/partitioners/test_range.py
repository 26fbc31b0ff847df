"""Range partitions are equal stretches of a sorted column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gconstruct import build_graph
from gconstruct.partition import partition_graph
from gconstruct.partitioners.range import equal_ranges

from ..tables import graph, item, write
from .methods import parts_of, same


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    """Prices 0, 5, 10 ... in a shuffled order; two are missing, as is every label of an odd price."""
    price = np.array([25.0, 0.0, 15.0, np.nan, 5.0, 10.0, np.nan, 20.0])
    write(
        tmp_path / "items.parquet",
        id=[f"i{k}" for k in (7, 6, 5, 4, 3, 2, 1, 0)],
        price=[None if np.isnan(p) else p for p in price],
        kind=["b", "a", None, None, "a", "b", "c", "a"],
    )
    split = {"train": 1.0, "valid": 0.0, "test": 0.0}
    labels = {
        "kind": {"column": "kind", "split": split},
        "cost": {"column": "price", "kind": "number", "split": split},
    }
    config = graph(tmp_path, {"item": item(labels=labels)})
    build_graph(config)
    return Path(str(config.path))


@pytest.mark.known_answer("partitioners/range")
@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("position", [0, 0, 0, 0, 1, 1, 1, 1]),
        ("id", [1, 1, 1, 1, 0, 0, 0, 0]),
        ("cost", [1, 0, 0, 1, 0, 0, 1, 1]),  # missing ones last
        ("kind", [0, 0, 1, 1, 0, 1, 1, 0]),
        ({"item": "cost"}, [1, 0, 0, 1, 0, 0, 1, 1]),
    ],
)
def test_by_column(by: object, expected: list[int], prices: Path) -> None:
    assert parts_of(prices, 2, "range", by=by)["item"].tolist() == expected


def test_equal_values_keep_their_order_over_partitions_of_the_source(prices: Path, tmp_path: Path) -> None:
    partition_graph(prices, tmp_path / "three", 3, "range")
    assert same(parts_of(tmp_path / "three", 2, "range", by="cost"), parts_of(prices, 2, "range", by="cost"))


def test_types_without_the_column_go_by_position(planted: Path) -> None:
    parts = parts_of(planted, 4, "range", by="price")
    assert (np.diff(parts["tag"]) >= 0).all()
    assert not (np.diff(parts["item"]) >= 0).all()
    assert [np.bincount(of).tolist() for of in parts.values()] == [[300] * 4, [75] * 4]


@pytest.mark.parametrize(("nodes", "count"), [(0, 3), (2, 3), (10, 3), (9, 3)])
def test_sizes_differ_by_at_most_one(nodes: int, count: int) -> None:
    sizes = np.bincount(equal_ranges(nodes, count), minlength=count)
    assert (sizes.sum(), sizes.max() - sizes.min() <= 1) == (nodes, True)
