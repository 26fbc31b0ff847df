"""All graph networks: gradients by finite differences, formulas by hand, layer by layer as in one batch."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import graphstorm_like.models.embedding as embedding
from graphstorm_like.config import Pipeline
from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.choice import members_of
from graphstorm_like.config.gnns import GnnConfig
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.graph.store import Block, Relation
from graphstorm_like.models.aggregate import WEIGHT, edge_shares
from graphstorm_like.models.degrees import DEGREES
from graphstorm_like.models.edge_inputs import EdgeInputSpec
from graphstorm_like.models.embedding import Embedder
from graphstorm_like.models.encoders import GNNS, GraphEncoder
from graphstorm_like.models.encoders.base import LayerOutput
from graphstorm_like.models.restricted import restricted_vectors
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.batch import StreamPosition
from graphstorm_like.sampling.loader import BatchPipeline
from graphstorm_like.sampling.steps import FetchFeatures, NodeSeeder, SampleNeighbors
from graphstorm_like.training.experiment import Experiment, build_experiment

PLAIN, RICH, BACK = ("a", "plain", "a"), ("b", "rich", "a"), ("a", "back", "b")
TYPES = (PLAIN, RICH, BACK)
D = 4
MOMENTS = (np.array([5.0, -2.0]), np.array([0.1, 2.0]))
SPECS = {RICH: EdgeInputSpec({"stars": 1, "text:note": 2}, {"text:note": MOMENTS})}
ALL = FanoutByType(default=-1)

NETWORKS: dict[str, dict[str, Any]] = {
    "gat": {"type": "gat", "heads": 2},
    "gatv2": {"type": "gatv2", "heads": 2},
    "gcn": {"type": "gcn"},
    "gin": {"type": "gin"},
    "hgt": {"type": "hgt", "heads": 2},
    "rgat": {"type": "rgat", "heads": 2},
    "rgcn": {"type": "rgcn"},
    "rgcn weighed": {"type": "rgcn", "edge_weight": "weight"},
    "rgcn blocks": {"type": "rgcn", "blocks": 2},
    "rgcn bases": {"type": "rgcn", "bases": 2},
    "sage": {"type": "sage"},
    "sage weighed": {"type": "sage", "edge_weight": "weight"},
    "sage max": {"type": "sage", "aggregator": "max"},
    "sage pool": {"type": "sage", "aggregator": "pool"},
    "transformer": {"type": "transformer", "heads": 2},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "concat": {"type": "rgcn", "jumping": "concat"},
    "max": {"type": "gat", "jumping": "max", "feed_forward": 2},
    "rms": {"type": "gcn", "norm": "rms", "feed_forward": 1},
    "l2": {"type": "sage", "norm": "l2", "residual": False},
}
each_network = pytest.mark.parametrize("name", NETWORKS)


def config_of(changes: dict[str, Any], **others: Any) -> GnnConfig:
    plain = {"hidden": D, "layers": 1, "dropout": 0.0, "norm": "none", "residual": False}
    member = (members_of(GnnConfig) or {})[changes["type"]]
    return member.model_validate({**plain, **changes, **others})


def network(name: str, **others: Any) -> GraphEncoder:
    config = config_of(NETWORKS[name], **others)
    torch.manual_seed(1)
    gnn = GNNS.of(config)(config, ["a", "b"], TYPES, SPECS).double()
    for parameter in gnn.parameters():  # none at 0, where a gradient may be 0 by chance
        parameter.data += 0.1 * torch.randn_like(parameter)
    return gnn


def relation(edges: list[tuple[int, int]], inputs: dict[str, Tensor]) -> Relation:
    """edges: (source, target), by target."""
    targets = torch.tensor([target for _, target in edges])
    rows, counts = torch.unique(targets, return_counts=True)
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
    sources = torch.tensor([source for source, _ in edges])
    return Relation(rows, offsets, sources, torch.arange(len(edges)), inputs)


EDGES = {
    PLAIN: [(3, 0), (1, 0), (2, 1)],
    RICH: [(2, 1), (0, 1), (0, 1), (1, 2), (2, 2)],  # with parallel edges
    BACK: [(0, 0), (3, 0), (3, 1)],
}
COUNTS = {"a": (5, 4), "b": (3, 2)}  # sources, targets; node 3 of type a has no edges into it


def small_block(name: str) -> tuple[Block, dict[str, Tensor]]:
    torch.manual_seed(0)
    h = {t: torch.randn(n, D, dtype=torch.float64) for t, (n, _) in COUNTS.items()}
    inputs: dict[EdgeType, dict[str, Tensor]] = {edge_type: {} for edge_type in EDGES}
    inputs[RICH] = {"stars": torch.randn(5, 1).double(), "text:note": torch.randn(5, 2).double() * 3}
    for edge_type, edges in EDGES.items():
        if NETWORKS[name].get("edge_weight") and edge_type != BACK:
            inputs[edge_type][WEIGHT] = torch.rand(len(edges), 1).double()
        if NETWORKS[name]["type"] in ("gcn", "gin"):
            degrees = [(5.0, *degrees_of(edge_type, target)) for _, target in edges]
            inputs[edge_type][DEGREES] = torch.tensor(degrees, dtype=torch.float64)
    relations = {t: relation(edges, inputs[t]) for t, edges in EDGES.items()}
    counts = [{t: n[i] for t, n in COUNTS.items()} for i in (0, 1)]
    return Block(counts[0], counts[1], relations), h


def degrees_of(edge_type: EdgeType, target: int) -> tuple[float, float]:
    """(all edges, edges of the type) into a node: twice the sampled ones."""
    into = {t: 2.0 * sum(end == target for _, end in edges) for t, edges in EDGES.items() if t[2] == edge_type[2]}
    return sum(into.values()), into[edge_type]


# ------------------------------------------------------------------------------------------------ formulas


def of_edges(layer: Any, block: Block, edge_type: EdgeType) -> list[Tensor]:
    """U_r x_e of each edge; 0 where the relation has no inputs."""
    if edge_type != RICH:
        return [torch.zeros(D, dtype=torch.float64) for _ in EDGES[edge_type]]
    return list(layer.edges.each(edge_type, block.relations[edge_type]))


def edges_into(node_type: str, i: int) -> list[tuple[EdgeType, int, int]]:
    """(relation, number of the edge, source) of the edges into a node."""
    found = []
    for edge_type, edges in EDGES.items():
        numbered = enumerate(edges) if edge_type[2] == node_type else ()
        found += [(edge_type, e, source) for e, (source, target) in numbered if target == i]
    return found


def by_relation(found: list[tuple[EdgeType, int, int]]) -> list[list[tuple[EdgeType, int, int]]]:
    return [list(group) for _, group in itertools.groupby(found, key=lambda edge: edge[0])]


def attention(layer: Any, block: Block, h: dict[str, Tensor], node_type: str, i: int) -> Tensor:
    """GAT and GATv2, one edge and one head at a time."""
    number = {"a": 0, "b": 1}
    own = h[node_type][i]
    want = layer.self_loops[number[node_type]](own)
    messages, scores = [], []
    for edge_type, e, source in edges_into(node_type, i):
        m = layer.of_sources[number[edge_type[0]]](h[edge_type[0]][source]) + of_edges(layer, block, edge_type)[e]
        m, r = m.view(2, 2), TYPES.index(edge_type)
        if hasattr(layer, "queries"):
            query = layer.queries[number[node_type]](own).view(2, 2)
            score = (layer.vectors[r] * F.leaky_relu(m + query, 0.2)).sum(1)
        else:
            mine = layer.of_sources[number[node_type]](own).view(2, 2)
            both = (layer.vectors_of_source[r] * m).sum(1) + (layer.vectors_of_target[r] * mine).sum(1)
            score = F.leaky_relu(both, 0.2)
        messages.append(m)
        scores.append(score)
    if not messages:
        return want
    weights = torch.stack(scores).softmax(0)
    return want + (weights[:, :, None] * torch.stack(messages)).sum(0).view(-1)


def gcn(layer: Any, block: Block, h: dict[str, Tensor], node_type: str, i: int) -> Tensor:
    linears = dict(zip(("a", "b"), layer.of_types, strict=True))
    into = edges_into(node_type, i)
    degree = 2.0 * len(into)
    want = linears[node_type].weight @ h[node_type][i] / (degree + 1) + linears[node_type].bias
    for edge_type, e, source in into:  # each sampled edge stands for two, of a source of degree 5
        message = linears[edge_type[0]].weight @ h[edge_type[0]][source] + of_edges(layer, block, edge_type)[e]
        want = want + 2.0 * message / ((degree + 1) * (5.0 + 1)) ** 0.5
    return want


def gin(layer: Any, block: Block, h: dict[str, Tensor], node_type: str, i: int) -> Tensor:
    number = ("a", "b").index(node_type)
    total = (1 + layer.eps[number]) * h[node_type][i]
    for edge_type, e, source in edges_into(node_type, i):
        message = h[edge_type[0]][source]
        if edge_type == RICH:
            message = F.relu(message + of_edges(layer, block, edge_type)[e])
        total = total + 2.0 * message @ layer.matrices[TYPES.index(edge_type)]
    return layer.mlps[number](total)


def messages_of(layer: Any, block: Block, h: dict[str, Tensor], edges: list[tuple[EdgeType, int, int]]) -> Tensor:
    """W_r h_j + U_r x_e of edges of one relation."""
    edge_type, r = edges[0][0], TYPES.index(edges[0][0])
    matrix = layer.matrices()[r]
    matrix = matrix if matrix.ndim == 2 else torch.block_diag(*matrix)
    extra = of_edges(layer, block, edge_type)
    return torch.stack([h[edge_type[0]][source] @ matrix + extra[e] for _, e, source in edges])


def mean(block: Block, messages: Tensor, edges: list[tuple[EdgeType, int, int]]) -> Tensor:
    weights = block.relations[edges[0][0]].inputs.get(WEIGHT)
    of_row = torch.ones(len(edges), 1).double() if weights is None else weights[[e for _, e, _ in edges]]
    return (of_row * messages).sum(0) / of_row.sum()


def rgcn(layer: Any, block: Block, h: dict[str, Tensor], node_type: str, i: int) -> Tensor:
    want = layer.self_loops[("a", "b").index(node_type)](h[node_type][i])
    for edges in by_relation(edges_into(node_type, i)):
        want = want + mean(block, messages_of(layer, block, h, edges), edges)
    return want


def sage(layer: Any, block: Block, h: dict[str, Tensor], node_type: str, i: int) -> Tensor:
    received = []
    for edges in by_relation(edges_into(node_type, i)):
        messages = messages_of(layer, block, h, edges)
        if layer.aggregator == "mean":
            received.append(mean(block, messages, edges))
        elif layer.aggregator == "max":
            received.append(messages.amax(0))
        else:
            received.append(F.relu(messages + layer.pool_bias[TYPES.index(edges[0][0])]).amax(0))
    around = torch.stack(received).mean(0) if received else torch.zeros(D).double()
    return layer.merge[("a", "b").index(node_type)](torch.cat([h[node_type][i], around]))


def transformer(layer: Any, block: Block, h: dict[str, Tensor], node_type: str, i: int) -> Tensor:
    """One token and one head at a time."""
    own, number = h[node_type][i], {"a": 0, "b": 1}
    query = layer.queries(own + layer.of_types[number[node_type]]).view(2, 2)
    sequence = [(layer.keys_and_values(own + layer.of_types[number[node_type]]) + layer.of_relations[3])]
    for edge_type, e, source in edges_into(node_type, i):
        token = layer.keys_and_values(h[edge_type[0]][source] + layer.of_types[number[edge_type[0]]])
        extra = 0 if edge_type != RICH else of_edges(layer, block, edge_type)[e]
        sequence.append(token + layer.of_relations[TYPES.index(edge_type)] + extra)
    keys, values = (part.view(-1, 2, 2) for part in torch.stack(sequence).chunk(2, dim=1))
    weights = ((query * keys).sum(2) / 2**0.5).softmax(0)
    joined = own + layer.output((weights[:, :, None] * values).sum(0).view(-1))
    return layer.dense(joined)


FORMULAS = {
    "gat": attention,
    "gatv2": attention,
    "gcn": gcn,
    "gin": gin,
    "rgcn": rgcn,
    "sage": sage,
    "transformer": transformer,
}


@pytest.mark.known_answer(
    "gnns/gat", "gnns/gatv2", "gnns/gcn", "gnns/gin", "gnns/rgcn", "gnns/sage", "gnns/transformer"
)
@pytest.mark.parametrize("name", [name for name in NETWORKS if name.partition(" ")[0] in FORMULAS])
def test_a_layer_is_its_formula(name: str) -> None:
    block, h = small_block(name)
    gnn = network(name)
    formula = FORMULAS[name.partition(" ")[0]]
    for node_type, out in gnn([block], h).items():
        for i, got in enumerate(out):
            torch.testing.assert_close(got, formula(gnn.layers[0], block, h, node_type, i), atol=1e-6, rtol=1e-6)


@each_network
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    block, h = small_block(name)
    gnn = network(name)
    leaves = [h["a"].requires_grad_(), h["b"].requires_grad_()]
    leaves += [parameter for parameter in gnn.parameters() if parameter.requires_grad]

    def run(*_: Tensor) -> tuple[Tensor, ...]:
        return tuple(gnn([block], h).values())

    assert torch.autograd.gradcheck(run, leaves, fast_mode=True)
    gradients = torch.autograd.grad(sum(out.square().sum() for out in run()), leaves)
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


def test_one_type_of_nodes_gives_kipf_and_welling() -> None:
    """Both directions of every edge, one type: D^-1/2 (A + I) D^-1/2 H W."""
    pairs = sorted([(0, 1), (1, 0), (1, 2), (2, 1), (2, 3), (3, 2), (0, 2), (2, 0)], key=lambda pair: pair[1])
    adjacency = torch.zeros(4, 4).double()
    for source, target in pairs:
        adjacency[target, source] = 1
    degrees = adjacency.sum(1)
    of_pairs = torch.stack([torch.stack([degrees[s], degrees[t], degrees[t]]) for s, t in pairs])
    block = Block({"n": 4}, {"n": 4}, {("n", "e", "n"): relation(pairs, {DEGREES: of_pairs})})
    config = config_of({"type": "gcn"})
    gnn = GNNS.of(config)(config, ["n"], [("n", "e", "n")]).double()
    h = torch.randn(4, D).double()
    scale = torch.diag((degrees + 1).rsqrt())
    linear = gnn.layers[0].of_types[0]
    want = scale @ (adjacency + torch.eye(4).double()) @ scale @ h @ linear.weight.t() + linear.bias
    torch.testing.assert_close(gnn([block], {"n": h})["n"], want)


# ------------------------------------------------------------------------------------------------ options


def test_weights_of_zero_take_part_in_nothing() -> None:
    weights = torch.tensor([[1.0], [3.0], [0.0], [0.0]])
    shares = edge_shares(relation([(0, 0), (1, 0), (2, 1), (3, 1)], {WEIGHT: weights}))
    torch.testing.assert_close(shares, torch.tensor([0.25, 0.75, 0.0, 0.0]))


def test_what_follows_a_sum() -> None:
    new, old = torch.tensor([[3.0, -4.0]]), torch.tensor([[0.0, 8.0]])
    unit = LayerOutput(config_of({"type": "rgcn"}, hidden=2, norm="l2"), last=True)
    torch.testing.assert_close(unit(new, old), torch.tensor([[0.6, -0.8]]))
    rms = LayerOutput(config_of({"type": "rgcn"}, hidden=2, norm="rms", residual=True), last=False)
    torch.testing.assert_close(rms(new, old), torch.tensor([[3.0, 4.0]]) / 12.5**0.5)
    deep = LayerOutput(config_of({"type": "rgcn"}, hidden=2, feed_forward=2), last=True)
    first, second = deep.feed_forward
    torch.testing.assert_close(deep(new, old), second(F.relu(first(F.relu(new)))))


@pytest.mark.parametrize("kind", ["concat", "max"])
def test_jumping_knowledge_reads_every_layer(kind: str) -> None:
    block, h = small_block("rgcn")
    same = dataclasses.replace(block, num_dst=block.num_src)
    config = config_of(NETWORKS["rgcn"], layers=2, jumping=kind)
    gnn = GNNS.of(config)(config, ["a", "b"], TYPES, SPECS).double()
    first = gnn.layers[0](same, h)
    second = gnn.layers[1](block, first)
    out = gnn([same, block], h)
    for node_type, (_, count) in COUNTS.items():
        layers = [first[node_type][:count], second[node_type]]
        if kind == "max":
            want = torch.maximum(*layers)
        else:
            one, other = gnn.jump.maps
            want = F.linear(torch.cat(layers, 1), torch.cat([one.weight, other.weight], 1), one.bias)
        torch.testing.assert_close(out[node_type], want)


# ------------------------------------------------------------------------------------------------ whole graphs


def experiment(make: Callable[..., Pipeline], gnn: dict[str, Any]) -> Experiment:
    changed = {"gnn": {"hidden": 8, "layers": 2, **gnn}, "edge_inputs": {"item:similar:item": {}}}
    return build_experiment(make(model=changed), Reporter(quiet=True))


def full_batch(found: Experiment, node_type: str) -> np.ndarray:
    steps = [SampleNeighbors(found.graph, [ALL, ALL], 0), FetchFeatures(found.sources)]
    ids = np.arange(found.graph.manifest.node(node_type).count)
    batch = BatchPipeline(NodeSeeder(node_type, None), steps).make(ids, StreamPosition(0, 0))
    with torch.inference_mode():
        return found.model.eval()(batch)[node_type].numpy()


@pytest.mark.parametrize("name", [*NETWORKS, *OPTIONS])
def test_layer_wise_is_full_batch(
    weighed_shop: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(embedding, "MAX_EDGES", 500)
    found = experiment(weighed_shop, {**NETWORKS, **OPTIONS}[name])
    embedder = Embedder(found.model, found.graph, found.sources, found.device, [ALL, ALL], batch_size=50)
    want = {node_type: full_batch(found, node_type) for node_type in ("item", "user")}
    got = embedder.layer_wise(["item", "user"])
    for node_type, vectors in want.items():
        np.testing.assert_allclose(got[node_type], vectors, atol=1e-5)
    some = np.array([3, 17, 40])
    np.testing.assert_allclose(
        restricted_vectors(embedder, {"item": some})["item"][some], want["item"][some], atol=1e-5
    )


@pytest.fixture
def weighed_shop(shop_config: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Pipeline]:
    """The shop's weights are standardised: here they are exponents."""
    from graphstorm_like.sampling.steps import GraphFeature

    plain = GraphFeature.begin_rows

    def positive(self: GraphFeature, ids: np.ndarray) -> Any:
        rows = plain(self, ids)
        return rows.then(np.exp) if self.name == "weight" else rows

    monkeypatch.setattr(GraphFeature, "begin_rows", positive)
    return shop_config


