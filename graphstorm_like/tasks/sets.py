"""Labels of sets of nodes: the vectors of a set's members, read out into one, then the head of a node's label.

Nothing but the members' vectors reaches the head: neither the set's own node nor its features."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from graphstorm_like.config.tasks.sets import SetLabelConfig
from graphstorm_like.graph.past import Times
from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.models.embedding import Embedder, Vectors
from graphstorm_like.models.readout import Readout
from graphstorm_like.sampling.batch import MiniBatch
from graphstorm_like.sampling.seeds import ALL_ROWS, RankSlice
from graphstorm_like.sampling.sets import Members, SetSeeder, SetTargets
from graphstorm_like.tasks.base import TASKS, Evaluation, Lookup
from graphstorm_like.tasks.labels import NodeLabelTask
from graphstorm_like.tasks.outputs import Asked, Rows, row_ids

SETS = 256
"""Sets that are scored at once."""


@TASKS.register(SetLabelConfig)
class SetLabelTask(NodeLabelTask):
    """See module."""

    def __init__(self, config: SetLabelConfig, graph: Graph, hidden: int) -> None:
        super().__init__(config, graph, hidden)
        self.set_config, self.member_type = config, config.member_type
        self.members = Members.read(graph, config.members, config.node_type)
        self.readout = Readout(config.readout, hidden)

    @property
    def node_types(self) -> tuple[NodeType, ...]:
        """See Task."""
        return (self.member_type,)

    def needed(self, asked: Asked) -> dict[NodeType, IntArray | None]:
        """See Task."""
        sets = asked.nodes.get(self.node_type)
        return {self.member_type: None if sets is None else np.unique(self.members.of(sets)[0])}

    def seeder(self, seed: int, share: RankSlice = ALL_ROWS) -> SetSeeder:  # type: ignore[override]
        """See Task."""
        return SetSeeder(self.member_type, self.members, self.labels, self.set_config.most_members, seed, share)

    def loss(self, vectors: dict[NodeType, Tensor], batch: MiniBatch) -> tuple[Tensor, float]:
        """See Task."""
        targets = batch.targets
        assert isinstance(targets, SetTargets)
        members = vectors[self.member_type][targets.members]
        outputs = self.head(self.readout(members, targets.sets, len(targets.labels)))
        return self.target.loss(outputs.float(), targets.labels)

    def evaluate_rows(self, embedder: Embedder, rows: IntArray, how: Evaluation) -> dict[str, float]:
        """See Task."""
        rows, find = self.group.mine(rows), how.lookup(embedder, [self.member_type])
        return self.target.metrics(self._of_sets(rows, find), self.labels[rows], self.group)

    def predict_rows(self, vectors: Mapping[NodeType, Vectors], part: Rows) -> Vectors:
        """See LabelTask."""

        def find(node_type: NodeType, ids: IntArray | None, times: Times | None = None) -> Vectors:
            return vectors[node_type][slice(None) if ids is None else ids]

        return self._of_sets(row_ids(part), find)

    def _of_sets(self, sets: IntArray, find: Lookup) -> Vectors:
        """What the target predicts for some sets, from all their members."""
        chunks = []
        for start in range(0, max(len(sets), 1), SETS):
            chunk = sets[start : start + SETS]
            ids, numbers = self.members.of(chunk)
            distinct, at = np.unique(ids, return_inverse=True)
            chunks.append(self.predict_sets(find(self.member_type, distinct), at, numbers, len(chunk)))
        return np.concatenate(chunks)

    @torch.inference_mode()
    def predict_sets(self, vectors: Vectors, members: IntArray, sets: IntArray, count: int) -> Vectors:
        """What the target predicts for `count` sets. vectors [n, D]: of nodes; members [m]: which of them; sets [m]:
        the set of each."""
        self.eval()
        rows = self._tensor(vectors)[torch.from_numpy(members).to(self.device)]
        read = self.readout(rows, torch.from_numpy(sets).to(self.device), count)
        predicted: Vectors = self.target.predict(self.head(read).float()).cpu().numpy()
        return predicted
