"""What edges add to messages, against the formulas written out edge by edge."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from graphstorm_like.config.gnns.rgat import RgatConfig
from graphstorm_like.config.gnns.rgcn import RgcnConfig
from graphstorm_like.config.gnns.sage import SageConfig
from graphstorm_like.graph.store import Block, Relation
from graphstorm_like.models.aggregate import segment_means
from graphstorm_like.models.edge_inputs import EdgeInputs, EdgeInputSpec
from graphstorm_like.models.encoders import GNNS, GraphEncoder

PLAIN, RICH = ("a", "plain", "a"), ("b", "rich", "a")
D, HEADS = 4, 2
MOMENTS = (np.array([5.0, -2.0, 0.0]), np.array([0.1, 2.0, 1.0]))
SPECS = {RICH: EdgeInputSpec({"stars": 1, "text:note": 3}, {"text:note": MOMENTS})}
CONFIGS = {
    "rgcn": RgcnConfig(type="rgcn", hidden=D, layers=1, dropout=0, norm="none", residual=False),
    "sage": SageConfig(type="sage", hidden=D, layers=1, dropout=0, norm="none", residual=False),
    "rgat": RgatConfig(type="rgat", hidden=D, layers=1, heads=HEADS, dropout=0, norm="none", residual=False),
}


def relation(rows: list[int], offsets: list[int], sources: list[int]) -> Relation:
    return Relation(*(torch.tensor(x) for x in (rows, offsets, sources, list(range(len(sources))))))


def small_block() -> tuple[Block, dict[str, Tensor]]:
    """a: 3 targets; plain edges into 0 and 1, rich ones (with parallel edges) into 1 and 2."""
    torch.manual_seed(0)
    rich = relation([1, 2], [0, 3, 5], [2, 0, 0, 1, 2])
    inputs = {"stars": torch.randn(5, 1), "text:note": torch.randn(5, 3).half() * 3}
    block = Block(
        {"a": 4, "b": 3},
        {"a": 3},
        {PLAIN: relation([0, 1], [0, 2, 3], [3, 1, 2]), RICH: dataclasses.replace(rich, inputs=inputs)},
    )
    return block, {"a": torch.randn(4, D), "b": torch.randn(3, D)}


def network(name: str) -> GraphEncoder:
    torch.manual_seed(1)
    return GNNS.of(CONFIGS[name])(CONFIGS[name], ["a", "b"], [PLAIN, RICH], SPECS)


def of_edge(edges: EdgeInputs, inputs: dict[str, Tensor], e: int) -> Tensor:
    """U x_e."""
    stars, note = edges.types[edges.index[RICH]]
    text = (inputs["text:note"][e].double() - torch.from_numpy(MOMENTS[0])) / torch.from_numpy(MOMENTS[1])
    return stars.weight @ inputs["stars"][e] + note.weight @ text.float()


def messages(layer: torch.nn.Module, block: Block, h: dict[str, Tensor], i: int) -> list[list[Tensor]]:
    """m_e of the edges into node i of type a, relation by relation."""
    found = []
    for r, (edge_type, rel) in enumerate(block.relations.items()):
        if i in rel.rows.tolist():
            at = rel.rows.tolist().index(i)
            edges = range(rel.offsets[at], rel.offsets[at + 1])
            plain = {e: h[edge_type[0]][rel.sources[e]] @ layer.matrices()[r] for e in edges}
            extra = {e: of_edge(layer.edges, rel.inputs, e) if rel.inputs else 0.0 for e in edges}
            found.append([plain[e] + extra[e] for e in edges])
        else:
            found.append([])
    return found


@pytest.mark.parametrize("name", ["rgcn", "sage", "rgat"])
def test_a_layer_is_its_formula(name: str) -> None:
    block, h = small_block()
    gnn = network(name)
    layer = gnn.layers[0]
    out = gnn([block], h)["a"]
    for i in range(3):
        by_relation = messages(layer, block, h, i)
        means = [torch.stack(m).mean(0) for m in by_relation if m]
        if name == "rgcn":
            want = layer.self_loops[0](h["a"][i]) + sum(means)
        elif name == "sage":
            want = layer.merge[0](torch.cat([h["a"][i], torch.stack(means).mean(0)]))
        else:
            want = layer.self_loops[0](h["a"][i])
            for r, found in enumerate(by_relation):
                if found:
                    m = torch.stack(found).view(-1, HEADS, D // HEADS)
                    mine = (h["a"][i] @ layer.matrices()[r]).view(HEADS, -1)
                    scores = (m * layer.of_source[r]).sum(-1) + (mine * layer.of_target[r]).sum(-1)
                    want = want + (F.leaky_relu(scores, 0.2).softmax(0)[:, :, None] * m).sum(0).view(-1)
        torch.testing.assert_close(out[i], want, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["rgcn", "sage", "rgat"])
def test_edge_inputs_of_a_node_s_own_edges_change_it_and_no_other(name: str) -> None:
    block, h = small_block()
    gnn = network(name)
    before = gnn([block], h)["a"]
    block.relations[RICH].inputs["stars"][3] += 1.0  # an edge into node 2
    changed = (gnn([block], h)["a"] - before).abs().amax(1)
    assert changed[2] > 0.01
    assert changed[:2].max() == 0


@pytest.mark.parametrize("name", ["rgcn", "sage", "rgat"])
def test_gradients_reach_every_projection(name: str) -> None:
    block, h = small_block()
    gnn = network(name)
    gnn([block], h)["a"].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in gnn.layers[0].edges.parameters())


@pytest.mark.parametrize("name", ["rgcn", "sage", "rgat"])
def test_without_edge_inputs_the_weights_are_what_they_were(name: str) -> None:
    torch.manual_seed(1)
    plain = GNNS.of(CONFIGS[name])(CONFIGS[name], ["a", "b"], [PLAIN, RICH])
    assert not list(plain.layers[0].edges.state_dict())
    rich = network(name).state_dict()
    assert all(torch.equal(rich[key], value) for key, value in plain.state_dict().items())


def test_segment_means() -> None:
    rows = torch.tensor([[1.0, 10.0], [3.0, 20.0], [5.0, 0.0]], dtype=torch.float16)
    means = segment_means(rows, torch.tensor([0, 2, 3]))
    torch.testing.assert_close(means, torch.tensor([[2.0, 15.0], [5.0, 0.0]]))
