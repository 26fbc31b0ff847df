"""Edges: whatever the tables, the graph folder holds the same multiset of edges, sorted, with right index pointers."""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gconstruct import build_graph, csc
from gconstruct import csc as module
from gconstruct.csc import sorted_ends

from .tables import graph, item, link, read, write

PART = "out/graph/part-0"


def edges_of(folder: Path, source: str, relation: str, target: str) -> Counter[tuple[Any, Any]]:
    """The edges of a type as pairs of original ids, from the index pointers and the sources alone."""
    ids = {t: read(folder / PART / f"nodes/{t}.arrow").column("id").to_pylist() for t in (source, target)}
    stem = folder / PART / f"edges/{source}--{relation}--{target}"
    table = read(stem.with_suffix(".arrow"))
    indptr = read(stem.with_suffix(".indptr.arrow")).column("indptr").to_numpy()
    sources = table.column("source").to_numpy()
    assert indptr.dtype == np.int64
    assert indptr[0] == 0
    assert indptr[-1] == len(sources)
    assert len(indptr) == len(ids[target]) + 1
    targets = np.repeat(np.arange(len(ids[target])), np.diff(indptr))
    assert targets.tolist() == table.column("target").to_pylist()
    for start, end in itertools.pairwise(indptr):
        assert (np.diff(sources[start:end]) >= 0).all()
    return Counter((ids[source][s], ids[target][t]) for s, t in zip(sources.tolist(), targets.tolist(), strict=True))


TEXTS = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n\0", exclude_categories=["Cs"]), min_size=1, max_size=6
)
IDS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=8, unique=True),
    st.lists(
        TEXTS.filter(lambda s: s not in ("NULL", "null", "NA", "NaN", "nan")), min_size=1, max_size=8, unique=True
    ),
)


@given(IDS, IDS, st.sampled_from(["csv", "parquet"]), st.data())
@settings(max_examples=40, deadline=None)
def test_the_edges_of_the_tables_are_those_of_the_graph(
    users: list[Any], tags: list[Any], suffix: str, data: st.DataObject
) -> None:
    """Users have a table, tags are known from edges only."""
    pair = st.tuples(st.sampled_from(users), st.sampled_from(tags))
    pairs = data.draw(st.lists(pair, min_size=1, max_size=30))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / f"users.{suffix}", id=users)
        write(folder / f"likes.{suffix}", source=[p[0] for p in pairs], target=[p[1] for p in pairs])
        likes = {"source": "user", "relation": "likes", "target": "tag", "files": f"likes.{suffix}"}
        config = graph(folder, {"user": {"files": f"users.{suffix}", "id": "id"}, "tag": None}, [likes])
        manifest = build_graph(config)
        same = _as_read(users, pairs, suffix)
        assert edges_of(folder, "user", "likes", "tag") == same
        assert edges_of(folder, "tag", "likes_rev", "user") == Counter({(t, s): n for (s, t), n in same.items()})
        created = read(folder / PART / "nodes/tag.arrow").column("id").to_pylist()
        key = (lambda s: s.encode()) if isinstance(created[0], str) else None
        assert created == sorted({t for _, t in same}, key=key)
        assert manifest.node("tag").count == len(created)


def _as_read(users: list[Any], pairs: list[tuple[Any, Any]], suffix: str) -> Counter[tuple[Any, Any]]:
    """The pairs as they must come back: CSV text that is integers throughout becomes integers."""
    if suffix == "parquet":
        return Counter(pairs)

    def convert(values: list[Any]) -> dict[Any, Any]:
        texts = [str(v) for v in values]
        integers = all(_is_integer(t) for t in texts)
        return {v: int(t) if integers else t for v, t in zip(values, texts, strict=True)}

    source, target = convert(users), convert([t for _, t in pairs])
    return Counter((source[s], target[t]) for s, t in pairs)


def _is_integer(text: str) -> bool:
    try:
        return str(int(text)) == text and text.isascii() and -(2**63) <= int(text) < 2**63
    except ValueError:
        return False


