"""Bootstrapped vectors of nodes (BGRL, Thakoor et al., ICLR 2022). h: vectors by the weights w that learn; t: by slow
weights m, without dropout and gradients; q: a network with one hidden layer; 1 and 2: two views.

loss_i = 2 - cos(q(h1_i), t2_i) - cos(q(h2_i), t1_i),   m <- decay * m + (1 - decay) * w before every step

m begins as w. Each node is compared with itself alone, so that memory and time do not grow with the batch's square, as
they do for `graph_contrast`. The decay does not change over the training, as the paper's does. Learnable embeddings are
inputs and have no slow copy. m is part of resume points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from graphstorm_like.config.tasks.graph_bootstrap import GraphBootstrapConfig
from graphstorm_like.graph.store import Graph, NodeType
from graphstorm_like.sampling.batch import MiniBatch
from graphstorm_like.tasks.base import TASKS
from graphstorm_like.tasks.graph_contrast import two_views
from graphstorm_like.tasks.self_supervised import SelfSupervised


class SlowWeights(nn.Module):
    """A moving average of a model's weights, all of them buffers. steps: how often they have followed."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._names = [name for name, _ in model.named_parameters()]
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        for number, (_, weights) in enumerate(model.named_parameters()):
            self.register_buffer(f"weights{number}", weights.detach().clone())

    def by_name(self) -> dict[str, Tensor]:
        """As the model names them."""
        return {name: self.get_buffer(f"weights{number}") for number, name in enumerate(self._names)}

    @torch.no_grad()
    def follow(self, model: nn.Module, decay: float) -> None:
        """One step; the first one takes the model's weights, which a warm start may have changed."""
        steps = self.get_buffer("steps")
        part = 1.0 if int(steps) == 0 else 1.0 - decay
        slow = self.by_name()
        for name, weights in model.named_parameters():
            slow[name].lerp_(weights.to(slow[name]), part)
        steps += 1

    @torch.no_grad()
    def vectors(self, model: nn.Module, batch: MiniBatch) -> dict[NodeType, Tensor]:
        """What the model gives with these weights, without dropout."""
        was_training = model.training
        model.eval()
        try:
            found: dict[NodeType, Tensor] = torch.func.functional_call(model, self.by_name(), (batch,))
        finally:
            model.train(was_training)
        return found


@TASKS.register(GraphBootstrapConfig)
class GraphBootstrap(SelfSupervised):
    """See module."""

    def __init__(self, config: GraphBootstrapConfig, graph: Graph, hidden: int) -> None:
        super().__init__(config, graph)
        self.config = config
        self.predictor = nn.Sequential(
            nn.Linear(hidden, config.predictor), nn.PReLU(), nn.Linear(config.predictor, hidden)
        )
        # In lists: neither is a part of the task's own weights.
        self._model: list[nn.Module] = []
        self._slow: list[SlowWeights] = []
        self._is_quiet, self._has_followed = False, False

    def shares(self, model: nn.Module) -> None:
        """See Task."""
        self._model, self._slow = [model], [SlowWeights(model)]

    @property
    def training_state(self) -> nn.Module | None:
        """See Task: the slow weights."""
        return self._slow[0] if self._slow else None

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """See Task: the slow weights stay."""
        self._is_quiet = True
        try:
            yield
        finally:
            self._is_quiet = False

    def stepped(self) -> None:
        """See Task: the slow weights follow before the first batch of the next step."""
        self._has_followed = False

    def views(self, batch: MiniBatch) -> tuple[MiniBatch, ...]:
        """See Task."""
        return two_views(self, batch, self.config.drop_edges, self.config.drop_features)

    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """See Task."""
        return self.loss_of_views([vectors, vectors], batch)

    def loss_of_views(self, vectors: Sequence[dict[NodeType, Tensor]], batch: MiniBatch) -> tuple[Tensor, float]:
        """See Task. The weight is the number of seeds."""
        assert self._slow, "`shares` comes first"
        slow, model = self._slow[0], self._model[0]
        if self.training and not self._is_quiet and not self._has_followed:
            slow.follow(model, self.config.decay)
            self._has_followed = True
        goals = [slow.vectors(model, view) for view in self.views(batch)]
        total, count = torch.zeros((), device=self.device), 0
        for node_type, ids in batch.seeds.items():
            for own, goal in zip(vectors, reversed(goals), strict=True):
                total = total + missed(self.predictor(own[node_type]).float(), goal[node_type].float()).sum()
            count += len(ids)
        return total, float(count)


def missed(found: Tensor, goal: Tensor) -> Tensor:
    """[n]: 1 - cosine of rows [n, D]"""
    return 1.0 - F.cosine_similarity(found, goal, dim=1)
