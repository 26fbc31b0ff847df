"""The Spark engine's jobs give the bytes of the arrow engine: here without Spark, in test_spark with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gconstruct import build_graph
from gconstruct.transforms.base import TRANSFORMS
from graphstorm_like.config.choice import members_of
from graphstorm_like.config.features import FeatureConfig
from graphstorm_like.config.graph import LabelConfig
from graphstorm_like.config.splits import SplitConfig
from graphstorm_like.errors import DataError

from ..tables import write
from . import samples
from .local_cluster import use
from .parity import assert_same, build_both, config_of, errors_of_both

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)


def test_every_transform_has_a_sample() -> None:
    of_ours = {tag: c for tag, c in members_of(FeatureConfig).items() if c.__module__.startswith("graphstorm_like.")}
    assert set(samples.FEATURES) == {tag for tag, config_class in of_ours.items() if config_class.of_columns}
    assert list(TRANSFORMS)


def test_every_split_has_a_sample() -> None:
    of_ours = {tag for tag, c in members_of(SplitConfig).items() if c.__module__.startswith("graphstorm_like.")}
    assert {LabelConfig.model_validate(label).split.by for label in samples.labels().values()} | {"ids"} == of_ours


@pytest.mark.parametrize("partitions", [1, 5])
@pytest.mark.parametrize("ids", ["string", "integer"])
def test_a_graph_with_everything(tmp_path: Path, ids: str, partitions: int) -> None:
    samples.tables(tmp_path, ids=ids)
    manifest = build_both(tmp_path, samples.graph(partitions={"count": partitions, "seed": 4}))
    assert len(manifest.partitions) == partitions
    assert manifest.node("item").count == samples.NODES
    assert manifest.node("tag").count > 60


@pytest.mark.parametrize("tag", samples.FEATURES)
def test_each_transform(tmp_path: Path, tag: str) -> None:
    samples.tables(tmp_path, seed=5)
    graph = samples.graph()
    features = {f"f{i}": {"encode": tag, **options} for i, options in enumerate(samples.FEATURES[tag])}
    graph["nodes"]["item"] = {"files": "item-*.parquet", "id": "id", "features": features}
    graph["edges"] = [{**graph["edges"][0], "features": features, "labels": {}, "text": {}}]
    del graph["nodes"]["tag"]
    build_both(tmp_path, graph)


@pytest.mark.parametrize("ids", ["string", "integer"])
def test_csv(tmp_path: Path, ids: str) -> None:
    samples.tables(tmp_path, ids=ids, suffix="parquet")
    rows = {"item": ["a,1,red", "b,2,", "c,,blue"], "more": ["d,4,red", "a5,2,blue"]}
    if ids == "integer":
        rows = {"item": ["10,1,red", "9,2,", "11,,blue"], "more": ["1,4,red", "-2,2,blue"]}
    for name, lines in rows.items():
        (tmp_path / f"{name}.csv").write_text("id,x,kind\n" + "\n".join(lines) + "\n")
    first, last = rows["item"][0].split(",")[0], rows["more"][0].split(",")[0]
    (tmp_path / "links.csv").write_text(f"source,target\n{first},{last}\n{last},{first}\n{first},7\n{last},30\n")
    node = {"files": ["item.csv", "more.csv"], "id": "id", "features": {"x": {"column": "x", "missing": "mean"}}}
    node["labels"] = {"kind": {"column": "kind", "split": samples.SPLIT}}
    edge = {"source": "n", "relation": "to", "target": "n", "files": "links.csv", "on_unknown_node": "create"}
    manifest = build_both(tmp_path, {"nodes": {"n": node}, "edges": [edge]})
    assert manifest.node("n").id_type == ("int64" if ids == "integer" else "string")
    assert manifest.node("n").count == 7


def bad_tables(folder: Path) -> None:
    """Null and repeated ids, null ends and unknown nodes, in several files."""
    write(folder / "n-0.parquet", id=["a", None, "b", "a", "c"], x=[1.0, 2.0, 3.0, 4.0, 5.0])
    write(folder / "n-1.parquet", id=["d", "b", None, "e", "e"], x=[1.0, 2.0, 3.0, 4.0, 5.0])
    write(folder / "e-0.parquet", source=["a", "zz", None, "b", "a"], target=["b", "a", "c", None, "yy"])
    write(folder / "e-1.parquet", source=["e", "zz", "xx", "a"], target=["d", "zz", "b", "b"])
    write(folder / "t-0.parquet", source=["a", "xx", "b"], target=["5", "7", "10"])


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("unknown", ["drop", "create"])
@pytest.mark.parametrize("others", ["drop", "create"])
def test_policies(tmp_path: Path, unknown: str, others: str, partitions: int) -> None:
    bad_tables(tmp_path)
    edge = {"source": "n", "relation": "to", "target": "n", "files": "e-*.parquet", "on_bad_id": "skip"}
    graph: dict[str, Any] = {
        "nodes": {
            "n": {"files": "n-*.parquet", "id": "id", "on_bad_id": "skip", "features": {"x": "x"}},
            "t": None,
        },
        "edges": [
            {**edge, "on_unknown_node": unknown, "split": samples.SPLIT},
            {**edge, "relation": "t", "target": "t", "files": "t-0.parquet", "on_unknown_node": others},
        ],
        "partitions": {"count": partitions},
    }
    manifest = build_both(tmp_path, graph)
    assert manifest.dropped["nodes.n: null id"] == 2
    assert manifest.dropped["nodes.n: repeated id"] == 3
    assert manifest.node("n").count == 5 + (3 if unknown == "create" else 0) + (
        1 if (unknown, others) == ("drop", "create") else 0
    )


@pytest.mark.parametrize("unknown", ["drop", "create"])
def test_repeated_edges(tmp_path: Path, unknown: str) -> None:
    samples.tables(tmp_path, seed=3)
    write(tmp_path / "link-9.parquet", source=["new", "new"], target=["item 1"] * 2, **samples.columns(RNG, 2))
    graph = samples.graph()
    graph["edges"][0] |= {"on_repeated_edge": "drop", "on_unknown_node": unknown}
    graph["edges"][1] |= {"on_repeated_edge": "drop"}
    manifest = build_both(tmp_path, graph)
    assert manifest.dropped["edges.item:link:item: repeated edge"] > 1


def test_more_partitions_than_nodes_and_empty_edges(tmp_path: Path) -> None:
    write(tmp_path / "n.parquet", id=["a", "b"])
    write(tmp_path / "e.parquet", source=["a"][:0], target=["b"][:0])
    edge = {"source": "n", "relation": "to", "target": "n", "files": "e.parquet"}
    graph: dict[str, Any] = {"nodes": {"n": {"files": "n.parquet", "id": "id"}, "t": None}, "edges": [edge]}
    graph["edges"].append({**edge, "relation": "t", "target": "t"})
    build_both(tmp_path, {**graph, "partitions": {"count": 4}})


def test_ranges_and_buckets_of_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gconstruct.engines.spark import blobs, created, edges, ends, engine

    monkeypatch.setattr(edges, "RANGE_ROWS", 20)
    monkeypatch.setattr(created, "_RANGE_ROWS", 10)
    monkeypatch.setattr(ends, "_ASKED_AT_ONCE", 7)
    monkeypatch.setattr(blobs, "BLOB_BYTES", 500)
    monkeypatch.setattr(engine, "BUCKET_BYTES", 2000)
    samples.tables(tmp_path, seed=2)
    build_both(tmp_path, samples.graph(partitions={"count": 2}))


def test_state_of_another_graph(tmp_path: Path) -> None:
    samples.tables(tmp_path, seed=1)
    graph = samples.graph()
    graph["nodes"]["item"]["labels"]["class"]["split"] = samples.SPLIT
    build_both(tmp_path, graph)
    new = tmp_path / "new"
    new.mkdir()
    samples.tables(new, seed=8)
    build_both(new, {**graph, "like": str(tmp_path / "out" / "arrow")})


def test_a_column_that_names_the_relation(tmp_path: Path) -> None:
    write(tmp_path / "n.parquet", id=["a", "b", "c"])
    write(tmp_path / "e-0.parquet", source=["a", "a", "b"], kind=["likes", "is", "was"], target=["b", "c", "c"])
    write(tmp_path / "e-1.parquet", source=["c", "b", "c"], kind=["knows", "other", None], target=["a", "a", "b"])
    edge = {"source": "n", "target": "n", "files": "e-*.parquet", "relation_column": "kind"}
    edge |= {"relations": {"likes": "likes", "is": "is", "was": "is"}, "on_unknown_relation": "drop"}
    graph = {"nodes": {"n": {"files": "n.parquet", "id": "id"}}, "edges": [edge]}
    manifest = build_both(tmp_path, graph)
    assert manifest.dropped == {"edges.n:likes:n: unknown relation": 3}


METHODS: dict[str, dict[str, Any]] = {
    "hash": {"method": "hash", "seed": 3},
    "hash of a class": {"method": "hash", "by": "class"},
    "hash of a text": {"method": "hash", "by": {"item": "text"}},
    "range": {"method": "range"},
    "range of ids": {"method": "range", "by": "id"},
    "range of a feature": {"method": "range", "by": {"item": "numeric_0", "tag": "id"}},
    "range of a class": {"method": "range", "by": "class"},
}


@pytest.mark.parametrize(
    ("method", "ids"), [*((method, "string") for method in METHODS), ("hash", "integer"), ("range of ids", "integer")]
)
def test_partition_methods_of_rows(tmp_path: Path, method: str, ids: str) -> None:
    """Also of nodes that only edges name, with and without a table."""
    samples.tables(tmp_path, seed=6, ids=ids)
    new = "new" if ids == "string" else 99_999
    write(tmp_path / "link-9.parquet", source=[new, new], target=[new] * 2, **samples.columns(RNG, 2))
    feature, label = samples.features()["numeric_0"], samples.labels()["class"]
    item = {"files": "item-*.parquet", "id": "id", "features": {"numeric_0": feature}, "labels": {"class": label}}
    item["text"] = {"text": {"columns": "text"}}
    link = {"source": "item", "relation": "link", "target": "item", "files": "link-*.parquet"}
    edges = [{**link, "on_unknown_node": "create"}, {**samples.graph()["edges"][1], "on_unknown_node": "create"}]
    graph = {"nodes": {"item": item, "tag": None}, "edges": edges}
    manifest = build_both(tmp_path, {**graph, "partitions": {"count": 3, **METHODS[method]}})
    sizes = [part.node_ranges["item"][1] - part.node_ranges["item"][0] for part in manifest.partitions]
    assert sum(sizes) == samples.NODES + 1
    assert max(sizes) <= samples.NODES


def test_a_column_that_partitions_cannot_go_by(tmp_path: Path) -> None:
    """Three numbers a row: only the tables show it."""
    samples.tables(tmp_path)
    graph = samples.graph(partitions={"count": 2, "method": "range", "by": "numeric_3"})
    arrow, spark = errors_of_both(tmp_path, graph)
    assert arrow == spark
    assert "graph.partitions: by must be one of " in spark


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize(("unknown", "ids"), [("drop", "integer"), ("create", "string")])
def test_hard_negatives_and_degrees(tmp_path: Path, unknown: str, ids: str, partitions: int) -> None:
    rng = np.random.default_rng(4)
    graph = samples.shop(tmp_path, ids, rng)
    graph["edges"][0]["on_unknown_node"] = unknown
    graph["partitions"] = {"count": partitions, "method": "hash"}
    manifest = build_both(tmp_path, graph)
    assert [edge.hard_negatives for edge in manifest.edges if edge.edge_type[1].startswith("link")] == [3, 0]
    assert manifest.dropped["edges.item:link:item.hard_negatives: unknown node"] >= 2 * 2 * 59
    assert manifest.node("item").features["ends"].width == 3
    if unknown == "create" and partitions == 3:
        new = tmp_path / "new"
        build_both(new, {**samples.shop(new, ids, rng), **graph, "like": str(tmp_path / "out" / "arrow")})


def test_unknown_hard_negatives(tmp_path: Path) -> None:
    write(tmp_path / "n.parquet", id=["a", "b", "c"])
    write(tmp_path / "e.parquet", source=["a", "b"], target=["b", "c"], wrong=["c, zz", None])
    negatives = {"column": "wrong", "separator": ","}
    edge = {"source": "n", "relation": "to", "target": "n", "files": "e.parquet", "hard_negatives": negatives}
    arrow, spark = errors_of_both(tmp_path, {"nodes": {"n": {"files": "n.parquet", "id": "id"}}, "edges": [edge]})
    assert arrow == spark
    assert "must hold ids of nodes of type 'n' (got 'zz'; 1 unknown id in all)" in spark


def test_features_of_all_edges_in_one_folder(tmp_path: Path) -> None:
    """The driver adds them."""
    write(tmp_path / "n.parquet", id=["a", "b", "c"])
    write(tmp_path / "e.parquet", source=["a", "b"], target=["b", "c"])
    features = {"rank": {"encode": "page_rank"}, "d": {"encode": "degree"}}
    edge = {"source": "n", "relation": "to", "target": "n", "files": "e.parquet"}
    build_both(tmp_path, {"nodes": {"n": {"files": "n.parquet", "id": "id", "features": features}}, "edges": [edge]})


def test_images(tmp_path: Path) -> None:
    import io

    from PIL import Image

    def png(shade: int) -> bytes:
        stream = io.BytesIO()
        Image.new("RGB", (4, 6), (shade, 3, 250 - shade)).save(stream, "PNG")
        return stream.getvalue()

    write(tmp_path / "n-0.parquet", id=["a", "b"], picture=[png(1), None])
    write(tmp_path / "n-1.parquet", id=["c"], picture=[png(90)])
    image = {"picture": {"column": "picture", "size": [3, 2], "missing": "zero"}}
    write(tmp_path / "e.parquet", source=["a", "q"], target=["c", "b"])
    edge = {"source": "n", "relation": "to", "target": "n", "files": "e.parquet", "on_unknown_node": "create"}
    build_both(tmp_path, {"nodes": {"n": {"files": "n-*.parquet", "id": "id", "image": image}}, "edges": [edge]})


@pytest.mark.parametrize("partitions", [1, 2])
def test_a_url(tmp_path: Path, partitions: int) -> None:
    """The files have the bytes of those of a local folder. graph.json is the last one, and the first one to go."""
    import fsspec

    samples.tables(tmp_path)
    graph = samples.graph(partitions={"count": partitions})
    expected = build_both(tmp_path, graph)
    url = f"memory://bucket-{partitions}/graph"
    config = config_of(tmp_path, "spark", graph).model_copy(update={"path": url})
    said: list[str] = []
    assert build_graph(config, progress=said.append).hashes == expected.hashes
    fs = fsspec.filesystem("memory")
    for file in expected.hashes:
        content = (tmp_path / "out" / "spark" / file).read_bytes()
        assert fs.cat_file(f"/bucket-{partitions}/graph/{file}") == content
    build_graph(config, progress=said.append)
    assert said[-1] == f"{url} is up to date"
    write(tmp_path / "link-0.parquet", source=["nobody"], target=["item 1"], **samples.columns(RNG, 1))
    with pytest.raises(DataError, match="must be the id of a node"):
        build_graph(config)
    assert not fs.exists(f"/bucket-{partitions}/graph/graph.json")
    with pytest.raises(DataError, match="graph.path: must be a local folder"):
        build_graph(config.model_copy(update={"engine": "arrow"}))


def test_errors_leave_the_graph_that_was_there(tmp_path: Path) -> None:
    graph = samples.shop(tmp_path, "string", RNG)
    graph["edges"][0]["on_unknown_node"] = "create"
    first = build_graph(config_of(tmp_path, "spark", graph))
    write(tmp_path / "item-0.parquet", id=["a", "a"], number=[1.0, 2.0])
    with pytest.raises(DataError, match="column 'id' must be unique"):
        build_graph(config_of(tmp_path, "spark", graph))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["spark"]
    assert_same(tmp_path / "out" / "spark", tmp_path / "out" / "spark", first, first)


def test_the_engine_does_not_count_for_options_of_spark(tmp_path: Path) -> None:
    from gconstruct import fingerprint

    samples.tables(tmp_path)
    one = config_of(tmp_path, "spark", samples.graph())
    other = config_of(tmp_path, "spark", samples.graph(spark={"master": "local[4]", "options": {"spark.x": 1}}))
    assert fingerprint(one) == fingerprint(other)
