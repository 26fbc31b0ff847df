"""What tests of partition methods share: opened graphs, assignments, edge cuts, a graph of planted communities."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gconstruct import build_graph
from gconstruct.assign import assign
from gconstruct.opened import GraphFiles
from gconstruct.partitioners.base import Assignment, OpenedGraph
from graphstorm_like.config.partitioners import PartitionsConfig
from graphstorm_like.graph.schema import read_manifest

from ..tables import graph, item, link, write

ITEMS, TAGS = 1200, 300


def opened(folder: Path, scratch: Path, lines: list[str] | None = None) -> OpenedGraph:
    """A graph folder, as a method gets it."""
    manifest = read_manifest(folder)
    say = (lambda _: None) if lines is None else lines.append
    return OpenedGraph(GraphFiles(folder, manifest.partitions), manifest.nodes, manifest.edges, scratch, say)


def parts_of(folder: Path, count: int, method: str, **options: Any) -> Assignment:
    """The partition of each node."""
    config = PartitionsConfig.model_validate({"count": count, "method": method, **options})
    with tempfile.TemporaryDirectory() as scratch:
        return assign(opened(folder, Path(scratch)), config)


def cut_of(folder: Path, parts: Mapping[str, np.ndarray]) -> float:
    """Share of the edges between partitions, reverse types not counted."""
    manifest = read_manifest(folder)
    files, cut, edges = GraphFiles(folder, manifest.partitions), 0, 0
    for edge in manifest.edges:
        if not edge.is_reverse:
            rows = files.edges(edge.edge_type)
            ends = [parts[t][rows.numbers(c)] for t, c in zip(edge.edge_type[::2], ("source", "target"), strict=True)]
            cut, edges = cut + int(np.count_nonzero(ends[0] != ends[1])), edges + len(rows)
    return cut / edges


def assert_whole(folder: Path, parts: Assignment, count: int) -> None:
    """Every node is in one of the partitions."""
    nodes = read_manifest(folder).nodes
    assert {name: len(of) for name, of in parts.items()} == {name: node.count for name, node in nodes.items()}
    assert all(of.dtype == np.int32 for of in parts.values())
    assert all(((of >= 0) & (of < count)).all() for of in parts.values())


def same(first: Assignment, second: Assignment) -> bool:
    return all((first[name] == second[name]).all() for name in first)


def communities(folder: Path, groups: int = 2, reverse: bool = True, within: float = 0.95) -> Path:
    """Item i and tag i are of community i % groups: 95 % of the edges stay within. A third of the items is trained."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)

    def ends(source: np.ndarray, size: int) -> np.ndarray:
        same_group = groups * rng.integers(size // groups, size=len(source)) + source % groups
        return np.where(rng.random(len(source)) < within, same_group, rng.integers(size, size=len(source)))

    splits = np.where(rng.random(ITEMS) < 1 / 3, "train", "test")
    kind = [f"k{i % 3}" for i in range(ITEMS)]
    write(folder / "items.parquet", id=np.arange(ITEMS), kind=kind, split=splits, price=rng.random(ITEMS))
    write(folder / "tags.parquet", id=[f"tag-{i}" for i in range(TAGS)])
    of = rng.integers(ITEMS, size=8 * ITEMS)
    write(folder / "links.parquet", source=of, target=ends(of, ITEMS))
    of = rng.integers(ITEMS, size=2 * ITEMS)
    write(folder / "has.parquet", source=of, target=[f"tag-{i}" for i in ends(of, TAGS)])
    has = {"source": "item", "relation": "has", "target": "tag", "files": "has.parquet", "reverse": reverse}
    labels = {"kind": {"column": "kind", "split": {"column": "split"}}}
    nodes = {
        "item": item(labels=labels, features={"price": "price"}),
        "tag": {"files": "tags.parquet", "id": "id"},
    }
    config = graph(folder, nodes, [link(reverse=reverse), has])
    build_graph(config)
    return Path(str(config.path))
