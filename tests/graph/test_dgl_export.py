"""DistDGL folders of ours: what DGL reads of them, and what we read back."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from gconstruct import build_graph
from gconstruct.dgl import import_dgl
from gconstruct.partition import partition_graph
from graphstorm_like.config import build_pipeline
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.errors import DataError
from graphstorm_like.graph.dgl.export import export_dgl
from graphstorm_like.graph.dgl.module import require_dgl
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.partition_reader import Partition
from graphstorm_like.testing.graphs import shop_pipeline

from ..gconstruct.tables import graph, item, link, write
from .dgl_folders import SIMILAR

pytestmark = [
    pytest.mark.dgl,
    pytest.mark.skipif(importlib.util.find_spec("dgl") is None, reason="needs dgl"),
]


def table_of(graph: LocalGraph, row_type: Any, p: int) -> Any:
    """A partition's table of a type."""
    part = graph.parts[p]
    assert isinstance(part, Partition)
    return part._of_type(row_type)


def same(a: Any, b: Any) -> bool:
    """Whether two Arrow columns are of one type and hold the same; NaN is NaN."""
    if a.type != b.type:
        return False
    if pa.types.is_floating(a.type):
        mine, theirs = (column.to_numpy(zero_copy_only=False) for column in (a, b))
        return np.array_equal(mine, theirs, equal_nan=True)
    return bool(a.equals(b))


@pytest.mark.parametrize("count", [1, 3])
def test_what_is_exported_comes_back(parted: dict[int, Path], tmp_path: Path, count: int) -> None:
    lines: list[str] = []
    config = export_dgl(parted[count], tmp_path / "dgl", lines.append)
    assert "item: left out, because DGL holds neither texts nor images: title" in lines
    import_dgl(config, tmp_path / "back")
    ours, back = LocalGraph(parted[count]), LocalGraph(tmp_path / "back")
    without_text = {name: node.model_copy(update={"text": {}}) for name, node in ours.manifest.nodes.items()}
    assert back.manifest.nodes == without_text
    assert back.manifest.edges == ours.manifest.edges
    assert list(back.manifest.nodes["item"].features) == list(ours.manifest.nodes["item"].features)
    assert back.manifest.fingerprint != ours.manifest.fingerprint  # the texts are gone: it is another graph
    for p, (a, b) in enumerate(zip(ours.manifest.partitions, back.manifest.partitions, strict=True)):
        assert (a.node_ranges, a.edge_ranges) == (b.node_ranges, b.edge_ranges)
        for row_type in [*ours.manifest.nodes, *(e.edge_type for e in ours.manifest.edges)]:
            mine, theirs = table_of(ours, row_type, p), table_of(back, row_type, p)
            kept = [name for name in mine.schema.names if not name.startswith("text:")]
            assert sorted(theirs.schema.names) == sorted(kept)
            assert all(same(mine.column(name), theirs.column(name)) for name in kept)
    assert back.degrees(SIMILAR).tolist() == ours.degrees(SIMILAR).tolist()


