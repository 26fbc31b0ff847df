"""Texts of a batch -> vectors with gradients, for any number of texts.

Up to `activation_tokens` tokens are encoded with their autograd graph kept. The others are encoded twice (GradCache,
Gao et al. 2021): first without a graph, then, when the gradients of their vectors are known, piece by piece with one.
The gradients are the same either way, because each piece's dropout has its own seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from graphstorm_like.graph.store import IntArray
from graphstorm_like.pending import Pending
from graphstorm_like.sampling.batch import Messages, MiniBatch, TextPlace, TrainedTexts
from graphstorm_like.sampling.rng import stream
from graphstorm_like.text.batching import TextBatch, collate_rows, text_vectors, token_budget_batches
from graphstorm_like.text.tokens import Fetched, TextTokens, TokenSource

TextStores = Mapping[TextPlace, Mapping[str, TokenSource]]
"""By place and input name."""
Choice = Callable[[MiniBatch], dict[TextPlace, IntArray]]
"""Batch -> the positions in each place whose texts are trained."""


@dataclass(frozen=True)
class SeedsOnly:
    """No graph: the input nodes are the seeds."""

    def __call__(self, batch: MiniBatch) -> MiniBatch:
        """Adds input ids."""
        return batch.replace(input_ids=batch.seeds)


def all_inputs(batch: MiniBatch) -> dict[TextPlace, IntArray]:
    """A Choice: every input node, and every scored edge."""
    rows: dict[TextPlace, IntArray] = {t: np.arange(len(ids)) for t, ids in batch.input_ids.items()}
    return rows | _scored_edges(batch)


def _scored_edges(batch: MiniBatch) -> dict[TextPlace, IntArray]:
    scored = {} if batch.targets is None else batch.targets.scored
    return {edge_type: np.arange(len(ids)) for edge_type, ids in scored.items()}


@dataclass(frozen=True)
class SeedsAndNeighbors:
    """A Choice: seeds first, then up to `neighbors` edges and nodes per seed next to them, within `budget` tokens.

    Scored edges with texts come before the seeds. In a link batch, the ends of positive edges come before the
    negatives. Edges are drawn without replacement. how: which neighbours; 'weight' takes those with most sampled edges.
    """

    stores: TextStores
    neighbors: int
    how: Literal["random", "weight"]
    budget: int
    seed: int
    rank: int = 0

    def __call__(self, batch: MiniBatch) -> dict[TextPlace, IntArray]:
        """See class."""
        rng = stream(self.seed, "texts", self.rank, batch.position.epoch, batch.position.step)
        groups = (
            _scored_edges(batch),
            self._seeds(batch, rng),
            self._messages(batch, rng),
            self._neighbors(batch, rng),
        )
        ranked: list[tuple[TextPlace, IntArray]] = []
        for group in groups:
            ranked += [(place, at) for place, at in group.items() if place in self.stores and len(at)]
        # All reads start before the first wait: lengths on other hosts come in one answer per host.
        pending_lengths = []
        for place, positions in ranked:
            ids = _ids(batch, place)[positions]
            pending_lengths.append([store.begin_lengths(ids) for store in self.stores[place].values()])
        chosen: dict[TextPlace, list[IntArray]] = {}
        tokens_left = self.budget
        for (place, positions), lengths in zip(ranked, pending_lengths, strict=True):
            costs = np.sum([each.wait() for each in lengths], axis=0)
            fits = int(np.searchsorted(np.cumsum(costs), tokens_left, side="right"))
            chosen.setdefault(place, []).append(positions[:fits])
            tokens_left -= int(costs[:fits].sum())
            if fits < len(positions):
                break  # the budget is spent
        return {place: np.concatenate(parts) for place, parts in chosen.items()}

    def _seeds(self, batch: MiniBatch, rng: np.random.Generator) -> dict[TextPlace, IntArray]:
        ranked: dict[TextPlace, IntArray] = {}
        asked = batch.asked if batch.targets is not None and batch.targets.has_links else {}
        for t, ids in batch.seeds.items():
            order = rng.permutation(len(ids))
            positive = np.zeros(len(ids), dtype=bool)
            for edge_type, (source, target) in asked.items():
                for end, end_ids in ((0, source), (2, target)):
                    if edge_type[end] == t:
                        positive |= np.isin(ids.numpy(), end_ids.numpy())
            order = order[np.argsort(~positive[order], kind="stable")]
            ranked[t] = order
        return ranked

    def _most(self, batch: MiniBatch) -> int:
        return self.neighbors * sum(len(ids) for ids in batch.seeds.values())

    def _messages(self, batch: MiniBatch, rng: np.random.Generator) -> dict[TextPlace, IntArray]:
        relations = batch.blocks[-1].relations if batch.blocks else {}
        return {
            place: rng.permutation(len(relation.edge_ids))[: self._most(batch)]
            for edge_type, relation in relations.items()
            if (place := Messages(edge_type)) in self.stores
        }

    def _neighbors(self, batch: MiniBatch, rng: np.random.Generator) -> dict[TextPlace, IntArray]:
        if not batch.blocks or not self.neighbors:
            return {}
        block = batch.blocks[-1]  # next to the seeds: its source nodes are the seeds, then their neighbours
        ranked: dict[TextPlace, IntArray] = {}
        for t, count in block.num_src.items():
            first = len(batch.seeds.get(t, ()))
            order = first + rng.permutation(count - first)
            if self.how == "weight":
                edges = np.zeros(count, dtype=np.int64)
                for edge_type, relation in block.relations.items():
                    if edge_type[0] == t:
                        edges += np.bincount(relation.sources.numpy(), minlength=count)
                order = order[np.argsort(-edges[order], kind="stable")]
            ranked[t] = order[: self._most(batch)]
        return ranked


@dataclass(frozen=True)
class FetchTexts:
    """Reads the tokens of the chosen nodes and edges: each distinct text once, sorted by length, in batches of about
    `budget` tokens."""

    stores: TextStores
    choose: Choice
    budget: int

    def __call__(self, batch: MiniBatch) -> MiniBatch:
        """Adds texts."""
        pending: dict[TextPlace, dict[str, tuple[IntArray, Pending[Fetched]]]] = {}
        for place, positions in self.choose(batch).items():
            ids, stores = _ids(batch, place)[positions], self.stores.get(place, {})
            pending[place] = {name: (positions, store.begin_fetch(ids)) for name, store in stores.items()}
        texts: dict[TextPlace, dict[str, TrainedTexts]] = {}
        for place, by_name in pending.items():
            texts[place] = {name: self._texts(at, fetched.wait()) for name, (at, fetched) in by_name.items()}
        return batch.replace(texts=texts)

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
        no_rows = np.zeros(0, dtype=np.int64)
        return TrainedTexts(
            torch.from_numpy(np.concatenate([no_rows, *at])),
            tuple(batches),
            torch.from_numpy(np.concatenate([no_rows, *order])),
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
class Later:
    """A piece that is encoded again, with an autograd graph, when the gradient of its vectors is known."""

    encode: Callable[[], Tensor]
    vectors: Tensor


class TextPass:
    """Forward and backward of a batch's texts, in pieces.

    encode: (place, TextBatch) -> vectors [U, D]; normalizes: whether the vectors of a place have length 1. seed_of:
    number of a piece -> its dropout seed. keeps: whether computed vectors are worth keeping in tables.
    """

    def __init__(
        self,
        encode: Callable[[TextPlace, TextBatch], Tensor],
        activation_tokens: int,
        seed_of: Callable[[int], int],
        normalizes: Callable[[TextPlace], bool],
        keeps: bool = True,
    ) -> None:
        self.keeps = keeps
        self._encode, self._left, self._seed_of, self._normalizes = encode, activation_tokens, seed_of, normalizes
        self._later: list[Later] = []
        self._pieces = 0

    def vectors(self, place: TextPlace, texts: TrainedTexts) -> tuple[Tensor, Tensor]:
        """The vectors of an input's texts: (per piece of text [U, D], without gradients; per node [M, D], with
        them)."""
        distinct, nodes = [], []
        for batch in texts.batches:
            piece_vectors = self._piece(place, batch)
            distinct.append(piece_vectors.detach())
            nodes.append(text_vectors(piece_vectors, batch, self._normalizes(place)))
        return torch.cat(distinct), torch.cat(nodes)

    def _piece(self, place: TextPlace, batch: TextBatch) -> Tensor:
        seed, tokens = self._seed_of(self._pieces), batch.input_ids.numel()
        self._pieces += 1

        def encode() -> Tensor:
            torch.manual_seed(seed)
            return self._encode(place, batch)

        if tokens <= self._left:
            self._left -= tokens
            return encode()
        self._left = 0  # the next pieces are about as long
        with torch.no_grad():
            vectors = encode()
        vectors.requires_grad_()
        self._later.append(Later(encode, vectors))
        return vectors

    def unfinished(self) -> list[Later]:
        """The pieces whose graph was not kept."""
        return list(self._later)

    def backward(self) -> None:
        """After the backward pass of the loss: backward through the pieces whose graph was not kept."""
        for piece in self._later:
            if piece.vectors.grad is not None:
                torch.autograd.backward(piece.encode(), piece.vectors.grad)
        self._later.clear()


def _ids(batch: MiniBatch, place: TextPlace) -> IntArray:
    """Ids of the nodes or edges of a batch in a place."""
    rows = batch.rows(place)
    assert rows is not None
    return rows.numpy()


def replace_rows(rows: Tensor, at: Tensor, vectors: Tensor) -> Tensor:
    """rows [N, D] with `vectors` [M, D] at the positions `at`, gradients included."""
    if len(at) == len(rows):
        return torch.zeros_like(rows, dtype=vectors.dtype).index_copy(0, at, vectors)
    return rows.to(vectors.dtype).index_copy(0, at, vectors)


def texts_of(batch: MiniBatch) -> Sequence[tuple[TextPlace, str, TrainedTexts]]:
    """All trained texts of a batch."""
    return [(place, name, texts) for place, inputs in batch.texts.items() for name, texts in inputs.items()]


def token_count(batch: MiniBatch) -> int:
    """Number of tokens, without padding, that are trained in a batch."""
    return sum(int(b.lengths.sum()) for _, _, texts in texts_of(batch) for b in texts.batches)
