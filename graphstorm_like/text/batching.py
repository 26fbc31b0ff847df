"""Batches of texts by token budget, and the padded tensors an encoder takes.

A fixed number of texts per batch wastes time twice: short texts leave the device idle, and one long text pads all
others. Here texts are sorted by length and a batch is filled up to a number of padded tokens; lengths that are common
get batches of their own, which need no padding and no mask. In: token counts int [U]. Out: index arrays, then
TextBatch with ids [U', L].
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from graphstorm_like.errors import ConfigError, must_be

Indices = npt.NDArray[np.int64]


class Tokens(Protocol):
    """What `collate` needs of a token store."""

    @property
    def pad_id(self) -> int: ...

    def tokens(self, unique_ids: npt.ArrayLike) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]: ...


@dataclass(frozen=True, slots=True)
class TextBatch:
    """Distinct texts of a batch, padded on the right, and which of them every node has.

    input_ids int64 [U, L]; lengths int64 [U]; row_of_node int64 [N]: `text_vectors` gives one vector a node.
    has_padding is known on the host, so that the device need not be asked. Only when a text is in several pieces: U
    counts pieces, piece_of int64 [U] is the text of each piece (row_of_node then indexes these texts), and weight
    float32 [U] the piece's share in the text's vector.
    """

    input_ids: Tensor
    lengths: Tensor
    row_of_node: Tensor
    has_padding: bool
    piece_of: Tensor | None = None
    weight: Tensor | None = None

    @property
    def attention_mask(self) -> Tensor:
        """bool [U, L]: True at real tokens."""
        positions = torch.arange(self.input_ids.shape[1], device=self.input_ids.device)
        return positions < self.lengths.unsqueeze(1)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> TextBatch:
        """The same batch on another device."""
        return self._map(lambda t: t.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> TextBatch:
        """The same batch in page-locked memory, from which a GPU copies without waiting."""
        return self._map(lambda t: t.pin_memory())

    def _map(self, change: Any) -> TextBatch:
        names = ("input_ids", "lengths", "row_of_node", "piece_of", "weight")
        tensors = {name: getattr(self, name) for name in names}
        return replace(self, **{name: change(t) for name, t in tensors.items() if t is not None})


def text_vectors(piece_vectors: Tensor, batch: TextBatch, normalize: bool = False) -> Tensor:
    """[N, D]: the vector of every node, from what the encoder gave for the batch [U, D]; differentiable.

    For a text in pieces it is their mean weighted by content tokens, as EmbeddingCache.gather gives it, scaled to
    length 1 when `normalize`: pass the encoder's `normalize`.
    """
    if batch.piece_of is None or batch.weight is None:
        return piece_vectors[batch.row_of_node]
    weighted = piece_vectors * batch.weight.unsqueeze(1)
    texts = torch.zeros_like(weighted).index_add(0, batch.piece_of, weighted)  # one row per piece is enough
    vectors = texts[batch.row_of_node]
    return F.normalize(vectors, dim=-1) if normalize else vectors


def token_budget_batches(
    lengths: npt.ArrayLike, max_tokens_per_batch: int, max_texts: int | None = None, min_fill: float = 0.1
) -> list[Indices]:
    """Split texts into batches of at most `max_tokens_per_batch` padded tokens (texts x longest), longest first.

    Longest first, so that a budget that does not fit into memory fails at once and not after an hour. Texts of one
    length form batches of their own (no padding, no mask) when they fill `min_fill` of the budget; the others share
    batches.

    Args:
        lengths: int [U], tokens of each text.
        max_tokens_per_batch: padded size limit; a single text longer than that is an error.
        max_texts: limit on the texts of a batch.
        min_fill: 1.0 packs as full as possible, 0.0 never mixes lengths. On a CPU (MiniLM-L6, 1,500 texts) 0.1 is 10 %
            faster than 1.0.

    Returns:
        Index arrays into `lengths`; together they hold every index exactly once, in an order fixed by the arguments.
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    longest = int(sizes.max(initial=0))
    if max_tokens_per_batch < longest:
        rule = f"at least {longest}, the longest text"
        raise ConfigError(must_be("text batching", "max_tokens_per_batch", rule, max_tokens_per_batch))
    if max_texts is not None and max_texts < 1:
        raise ConfigError(must_be("text batching", "max_texts", "at least 1", max_texts))
    order = np.argsort(-sizes, kind="stable")
    batches: list[Indices] = []
    for start, stop in _spans(sizes[order], max_tokens_per_batch, max_texts or len(sizes), min_fill):
        batches.append(order[start:stop])
    return batches