def rich_graph(folder: Path, unit: str) -> Path:
    """Every kind of column that a graph folder can have, on nodes with text ids and with whole numbers as ids."""
    rng, count = np.random.default_rng(4), 24
    drawn = {"train": 0.5, "valid": 0.25, "test": 0.25}
    pixels = io.BytesIO()
    Image.new("RGB", (2, 2), (9, 8, 7)).save(pixels, "PNG")
    write(
        folder / "items.parquet",
        id=[f"n {i}/ü" for i in range(count)],
        number=rng.normal(size=count),
        words=[f"w{i} w{i % 3}" for i in range(count)],
        vector=rng.normal(size=(count, 3)).tolist(),
        kind=[None if i % 5 == 0 else "ab"[i % 2] for i in range(count)],
        tags=[None if i % 7 == 0 else ["a", "b", "c"][: i % 4] for i in range(count)],
        stars=[None if i % 6 == 0 else float(i) for i in range(count)],
        split=[("train", "valid", "test", None)[i % 4] for i in range(count)],
        born=[None if i % 8 == 0 else i * 1.5 for i in range(count)],
        photo=[pixels.getvalue()] * count,
    )
    write(folder / "users.parquet", id=np.arange(10) * 10**12, grade=np.arange(10) % 3)
    ends = {"source": rng.integers(0, 10, 60) * 10**12, "target": [f"n {i}/ü" for i in rng.integers(0, count, 60)]}
    write(
        folder / "links.parquet",
        **ends,
        weight=rng.random(60),
        note=[f"note {i}" for i in range(60)],
        sort=[None if i % 5 == 0 else "xyz"[i % 3] for i in range(60)],
        topics=[None if i % 7 == 0 else ["p", "q"][: i % 3] for i in range(60)],
        gap=[None if i % 6 == 0 else i / 7 for i in range(60)],
        split=[("train", "valid", "test", None)[i % 4] for i in range(60)],
        at=rng.random(60) * 1e9,
        wrong=[[f"n {i % count}/ü"] * (i % 3) for i in range(60)],
    )
    nodes = {
        "item": item(
            features={
                "number": {"column": "number", "dtype": "float16"},
                "wide": {"column": "words", "encode": "hashing", "buckets": 512, "separator": " ", "dtype": "bfloat16"},
                "vector": {"column": "vector", "normalize": "none"},
                "colour": {"column": "split", "encode": "one_hot"},
                "kind": {"column": "number"},  # of the same name as a label
                "time": {"column": "number"},  # as the column of times
            },
            text={"words": {"columns": "words"}},
            image={"photo": {"column": "photo", "size": [2, 2]}},
            labels={
                "kind": {"column": "kind", "split": {"column": "split"}},
                "tags": {"column": "tags", "kind": "classes", "split": drawn},
                "stars": {"column": "stars", "kind": "number", "split": drawn},
            },
            time={"column": "born", "unit": unit, "missing": "first"},
        ),
        "user": {"files": "users.parquet", "id": "id", "labels": {"grade": {"column": "grade", "split": drawn}}},
        "place": {},
    }
    edges = [
        link(
            source="user",
            features={"weight": {"column": "weight"}},
            text={"note": {"columns": "note"}},
            labels={
                "sort": {"column": "sort", "split": {"column": "split"}},
                "topics": {"column": "topics", "kind": "classes", "split": drawn},
                "gap": {"column": "gap", "kind": "number", "split": drawn},
            },
            split=drawn,
            time={"column": "at", "unit": unit},
            hard_negatives={"column": "wrong", "count": 2},
        ),
        {"source": "item", "relation": "made_in", "target": "place", "files": "made.parquet", "reverse": False},
    ]
    write(folder / "made.parquet", source=[f"n {i}/ü" for i in range(20)], target=np.arange(20) % 3)
    config = graph(folder, nodes, edges)
    build_graph(config)
    return folder / "out" / "graph"


@pytest.mark.parametrize(("count", "unit"), [(1, "s"), (2, "number")])
def test_every_kind_of_column_comes_back(tmp_path: Path, count: int, unit: str) -> None:
    """Or is named by the export."""
    lines: list[str] = []
    folder = rich_graph(tmp_path, unit)
    if count > 1:
        partition_graph(folder, tmp_path / "parted", count)
        folder = tmp_path / "parted"
    import_dgl(export_dgl(folder, tmp_path / "dgl", lines.append), tmp_path / "back")
    ours, back = LocalGraph(folder), LocalGraph(tmp_path / "back")
    for name, node in back.manifest.nodes.items():
        left_out = {"text": ours.manifest.nodes[name].text, "image": ours.manifest.nodes[name].image}
        assert node.model_copy(update=left_out) == ours.manifest.nodes[name]
    for edge in back.manifest.edges:
        was = ours.manifest.edge(edge.edge_type)
        assert edge.model_copy(update={"text": was.text}) == was
    left_out = {line.partition(": left out")[0] for line in lines if ": left out" in line}
    assert left_out == {"item", "user:link:item", "item:link_rev:user"}
    compared: set[str] = set()
    for p in range(count):
        for row_type in [*ours.manifest.nodes, *(e.edge_type for e in ours.manifest.edges)]:
            mine, theirs = (table_of(graph, row_type, p) for graph in (ours, back))
            kept = [name for name in mine.schema.names if not name.startswith(("text:", "image:"))]
            assert sorted(theirs.schema.names) == sorted(kept)
            for name in kept:
                assert same(mine.column(name), theirs.column(name)), (row_type, name)
            compared.update(name.partition(":")[0] for name in kept)
    assert compared == {"id", "feature", "label", "split", "time", "hard_negatives", "source", "target"}


