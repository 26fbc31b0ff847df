"""Convolutions of PyTorch Geometric in a layer: formula, gradients, layer by layer as in one batch, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from graphstorm_like.config import Pipeline
from graphstorm_like.errors import ConfigError, MissingExtraError
from graphstorm_like.models.embedding import Embedder
from graphstorm_like.models.encoders import GNNS, GraphEncoder

from .test_gnns import (
    ALL,
    COUNTS,
    EDGES,
    RICH,
    SPECS,
    TYPES,
    config_of,
    edges_into,
    experiment,
    full_batch,
    small_block,
)

torch_geometric = pytest.importorskip("torch_geometric")

ATTENTION = {"conv": "GATv2Conv", "args": {"heads": 2}}
CONVS: dict[str, dict[str, Any]] = {
    "TransformerConv": {"conv": "TransformerConv", "args": {"heads": 2, "concat": False}, "combine": "mean"},
    "GENConv": {"conv": "GENConv", "args": {"norm": "layer"}},
    "GATv2Conv": ATTENTION,
}


def network(settings: dict[str, Any], inputs: bool = True, **others: Any) -> GraphEncoder:
    config = config_of({"type": "pyg", **settings}, **others)
    torch.manual_seed(1)
    types = TYPES if inputs else [t for t in TYPES if t != RICH]
    return GNNS.of(config)(config, ["a", "b"], types, SPECS if inputs else {}).double()


@pytest.mark.parametrize("combine", ["sum", "mean"])
@pytest.mark.known_answer("gnns/pyg")
def test_a_layer_is_its_formula(combine: str) -> None:
    """SAGEConv: W_1 mean_j h_j + W_2 h_i of each relation with an edge into i."""
    block, h = small_block("rgcn")
    del block.relations[RICH]
    gnn = network({"conv": "SAGEConv", "combine": combine}, inputs=False)
    layer: Any = gnn.layers[0]
    types = [t for t in TYPES if t != RICH]
    for node_type, out in gnn([block], h).items():
        for i, got in enumerate(out):
            own, said = h[node_type][i], []
            for number, edge_type in enumerate(types):
                sources = [source for t, _, source in edges_into(node_type, i) if t == edge_type]
                if sources:
                    conv = layer.convs[number]
                    said.append(conv.lin_l(h[edge_type[0]][sources].mean(0)) + conv.lin_r(own))
            around = torch.zeros(4).double() if not said else torch.stack(said).sum(0)
            if combine == "mean" and said:
                around = around / len(said)
            torch.testing.assert_close(got, layer.self_loops[("a", "b").index(node_type)](own) + around)


@pytest.mark.parametrize("name", ["TransformerConv", "GATv2Conv"])
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    block, h = small_block("rgcn")
    gnn = network(CONVS[name])
    leaves = [h["a"].requires_grad_(), h["b"].requires_grad_(), *gnn.parameters()]

    def run(*_: Tensor) -> tuple[Tensor, ...]:
        return tuple(gnn([block], h).values())

    assert torch.autograd.gradcheck(run, leaves, fast_mode=True)
    assert all(grad is not None for grad in torch.autograd.grad(sum(o.square().sum() for o in run()), leaves))


def test_edge_inputs_reach_the_convolution() -> None:
    block, h = small_block("rgcn")
    gnn = network(CONVS["TransformerConv"])  # inputs are part of its messages
    before = gnn([block], h)["a"]
    block.relations[RICH].inputs["stars"] += 1.0
    changed = (gnn([block], h)["a"] - before).abs().sum(1) > 1e-9
    assert changed.tolist() == [any(target == i for _, target in EDGES[RICH]) for i in range(COUNTS["a"][1])]


@pytest.mark.parametrize("name", CONVS)
def test_layer_wise_is_full_batch(shop_config: Callable[..., Pipeline], name: str) -> None:
    found = experiment(shop_config, {"type": "pyg", **CONVS[name]})
    embedder = Embedder(found.model, found.graph, found.sources, found.device, [ALL, ALL], batch_size=50)
    for node_type, vectors in embedder.layer_wise(["item", "user"]).items():
        np.testing.assert_allclose(vectors, full_batch(found, node_type), atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"conv": "SAGEConf"}, r"model\.gnn\.conv: unknown convolution of torch_geometric 'SAGEConf'.*'SAGEConv'"),
        ({"conv": "GCNConv"}, r"must make 4 numbers from pairs .* \(got GCNConv .*bipartite"),
        ({"conv": "SAGEConv"}, r"must be a convolution with edge_dim, for model\.edge_inputs \(got SAGEConv\)"),
        ({"conv": "GINEConv"}, r"must make 4 numbers from pairs .* \(got GINEConv with no args"),
        ({"conv": "GATv2Conv", "args": {"head": 2}}, r"got GATv2Conv with {'head': 2}: TypeError: .*'head'"),
        ({"conv": "GATv2Conv", "args": {"heads": 3}}, r"got GATv2Conv .* it gives \(2, 3\) for 2 targets"),
    ],
)
def test_what_is_no_such_convolution(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        network(settings)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch_geometric.nn", None)
    with pytest.raises(MissingExtraError, match="pyg"):
        network(ATTENTION)