def test_unknown_nodes_are_created_behind_those_of_the_table(tmp_path: Path) -> None:
    write(tmp_path / "items.parquet", id=["b", "a"], x=[1.0, 3.0], t=["B", None], y=["p", "q"], z=[1.0, 2.0])
    write(tmp_path / "links.parquet", source=["a", "y", "x"], target=["b", "a", "y"])
    split = {"train": 1.0, "valid": 0.0, "test": 0.0}
    node = item(
        features={"x": {"column": "x", "normalize": "none"}},
        text={"t": {"columns": "t"}},
        labels={"y": {"column": "y", "split": split}, "z": {"column": "z", "kind": "number", "split": split}},
    )
    manifest = build_graph(graph(tmp_path, {"item": node}, [link(on_unknown_node="create")]))
    table = read(tmp_path / PART / "nodes/item.arrow").to_pydict()
    assert table["id"] == ["b", "a", "x", "y"]
    assert table["feature:x"] == [[1], [3], [0], [0]]
    assert table["text:t"] == ["B", None, "", ""]
    assert table["label:y"] == [0, 1, -1, -1]
    assert str(table["label:z"]) == "[1.0, 2.0, nan, nan]"
    assert table["split:y"] == table["split:z"] == [1, 1, 0, 0]
    assert manifest.node("item").count == 4
    assert manifest.node("item").labels["y"].counts == {"none": 0, "train": 2, "valid": 0, "test": 0}
    assert edges_of(tmp_path, "item", "link", "item") == Counter([("a", "b"), ("y", "a"), ("x", "y")])


def test_only_the_edges_that_say_so_create_nodes(tmp_path: Path) -> None:
    """`drop` looks at the table alone, whatever other edge types create, and in whichever order they come."""
    write(tmp_path / "items.parquet", id=["a"])
    write(tmp_path / "links.parquet", source=["a", "x"], target=["x", "a"])
    write(tmp_path / "other.parquet", source=["x", "a"], target=["a", "a"])
    makes = link(on_unknown_node="create")
    drops = link(files="other.parquet", relation="other", on_unknown_node="drop")
    for edges in ([makes, drops], [drops, makes]):
        manifest = build_graph(graph(tmp_path, {"item": item()}, edges), force=True)
        assert manifest.dropped == {"edges.item:other:item: unknown node": 1}
        assert edges_of(tmp_path, "item", "other", "item") == Counter([("a", "a")])
        assert edges_of(tmp_path, "item", "link", "item") == Counter([("a", "x"), ("x", "a")])