def _spans(descending: Indices, budget: int, max_texts: int, min_fill: float) -> list[tuple[int, int]]:
    """Spans [start, stop) of a descending list of lengths. Loops over batches and distinct lengths, not over texts."""
    spans: list[tuple[int, int]] = []
    values, first = np.unique(-descending, return_index=True)
    bounds = [*first.tolist(), len(descending)]
    mixed = -1  # start of a batch of mixed lengths that may still grow, or -1
    for value, start, stop in zip((-values).tolist(), bounds[:-1], bounds[1:], strict=True):
        fits = _texts_that_fit(value, budget, max_texts)
        if stop - start >= min_fill * fits:
            if mixed >= 0:
                spans.append((mixed, start))
                mixed = -1
            parts = -(-(stop - start) // fits)  # near-equal parts instead of full ones and a scrap
            cuts = [start + (stop - start) * i // parts for i in range(parts + 1)]
            spans.extend(itertools.pairwise(cuts))
            continue
        mixed = start if mixed < 0 else mixed
        # The padded length of a mixed batch is that of its first, longest text.
        while mixed >= 0 and (end := mixed + _texts_that_fit(int(descending[mixed]), budget, max_texts)) <= stop:
            spans.append((mixed, end))
            mixed = end if end < stop else -1
    if mixed >= 0:
        spans.append((mixed, len(descending)))
    return spans


def _texts_that_fit(length: int, budget: int, max_texts: int) -> int:
    return max(1, min(budget // max(length, 1), max_texts))


def collate(
    store: Tokens, unique_ids: npt.ArrayLike, row_of_node: npt.ArrayLike | None = None, pad_to_multiple_of: int = 1
) -> TextBatch:
    """Read the given distinct texts and pad them to the longest of them (rounded up for tensor cores when asked)."""
    ids = np.asarray(unique_ids, dtype=np.int64)
    flat, offsets = store.tokens(ids)
    lengths = np.diff(offsets)
    width = int(lengths.max(initial=0))
    width = -(-width // pad_to_multiple_of) * pad_to_multiple_of
    has_padding = bool(len(ids)) and int(lengths.min()) < width
    if has_padding:
        padded = np.full((len(ids), width), store.pad_id, dtype=np.int64)
        padded[np.arange(width) < lengths[:, None]] = flat
    else:
        padded = flat.astype(np.int64).reshape(len(ids), width)
    rows = np.arange(len(ids)) if row_of_node is None else np.asarray(row_of_node, dtype=np.int64)
    return TextBatch(torch.from_numpy(padded), torch.from_numpy(lengths), torch.from_numpy(rows), has_padding)


def collate_rows(store: Any, rows: npt.ArrayLike, pad_to_multiple_of: int = 1) -> TextBatch:
    """The batch for input rows [N] of a TokenStore: each distinct text once, by id, with all its pieces."""
    unique, row_of_node = np.unique(store.row_of_text[np.asarray(rows, dtype=np.int64)], return_inverse=True)
    pieces, offsets = store.pieces(unique)
    batch = collate(store, pieces, row_of_node, pad_to_multiple_of)
    if len(pieces) == len(unique):
        return batch
    piece_of = np.repeat(np.arange(len(unique)), np.diff(offsets))
    weight = store.weights(pieces)
    weight /= np.add.reduceat(weight, offsets[:-1])[piece_of]
    return replace(batch, piece_of=torch.from_numpy(piece_of), weight=torch.from_numpy(weight))
