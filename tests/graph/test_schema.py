"""What graph.json may say: names and paths of somebody else's folder lead nowhere but into it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gconstruct.partition import partition_graph
from graphstorm_like.errors import DataError
from graphstorm_like.graph.schema import MANIFEST, read_manifest

Change = Callable[[dict[str, Any]], Any]


def rename(mapping: dict[str, Any], old: str, new: str) -> None:
    mapping[new] = mapping.pop(old)


HARMFUL: dict[str, tuple[Change, str]] = {
    "node file outside": (lambda m: m["partitions"][0]["node_files"].update(item="../../x.arrow"), "node_files.item"),
    "absolute node file": (
        lambda m: m["partitions"][0]["node_files"].update(item="/elsewhere/x.arrow"),
        "node_files.item",
    ),
    "edge file outside": (
        lambda m: m["partitions"][0]["edge_files"].update({"user:buys:item": "edges/../../../x.arrow"}),
        "edge_files.user:buys:item",
    ),
    "backslashes": (lambda m: m["partitions"][0]["node_files"].update(item="..\\..\\x.arrow"), "node_files.item"),
    "drive": (lambda m: m["partitions"][0]["node_files"].update(item="C:x.arrow"), "node_files.item"),
    "partition outside": (lambda m: m["partitions"][0].update(folder="../other"), "folder"),
    "partition is the folder": (lambda m: m["partitions"][0].update(folder="."), "folder"),
    "hashed file outside": (lambda m: m["hashes"].update({"../../etc/passwd": "0"}), "hashes"),
    "node type with slashes": (lambda m: rename(m["nodes"], "item", "../../item"), "nodes"),
    "node range of a strange type": (
        lambda m: rename(m["partitions"][0]["node_ranges"], "item", "a/b"),
        "node_ranges",
    ),
    "relation with slashes": (lambda m: m["edges"][0].update(edge_type="user:../buys:item"), "edges.0.edge_type"),
    "feature with slashes": (lambda m: rename(m["nodes"]["item"]["features"], "price", "../price"), "features"),
    "label with slashes": (lambda m: rename(m["nodes"]["item"]["labels"], "kind", "/kind"), "labels"),
    "text with slashes": (lambda m: rename(m["nodes"]["item"]["text"], "title", "a/../b"), "text"),
}


@pytest.mark.parametrize("name", HARMFUL)
def test_names_and_paths_that_lead_out_of_the_folder(name: str, shop: tuple[Path, Path], tmp_path: Path) -> None:
    change, place = HARMFUL[name]
    folder = Path(shutil.copytree(shop[1], tmp_path / "graph"))
    content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    change(content)
    (folder / MANIFEST).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match=r"graph.json: must be a manifest of .* again") as caught:
        read_manifest(folder)
    assert place in str(caught.value)
    with pytest.raises(DataError, match=r"graph.json: must be a manifest"):
        partition_graph(folder, tmp_path / "parts", 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graph"]