def test_node_types_known_from_several_edge_types(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", source=[3, 1], target=[10, 2])
    write(tmp_path / "b.csv", source=[7, 2], target=[1, 1])
    edges: list[dict[str, Any]] = [
        {"source": "x", "relation": "a", "target": "y", "files": "a.parquet"},
        {"source": "y", "relation": "b", "target": "x", "files": "b.csv", "reverse": False},
    ]
    build_graph(graph(tmp_path, {"x": None, "y": None}, edges))
    assert read(tmp_path / PART / "nodes/x.arrow").to_pydict() == {"id": [1, 3]}
    assert read(tmp_path / PART / "nodes/y.arrow").to_pydict() == {"id": [2, 7, 10]}
    assert edges_of(tmp_path, "y", "b", "x") == Counter([(7, 1), (2, 1)])


@pytest.mark.parametrize("dtype", [pa.int32(), pa.uint16(), pa.int64()])
def test_integer_ids_of_other_widths(dtype: pa.DataType, tmp_path: Path) -> None:
    write(tmp_path / "items.parquet", id=pa.array([5, 3], dtype))
    write(tmp_path / "links.parquet", source=pa.array([3], pa.int8()), target=pa.array([5], pa.uint64()))
    manifest = build_graph(graph(tmp_path, {"item": item()}, [link()]))
    assert manifest.node("item").id_type == "int64"
    assert edges_of(tmp_path, "item", "link", "item") == Counter([(3, 5)])


def test_string_ids_of_every_arrow_type(tmp_path: Path) -> None:
    write(tmp_path / "items.parquet", id=pa.array(["a", "b"]).dictionary_encode())
    write(tmp_path / "links.parquet", source=pa.array([b"a"], pa.binary()), target=pa.array(["b"], pa.large_string()))
    build_graph(graph(tmp_path, {"item": item()}, [link()]))
    assert edges_of(tmp_path, "item", "link", "item") == Counter([("a", "b")])


def test_csv_ids_follow_parquet_ids(tmp_path: Path) -> None:
    """'7' in CSV is the string '7' where Parquet has strings, and the integer 7 where it has integers."""
    write(tmp_path / "links.csv", source=[7], target=[8])
    for ids in (["7", "8"], [7, 8]):
        write(tmp_path / "items.parquet", id=ids)
        build_graph(graph(tmp_path, {"item": item()}, [link(files="links.csv")]), force=True)
        assert edges_of(tmp_path, "item", "link", "item") == Counter([(ids[0], ids[1])])


def test_leading_zeros_are_kept(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("id\n007\n8\n")
    build_graph(graph(tmp_path, {"item": item(files="items.csv")}))
    assert read(tmp_path / PART / "nodes/item.arrow").to_pydict() == {"id": ["007", "8"]}


@given(st.integers(0, 60), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_order_is_that_of_lexsort(edges: int, sources: int, targets: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    source, target = rng.integers(0, sources, edges), rng.integers(0, targets, edges)
    expected = np.lexsort((source, target)).tolist()
    # These counts take the three ways: packed with the row, by ranges, and too large for one number.
    for counts in ((sources, targets), (2**31, 2**33), (2**40, 2**40)):
        assert sorted_ends(source, target, *counts)[0].tolist() == expected


def test_many_nodes_need_wide_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_INT32_NODES", 2)
    write(tmp_path / "items.parquet", id=["a", "b"])
    write(tmp_path / "links.parquet", source=["a"], target=["b"])
    build_graph(graph(tmp_path, {"item": item()}, [link()]))
    table = read(tmp_path / PART / "edges/item--link--item.arrow")
    assert table.schema.field("source").type == table.schema.field("target").type == pa.int64()


@pytest.mark.parametrize("reverse", [True, False])
def test_an_end_without_a_table_takes_its_ids_from_the_edges_that_are_not_dropped(
    reverse: bool, tmp_path: Path
) -> None:
    write(tmp_path / "items.parquet", id=["a", "b"])
    ends = [["a", "x", "b", "y"], ["t2", "t9", "t1", "t2"]]
    near, far = ("target", "source") if reverse else ("source", "target")
    write(tmp_path / "links.parquet", **dict(zip((near, far), ends, strict=True)))
    edge = link(on_unknown_node="drop", reverse=False, **{near: "item", far: "tag"})
    manifest = build_graph(graph(tmp_path, {"item": item(), "tag": None}, [edge]))
    assert manifest.dropped == {f"edges.{manifest.edge_names()[0]}: unknown node": 2}
    assert manifest.num_edges == 2
    assert read(tmp_path / "out/graph/part-0/nodes/tag.arrow").to_pydict() == {"id": ["t1", "t2"]}
    assert read(tmp_path / "out/graph/part-0/nodes/item.arrow").to_pydict() == {"id": ["a", "b"]}


@pytest.mark.parametrize("bits", [1, 32, 33, 42, 44, 45, 64])
def test_keys_alone_are_sorted_as_numbers(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many of them by ranges of their upper bits, of which some are empty."""
    monkeypatch.setattr(csc, "_MANY_KEYS", 100)
    monkeypatch.setattr(csc, "_CACHED_KEYS", 300)
    rng = np.random.default_rng(bits)
    for rows in (0, 99, 1000):
        keys = rng.integers(0, 1 << bits, rows, dtype=np.uint64, endpoint=False) if bits < 64 else rng.bytes(8 * rows)
        keys = np.frombuffer(keys, np.uint64).copy() if isinstance(keys, bytes) else keys
        keys[rows // 2 :] >>= np.uint64(bits // 2)
        expected = sorted(keys.tolist())
        csc.sort_only_keys(keys, bits)
        assert keys.tolist() == expected
