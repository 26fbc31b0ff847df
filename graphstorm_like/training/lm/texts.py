"""Texts of a batch -> vectors with gradients, whatever their number.

Tokens up to `activation_tokens` are encoded with their graph kept. The rest is encoded twice (GradCache, Gao et al.
2021): first without a graph, then, when the loss has said what it wants of the vectors, piece by piece with one. Both
ways the gradients are the same, for each piece's dropout has a seed of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from graphstorm_like.graph.store import IntArray, NodeType
from graphstorm_like.sampling.batch import MiniBatch, TrainedTexts, link_parts
from graphstorm_like.sampling.rng import stream
from graphstorm_like.text.batching import TextBatch, collate_rows, text_vectors, token_budget_batches
from graphstorm_like.text.tokens import Fetched, TextTokens, TokenSource

Stores = Mapping[NodeType, Mapping[str, TokenSource]]
"""By node type and input name ('text:...')."""
Choice = Callable[[MiniBatch], dict[NodeType, IntArray]]
"""Positions among the input nodes, per type, whose texts are trained."""


@dataclass(frozen=True)
class SeedsOnly:
    """No graph: the input nodes are the seeds."""

    def __call__(self, batch: MiniBatch) -> MiniBatch:
        """Adds input ids."""
        return batch.replace(input_ids=batch.seeds)


def all_inputs(batch: MiniBatch) -> dict[NodeType, IntArray]:
    """A Choice: every input node."""
    return {t: np.arange(len(ids)) for t, ids in batch.input_ids.items()}


@dataclass(frozen=True)
class SeedsAndNeighbors:
    """A Choice: seeds first, then up to `neighbors` a seed of the nodes next to them, within `budget` tokens.

    Without replacement. Of a link batch the ends of the positives come before the negatives. how: which neighbours;
    'weight' takes those that most sampled edges lead to.
    """

    stores: Stores
    neighbors: int
    how: Literal["random", "weight"]
    budget: int
    seed: int
    rank: int = 0

    def __call__(self, batch: MiniBatch) -> dict[NodeType, IntArray]:
        """See class."""
        rng = stream(self.seed, "texts", self.rank, batch.position.epoch, batch.position.step)
        chosen: dict[NodeType, list[IntArray]] = {t: [] for t in self.stores}
        left = self.budget
        for ranked in (self._seeds(batch, rng), self._neighbors(batch, rng)):
            for node_type, positions in ranked.items():
                if node_type not in self.stores or not len(positions):
                    continue
                costs = self._tokens(node_type, batch.input_ids[node_type].numpy()[positions])
                fits = int(np.searchsorted(np.cumsum(costs), left, side="right"))
                chosen[node_type].append(positions[:fits])
                left = left - int(costs[:fits].sum()) if fits == len(positions) else 0  # what ranks lower gets no more
        return {t: np.concatenate(parts) for t, parts in chosen.items() if parts}

    def _tokens(self, node_type: NodeType, ids: IntArray) -> IntArray:
        total = np.zeros(len(ids), dtype=np.int64)
        for store in self.stores[node_type].values():
            total += store.lengths_of(ids)
        return total

    def _seeds(self, batch: MiniBatch, rng: np.random.Generator) -> dict[NodeType, IntArray]:
        ranked: dict[NodeType, IntArray] = {}
        for t, ids in batch.seeds.items():
            order = rng.permutation(len(ids))
            positive = np.zeros(len(ids), dtype=bool)
            for edge_type, (source, target) in batch.asked.items() if link_parts(batch.targets) else ():
                for end, asked in ((0, source), (2, target)):
                    if edge_type[end] == t:
                        positive |= np.isin(ids.numpy(), asked.numpy())
            order = order[np.argsort(~positive[order], kind="stable")]
            ranked[t] = order
        return ranked

    def _neighbors(self, batch: MiniBatch, rng: np.random.Generator) -> dict[NodeType, IntArray]:
        if not batch.blocks or not self.neighbors:
            return {}
        block = batch.blocks[-1]  # next to the seeds: its source nodes are the seeds, then their neighbours
        most = self.neighbors * sum(len(ids) for ids in batch.seeds.values())
        ranked: dict[NodeType, IntArray] = {}
        for t, count in block.num_src.items():
            first = len(batch.seeds.get(t, ()))
            order = first + rng.permutation(count - first)
            if self.how == "weight":
                edges = np.zeros(count, dtype=np.int64)
                for edge_type, relation in block.relations.items():
                    if edge_type[0] == t:
                        edges += np.bincount(relation.sources.numpy(), minlength=count)
                order = order[np.argsort(-edges[order], kind="stable")]
            ranked[t] = order[:most]
        return ranked


@dataclass(frozen=True)
class FetchTexts:
    """Tokens of the chosen nodes: each distinct text once, sorted by length, in batches of about `budget` tokens."""

    stores: Stores
    choose: Choice
    budget: int

    def __call__(self, batch: MiniBatch) -> MiniBatch:
        """Adds texts."""
        asked: dict[NodeType, dict[str, tuple[IntArray, Callable[[], Fetched]]]] = {}
        for node_type, positions in self.choose(batch).items():
            ids = batch.input_ids[node_type].numpy()[positions]
            stores = self.stores[node_type]
            asked[node_type] = {name: (positions, store.begin_fetch(ids)) for name, store in stores.items()}
        return batch.replace(
            texts={t: {n: self._texts(at, read()) for n, (at, read) in by_name.items()} for t, by_name in asked.items()}
        )

    def _texts(self, positions: IntArray, fetched: Fetched) -> TrainedTexts:
        tokens = fetched.tokens
        batches: list[TextBatch] = []
        at: list[IntArray] = []
        order: list[IntArray] = []
        group = np.empty(tokens.num_texts, dtype=np.int64)
        parts = self._parts(tokens)
        for i, part in enumerate(parts):
            group[part] = i
        of_node = group[tokens.row_of_text]
        for i, part in enumerate(parts):
            nodes = np.flatnonzero(of_node == i)
            batches.append(collate_rows(tokens, nodes))
            at.append(positions[nodes])
            order.append(fetched.pieces[tokens.pieces(np.sort(part))[0]])
        none = np.zeros(0, dtype=np.int64)
        return TrainedTexts(
            torch.from_numpy(np.concatenate([none, *at])),
            tuple(batches),
            torch.from_numpy(np.concatenate([none, *order])),
        )

    def _parts(self, tokens: TextTokens) -> list[IntArray]:
        """The distinct texts, split into batches of about `budget` padded tokens, longest pieces first."""
        pieces, offsets = tokens.pieces(np.arange(tokens.num_texts))
        if not tokens.num_texts:
            return []
        longest = np.maximum.reduceat(tokens.lengths(), offsets[:-1])
        if len(pieces) == tokens.num_texts:
            return token_budget_batches(longest, max(self.budget, int(longest.max())), min_fill=1.0)
        order = np.argsort(-longest, kind="stable")
        parts: list[IntArray] = []
        first = rows = 0
        for i, count in enumerate(np.diff(offsets)[order].tolist()):
            if rows and (rows + count) * longest[order[first]] > self.budget:
                parts.append(order[first:i])
                first, rows = i, 0
            rows += count
        return [*parts, order[first:]]


@dataclass
class _Later:
    """A piece whose graph is made when its vectors' gradient is known."""

    encode: Callable[[], Tensor]
    vectors: Tensor


