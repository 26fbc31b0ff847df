"""Learnable vectors of the nodes of a type: a table that all ranks read; each row is updated by the rank that owns it.

Gradients are sent to the owners, which take an Adam step on the rows that were used. First values depend on the seed
and the row only, not on the number of ranks. On disk there is one file per rank, which any number of ranks can read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from graphstorm_like.graph.store import Graph, IntArray, NodeType
from graphstorm_like.inputs.rank_rows import read_rows, row_file
from graphstorm_like.inputs.row_adam import row_adam
from graphstorm_like.pending import Pending
from graphstorm_like.ranks.tables import FloatRows, RowTable
from graphstorm_like.ranks.torch_group import cluster, group
from graphstorm_like.sampling.rng import stream

CHUNK = 1 << 16
"""Rows that are drawn from one random stream."""


class NodeEmbeddings:
    """A FeatureSource [count, width] of a node type and RankRows, with the state of its optimizer."""

    def __init__(self, graph: Graph, node_type: NodeType, width: int, seed: int) -> None:
        where = cluster()
        self.group, self.node_type = group(), node_type
        self.number = list(graph.manifest.nodes).index(node_type)
        self.table = RowTable(graph, node_type, width, self.group, None if where is None else where.shm)
        self.steps = 0
        """Optimizer steps done, all of which count in Adam's bias correction."""
        self._own = torch.from_numpy(self.table.own)
        self._mean, self._square = torch.zeros_like(self._own), torch.zeros_like(self._own)
        self._touched: list[tuple[Tensor, Tensor]] = []
        self._draw(seed)
        self.group.barrier("first values of node embeddings")

    def _draw(self, seed: int) -> None:
        """Draw first values from a normal distribution that gives rows a length of about 1."""
        start, stop, width = self.table.start, self.table.stop, self.table.shape[1]
        for chunk in range(start // CHUNK, -(-stop // CHUNK)):
            first, last = max(start, chunk * CHUNK), min(stop, (chunk + 1) * CHUNK)
            rng = stream(seed, "embedding", self.number, chunk)
            drawn = rng.standard_normal((last - chunk * CHUNK, width), np.float32)
            self.table.own[first - start : last - start] = drawn[first - chunk * CHUNK :] * width**-0.5

    def rows(self, ids: IntArray) -> FloatRows:
        """[N, width] rows of nodes."""
        return self.table.rows(ids)

    def begin_rows(self, ids: IntArray) -> Pending[FloatRows]:
        """See FeatureSource."""
        return self.table.begin_rows(ids)

    def touched(self, ids: Tensor, gradients: Tensor | None) -> None:
        """Keep gradients [N, width] of some rows for the next step."""
        if gradients is not None:
            self._touched.append((ids.cpu(), gradients.float().cpu()))

    def step(self, lr: float, factor: float) -> None:
        """One optimizer step on the rows that any rank has used; gradients are first multiplied by `factor`. Other
        ranks see the result after the next barrier."""
        self.steps += 1
        ids = torch.cat([torch.zeros(0, dtype=torch.int64), *(i for i, _ in self._touched)])
        gradients = torch.cat([torch.zeros(0, self.table.shape[1]), *(g for _, g in self._touched)])
        self._touched.clear()
        if self.group.size > 1:
            ids, order = torch.sort(ids, stable=True)
            counts = torch.searchsorted(ids, torch.from_numpy(self.table.bounds)).diff().tolist()
            what = f"gradients of embeddings of {self.node_type}"
            gradients = self.group.exchange(gradients[order], counts, what)
            ids = self.group.exchange(ids, counts, what)
        if len(ids):
            at = ids - self.table.start
            row_adam(self._own, self._mean, self._square, self.steps, at, gradients * factor, lr)

    # -- on disk -------------------------------------------------------------------------------------------------

    @property
    def _stem(self) -> str:
        return f"embedding-{self.number}"

    @property
    def file(self) -> str | None:
        """See RankRows."""
        return row_file(self._stem, self.table.start, self.table.stop)

    def state(self, moments: bool) -> dict[str, Tensor]:
        """See RankRows."""
        if not moments:
            return {"rows": self._own}
        steps = torch.tensor([self.steps])
        return {"rows": self._own, "mean": self._mean, "square": self._square, "steps": steps}

    def load(self, folder: Path) -> None:
        """See RankRows."""
        targets = {"rows": self._own, "mean": self._mean, "square": self._square}
        bounds, what = (self.table.start, self.table.stop), f"embeddings of {self.node_type}"
        for steps in read_rows(folder, self._stem, bounds, targets, what, ["steps"])["steps"]:
            self.steps = int(steps[0])
