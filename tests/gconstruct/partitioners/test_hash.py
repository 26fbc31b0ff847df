"""Hash partitions depend on nothing but the node's own value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gconstruct import build_graph
from gconstruct.hashing import hash_strings
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.errors import ConfigError

from ..tables import graph, item, read, write
from .methods import parts_of, same


def items(folder: Path, **columns: object) -> Path:
    """A graph of items alone."""
    folder.mkdir()
    write(folder / "items.parquet", **columns)
    labels = {"kind": {"column": "kind", "split": {"train": 1.0, "valid": 0.0, "test": 0.0}}}
    features = {"price": {"column": "price", "normalize": "none"}}
    config = graph(folder, {"item": item(**({"labels": labels, "features": features} if "kind" in columns else {}))})
    build_graph(config)
    return Path(str(config.path))


@pytest.mark.known_answer("partitioners/hash")
def test_the_partition_is_the_hash_of_the_id(planted: Path) -> None:
    parts = parts_of(planted, 5, "hash", seed=3)
    for node_type in ("item", "tag"):
        ids = read(planted / "part-0" / "nodes" / f"{node_type}.arrow")["id"]
        assert (parts[node_type] == hash_strings(ids, 3) % np.uint64(5)).all()
        assert np.bincount(parts[node_type]).max() < 1.3 * len(ids) / 5


def test_nodes_stay_when_others_are_added_and_the_order_changes(tmp_path: Path) -> None:
    rng, names = np.random.default_rng(0), [f"item-{k}" for k in range(300)]
    few = parts_of(items(tmp_path / "few", id=names[:200]), 4, "hash")["item"]
    order = rng.permutation(300)
    many = parts_of(items(tmp_path / "many", id=[names[k] for k in order]), 4, "hash")["item"]
    assert (many[np.argsort(order)][:200] == few).all()


def test_rows_of_one_value_are_together(tmp_path: Path) -> None:
    kind = [None if k % 5 == 4 else f"kind-{k % 5}" for k in range(100)]
    folder = items(tmp_path / "a", id=np.arange(100), kind=kind, price=np.arange(100.0) // 10)
    for by, group in (("kind", np.arange(100) % 5), ("price", np.arange(100) // 10)):
        parts = parts_of(folder, 3, "hash", by=by)["item"]
        assert all(len(set(parts[group == g].tolist())) == 1 for g in set(group.tolist()))
        assert len(set(parts.tolist())) > 1
    assert same(parts_of(folder, 3, "hash", by={"item": "id"}), parts_of(folder, 3, "hash"))


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("pric", "by must be one of kind, price, id, position (got 'pric'). Did you mean 'price'?"),
        ({"itm": "id"}, "node types of 'by' must be one of item (got 'itm'). Did you mean 'item'?"),
        ({"item": "pric"}, "by.item must be one of kind, price, id, position (got 'pric'). Did you mean 'price'?"),
        (
            "position",
            "by must be a column (got 'position', which changes when nodes are added). Set by: id, or method: range",
        ),
    ],
)
def test_a_column_that_is_not_there_is_named(by: object, message: str, tmp_path: Path) -> None:
    folder = items(tmp_path / "a", id=np.arange(9), kind=["x"] * 9, price=np.arange(9.0))
    with pytest.raises(ConfigError) as caught:
        parts_of(folder, 2, "hash", by=by)
    assert str(caught.value) == f"graph.partitions: {message}"


def test_a_column_that_is_not_there_is_told_before_construction(tmp_path: Path) -> None:
    nodes = {"item": item(text={"title": {"columns": "title"}})}
    tables = {"path": "graph", "base": str(tmp_path), "nodes": nodes}
    for method in ("hash", "range"):
        with pytest.raises(
            ValueError, match=r"by must be one of title, position, id \(got 'titel'\). Did you mean 'title'"
        ):
            GraphConfig.model_validate({**tables, "partitions": {"count": 2, "method": method, "by": "titel"}})
        GraphConfig.model_validate({**tables, "partitions": {"count": 2, "method": method, "by": "title"}})
