"""DistDGL folders as users of DGL have them, for the tests that read them."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch

from graphstorm_like.graph.dgl.module import require_dgl

BUYS, BOUGHT, SIMILAR = ("user", "buys", "item"), ("item", "bought", "user"), ("item", "similar", "item")


def foreign_graph() -> Any:
    """A graph as users of DGL have it: features of several types, labels, masks, a reverse type, parallel edges."""
    dgl, rng = require_dgl(), np.random.default_rng(7)
    buys = torch.from_numpy(rng.integers(0, [30, 50], (150, 2))).T
    similar = torch.from_numpy(rng.integers(0, 50, (2, 200)))
    edges = {BUYS: tuple(buys), BOUGHT: (buys[1], buys[0]), SIMILAR: tuple(similar)}
    g = dgl.heterograph(edges, num_nodes_dict={"user": 30, "item": 50})
    item, user, bought = g.nodes["item"].data, g.nodes["user"].data, g.edges["buys"].data
    item["half"], item["flat"] = torch.randn(50, 3).half(), torch.randn(50, dtype=torch.float64)
    item["brain"], item["grid"] = torch.randn(50, 2).bfloat16(), torch.randn(50, 2, 2)
    item["label"] = torch.from_numpy(rng.integers(-1, 4, 50))
    item["stars"] = torch.where(torch.arange(50) % 5 == 0, torch.nan, torch.rand(50))
    thirds = torch.from_numpy(rng.permutation(50) % 4)
    for i, mask in enumerate(("train_mask", "val_mask", "test_mask")):
        item[mask] = thirds == i
        bought[mask] = torch.arange(150) % 4 == i
    user["age"], user["orig_id"] = torch.arange(30), torch.arange(30)
    bought["number"] = torch.arange(150)
    g.edges["bought"].data["number"] = torch.arange(150)
    return g


def dgl_partitions(folder: Path, graph: Any, count: int, method: str) -> tuple[Path, Any, Any]:
    """The configuration, and DGL's mappings from new ids to old ones."""
    dgl = require_dgl()
    dgl.seed(5)
    with contextlib.redirect_stdout(io.StringIO()):
        nodes, edges = dgl.distributed.partition_graph(
            graph, "shop", count, str(folder), part_method=method, return_mapping=True
        )
    return folder / "shop.json", nodes, edges
