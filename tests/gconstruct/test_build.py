"""Known answers: a tiny graph whose every file is opened with plain pyarrow and compared value by value."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gconstruct import build_graph, fingerprint, is_current
from graphstorm_like.files import file_hash
from graphstorm_like.graph.schema import (
    EdgeTypeSchema,
    GraphManifest,
    LabelSchema,
    TextSchema,
    read_manifest,
)

from .tables import graph, item, link, read, write

PART = "out/graph/part-0"
REL = ("item", "link", "item")


def tiny(folder: Path, suffix: str = "parquet", **link_options: Any) -> Any:
    """Four items with everything, links between them, and tags that only edges know."""
    write(
        folder / f"items.{suffix}",
        id=["a", "b", "c", "d"],
        price=[1.0, 3.0, None, 5.0],
        colour=["red", None, "blue", "red"],
        title=["T-a", None, "T-c", None],
        body=["B-a", "B-b", None, None],
        kind=["x", "y", None, "x"],
        kind_split=["train", "VAL", "test", None],
        score=[0.5, None, 1.5, 2.5],
    )
    write(
        folder / f"links.{suffix}",
        source=["d", "a", "c", "a", "a"],
        target=["a", "b", "b", "b", "a"],
        weight=[10.0, 20.0, 30.0, 40.0, 50.0],
        note=["one", "two", None, "four", "five"],
        part=["train", "valid", "test", None, "validation"],
    )
    write(folder / f"tags.{suffix}", item=["d", "a", "b"], tag=["z", "k", "z"])
    nodes = {
        "item": item(
            files=f"items.{suffix}",
            features={
                "price": {"column": "price", "missing": "mean"},
                "colour": {"encode": "one_hot", "column": "colour"},
            },
            text={
                "joined": {"columns": ["title", "body"], "separator": " | "},
                "made": {"template": "{{{id}}}: {title}. {body}"},
            },
            labels={
                "kind": {"column": "kind", "split": {"column": "kind_split"}},
                "score": {"column": "score", "kind": "number", "split": {"train": 1.0, "valid": 0.0, "test": 0.0}},
            },
        ),
        "tag": None,
    }
    edges = [
        link(
            files=f"links.{suffix}",
            features={"weight": {"column": "weight", "normalize": "none"}},
            text={"note": {"columns": "note"}},
            split={"column": "part"},
            **link_options,
        ),
        {
            "source": "item",
            "relation": "has",
            "target": "tag",
            "files": f"tags.{suffix}",
            "source_id": "item",
            "target_id": "tag",
            "reverse": "of",
        },
    ]
    return graph(folder, nodes, edges)


@pytest.fixture(params=["parquet", "csv"])
def built(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, GraphManifest]:
    return tmp_path / PART, build_graph(tiny(tmp_path, request.param))


def test_node_table(built: tuple[Path, GraphManifest]) -> None:
    table = read(built[0] / "nodes/item.arrow")
    std = math.sqrt(8 / 3)
    expected_price = np.array([[(v - 3) / std] for v in (1, 3, 3, 5)], np.float32)
    assert table.column("id").to_pylist() == ["a", "b", "c", "d"]
    assert np.array(table.column("feature:price").to_pylist(), np.float32).tolist() == expected_price.tolist()
    assert table.column("feature:colour").to_pylist() == [[1, 0], [0, 0], [0, 1], [1, 0]]
    assert table.column("text:joined").to_pylist() == ["T-a | B-a", "B-b", "T-c", None]
    assert table.column("text:made").to_pylist() == ["{a}: T-a. B-a", "{b}: . B-b", "{c}: T-c. ", "{d}: . "]
    assert table.column("label:kind").to_pylist() == [0, 1, -1, 0]
    assert table.column("split:kind").to_pylist() == [1, 2, 0, 0]
    assert str(table.column("label:score").to_pylist()) == "[0.5, nan, 1.5, 2.5]"
    assert table.column("split:score").to_pylist() == [1, 0, 1, 1]
    assert {f.name: str(f.type) for f in table.schema} == {
        "id": "large_string",
        "feature:price": "fixed_size_list<item: float>[1]",
        "feature:colour": "fixed_size_list<item: float>[2]",
        "text:joined": "large_string",
        "text:made": "large_string",
        "label:kind": "int32",
        "split:kind": "uint8",
        "label:score": "float",
        "split:score": "uint8",
    }


def test_node_schema(built: tuple[Path, GraphManifest]) -> None:
    schema = built[1].node("item")
    assert (schema.count, schema.id_type) == (4, "string")
    fitted = schema.features["price"].fitted
    assert {k: fitted[k] for k in ("encode", "normalize", "missing", "mean")} == {
        "encode": "numeric",
        "normalize": "standard",
        "missing": "mean",
        "mean": [3.0],
    }
    assert fitted["std"] == pytest.approx([math.sqrt(8 / 3)])
    assert schema.features["colour"].width == 2
    assert schema.features["colour"].fitted["categories"] == ["red", "blue"]
    assert schema.text["made"] == TextSchema(columns=["id", "title", "body"], template="{{{id}}}: {title}. {body}")
    assert schema.labels["kind"] == LabelSchema(
        kind="class", classes=["x", "y"], counts={"none": 1, "train": 1, "valid": 1, "test": 0}
    )
    assert schema.labels["score"].counts == {"none": 0, "train": 3, "valid": 0, "test": 0}
    assert built[1].dropped == {"nodes.item.labels.kind: split without a label": 1}


def test_edges_sorted_by_target_then_source(built: tuple[Path, GraphManifest]) -> None:
    folder, manifest = built
    table = read(folder / "edges/item--link--item.arrow").to_pydict()
    assert table == {
        "source": [0, 3, 0, 0, 2],
        "target": [0, 0, 1, 1, 1],
        "feature:weight": [[50.0], [10.0], [20.0], [40.0], [30.0]],
        "text:note": ["five", "one", "two", "four", None],
        "split": [2, 1, 2, 0, 3],
    }
    assert read(folder / "edges/item--link--item.indptr.arrow").to_pydict() == {"indptr": [0, 2, 5, 5, 5]}
    assert manifest.edge(REL).split_counts == {"none": 1, "train": 1, "valid": 2, "test": 1}


def test_reverse_edges_are_the_same_rows_the_other_way_round(built: tuple[Path, GraphManifest]) -> None:
    folder, manifest = built
    table = read(folder / "edges/item--link_rev--item.arrow").to_pydict()
    assert table == {
        "source": [0, 1, 1, 1, 0],
        "target": [0, 0, 0, 2, 3],
        "feature:weight": [[50.0], [20.0], [40.0], [30.0], [10.0]],
        "text:note": ["five", "two", "four", None, "one"],
        "split": [2, 2, 0, 3, 1],
    }
    assert read(folder / "edges/item--link_rev--item.indptr.arrow").to_pydict() == {"indptr": [0, 3, 3, 4, 5]}
    forward, back = manifest.edge(REL), manifest.edge(("item", "link_rev", "item"))
    assert (forward.reverse, forward.is_reverse) == (("item", "link_rev", "item"), False)
    assert (back.reverse, back.is_reverse, back.count) == (REL, True, 5)
    assert back.split_counts == forward.split_counts


def test_nodes_that_only_edges_know_come_sorted(built: tuple[Path, GraphManifest]) -> None:
    folder, manifest = built
    assert read(folder / "nodes/tag.arrow").to_pydict() == {"id": ["k", "z"]}
    assert manifest.node("tag").count == 2
    assert read(folder / "edges/item--has--tag.arrow").to_pydict() == {"source": [0, 1, 3], "target": [0, 1, 1]}
    assert read(folder / "edges/item--has--tag.indptr.arrow").to_pydict() == {"indptr": [0, 1, 3]}
    assert read(folder / "edges/tag--of--item.arrow").to_pydict() == {"source": [0, 1, 1], "target": [0, 1, 3]}
    assert read(folder / "edges/tag--of--item.indptr.arrow").to_pydict() == {"indptr": [0, 1, 2, 2, 3]}


def test_manifest(built: tuple[Path, GraphManifest]) -> None:
    folder, manifest = built
    assert read_manifest(folder.parent) == manifest
    part = manifest.partitions[0]
    assert (len(manifest.partitions), part.folder) == (1, "part-0")
    assert part.node_ranges == {"item": (0, 4), "tag": (0, 2)}
    assert part.node_files == {"item": "nodes/item.arrow", "tag": "nodes/tag.arrow"}
    assert part.edge_files["tag:of:item"] == "edges/tag--of--item.arrow"
    files = {p.relative_to(folder.parent).as_posix(): p for p in folder.rglob("*.arrow")}
    assert manifest.hashes == {name: file_hash(path) for name, path in files.items()}
    assert part.bytes == sum(p.stat().st_size for p in files.values())
    assert [e.edge_type for e in manifest.edges] == [
        REL,
        ("item", "link_rev", "item"),
        ("item", "has", "tag"),
        ("tag", "of", "item"),
    ]


def test_columns_are_views_of_the_file(built: tuple[Path, GraphManifest]) -> None:
    """A memory map is not copied: no memory is allocated, and numpy sees aligned values."""
    before = pa.total_allocated_bytes()
    table = read(built[0] / "edges/item--link--item.arrow")
    source = table.column("source").chunk(0).to_numpy()
    assert pa.total_allocated_bytes() == before
    assert source.flags.aligned
    assert source.dtype == np.int32


def test_two_builds_are_equal_byte_for_byte(tmp_path: Path) -> None:
    config = tiny(tmp_path)
    assert build_graph(config).hashes == build_graph(config, force=True).hashes


def test_no_reverse_type_when_it_is_not_wanted(tmp_path: Path) -> None:
    manifest = build_graph(tiny(tmp_path, reverse=False))
    assert "item:link_rev:item" not in manifest.edge_names()
    edge: EdgeTypeSchema = manifest.edge(REL)
    assert (edge.reverse, edge.is_reverse) == (None, False)


def test_progress_tells_what_was_done(tmp_path: Path) -> None:
    lines: list[str] = []
    build_graph(tiny(tmp_path), progress=lines.append)
    text = "\n".join(lines)
    assert lines[0].startswith("reading 3 files, ")
    assert "item: 4 nodes from 1 file (" in text
    assert "item:link:item: 5 edges from 1 file (" in text
    assert "s), 1 repeated (kept)" in text
    assert "tag: 2 nodes added from edges" in text
    assert lines[-2].startswith(f"{tmp_path / 'out' / 'graph'}: 6 nodes, 16 edges with reverses, ")
    assert lines[-1].startswith(f"{tmp_path / 'out' / 'graph' / 'report.html'}: what is in the graph")


def test_a_current_folder_is_left_alone(tmp_path: Path) -> None:
    config = tiny(tmp_path)
    assert not is_current(config)
    manifest = build_graph(config)
    assert is_current(config)
    stamp = (tmp_path / PART).stat().st_mtime_ns
    lines: list[str] = []
    assert build_graph(config, progress=lines.append) == manifest
    assert lines == [f"{tmp_path / 'out' / 'graph'} is up to date"]
    assert (tmp_path / PART).stat().st_mtime_ns == stamp
    build_graph(config, force=True)
    assert (tmp_path / PART).stat().st_mtime_ns != stamp


def test_what_makes_a_folder_stale(tmp_path: Path) -> None:
    config = tiny(tmp_path)
    build_graph(config)
    mark = fingerprint(config)
    moved = config.model_copy(update={"path": str(tmp_path / "elsewhere")})
    assert fingerprint(moved) == mark
    other = tiny(tmp_path, reverse=False)
    assert fingerprint(other) != mark
    assert not is_current(other)
    build_graph(config, force=True)
    (tmp_path / PART / "nodes/tag.arrow").unlink()
    assert not is_current(config)
    build_graph(config)
    assert is_current(config)
    write(tmp_path / "tags.parquet", item=["d"], tag=["z"])
    assert not is_current(config)


def test_an_edge_table_may_be_empty(tmp_path: Path) -> None:
    write(tmp_path / "items.parquet", id=["a", "b"])
    write(
        tmp_path / "links.parquet", source=pa.nulls(0), target=pa.nulls(0), x=pa.array([], pa.float64()), c=pa.nulls(0)
    )
    features = {"x": "x", "c": {"encode": "one_hot", "column": "c"}}
    manifest = build_graph(
        graph(tmp_path, {"item": item()}, [link(features=features, split={"train": 1.0, "valid": 0.0, "test": 0.0})])
    )
    assert manifest.edge(REL).count == 0
    assert manifest.edge(REL).split_counts == {"none": 0, "train": 0, "valid": 0, "test": 0}
    assert read(tmp_path / PART / "edges/item--link--item.indptr.arrow").to_pydict() == {"indptr": [0, 0, 0]}
    assert read(tmp_path / PART / "edges/item--link--item.arrow").num_rows == 0
