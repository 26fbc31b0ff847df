"""Any convolution of PyTorch Geometric (Fey and Lenssen 2019, arXiv:1903.02428) that takes pairs, one per relation.

h_i' = W_c(i) h_i + b_c(i) + AGG over relations r with an edge into i of  conv_r({h_j}, h_i, {(j -> i, U_r x_e)})

AGG is the sum or the mean; c(i) is the type of node i; x_e are edge inputs, where r has them. A relation's convolution
sees the nodes that it has an edge into, and these edges: what a node receives does not depend on its batch. So pairs
(h_src, h_dst) are a must: GCNConv and others that take one graph read degrees of sources, which a batch cannot know.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.gnns.pyg import PygConfig
from graphstorm_like.errors import ConfigError, MissingExtraError, unknown
from graphstorm_like.graph.store import Block, NodeType
from graphstorm_like.models.aggregate import TargetSums
from graphstorm_like.models.edge_inputs import EdgeInputs, EdgeInputSpec
from graphstorm_like.models.encoders.base import GNNS, GraphLayer, LayerOutput, StackedEncoder

AT = "model.gnn.conv"


class PygLayer(GraphLayer):
    """One convolution per relation."""

    def __init__(
        self,
        config: PygConfig,
        node_types: Sequence[NodeType],
        edge_types: Sequence[EdgeType],
        edge_inputs: Mapping[EdgeType, EdgeInputSpec],
        last: bool,
    ) -> None:
        super().__init__()
        self.index = {t: i for i, t in enumerate(edge_types)}
        self.node_index = {t: i for i, t in enumerate(node_types)}
        self.convs = nn.ModuleList(new_conv(config, edge_type in edge_inputs) for edge_type in edge_types)
        self.self_loops = nn.ModuleList(nn.Linear(config.hidden, config.hidden) for _ in node_types)
        self.edges = EdgeInputs(edge_inputs, config.hidden)
        self.combine = config.combine
        self.finish = LayerOutput(config, last)

    def forward(self, block: Block, hidden: dict[NodeType, Tensor]) -> dict[NodeType, Tensor]:
        """See GraphLayer."""
        own = {t: hidden[t][:n] for t, n in block.num_dst.items()}
        relations = {t: h.new_zeros(len(h), 1) for t, h in own.items()}
        sums = TargetSums()
        for edge_type, relation in block.relations.items():
            row_of_edge = torch.repeat_interleave(relation.offsets.diff())
            pair = hidden[edge_type[0]], own[edge_type[2]][relation.rows]
            given = {} if edge_type not in self.edges.index else {"edge_attr": self.edges.each(edge_type, relation)}
            received = self.convs[self.index[edge_type]](pair, torch.stack([relation.sources, row_of_edge]), **given)
            sums.add(edge_type[2], relation.rows, received)
            relations[edge_type[2]][relation.rows] += 1
        around = {t: sums.onto(t, torch.zeros_like(h)) for t, h in own.items()}
        if self.combine == "mean":
            around = {t: total / relations[t].clamp(min=1) for t, total in around.items()}
        return {t: self.finish(self.self_loops[self.node_index[t]](h) + around[t], h) for t, h in own.items()}


def new_conv(config: PygConfig, with_inputs: bool) -> nn.Module:
    """A convolution from pairs of vectors to vectors of the same width. ConfigError when it is none, naming why."""
    conv_class, hidden = conv_named(config.conv), config.hidden
    takes = inspect.signature(conv_class.__init__).parameters
    args: dict[str, Any] = dict(config.args)
    if "in_channels" in takes:
        # Heads are joined to the width, except where the convolution averages them.
        heads = int(args.get("heads", 1)) if args.get("concat", True) else 1
        args |= {"in_channels": (hidden, hidden), "out_channels": hidden // heads}
    elif "nn" in takes:
        args["nn"] = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
    if "add_self_loops" in takes:
        args.setdefault("add_self_loops", False)  # between nodes of two types with the same number: no loops
    if with_inputs and "edge_dim" not in takes:
        raise ConfigError(
            f"{AT}: must be a convolution with edge_dim, for model.edge_inputs (got {config.conv}). Take GATv2Conv, "
            f"TransformerConv or GENConv, or leave out model.edge_inputs"
        )
    if with_inputs:
        args["edge_dim"] = hidden
    try:
        conv: nn.Module = conv_class(**args)
        _try(conv, hidden, with_inputs)
    except (TypeError, ValueError, AssertionError, RuntimeError, IndexError, AttributeError, KeyError) as err:
        raise ConfigError(
            f"{AT}: must make {hidden} numbers from pairs of source and target vectors of {hidden} (got {config.conv} "
            f"with {config.args or 'no args'}: {type(err).__name__}: {err}). Take one that supports bipartite graphs "
            f"in torch_geometric's table of convolutions, and correct model.gnn.args"
        ) from None
    return conv


def _try(conv: nn.Module, hidden: int, with_inputs: bool) -> None:
    """Raises unless it maps a pair as it must. In eval mode: no random numbers are drawn, no moments change."""
    pair = torch.zeros(4, hidden), torch.zeros(2, hidden)
    edges, given = torch.tensor([[0, 3, 3], [0, 0, 1]]), {}
    if with_inputs:
        given["edge_attr"] = torch.zeros(3, hidden)
    with torch.no_grad():
        out = conv.eval()(pair, edges, **given)
    conv.train()
    if not isinstance(out, Tensor) or out.shape != (2, hidden):
        raise ValueError(f"it gives {tuple(getattr(out, 'shape', ()))} for 2 targets")


def conv_named(name: str) -> Any:
    """A class of torch_geometric.nn. MissingExtraError without it; ConfigError for no convolution's name."""
    try:
        from torch_geometric.nn import MessagePassing, conv
    except ImportError:
        raise MissingExtraError("model.gnn.type: pyg", "torch_geometric", "pyg") from None
    known = {}
    for each in conv.__all__:
        found = getattr(conv, each)
        if inspect.isclass(found) and issubclass(found, MessagePassing) and found is not MessagePassing:
            known[each] = found
    if name not in known:
        raise ConfigError(unknown(AT, "convolution of torch_geometric", name, known))
    return known[name]


@GNNS.register(PygConfig)
class Pyg(StackedEncoder):
    """A stack of layers of convolutions."""

    layer_class = PygLayer
