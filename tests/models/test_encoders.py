"""Graph encoders against formulas written out by hand, edge by edge."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from graphstorm_like.config.model import NoGnnConfig, RgcnConfig, SageConfig
from graphstorm_like.errors import ConfigError
from graphstorm_like.graph.store import Block, Relation
from graphstorm_like.models.aggregate import relation_means
from graphstorm_like.models.encoders import GNNS
from graphstorm_like.models.encoders.none import NoGnn
from graphstorm_like.models.encoders.rgcn import Rgcn
from graphstorm_like.models.encoders.sage import Sage

NODE_TYPES = ["a", "b"]
EDGE_TYPES = [("a", "x", "a"), ("b", "y", "a"), ("a", "z", "b"), ("a", "never", "b")]
D = 6


def random_block(seed: int = 0) -> tuple[Block, dict[tuple[str, str, str], list[tuple[int, int]]]]:
    """A block with n_dst a: 4, b: 2 and n_src a: 7, b: 5; and its edges as (source, target) pairs."""
    rng = np.random.default_rng(seed)
    num_src, num_dst = {"a": 7, "b": 5}, {"a": 4, "b": 2}
    relations, pairs = {}, {}
    for edge_type in EDGE_TYPES[:3]:
        found = sorted(
            {(int(rng.integers(num_dst[edge_type[2]])), int(rng.integers(num_src[edge_type[0]]))) for _ in range(9)}
        )
        target = np.array([t for t, _ in found])
        rows, count = np.unique(target, return_counts=True)
        relations[edge_type] = Relation(
            torch.from_numpy(rows),
            torch.from_numpy(np.concatenate([[0], np.cumsum(count)])),
            torch.tensor([s for _, s in found]),
            torch.arange(len(found)),
        )
        pairs[edge_type] = [(s, t) for t, s in found]
    return Block(num_src, num_dst, relations), pairs


def mean_of(pairs: list[tuple[int, int]], target: int, h: Tensor) -> Tensor | None:
    neighbours = [s for s, t in pairs if t == target]
    return h[neighbours].mean(0) if neighbours else None


def hidden(block: Block) -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {t: torch.randn(n, D, requires_grad=True) for t, n in block.num_src.items()}


def test_relation_means() -> None:
    block, pairs = random_block()
    h = hidden(block)
    seen = set()
    for edge_type, rows, means in relation_means(block, h):
        seen.add(edge_type)
        for row, mean in zip(rows.tolist(), means, strict=True):
            torch.testing.assert_close(mean, mean_of(pairs[edge_type], row, h[edge_type[0]]))
    assert seen == set(pairs)


@pytest.mark.parametrize("bases", [None, 2])
def test_rgcn_is_its_formula(bases: int | None) -> None:
    block, pairs = random_block()
    h = hidden(block)
    torch.manual_seed(0)
    gnn = Rgcn(
        RgcnConfig(type="rgcn", hidden=D, layers=1, dropout=0, norm="none", bases=bases, residual=False),
        NODE_TYPES,
        EDGE_TYPES,
    )
    layer = gnn.layers[0]
    out = gnn([block], h)
    matrices = layer.matrices()
    for node_type, count in block.num_dst.items():
        for i in range(count):
            want = layer.self_loops[NODE_TYPES.index(node_type)](h[node_type][i])
            for r, edge_type in enumerate(EDGE_TYPES[:3]):
                if edge_type[2] == node_type and (mean := mean_of(pairs[edge_type], i, h[edge_type[0]])) is not None:
                    want = want + mean @ matrices[r]
            torch.testing.assert_close(out[node_type][i], want, atol=1e-5, rtol=1e-5)


def test_sage_is_its_formula() -> None:
    block, pairs = random_block()
    h = hidden(block)
    gnn = Sage(
        SageConfig(type="sage", hidden=D, layers=1, dropout=0, norm="none", residual=False), NODE_TYPES, EDGE_TYPES
    )
    layer = gnn.layers[0]
    out = gnn([block], h)
    for node_type, count in block.num_dst.items():
        for i in range(count):
            messages = [
                mean @ layer.matrices()[r]
                for r, edge_type in enumerate(EDGE_TYPES[:3])
                if edge_type[2] == node_type and (mean := mean_of(pairs[edge_type], i, h[edge_type[0]])) is not None
            ]
            around = torch.stack(messages).mean(0) if messages else torch.zeros(D)
            want = layer.merge[NODE_TYPES.index(node_type)](torch.cat([h[node_type][i], around]))
            torch.testing.assert_close(out[node_type][i], want, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["rgcn", "sage"])
def test_gradients_reach_every_source_with_an_edge(name: str) -> None:
    block, pairs = random_block()
    h = hidden(block)
    config = {
        "rgcn": RgcnConfig(type="rgcn", hidden=D, layers=1, dropout=0),
        "sage": SageConfig(type="sage", hidden=D, layers=1, dropout=0),
    }[name]
    out = GNNS.get(name)(config, NODE_TYPES, EDGE_TYPES)([block], h)
    sum(v.square().sum() for v in out.values()).backward()
    for node_type in NODE_TYPES:
        used = {s for e, p in pairs.items() if e[0] == node_type for s, _ in p} | set(range(block.num_dst[node_type]))
        assert h[node_type].grad is not None
        assert {i for i in range(block.num_src[node_type]) if h[node_type].grad[i].abs().sum() > 0} == used


def test_no_gnn_reads_no_neighbours() -> None:
    gnn = NoGnn(NoGnnConfig(type="none", hidden=D, layers=2, dropout=0), NODE_TYPES, EDGE_TYPES).eval()
    h = torch.randn(5, D)
    assert gnn.num_hops == 0
    torch.testing.assert_close(gnn((), {"a": h})["a"][2:3], gnn((), {"a": h[2:3]})["a"])


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(ConfigError, match=r"unknown name 'rgn' \(known: none, rgcn, sage\)\. Did you mean 'rgcn'\?"):
        GNNS.get("rgn")
