"""Random small graph folders, and what is asked of a folder that was partitioned: answers by the users' ids."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gconstruct import build_graph
from graphstorm_like.config.base import EdgeType, edge_name
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.files import file_hash
from graphstorm_like.graph.schema import GraphManifest, indptr_file, read_manifest

from .tables import graph, item, link, read, write

LINK: EdgeType = ("item", "link", "item")
LINK_REV: EdgeType = ("item", "link_rev", "item")
SPLITS = ["train", "valid", "test", None]


def random_config(folder: Path, seed: int, items: int | None = None, **options: Any) -> GraphConfig:
    """Tables of: items with everything; users with integer ids, often fewer than partitions; tags that only edges
    name, sometimes none; links with everything, with parallels and loops; users who know no one (an empty table)."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    n, users, tags = items or int(rng.integers(1, 30)), int(rng.integers(1, 5)), int(rng.integers(0, 5))
    ids = [f"i{k}" for k in rng.permutation(n)]
    write(
        folder / "items.parquet",
        id=ids,
        size=rng.random(n),
        colour=pa.array(["red", *([None, "red", "blue"][k] for k in rng.integers(3, size=n - 1))], pa.string()),
        title=pa.array([None if k % 4 == 1 else "t" * k for k in range(n)], pa.string()),
        kind=[["x", "y"][k] for k in rng.integers(2, size=n)],
        score=pa.array([None if k % 5 == 1 else float(k) for k in range(n)], pa.float64()),
        split=pa.array([SPLITS[k] for k in rng.integers(4, size=n)], pa.string()),
    )
    write(folder / "users.parquet", id=rng.permutation(users) * 10)
    m = int(rng.integers(1, 4 * n + 2))
    write(
        folder / "links.parquet",
        source=[ids[k] for k in rng.integers(n, size=m)],
        target=[ids[k] for k in rng.integers(n, size=m)],
        number=np.arange(float(m)),
        note=pa.array([None if k % 3 == 0 else f"note {k}" for k in range(m)], pa.string()),
        gap=pa.array([None if k % 6 == 1 else k / 2 for k in range(m)], pa.float64()),
        split=pa.array([SPLITS[k] for k in rng.integers(4, size=m)], pa.string()),
    )
    of = rng.integers(n, size=3 * tags)
    write(
        folder / "tags.parquet",
        item=pa.array([ids[k] for k in of], pa.string()),
        tag=pa.array([f"tag{k}" for k in rng.integers(max(tags, 1), size=len(of))], pa.string()),
    )
    likes = rng.integers(users, size=2 * n) * 10
    write(folder / "likes.parquet", source=likes, target=[ids[k] for k in rng.integers(n, size=2 * n)])
    write(folder / "knows.parquet", source=pa.array([], pa.int64()), target=pa.array([], pa.int64()))
    by = {"column": "split"}
    nodes = {
        "item": item(
            features={
                "size": "size",
                "colour": {"encode": "one_hot", "column": "colour"},
                "wide": {"encode": "hashing", "column": "title", "buckets": 600, "hashes": 2, "signed": True},
            },
            text={"title": {"columns": "title"}},
            labels={
                "kind": {"column": "kind", "split": by},
                "score": {"column": "score", "kind": "number", "split": by},
            },
        ),
        "user": {"files": "users.parquet", "id": "id"},
        "tag": None,
    }
    plain = {"normalize": "none", "column": "number"}
    edges = [
        link(
            split=by,
            features={"number": plain},
            text={"note": {"columns": "note"}},
            labels={"gap": {"column": "gap", "kind": "number", "split": by}},
        ),
        {"source": "item", "relation": "has", "target": "tag", "files": "tags.parquet", "source_id": "item",
         "target_id": "tag"},
        {"source": "user", "relation": "likes", "target": "item", "files": "likes.parquet", "reverse": False},
        {"source": "user", "relation": "knows", "target": "user", "files": "knows.parquet"},
    ]  # fmt: skip
    config = graph(folder, nodes, edges)
    return GraphConfig.model_validate({**config.model_dump(mode="json"), **options})


def random_graph(folder: Path, seed: int, items: int | None = None) -> Path:
    """The graph folder of these tables."""
    config = random_config(folder, seed, items)
    build_graph(config)
    return Path(str(config.path))


