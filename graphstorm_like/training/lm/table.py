"""Vectors of a text column while its language model learns: float16 rows, each with the step that computed it.

exact: a row that is read is first computed anew if the weights have moved since (validation of an LM; no row twice
for the same weights). Otherwise rows are read as they are: training end to end, where `refresh` bounds their age.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from graphstorm_like.graph.store import IntArray
from graphstorm_like.text.cache import embed_texts, from_pieces
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.tokens import TokenStore
from graphstorm_like.training.distributed import group

NEVER = -1


class VectorTable(nn.Module):
    """A FeatureSource over U distinct texts, or pieces of texts; part of the checkpoint unless it is exact."""

    vectors: Tensor
    """float16 [U, D]"""
    computed: Tensor
    """int64 [U]: the optimizer step before which a row was computed, or NEVER."""

    def __init__(
        self,
        encoder: TextEncoder,
        store: TokenStore,
        autocast: bool,
        start: npt.NDArray[np.float16] | None = None,
        batch_tokens: int | None = None,
    ) -> None:
        super().__init__()
        # Not registered: the encoder is a module of its own elsewhere.
        self._encoder = (encoder,)
        self.store, self.autocast, self.exact, self.batch_tokens = store, autocast, start is None, batch_tokens
        self._read = (0, 0)
        self._written: list[Tensor] = []
        self.group = group()
        self.now = 0
        """Optimizer steps done: weights with another number are other weights."""
        if start is None:
            vectors, computed = torch.zeros(len(store), encoder.dim, dtype=torch.float16), NEVER
        else:
            vectors, computed = torch.from_numpy(np.array(start)), 0
        self.register_buffer("vectors", vectors, persistent=not self.exact)
        self.register_buffer("computed", torch.full((len(store),), computed), persistent=not self.exact)

    @property
    def width(self) -> int:
        """D"""
        return self.vectors.shape[1]

    def rows(self, ids: IntArray) -> npt.NDArray[np.floating[Any]]:
        """[N, D] float16 rows of nodes."""
        texts = np.asarray(self.store.row_of_text[ids], dtype=np.int64)
        pieces, _ = self.store.pieces(texts)
        if self.exact:
            distinct = np.unique(pieces)
            self.compute(distinct[self.computed.numpy()[distinct] != self.now])
        ages = self.now - self.computed.numpy()[pieces]
        self._read = (self._read[0] + int(ages.sum()), self._read[1] + len(ages))
        return from_pieces(self.store, self.vectors.numpy(), texts, self._encoder[0].normalize)

    def begin_rows(self, ids: IntArray) -> Callable[[], npt.NDArray[np.floating[Any]]]:
        """See FeatureSource."""
        return partial(self.rows, ids)

    def compute(self, unique: IntArray) -> None:
        """Compute rows with the present weights."""
        if not len(unique):
            return
        encoder = self._encoder[0]
        training = encoder.training
        with torch.autocast(encoder.device.type, torch.bfloat16, enabled=self.autocast):
            vectors = embed_texts(encoder, self.store, unique, self.batch_tokens)
        encoder.train(training)
        self.write(unique, torch.from_numpy(vectors))

    def write(self, unique: IntArray, vectors: Tensor) -> None:
        """Put rows [n, D] in that the present weights gave."""
        at = torch.from_numpy(unique)
        self.vectors[at] = vectors.detach().cpu().to(self.vectors.dtype)
        self.computed[at] = self.now
        if self._shared:
            self._written.append(at)

    def refresh(self, steps: int) -> None:
        """Compute the next 1/steps of the table; done every step, no row is older than `steps`."""
        size = len(self.store)
        first, last = (size * (self.now % steps)) // steps, (size * (self.now % steps + 1)) // steps
        self.compute(self.group.mine(np.arange(first, last)))

    def refresh_all(self) -> None:
        """Compute every row that other weights gave."""
        self.compute(self.group.mine(np.flatnonzero(self.computed.numpy() != self.now)))
        self.synchronize()

    def synchronize(self) -> None:
        """Rows that any rank has written since the last call are written on all of them, so that every rank's table is
        alike: of several versions the newest, of equally new ones the first rank's. A table that is exact is each
        rank's own: it holds what this rank was asked for."""
        if not self._shared:
            return
        mine = torch.unique(torch.cat([torch.zeros(0, dtype=torch.int64), *self._written]))
        self._written.clear()
        facts = self.group.gather(torch.stack([mine, self.computed[mine]], dim=1), "vectors of texts").numpy()
        rows = self.group.gather(self.vectors[mine].view(torch.uint8), "vectors of texts").view(torch.float16)
        newest = np.lexsort((-facts[:, 1], facts[:, 0]))  # stable
        ids, first = np.unique(facts[newest, 0], return_index=True)
        self.vectors[torch.from_numpy(ids)] = rows[torch.from_numpy(newest[first])]
        self.computed[torch.from_numpy(ids)] = torch.from_numpy(facts[newest[first], 1])

    @property
    def _shared(self) -> bool:
        return self.group.size > 1 and not self.exact

    def ages_read(self) -> tuple[int, int]:
        """(sum of ages in steps, number) of the rows read since the last call."""
        found, self._read = self._read, (0, 0)
        return found
