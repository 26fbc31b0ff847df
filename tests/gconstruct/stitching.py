"""Two tiny graph folders to stitch, an application and a corpus, and what is asked of the result."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gconstruct import build_graph
from graphstorm_like.config.base import edge_name
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.stitch import StitchConfig
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.schema import read_manifest

from .tables import write

Pairs = list[tuple[str, str]]
APPLICATION: list[tuple[str, str, str]] = [("a", "b", "train"), ("b", "c", "test"), ("d", "a", "train")]
DEPENDS: Pairs = [
    ("a", "p"), ("q", "b"), ("p", "r"), ("p", "q"), ("r", "s"), ("a", "c"),
    ("b", "c"), ("c", "b"), ("b", "a"),  # the test edge, against it, and the train edge against it
]  # fmt: skip
KEEPS: Pairs = [("m1", "a"), ("m2", "p"), ("m1", "p"), ("m3", "s")]


def application(folder: Path, edges: list[tuple[str, str, str]] = APPLICATION, ids: str = "abcd") -> Path:
    """Items with a name (n-<id>), a number and a class, and links with a split."""
    folder.mkdir()
    split = ["train", "valid", "test", "train"]
    kinds = {"kind": ["x", "y", "x", "y"], "split": split}
    write(folder / "items.parquet", id=list(ids), name=[f"n-{i}" for i in ids], size=[1.0, 2.0, 3.0, 4.0], **kinds)
    source, target, splits = (list(column) for column in zip(*edges))
    write(folder / "links.parquet", source=source, target=target, split=splits)
    item = {
        "files": "items.parquet", "id": "id", "features": {"size": "size"}, "text": {"name": {"columns": "name"}},
        "labels": {"kind": {"column": "kind", "split": {"column": "split"}}},
    }  # fmt: skip
    link = {"source": "item", "relation": "link", "target": "item", "files": "links.parquet"}
    return _build(folder, {"item": item}, [{**link, "split": {"column": "split"}}])


def corpus(folder: Path, depends: Pairs = DEPENDS, keeps: Pairs = KEEPS, ids: str = "spabcqr", **names: Any) -> Path:
    """Packages with two features, a text (t-<id>) and a label; edges with a weight; maintainers without a table. timed:
    packages are there since `u`."""
    folder.mkdir()
    number = [float(ord(i)) for i in ids]
    labels = {"label": ["l"] * len(ids), "split": ["train"] * len(ids)}
    texts = names.get("names") or [f"t-{i}" for i in ids]
    write(folder / "packages.parquet", id=list(ids), name=texts, u=number, v=number, **labels)
    source, target = (list(column) for column in zip(*depends))
    weight, split = [float(ord(s) + 1000 * ord(t)) for s, t in depends], ["train"] * len(depends)
    write(folder / "depends.parquet", source=source, target=target, weight=weight, split=split)
    source, target = (list(column) for column in zip(*keeps)) if keeps else ([], [])
    write(folder / "keeps.csv", source=pa.array(source, pa.string()), target=pa.array(target, pa.string()))
    package = {
        "files": "packages.parquet", "id": "id", "features": {"u": "u", "v": "v"},
        "text": {"name": {"columns": "name"}},
        "labels": {"label": {"column": "label", "split": {"column": "split"}}},
    }  # fmt: skip
    if names.get("timed"):
        package["time"] = {"column": "u", "unit": "number"}
    depends_edge = {
        "source": "package", "relation": "depends", "target": "package", "files": "depends.parquet",
        "features": {"weight": {"column": "weight", "normalize": "none"}}, "split": {"column": "split"},
    }  # fmt: skip
    keeps_edge = {"source": "person", "relation": "keeps", "target": "package", "files": "keeps.csv", "reverse": False}
    return _build(folder, {"package": package, "person": {}}, [depends_edge, keeps_edge])


def _build(folder: Path, nodes: dict[str, Any], edges: list[dict[str, Any]]) -> Path:
    path = folder / "graph"
    build_graph(
        GraphConfig.model_validate({"path": str(path), "base": str(folder), "nodes": nodes, "edges": edges}), force=True
    )
    return path


def config(folder: Path, **changes: Any) -> StitchConfig:
    """Items that are packages of the same id."""
    graphs = {"application": "app/graph", "corpus": "corpus/graph", "output": "out/graph"}
    data = {**graphs, "align": {"item": {"corpus": "package"}}, **changes}
    return StitchConfig.model_validate(data).with_absolute_paths(folder)


def edges(folder: Path) -> dict[str, Pairs]:
    """Sorted (source id, target id) of every edge type."""
    graph = LocalGraph(folder)
    found = {}
    for edge in graph.manifest.edges:
        source, target = graph.edges(edge.edge_type)
        near, far = (graph.ids(t).to_pylist() for t in (edge.edge_type[0], edge.edge_type[2]))
        found[edge_name(edge.edge_type)] = sorted((near[s], far[t]) for s, t in zip(source, target))
    return found


def added(folder: Path) -> dict[str, Pairs]:
    """Those that come from the corpus, without reverses."""
    forward = [edge_name(e.edge_type) for e in read_manifest(folder).edges if not e.is_reverse]
    return {name: pairs for name, pairs in edges(folder).items() if name in forward and "corpus_" in name}


def ids(folder: Path) -> dict[str, list[str]]:
    graph = LocalGraph(folder)
    return {t: graph.ids(t).to_pylist() for t in graph.manifest.nodes}


OUT = "out/graph"
ONE_HOP: dict[str, Pairs] = {
    "item:corpus_depends:item": [("a", "c")],
    "item:corpus_depends:corpus_package": [("a", "p")],
    "corpus_package:corpus_depends:item": [("q", "b")],
    "corpus_person:corpus_keeps:item": [("m1", "a")],
}


def assert_whole(before: Path, after: Path) -> None:
    """The application is what it was; every added type is sorted, has its pointers, and agrees with its reverse."""
    old, new = read_manifest(before), read_manifest(after)
    assert {name: new.nodes[name] for name in old.nodes} == old.nodes
    assert list(new.nodes)[: len(old.nodes)] == list(old.nodes)
    assert new.edges[: len(old.edges)] == old.edges
    assert {k: new.hashes[k] for k in old.hashes} == old.hashes
    graph, found = LocalGraph(after), edges(after)
    for edge in new.edges:
        source, target = graph.edges(edge.edge_type)
        assert (np.diff(target) >= 0).all()
        assert edge.count == len(source)
        assert (
            graph.degrees(edge.edge_type).tolist()
            == np.bincount(target, minlength=new.nodes[edge.edge_type[2]].count).tolist()
        )
        if edge.reverse is not None:
            back = new.edge(edge.reverse)
            assert (back.reverse, back.is_reverse) == (edge.edge_type, not edge.is_reverse)
            assert Counter(found[edge_name(edge.reverse)]) == Counter(
                (t, s) for s, t in found[edge_name(edge.edge_type)]
            )
    assert new.partitions[0].bytes == sum(p.stat().st_size for p in after.rglob("*.arrow"))