class TextPass:
    """Forward and backward of a batch's texts, in pieces.

    encode: (node type, input name, TextBatch) -> vectors [U, D]; normalizes: whether those of a type have length 1.
    seeds: dropout seed of each piece, as a function of
    its number.
    """

    def __init__(
        self,
        encode: Callable[[NodeType, str, TextBatch], Tensor],
        activation_tokens: int,
        seed_of: Callable[[int], int],
        normalizes: Callable[[NodeType], bool],
    ) -> None:
        self._encode, self._left, self._seed_of, self._normalizes = encode, activation_tokens, seed_of, normalizes
        self._later: list[_Later] = []
        self._pieces = 0

    def vectors(self, node_type: NodeType, name: str, texts: TrainedTexts) -> tuple[Tensor, Tensor]:
        """(vectors a piece of text [U, D] without gradient, vectors a node [M, D] with one) of an input's texts."""
        distinct, nodes = [], []
        for batch in texts.batches:
            found = self._piece(node_type, name, batch)
            distinct.append(found.detach())
            nodes.append(text_vectors(found, batch, self._normalizes(node_type)))
        return torch.cat(distinct), torch.cat(nodes)

    def _piece(self, node_type: NodeType, name: str, batch: TextBatch) -> Tensor:
        seed, tokens = self._seed_of(self._pieces), batch.input_ids.numel()
        self._pieces += 1

        def encode() -> Tensor:
            torch.manual_seed(seed)
            return self._encode(node_type, name, batch)

        if tokens <= self._left:
            self._left -= tokens
            return encode()
        self._left = 0  # the pieces that follow are as long or nearly so
        with torch.no_grad():
            vectors = encode()
        vectors.requires_grad_()
        self._later.append(_Later(encode, vectors))
        return vectors

    def backward(self) -> None:
        """After the loss's own backward: the pieces whose graph was not kept."""
        for piece in self._later:
            if piece.vectors.grad is not None:
                torch.autograd.backward(piece.encode(), piece.vectors.grad)
        self._later.clear()


def replace_rows(rows: Tensor, at: Tensor, vectors: Tensor) -> Tensor:
    """rows [N, D] with `vectors` [M, D] at the positions `at`, gradients included."""
    if len(at) == len(rows):
        return torch.zeros_like(rows, dtype=vectors.dtype).index_copy(0, at, vectors)
    return rows.to(vectors.dtype).index_copy(0, at, vectors)


def texts_of(batch: MiniBatch) -> Sequence[tuple[NodeType, str, TrainedTexts]]:
    """All trained texts of a batch."""
    return [(t, name, texts) for t, inputs in batch.texts.items() for name, texts in inputs.items()]


def token_count(batch: MiniBatch) -> int:
    """Real tokens that are trained in a batch."""
    return sum(int(b.lengths.sum()) for _, _, texts in texts_of(batch) for b in texts.batches)