def test_features_of_half_the_size_come_back(shop: tuple[Path, Path], tmp_path: Path) -> None:
    data = shop_pipeline(shop[0], tmp_path / "run")
    features = data["graph"]["nodes"]["item"]["features"]
    features["price"]["dtype"], features["colour"]["dtype"] = "float16", "bfloat16"
    data["graph"]["path"] = str(tmp_path / "graph")
    build_graph(build_pipeline(data).graph)
    import_dgl(export_dgl(tmp_path / "graph", tmp_path / "dgl"), tmp_path / "back")
    ours, back = LocalGraph(tmp_path / "graph"), LocalGraph(tmp_path / "back")
    for name in ("price", "colour"):
        assert back.manifest.nodes["item"].features[name].dtype == features[name]["dtype"]
        np.testing.assert_array_equal(back.feature("item", name), ours.feature("item", name))


def in_neighbours(graph: LocalGraph, node_type: str, seeds: np.ndarray) -> Counter[tuple[str, int, int, int]]:
    """(written edge type, source, target, edge id) of all in-edges of the seeds."""
    sub = graph.sample({node_type: seeds}, [FanoutByType(default=-1)], np.random.default_rng(0))
    found: Counter[tuple[str, int, int, int]] = Counter()
    for edge_type, relation in sub.blocks[0].relations.items():
        targets = seeds[np.repeat(relation.rows, np.diff(relation.offsets))]
        sources = sub.input_ids[edge_type[0]][relation.sources]
        found.update(
            (":".join(edge_type), *ends)
            for ends in zip(sources.tolist(), targets.tolist(), relation.edge_ids.tolist(), strict=True)
        )
    return found


@pytest.mark.parametrize("count", [1, 3])
def test_dgl_finds_the_same_neighbours(parted: dict[int, Path], tmp_path: Path, count: int) -> None:
    dgl = require_dgl()
    config, graph = export_dgl(parted[count], tmp_path / "dgl"), LocalGraph(parted[count])
    for p in range(count):
        part, node_feats, edge_feats, book, name, node_types, edge_types = dgl.distributed.load_partition(
            str(config), p
        )
        assert (name, node_types) == ("graph", list(graph.manifest.nodes))
        assert edge_types == [e.edge_type for e in graph.manifest.edges]
        assert part.num_edges() == sum(int(np.diff(graph.starts(t)[p : p + 2])[0]) for t in edge_types)
        # Rows of the CSC lie by edge type, as DGL's typed sampler takes for granted.
        indptr, _, order = part.adj_tensors("csc")
        typed = part.edata[dgl.ETYPE][order].numpy()
        assert all((np.diff(typed[a:b]) >= 0).all() for a, b in zip(indptr[:-1].tolist(), indptr[1:].tolist()))
        for node_type in node_types:
            start, stop = graph.starts(node_type)[p : p + 2].tolist()
            inner = (part.ndata["inner_node"] == 1) & (part.ndata[dgl.NTYPE] == node_types.index(node_type))
            sampled = dgl.sampling.sample_neighbors(part, torch.nonzero(inner)[:, 0], -1)
            u, v = (book.map_to_per_ntype(part.ndata[dgl.NID][ends])[1] for ends in sampled.edges())
            kinds, ids = book.map_to_per_etype(part.edata[dgl.EID][sampled.edata[dgl.EID]])
            got = Counter(
                (":".join(edge_types[k]), *ends)
                for k, *ends in zip(kinds.tolist(), u.tolist(), v.tolist(), ids.tolist(), strict=True)
            )
            assert got == in_neighbours(graph, node_type, np.arange(start, stop))
        start, stop = graph.starts("item")[p : p + 2].tolist()
        np.testing.assert_array_equal(node_feats["item/price"], graph.feature("item", "price")[start:stop])
        start, stop = graph.starts(SIMILAR)[p : p + 2].tolist()
        np.testing.assert_array_equal(
            edge_feats["item:similar:item/trend"], graph.edge_label(SIMILAR, "trend")[start:stop]
        )
        split = np.zeros(stop - start, bool)
        held = graph.edge_rows(SIMILAR, "valid")
        split[held[(held >= start) & (held < stop)] - start] = True
        np.testing.assert_array_equal(edge_feats["item:similar:item/val_mask"].numpy() == 1, split)


