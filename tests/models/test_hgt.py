"""HGT against its formula written out edge by edge: one attention over all relations into a node."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from graphstorm_like.config import Pipeline
from graphstorm_like.config.gnns.hgt import HgtConfig
from graphstorm_like.errors import ConfigError
from graphstorm_like.graph.store import Block
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.models.edge_inputs import NO_EDGE_INPUTS, EdgeInputSpec
from graphstorm_like.models.encoders import GNNS
from graphstorm_like.models.encoders.hgt import Hgt, HgtLayer, row_softmax
from graphstorm_like.progress import Reporter
from tests.models.test_encoders import EDGE_TYPES, NODE_TYPES, D, hidden, random_block

RICH = EDGE_TYPES[1]
SPECS = {RICH: EdgeInputSpec({"stars": 1, "length": 3})}


def hgt(heads: int = 2, specs: object = NO_EDGE_INPUTS, **changes: object) -> Hgt:
    plain = {"hidden": D, "layers": 1, "heads": heads, "dropout": 0.0, "norm": "none", "residual": False}
    torch.manual_seed(0)
    gnn = Hgt(HgtConfig(type="hgt", **{**plain, **changes}), NODE_TYPES, EDGE_TYPES, specs)  # type: ignore[arg-type]
    with torch.no_grad():
        for layer in gnn.layers:
            layer.priors.uniform_(0.5, 2.0)
    return gnn


def rich_block() -> Block:
    """The block of random_block, in which one relation brings inputs."""
    block, _ = random_block()
    count = len(block.relations[RICH].sources)
    torch.manual_seed(2)
    inputs = {"stars": torch.randn(count, 1), "length": torch.randn(count, 3)}
    relations = {**block.relations, RICH: dataclasses.replace(block.relations[RICH], inputs=inputs)}
    return Block(block.num_src, block.num_dst, relations)


def of_edge(layer: HgtLayer, block: Block, edge_type: tuple[str, str, str], edge: int) -> Tensor:
    """[2 D]: what edge inputs add to a key and a message."""
    if edge_type not in layer.edges.index:
        return torch.zeros(2 * D)
    inputs, total = block.relations[edge_type].inputs, torch.zeros(2 * D)
    projections = layer.edges.types[layer.edges.index[edge_type]]
    for name, projection in zip(layer.edges.names[edge_type], projections, strict=True):
        total = total + projection.weight @ inputs[name][edge]
    return total


def direct(layer: HgtLayer, block: Block, h: dict[str, Tensor], node_type: str, i: int) -> Tensor:
    """A gelu(sum of weighted messages) of one node, by a loop over its edges and heads."""
    heads, width = layer.heads, D // layer.heads
    query = layer.queries[NODE_TYPES.index(node_type)](h[node_type][i]).view(heads, width)
    scores, messages = [], []
    for edge_type, relation in block.relations.items():
        if edge_type[2] != node_type or i not in relation.rows.tolist():
            continue
        r, at = EDGE_TYPES.index(edge_type), relation.rows.tolist().index(i)
        for edge in range(relation.offsets[at], relation.offsets[at + 1]):
            mapped = layer.keys_and_messages[NODE_TYPES.index(edge_type[0])](h[edge_type[0]][relation.sources[edge]])
            key, message = mapped[:D].view(heads, width), mapped[D:].view(heads, width)
            key_input, message_input = of_edge(layer, block, edge_type, edge).chunk(2)
            key = torch.stack([key[k] @ layer.of_keys[r, k] for k in range(heads)]) + key_input.view(heads, width)
            message = torch.stack([message[k] @ layer.of_messages[r, k] for k in range(heads)])
            messages.append(message + message_input.view(heads, width))
            scores.append(layer.priors[r] * (query * key).sum(1) / width**0.5)
    total = torch.zeros(D)
    if messages:
        weights = torch.stack(scores).softmax(0)
        total = (weights[:, :, None] * torch.stack(messages)).sum(0).view(-1)
    return layer.outputs[NODE_TYPES.index(node_type)](F.gelu(total))


@pytest.mark.known_answer("gnns/hgt")
@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize("specs", [NO_EDGE_INPUTS, SPECS], ids=["plain", "edge_inputs"])
def test_it_is_its_formula(heads: int, specs: object) -> None:
    block, gnn = rich_block(), hgt(heads, specs)
    h = hidden(block)
    out = gnn([block], h)
    for node_type, count in block.num_dst.items():
        for i in range(count):
            torch.testing.assert_close(out[node_type][i], direct(gnn.layers[0], block, h, node_type, i),
                                       atol=1e-5, rtol=1e-5)  # fmt: skip


def test_gradients_reach_every_source_with_an_edge_and_every_weight() -> None:
    _, pairs = random_block()
    block, gnn = rich_block(), hgt(2, SPECS)
    h = hidden(block)
    sum(v.square().sum() for v in gnn([block], h).values()).backward()
    for node_type in NODE_TYPES:
        used = {s for e, p in pairs.items() if e[0] == node_type for s, _ in p}
        used |= {t for e, p in pairs.items() if e[2] == node_type for _, t in p}  # by their queries
        assert h[node_type].grad is not None
        assert {i for i in range(block.num_src[node_type]) if h[node_type].grad[i].abs().sum() > 0} == used
    without = {name for name, p in gnn.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    assert without == set()


def test_a_relation_weighs_against_the_others() -> None:
    """One attention over all relations: a prior that grows takes weight from other relations' edges."""
    block, gnn = rich_block(), hgt(1)
    h = hidden(block)
    before = gnn([block], h)["a"].detach()
    with torch.no_grad():
        gnn.layers[0].priors[0] *= -5
    after = gnn([block], h)
    both = set(block.relations[EDGE_TYPES[0]].rows.tolist()) & set(block.relations[RICH].rows.tolist())
    assert both
    assert all((after["a"][i] - before[i]).abs().max() > 1e-3 for i in both)


def test_softmax_by_row_whatever_the_order() -> None:
    scores, rows = torch.tensor([[500.0], [1.0], [499.0], [-900.0]]), torch.tensor([2, 0, 2, 1])
    weights = row_softmax(scores, rows, torch.zeros(4, 3))
    e = 1 / (1 + torch.e**-1)
    torch.testing.assert_close(weights[:, 0], torch.tensor([e, 1.0, 1 - e, 1.0]))


def test_attention_dropout_is_of_training_only() -> None:
    block = rich_block()
    h, gnn = hidden(block), hgt(attention_dropout=0.9)
    assert (gnn.train()([block], h)["a"] - gnn([block], h)["a"]).abs().max() > 1e-3
    torch.testing.assert_close(gnn.eval()([block], h)["a"], gnn([block], h)["a"])


def test_heads_divide_the_width(shop_config: Callable[..., Pipeline]) -> None:
    with pytest.raises(ConfigError, match=r"model\.gnn\.heads: must divide hidden, 16 \(got 3\)"):
        shop_config(model={"gnn": {"type": "hgt", "hidden": 16, "heads": 3}})
    config = HgtConfig(type="hgt")
    assert GNNS.of(config) is Hgt


@pytest.mark.slow
def test_it_learns_the_shop(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    gnn = {"type": "hgt", "hidden": 16, "layers": 2, "heads": 2, "dropout": 0.1}
    config = shop_config(model={"gnn": gnn}, train={"epochs": 8})
    run_pipeline(config, ["train", "evaluate", "infer"], reporter=Reporter(quiet=True))
    assert read_scores(config)["test"]["accuracy"] > 0.5  # three classes
    assert json.loads((tmp_path / "run/infer/manifest.json").read_text())["tables"]["predictions"]["rows"] == 240