def test_sampled_sums_stand_for_all_neighbours(shop_config: Callable[..., Pipeline]) -> None:
    """The mean over many samples of two neighbours is the sum over all: the first layer's sum is linear."""
    gnn = {"type": "gin", "layers": 1, "norm": "none", "residual": False}
    made = shop_config(model={"gnn": {"hidden": 8, **gnn}}, train={"fanouts": [2]})
    found = build_experiment(made, Reporter(quiet=True))
    found.model.gnn.layers[0].mlps = torch.nn.ModuleList(torch.nn.Identity() for _ in found.graph.manifest.nodes)
    ids, two = np.arange(20), FanoutByType(default=2)
    embedder = found.embedder()
    exact = embedder.mini_batch("item", ids, [ALL], 0)
    samples = [embedder.mini_batch("item", ids, [two], seed) for seed in range(300)]
    deviation = np.std(samples, axis=0).max() / 300**0.5
    assert np.abs(np.mean(samples, axis=0) - exact).max() < 5 * deviation < np.abs(exact).max() / 5


@pytest.mark.parametrize(
    ("gnn", "message"),
    [
        (
            {"type": "rgcn", "edge_weight": "wieght"},
            r"model\.gnn\.edge_weight: unknown feature of edges 'wieght'.*'weight'",
        ),
        ({"type": "rgcn", "bases": 2, "blocks": 2}, r"blocks: must be left out with bases"),
        ({"type": "rgcn", "blocks": 3}, r"blocks: must divide hidden, 16 \(got 3\)"),
        (
            {"type": "sage", "aggregator": "max", "edge_weight": "weight"},
            r"edge_weight: must be left out with aggregator",
        ),
        ({"type": "gat", "heads": 3}, r"heads: must divide hidden, 16 \(got 3\)"),
    ],
)
def test_settings_that_contradict(shop_config: Callable[..., Pipeline], gnn: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        shop_config(model={"gnn": {"hidden": 16, **gnn}})


def test_negative_weights_are_refused(shop_config: Callable[..., Pipeline]) -> None:
    found = experiment(shop_config, {"type": "rgcn", "edge_weight": "weight"})
    with pytest.raises(DataError, match=r"item:similar:item: feature 'weight' must be at least 0 .* normalize: none"):
        full_batch(found, "item")