STANDALONE = """
import json, sys
import torch, dgl

dgl.distributed.initialize("unused")
g = dgl.distributed.DistGraph("graph", part_config=sys.argv[1])
frontier = g.sample_neighbors({"item": torch.arange(g.num_nodes("item"))}, -1)
found = {":".join(t): [x.tolist() for x in frontier.edges(etype=t)] for t in frontier.canonical_etypes}
train = dgl.distributed.node_split(g.nodes["item"].data["train_mask_kind"], g.get_partition_book(), "item")
ends = [x.tolist() for x in g.find_edges(torch.arange(5), ("item", "similar", "item"))]
json.dump({"edges": found, "price": g.nodes["item"].data["price"][torch.arange(5)].tolist(), "train": train.tolist(),
           "ends": ends, "weight": g.edges["similar"].data["weight"][torch.arange(5)].tolist()}, open(sys.argv[2], "w"))
"""


@pytest.mark.slow
def test_a_standalone_dist_graph_reads_it(parted: dict[int, Path], tmp_path: Path) -> None:
    config, graph = export_dgl(parted[1], tmp_path / "dgl"), LocalGraph(parted[1])
    out = tmp_path / "out.json"
    done = subprocess.run(
        [sys.executable, "-c", STANDALONE, str(config), str(out)],
        env={**os.environ, "DGLBACKEND": "pytorch", "DGL_DIST_MODE": "standalone"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert out.is_file(), done.stderr
    found = json.loads(out.read_text())
    want = in_neighbours(graph, "item", np.arange(240))
    got = Counter((t, *ends) for t, (u, v) in found["edges"].items() for ends in zip(u, v, strict=True))
    assert got == Counter((t, u, v) for t, u, v, _ in want.elements())
    np.testing.assert_allclose(found["price"], graph.feature("item", "price")[:5])
    assert found["train"] == graph.label_rows("item", "kind", "train").tolist()
    assert found["ends"] == [ids.tolist() for ids in graph.edges(SIMILAR, np.arange(5))]
    np.testing.assert_allclose(found["weight"], graph.feature(SIMILAR, "weight")[:5])


SERVER = """
import os, sys, dgl

os.environ.update(DGL_ROLE="server", DGL_SERVER_ID="0")
dgl.distributed.initialize(sys.argv[1])
"""
CLIENT = """
import json, os, sys, torch, dgl

os.environ.update(DGL_ROLE="client", DGL_GROUP_ID="0")
dgl.distributed.initialize(sys.argv[1])
torch.distributed.init_process_group("gloo", init_method="file://" + sys.argv[2] + ".group", rank=0, world_size=1)
g = dgl.distributed.DistGraph("graph")
frontier = g.sample_neighbors({"item": torch.arange(g.num_nodes("item"))}, -1)
found = {":".join(t): [x.tolist() for x in frontier.edges(etype=t)] for t in frontier.canonical_etypes}
rows = torch.arange(0, 240, 7)
json.dump({"edges": found, "price": g.nodes["item"].data["price"][rows].tolist(),
           "gap": g.edges["similar"].data["gap"][rows].nan_to_num(9.0).tolist()}, open(sys.argv[2], "w"))
"""


@pytest.mark.slow
@pytest.mark.dist
def test_a_server_of_dgls_reads_it(parted: dict[int, Path], tmp_path: Path) -> None:
    config, graph = export_dgl(parted[1], tmp_path / "dgl"), LocalGraph(parted[1])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "ip_config.txt").write_text(f"127.0.0.1 {port}\n")
    settings = {
        **os.environ, "DGLBACKEND": "pytorch", "DGL_DIST_MODE": "distributed", "DGL_NUM_SERVER": "1",
        "DGL_NUM_CLIENT": "1", "DGL_NUM_SAMPLER": "0", "DGL_CONF_PATH": str(config), "DGL_GRAPH_FORMAT": "csc,coo",
        "DGL_IP_CONFIG": str(tmp_path / "ip_config.txt"), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    out = tmp_path / "out.json"
    words = {"server": [SERVER, settings["DGL_IP_CONFIG"]], "client": [CLIENT, settings["DGL_IP_CONFIG"], str(out)]}
    running: list[subprocess.Popen[bytes]] = []
    try:
        for name, arguments in words.items():
            with open(tmp_path / f"{name}.log", "wb") as log:
                command = [sys.executable, "-c", *arguments]
                running.append(subprocess.Popen(command, env=settings, stdout=log, stderr=subprocess.STDOUT))
        running[1].wait(timeout=120)
        running[0].wait(timeout=30)
    finally:
        for process in running:
            process.kill()
            process.wait()
    logs = "\n".join((tmp_path / f"{name}.log").read_text() for name in words)
    assert out.is_file(), logs
    found = json.loads(out.read_text())
    want = in_neighbours(graph, "item", np.arange(240))
    got = Counter((t, *ends) for t, (u, v) in found["edges"].items() for ends in zip(u, v, strict=True))
    assert got == Counter((t, u, v) for t, u, v, _ in want.elements())
    rows = np.arange(0, 240, 7)
    np.testing.assert_allclose(found["price"], graph.feature("item", "price")[rows])
    np.testing.assert_allclose(found["gap"], np.nan_to_num(graph.edge_label(SIMILAR, "gap")[rows], nan=9.0))


def test_a_partition_without_nodes_of_a_type(parted: dict[int, Path], tmp_path: Path) -> None:
    """DGL's partitioner fails there, its reader does not."""
    dgl = require_dgl()
    partition_graph(parted[1], tmp_path / "many", 70)
    config = export_dgl(tmp_path / "many", tmp_path / "dgl")
    graph = LocalGraph(tmp_path / "many")
    empty = [p for p, part in enumerate(graph.manifest.partitions) if len(set(part.node_ranges["user"])) == 1]
    assert empty
    assert dgl.distributed.load_partition(str(config), empty[0])[0].num_nodes() > 0
    back = LocalGraph(tmp_path / "back") if import_dgl(config, tmp_path / "back") else None
    assert back is not None
    for a, b in zip(graph.edges(SIMILAR), back.edges(SIMILAR), strict=True):
        np.testing.assert_array_equal(a, b)
    assert back.ids("item").equals(graph.ids("item"))


def test_export_refuses_what_it_cannot_write(parted: dict[int, Path], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not lose me")
    with pytest.raises(DataError, match="mine: must not exist yet"):
        export_dgl(parted[1], tmp_path / "mine")
    with pytest.raises(DataError, match="must be without / : ~ for DGL"):
        export_dgl(parted[1], tmp_path / "new", name="a/b")
    with pytest.raises(DataError, match="must be a graph folder"):
        export_dgl(tmp_path / "mine", tmp_path / "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine"]
