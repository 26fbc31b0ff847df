"""Graph encoders against formulas written out by hand, edge by edge."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from graphstorm_like.config.gnns.none import NoGnnConfig
from graphstorm_like.config.gnns.rgat import RgatConfig
from graphstorm_like.config.gnns.rgcn import RgcnConfig
from graphstorm_like.config.gnns.sage import SageConfig
from graphstorm_like.graph.store import Block, Relation
from graphstorm_like.models.aggregate import relation_means, segment_softmax
from graphstorm_like.models.encoders import GNNS
from graphstorm_like.models.encoders.none import NoGnn
from graphstorm_like.models.encoders.rgat import Rgat
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


@pytest.mark.known_answer("gnns/rgcn")
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


@pytest.mark.known_answer("gnns/sage")
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


def rgat(heads: int = 2, **changes: object) -> Rgat:
    plain = {"hidden": D, "layers": 1, "heads": heads, "dropout": 0.0, "norm": "none", "residual": False}
    return Rgat(RgatConfig(type="rgat", **{**plain, **changes}), NODE_TYPES, EDGE_TYPES)


@pytest.mark.known_answer("gnns/rgat")
@pytest.mark.parametrize("heads", [1, 2, 3])
def test_rgat_is_its_formula(heads: int) -> None:
    block, pairs = random_block()
    h = hidden(block)
    gnn, width = rgat(heads), D // heads
    layer = gnn.layers[0]
    out = gnn([block], h)
    matrices = layer.matrices()
    for node_type, count in block.num_dst.items():
        for i in range(count):
            want = layer.self_loops[NODE_TYPES.index(node_type)](h[node_type][i])
            for r, edge_type in enumerate(EDGE_TYPES[:3]):
                neighbours = [s for s, t in pairs[edge_type] if t == i]
                if edge_type[2] != node_type or not neighbours:
                    continue
                parts = []
                for k in range(heads):
                    w = matrices[r][:, k * width : (k + 1) * width]
                    mine = torch.dot(h[node_type][i] @ w, layer.of_target[r, k])
                    scores = [torch.dot(h[edge_type[0]][j] @ w, layer.of_source[r, k]) + mine for j in neighbours]
                    weights = torch.stack([s if s > 0 else 0.2 * s for s in scores]).softmax(0)
                    parts.append(sum(a * (h[edge_type[0]][j] @ w) for a, j in zip(weights, neighbours, strict=True)))
                want = want + torch.cat(parts)
            torch.testing.assert_close(out[node_type][i], want, atol=1e-5, rtol=1e-5)


def test_rgat_does_not_depend_on_the_order_of_neighbours() -> None:
    block, _ = random_block()
    rng, relations = np.random.default_rng(1), {}
    for edge_type, r in block.relations.items():
        ends = r.offsets.tolist()
        order = np.concatenate([rng.permutation(np.arange(a, b)) for a, b in pairwise(ends)])
        relations[edge_type] = Relation(r.rows, r.offsets, r.sources[order], r.edge_ids[order])
    shuffled = Block(block.num_src, block.num_dst, relations)
    moved = [t for t, r in relations.items() if (r.sources != block.relations[t].sources).any()]
    assert moved
    gnn, h = rgat(), hidden(block)
    for node_type, vectors in gnn([block], h).items():
        torch.testing.assert_close(gnn([shuffled], h)[node_type], vectors, atol=1e-6, rtol=1e-6)


def test_attention_does_not_overflow_and_is_divided_within_each_segment() -> None:
    offsets = torch.tensor([0, 1, 4, 6])
    scores = torch.tensor([[500.0], [300.0], [300.0], [-200.0], [-900.0], [-900.0]], requires_grad=True)
    weights = segment_softmax(scores, offsets)
    torch.testing.assert_close(weights[:, 0], torch.tensor([1.0, 0.5, 0.5, 0.0, 0.5, 0.5]))
    random = torch.randn(6, 3, requires_grad=True)
    want = torch.cat([part.softmax(0) for part in random.split([1, 3, 2])])
    torch.testing.assert_close(segment_softmax(random, offsets), want)
    towards = torch.randn(6, 3)
    (got,) = torch.autograd.grad((segment_softmax(random, offsets) * towards).sum(), random)
    torch.testing.assert_close(got, torch.autograd.grad((want * towards).sum(), random)[0])


def test_attention_dropout_is_of_training_only() -> None:
    block, _ = random_block()
    h = hidden(block)
    gnn = rgat(attention_dropout=0.9)
    torch.manual_seed(0)
    assert (gnn.train()([block], h)["a"] - gnn([block], h)["a"]).abs().max() > 0.01
    torch.testing.assert_close(gnn.eval()([block], h)["a"], gnn([block], h)["a"])


@pytest.mark.parametrize("name", ["rgcn", "sage", "rgat"])
def test_gradients_reach_every_source_with_an_edge(name: str) -> None:
    block, pairs = random_block()
    h = hidden(block)
    config = {
        "rgcn": RgcnConfig(type="rgcn", hidden=D, layers=1, dropout=0),
        "sage": SageConfig(type="sage", hidden=D, layers=1, dropout=0),
        "rgat": RgatConfig(type="rgat", hidden=D, layers=1, dropout=0, heads=2),
    }[name]
    out = GNNS.of(config)(config, NODE_TYPES, EDGE_TYPES)([block], h)
    sum(v.square().sum() for v in out.values()).backward()
    for node_type in NODE_TYPES:
        used = {s for e, p in pairs.items() if e[0] == node_type for s, _ in p} | set(range(block.num_dst[node_type]))
        assert h[node_type].grad is not None
        assert {i for i in range(block.num_src[node_type]) if h[node_type].grad[i].abs().sum() > 0} == used


@pytest.mark.known_answer("gnns/none")
def test_no_gnn_reads_no_neighbours() -> None:
    gnn = NoGnn(NoGnnConfig(type="none", hidden=D, layers=2, dropout=0), NODE_TYPES, EDGE_TYPES).eval()
    h = torch.randn(5, D)
    assert gnn.num_hops == 0
    torch.testing.assert_close(gnn((), {"a": h})["a"][2:3], gnn((), {"a": h[2:3]})["a"])
