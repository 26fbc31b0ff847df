"""Features that the graph's edges give to its nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gconstruct import build_graph
from gconstruct.partition import partition_graph
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.graph.verify import verify_graph

from ..tables import graph, item, link, read, write

PLAIN = {"encode": "degree", "log1p": False, "normalize": "none"}
LIKES = {
    "source": "user",
    "relation": "likes",
    "target": "item",
    "files": "likes.parquet",
    "source_id": "user",
    "target_id": "item",
}


def tables(folder: Path) -> None:
    """Items a to d; links a -> b, a -> c, b -> c, c -> c; u1 likes c, u2 likes c and d."""
    write(folder / "items.parquet", id=["a", "b", "c", "d"], x=[1.0, 2.0, 3.0, 4.0])
    write(
        folder / "links.parquet",
        source=["a", "a", "b", "c"],
        target=["b", "c", "c", "c"],
        part=["train", "test", "valid", None],
    )
    write(folder / "likes.parquet", user=["u1", "u2", "u2"], item=["c", "c", "d"])


def built(folder: Path, feature: dict[str, Any], node_type: str = "item", **link_options: Any) -> np.ndarray:
    config = configured(folder, feature, node_type, **link_options)
    build_graph(config, force=True)
    return LocalGraph(folder / "out/graph").feature(node_type, "f").astype(np.float32)


def configured(folder: Path, feature: dict[str, Any], node_type: str = "item", **link_options: Any) -> GraphConfig:
    tables(folder)
    nodes: dict[str, Any] = {"item": item(features={"x": "x"}), "user": {}}
    features = {"f": feature, **nodes[node_type].get("features", {})}
    return graph(
        folder, {**nodes, node_type: {**nodes[node_type], "features": features}}, [link(**link_options), LIKES]
    )


@pytest.mark.known_answer("features/degree")
def test_a_number_for_each_edge_type_and_end(tmp_path: Path) -> None:
    """link out, link in, likes in"""
    assert built(tmp_path, PLAIN).tolist() == [[2, 0, 0], [1, 1, 0], [1, 3, 2], [0, 0, 1]]
    schema = LocalGraph(tmp_path / "out/graph").manifest.node("item")
    assert list(schema.features) == ["f", "x"]
    assert schema.features["f"].width == 3
    assert schema.features["f"].fitted["encode"] == "degree"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"ends": "in"}, [[0, 0], [1, 0], [3, 2], [0, 1]]),
        ({"ends": "out"}, [[2], [1], [1], [0]]),
        ({"total": True}, [[2], [2], [6], [1]]),
        ({"edges": ["user:likes:item"]}, [[0], [0], [2], [1]]),
    ],
    ids=str,
)
def test_what_is_counted(options: dict[str, Any], expected: list[list[float]], tmp_path: Path) -> None:
    assert built(tmp_path, {**PLAIN, **options}).tolist() == expected


def test_edges_of_validation_and_test_do_not_count(tmp_path: Path) -> None:
    """Of links, a -> b is for training and c -> c in no part."""
    degrees = built(tmp_path, {**PLAIN, "edges": ["item:link:item"]}, split={"column": "part"})
    assert degrees.tolist() == [[1, 0], [0, 1], [1, 1], [0, 0]]


def test_a_node_type_without_a_table(tmp_path: Path) -> None:
    assert built(tmp_path, PLAIN, "user").tolist() == [[1], [2]]


def test_log_and_scale(tmp_path: Path) -> None:
    values = built(tmp_path, {"encode": "degree", "total": True, "dtype": "float16"})
    logs = np.log1p([2, 2, 6, 1])
    np.testing.assert_allclose(values[:, 0], (logs - logs.mean()) / logs.std(), rtol=1e-3)


def test_the_folder_stays_whole(tmp_path: Path) -> None:
    config = configured(tmp_path, PLAIN)
    manifest = build_graph(config)
    verify_graph(tmp_path / "out/graph", manifest)
    table = read(tmp_path / "out/graph/part-0/nodes/item.arrow")
    assert table.column("id").to_pylist() == ["a", "b", "c", "d"]
    assert not list((tmp_path / "out/graph").rglob("*.new"))
    assert manifest.partitions[0].bytes == sum(p.stat().st_size for p in (tmp_path / "out/graph").rglob("*.arrow"))
    lines: list[str] = []
    build_graph(config, progress=lines.append)
    assert "is up to date" in lines[-1]


def test_partitions(tmp_path: Path) -> None:
    built(tmp_path, PLAIN)
    partition_graph(tmp_path / "out/graph", tmp_path / "two", 2)
    parted = LocalGraph(tmp_path / "two")
    by_id = dict(zip(parted.ids("item").to_pylist(), parted.feature("item", "f").tolist(), strict=True))
    assert by_id == {"a": [2, 0, 0], "b": [1, 1, 0], "c": [1, 3, 2], "d": [0, 0, 1]}


@pytest.mark.known_answer("features/page_rank")
def test_page_rank(tmp_path: Path) -> None:
    options = {"encode": "page_rank", "edges": ["item:link:item"], "both_ways": False, "steps": 200}
    values = np.exp(built(tmp_path, options)[:, 0]) / 6
    moves = np.array([[0, 0, 0, 0], [0.5, 0, 0, 0], [0.5, 1, 1, 0], [0, 0, 0, 0]])
    rank = np.full(6, 1 / 6)
    for _ in range(200):
        lost = rank[3:].sum()
        rank = 0.15 / 6 + 0.85 * (np.append(moves @ rank[:4], [0, 0]) + lost / 6)
    np.testing.assert_allclose(values, rank[:4], rtol=1e-5)
    both = built(tmp_path, {"encode": "page_rank"})[:, 0]
    assert both.argmax() == 2


def test_where_it_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be a feature of nodes"):
        graph(tmp_path, {"item": item()}, [link(features={"f": PLAIN})])
    with pytest.raises(ValueError, match="must have 'files' when it has features"):
        graph(tmp_path, {"item": {"features": {"x": "x", "f": PLAIN}}}, [link()])


def test_the_manifest_tells_how_it_was_made(tmp_path: Path) -> None:
    manifest: GraphManifest = build_graph(configured(tmp_path, {"encode": "degree", "edges": ["item:link:item"]}))
    fitted = GraphManifest.model_validate_json(manifest.model_dump_json()).node("item").features["f"].fitted
    assert fitted["edges"] == [["item", "link", "item"]]
    assert len(fitted["mean"]) == len(fitted["std"]) == 2


def test_another_graph_with_the_same_state(tmp_path: Path) -> None:
    """New edges are counted, and scaled as in the graph that is known."""
    options = {"encode": "degree", "edges": ["item:link:item"], "ends": "in", "log1p": False}
    (tmp_path / "old").mkdir()
    built(tmp_path / "old", options)
    known = LocalGraph(tmp_path / "old/out/graph").manifest.node("item").features["f"].fitted
    config = configured(tmp_path, options)
    write(tmp_path / "links.parquet", source=["a"], target=["b"])
    build_graph(config.model_copy(update={"like": str(tmp_path / "old/out/graph")}))
    graph_of_new = LocalGraph(tmp_path / "out/graph")
    expected = (np.array([0, 1, 0, 0]) - known["mean"]) / known["std"]
    np.testing.assert_allclose(graph_of_new.feature("item", "f")[:, 0], expected, rtol=1e-6)
    assert graph_of_new.manifest.node("item").features["f"].fitted == known