def node_rows(folder: Path, node_type: str) -> list[list[dict[str, Any]]]:
    """By partition, the rows of the file."""
    manifest = read_manifest(folder)
    return [read(folder / p.folder / p.node_files[node_type]).to_pylist() for p in manifest.partitions]


def joined(partitions: list[list[Any]]) -> list[Any]:
    return [row for rows in partitions for row in rows]


def ids_of(folder: Path, node_type: str) -> list[Any]:
    return [row["id"] for row in joined(node_rows(folder, node_type))]


def edge_rows(folder: Path, edge_type: EdgeType) -> list[list[dict[str, Any]]]:
    """By partition, the rows of the file, with the users' ids instead of positions."""
    manifest = read_manifest(folder)
    near, far = (ids_of(folder, t) for t in (edge_type[0], edge_type[2]))
    made = []
    for p in manifest.partitions:
        rows = read(folder / p.folder / p.edge_files[edge_name(edge_type)]).to_pylist()
        made.append([{**row, "source": near[row["source"]], "target": far[row["target"]]} for row in rows])
    return made


def by_target(rows: list[dict[str, Any]]) -> dict[Any, list[str]]:
    """The edges of each target in their order. As text: NaN equals NaN."""
    found: dict[Any, list[str]] = {}
    for row in rows:
        found.setdefault(row["target"], []).append(str(row))
    return found


def assert_same_graph(before: Path, after: Path, count: int, ordered: bool = True) -> None:
    """`after` is `before` with its nodes renumbered partition-major, in `count` partitions. ordered: nodes of a
    partition come in their old order."""
    old, new = read_manifest(before), read_manifest(after)
    assert (new.nodes, new.edges, new.dropped) == (old.nodes, old.edges, old.dropped)
    assert len(new.partitions) == count
    assert_whole(after, new)
    for node_type in old.nodes:
        was, rows = joined(node_rows(before, node_type)), node_rows(after, node_type)
        assert sorted(map(str, joined(rows))) == sorted(map(str, was))
        place = {row["id"]: number for number, row in enumerate(was)}
        for of_partition in rows:
            order = [place[row["id"]] for row in of_partition]
            assert order == sorted(order) or not ordered
    for edge in old.edges:
        was, rows = joined(edge_rows(before, edge.edge_type)), joined(edge_rows(after, edge.edge_type))
        assert by_target(rows) == by_target(was)


def assert_whole(folder: Path, manifest: GraphManifest) -> None:
    """Ranges follow each other; edges lie with their targets, sorted, as the pointers say; hashes are right."""
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*.arrow")}
    assert manifest.hashes == {name: file_hash(path) for name, path in files.items()}
    node_end, edge_end = dict.fromkeys(manifest.nodes, 0), dict.fromkeys(manifest.edge_names(), 0)
    for number, part in enumerate(manifest.partitions):
        assert part.folder == f"part-{number}"
        here = [path for name, path in files.items() if name.startswith(f"{part.folder}/")]
        assert len(here) == len(manifest.nodes) + 2 * len(manifest.edges)
        assert part.bytes == sum(path.stat().st_size for path in here)
        for name, file in part.node_files.items():
            start, stop = part.node_ranges[name]
            assert (start, stop - start) == (node_end[name], read(folder / part.folder / file).num_rows)
            node_end[name] = stop
        for name, file in part.edge_files.items():
            table = read(folder / part.folder / file)
            assert part.edge_ranges[name] == (edge_end[name], edge_end[name] + table.num_rows)
            edge_end[name] += table.num_rows
            start, stop = part.node_ranges[name.split(":")[2]]
            degrees = np.bincount(table["target"].to_numpy() - start, minlength=stop - start)
            pointers = read(folder / part.folder / indptr_file(file))["indptr"].to_pylist()
            assert pointers == [0, *np.cumsum(degrees).tolist()]
            assert (np.diff(table["target"].to_numpy()) >= 0).all()
    assert node_end == {name: node.count for name, node in manifest.nodes.items()}
    assert edge_end == {edge_name(edge.edge_type): edge.count for edge in manifest.edges}


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def differing_types(folder: Path) -> Iterator[str]:
    """Files whose columns have not the names and Arrow types that they have in the first partition."""
    first, *others = read_manifest(folder).partitions
    for part in others:
        for name, file in {**first.node_files, **first.edge_files}.items():
            if read(folder / part.folder / file).schema != read(folder / first.folder / file).schema:
                yield f"{part.folder}: {name}"
