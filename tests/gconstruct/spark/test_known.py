"""What the state of another graph does not fit: both engines say the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gconstruct import build_graph
from graphstorm_like.errors import DataError

from ..tables import write
from .local_cluster import use
from .parity import build_both, config_of, errors_of_both

NAMES = list("abcdef")


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)


def shop(folder: Path, names: list[str], width: int = 3, **lists: str) -> Path:
    """Nodes with a vector each, edges in a chain that ends at a node which only edges name, and lists of both."""
    folder.mkdir(exist_ok=True)
    write(folder / "items.parquet", id=names, y=["x", "y"] * (len(names) // 2))
    write(folder / "links.parquet", source=names, target=[*names[1:], "z"])
    write(folder / "vectors.parquet", id=names, vector=[[float(i)] * width for i in range(len(names))])
    first, second, third = names[:3]
    texts = {"valid": second, "test": third, "valid_edges": f"{first}\t{second}", "test_edges": f"{second}\t{third}"}
    for name, text in {**texts, **lists}.items():
        (folder / name).write_text(text)
    return folder


def graph(unknown: str = "error", **more: Any) -> dict[str, Any]:
    """unknown: what ids do that the table lacks."""
    item = {
        "files": "items.parquet",
        "id": "id",
        "features": {"v": {"encode": "embedding", "vectors": "vectors.parquet"}},
        "labels": {"y": {"column": "y", "split": {"valid": "valid", "test": "test", "on_unknown_id": unknown}}},
    }
    link = {
        "source": "item",
        "relation": "link",
        "target": "item",
        "files": "links.parquet",
        "on_unknown_node": "create",
        "split": {"valid": "valid_edges", "test": "test_edges", "on_unknown_id": unknown},
    }
    return {"nodes": {"item": item}, "edges": [link], **more}


@pytest.fixture
def old(tmp_path: Path) -> str:
    build_both(shop(tmp_path / "old", NAMES), graph())
    return str(tmp_path / "old" / "out" / "arrow")


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "overlap": (
        {"test": "n1"},
        "graph.nodes.item.labels.y.split: each id must be in one split (got 1 id in both valid and test, e.g. 'n1')",
    ),
    "overlap of edges": (
        {"test_edges": "n0\tn1"},
        "graph.edges[0].split: each id must be in one split (got 1 id in both valid and test, e.g. 'n0 -> n1')",
    ),
    "width": ({"width": 4}, "column 'id' must give 3 numbers a row, as in the graph (got 4)"),
    "unknown": (
        {"test": "n2\nnobody"},
        "graph.nodes.item.labels.y.split.test: must name rows of items.parquet (got 1 unknown id, e.g. 'nobody')",
    ),
    "unknown edge": (
        {"test_edges": "n2\tnobody"},
        "graph.edges[0].split.test: must name rows of links.parquet (got 1 unknown id, e.g. 'n2 -> nobody')",
    ),
}


@pytest.mark.parametrize("unknown", ["error", "skip"])
@pytest.mark.parametrize("case", CASES)
def test_what_does_not_fit_is_told(tmp_path: Path, old: str, case: str, unknown: str) -> None:
    changes, told = CASES[case]
    folder = shop(tmp_path / "new", [f"n{i}" for i in range(6)], **changes)
    if unknown == "skip" and case.startswith("unknown"):
        build_both(folder, graph(unknown, like=old))
        return
    arrow, spark = errors_of_both(folder, graph(unknown, like=old))
    assert arrow == spark
    assert arrow.startswith("TableError: ")
    assert told in arrow.replace(f"{folder}/", "")
    with pytest.raises(DataError) as caught:
        build_graph(config_of(folder, "arrow", graph(unknown, add_to=old)), force=True)
    assert f"TableError: {caught.value}" == arrow


def test_tables_that_fit(tmp_path: Path, old: str) -> None:
    folder = shop(tmp_path / "new", [f"n{i}" for i in range(6)])
    manifest = build_both(folder, graph(like=old))
    assert manifest.nodes["item"].labels["y"].counts == {"none": 0, "train": 4, "valid": 1, "test": 1}
    grown = build_graph(config_of(folder, "arrow", graph(add_to=old)), force=True)
    assert grown.nodes["item"].labels["y"].counts == {"none": 0, "train": 8, "valid": 2, "test": 2}
