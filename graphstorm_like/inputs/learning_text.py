"""Vectors of a text column while its language model is in training.

FreshVectors: rows are computed again when they are read after the weights have changed, and each text once for the same
weights. For training and validation of a language model alone. AgingVectors: stored float16 rows, each with the step in
which it was computed, are read as they are. For end-to-end training, where `refresh_steps` bounds their age.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphstorm_like.graph.partitioned_graph import PartitionedGraph
from graphstorm_like.graph.store import IntArray, RowType, type_name
from graphstorm_like.inputs.rank_rows import read_rows, row_file
from graphstorm_like.inputs.shared_tokens import SharedTokens
from graphstorm_like.pending import Pending
from graphstorm_like.ranks.group import SINGLE_PROCESS, Group
from graphstorm_like.ranks.tables import HostRows, rank_bounds
from graphstorm_like.text.cache import Vectors, from_pieces
from graphstorm_like.text.embed import embed_texts
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.text.tokens import ROW_OF_TEXT, Fetched, TextTokens, TokenSource, TokenStore

NEVER = -1
CHUNK = 1 << 16
"""Rows that are computed at a time."""


def _compute(encoder: TextEncoder, tokens: TextTokens, pieces: IntArray, autocast: bool) -> Vectors:
    """[n, D] vectors of some pieces with the current weights."""
    training = encoder.training
    with torch.autocast(encoder.device.type, torch.bfloat16, enabled=autocast):
        vectors = embed_texts(encoder, tokens, pieces)
    encoder.train(training)
    return vectors


class FreshVectors:
    """A FeatureSource that computes the rows it is asked for, and keeps them until the weights change."""

    def __init__(self, encoder: TextEncoder, tokens: TokenSource, autocast: bool) -> None:
        self.tokens, self.width, self.now = tokens, encoder.dim, 0
        self._encoder, self._autocast = encoder, autocast
        self._slots: dict[int, int] = {}
        self._vectors = np.zeros((0, encoder.dim), dtype=np.float16)

    def at(self, now: int) -> None:
        """now: optimizer steps done. A new number means new weights, and empties the table."""
        if now != self.now:
            self._slots, self._vectors = {}, self._vectors[:0].copy()
            self.now = now

    def rows(self, ids: IntArray) -> npt.NDArray[np.floating[Any]]:
        """[N, D] float16 rows of nodes or edges."""
        fetched = self.tokens.begin_fetch(ids).wait()
        slots = np.array([self._slots.get(piece, -1) for piece in fetched.pieces.tolist()], dtype=np.int64)
        missing = np.flatnonzero(slots < 0)
        if len(missing):
            slots[missing] = np.arange(len(self._slots), len(self._slots) + len(missing))
            if (size := len(self._slots) + len(missing)) > len(self._vectors):
                grown = np.zeros((max(size, 2 * len(self._vectors)), self.width), dtype=np.float16)
                grown[: len(self._slots)] = self._vectors[: len(self._slots)]
                self._vectors = grown
            self._vectors[slots[missing]] = _compute(self._encoder, fetched.tokens, missing, self._autocast)
            self._slots.update(zip(fetched.pieces[missing].tolist(), slots[missing].tolist(), strict=True))
        texts = fetched.tokens.row_of_text
        return from_pieces(fetched.tokens, self._vectors[slots], texts, self._encoder.normalize)

    def begin_rows(self, ids: IntArray) -> Pending[npt.NDArray[np.floating[Any]]]:
        """See FeatureSource."""
        return Pending(partial(self.rows, ids))


@dataclass(frozen=True, slots=True)
class TablePlace:
    """Where a table of a job is stored. number: the table's number within its phase, which names its files; name: its
    name in shared memory, unique in the job; graph: the graph whose servers serve it."""

    number: int = 0
    name: str = "aging"
    row_type: RowType = ""
    graph: PartitionedGraph | None = None
    group: Group = SINGLE_PROCESS
    shm: Path | None = None


class AgingVectors:
    """A FeatureSource and RankRows: rows of U distinct texts, or pieces of texts. Each host has one copy of the rows of
    its own texts. All ranks read them; once per step they send new rows to the ranks that own them.

    start: [U of the host, D] float16, the first values of the rows.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        tokens: TokenStore | SharedTokens,
        autocast: bool,
        start: Vectors,
        place: TablePlace = TablePlace(),
    ) -> None:
        self.tokens, self.width, self.now = tokens, start.shape[1], 0
        self._encoder, self._autocast, self._place = encoder, autocast, place
        group = place.group
        cuts = tokens.piece_starts if isinstance(tokens, SharedTokens) else np.array([0, len(tokens)])
        self._own_tokens = tokens.own if isinstance(tokens, SharedTokens) else tokens
        self._bounds = rank_bounds(cuts, group)
        self._host_start = int(cuts[group.host if len(cuts) > 2 else 0])
        self.start, self.stop = int(self._bounds[group.rank]), int(self._bounds[group.rank + 1])
        folders = [self._own_tokens.key] if group.hosts == 1 else group.collect(self._own_tokens.key, "token stores")
        self.numbering = blake2b(repr(folders[:: group.local_size]).encode(), digest_size=16).digest()
        """Identifies the token stores that number the rows: in a resume point they may be those of other hosts."""
        index = (str(self._own_tokens.folder / ROW_OF_TEXT), self._own_tokens.row_of_text.dtype.str)
        shape = (len(start), self.width)
        where = f"{type_name(place.row_type)}:{place.name}"
        self._vectors = HostRows(group, place.shm, where, shape, "<f2", index)
        self._computed = HostRows(group, place.shm, f"{where}:computed", (len(start), 1), "<i8", index)
        own = slice(self.start - self._host_start, self.stop - self._host_start)
        self.own, self.own_computed = self._vectors.values[own], self._computed.values[own, 0]
        """This rank's rows, and for each the number of optimizer steps done when it was computed, or NEVER."""
        self.own[:] = start[own]
        self._read = (0, 0)
        self._put: list[tuple[IntArray, Tensor]] = []
        self._is_foreign = False
        group.barrier("first vectors of texts")

    # -- reading -------------------------------------------------------------------------------------------------

    def begin_rows(self, ids: IntArray) -> Pending[npt.NDArray[np.floating[Any]]]:
        """See FeatureSource."""
        if isinstance(self.tokens, TokenStore):
            return Pending(partial(self._rows_here, self.tokens, ids))
        graph, row_type = self._place.graph, self._place.row_type
        assert graph is not None
        vectors = graph.begin_shared(row_type, self._place.name, ids)
        computed = graph.begin_shared(row_type, f"{self._place.name}:computed", ids)

        def receive() -> npt.NDArray[np.floating[Any]]:
            rows: npt.NDArray[np.float16] = vectors.wait()
            self._note_ages(computed.wait()[:, 0])
            return rows

        return Pending(receive)

    def rows(self, ids: IntArray) -> npt.NDArray[np.floating[Any]]:
        """[N, D] float16 rows of nodes or edges."""
        return self.begin_rows(ids).wait()

    def _rows_here(self, tokens: TokenStore, ids: IntArray) -> npt.NDArray[np.floating[Any]]:
        texts = np.asarray(tokens.row_of_text[ids], dtype=np.int64)
        self._note_ages(self._computed.values[tokens.pieces(texts)[0], 0])
        return from_pieces(tokens, self._vectors.values, texts, self._encoder.normalize)

    def _note_ages(self, computed: IntArray) -> None:
        self._read = (self._read[0] + int((self.now - computed).sum()), self._read[1] + len(computed))

    def ages_read(self) -> tuple[int, int]:
        """(sum of ages in steps, number) of the rows read since the last call."""
        ages, self._read = self._read, (0, 0)
        return ages

    # -- writing: only between steps, when no rank reads -----------------------------------------------------------

    def put(self, pieces: IntArray, vectors: Tensor) -> None:
        """Keep rows [n, D] of any pieces [n], computed with the current weights, until the end of the step."""
        self._put.append((pieces, vectors.detach().cpu().half()))

    def stepped(self, now: int, refresh_steps: int | None) -> None:
        """After an optimizer step; all ranks together. now: optimizer steps done. Writes the rows that were put; of
        several versions of a row, the first rank's. refresh_steps: recompute the next part of the table, so that no row
        gets older than this."""
        self._deliver()
        self.now = now
        if refresh_steps is not None:
            size, turn = self.stop - self.start, now % refresh_steps
            self._refresh(np.arange(size * turn // refresh_steps, size * (turn + 1) // refresh_steps))
        self._place.group.barrier("vectors of texts")

    def refresh_all(self) -> None:
        """Recompute every row that was computed with other weights; all ranks together."""
        self._refresh(np.flatnonzero(self.own_computed != self.now))
        self._place.group.barrier("vectors of all texts")

    def at(self, now: int) -> None:
        """now: optimizer steps done; all ranks together. Rows that the resume point lacked are computed."""
        self.now = now
        if self._is_foreign:
            self._is_foreign = False
            self.refresh_all()

    def _deliver(self) -> None:
        group = self._place.group
        pieces = torch.from_numpy(np.concatenate([np.zeros(0, dtype=np.int64), *(p for p, _ in self._put)]))
        rows = torch.cat([torch.zeros(0, self.width, dtype=torch.float16), *(v for _, v in self._put)])
        self._put.clear()
        if group.size > 1:
            pieces, order = torch.sort(pieces, stable=True)
            counts = torch.searchsorted(pieces, torch.from_numpy(self._bounds)).diff().tolist()
            sent = group.exchange(rows[order].view(torch.uint8), counts, "vectors of texts")
            pieces, rows = group.exchange(pieces, counts, "vectors of texts"), sent.view(torch.float16)
        distinct, first = np.unique(pieces.numpy(), return_index=True)
        self._write(distinct - self.start, rows.numpy()[first])

    def _refresh(self, own: IntArray) -> None:
        for i in range(0, len(own), CHUNK):
            chunk = own[i : i + CHUNK]
            pieces = chunk + (self.start - self._host_start)
            self._write(chunk, _compute(self._encoder, self._own_tokens, pieces, self._autocast))

    def _write(self, own: IntArray, rows: Vectors) -> None:
        self.own[own] = rows
        self.own_computed[own] = self.now

    # -- on disk: see RankRows -----------------------------------------------------------------------------------

    @property
    def _stem(self) -> str:
        return f"vectors-{self._place.number}"

    @property
    def file(self) -> str | None:
        """See RankRows."""
        return row_file(self._stem, self.start, self.stop)

    def state(self, moments: bool) -> dict[str, Tensor]:
        """See RankRows. All of it is for training only."""
        numbering = torch.frombuffer(bytearray(self.numbering), dtype=torch.uint8)
        own = {"vectors": torch.from_numpy(self.own), "computed": torch.from_numpy(self.own_computed)}
        return own | {"numbering": numbering}

    def load(self, folder: Path) -> None:
        """See RankRows. When the texts were numbered differently (on another number of hosts), `at` computes all
        rows."""
        stem, what = self._stem, "vectors of texts"
        numberings = read_rows(folder, stem, (0, 0), {}, what, ["numbering"])["numbering"]
        self._is_foreign = any(numbering.numpy().tobytes() != self.numbering for numbering in numberings)
        if self._is_foreign:
            self.own_computed[:] = NEVER
        else:
            targets = {"vectors": torch.from_numpy(self.own), "computed": torch.from_numpy(self.own_computed)}
            read_rows(folder, stem, (self.start, self.stop), targets, what)


@dataclass(frozen=True, slots=True)
class ReorderedTokens:
    """A TokenSource under other ids. order [N]: the original id of each new id."""

    tokens: TokenSource
    order: IntArray

    def begin_lengths(self, rows: IntArray) -> Pending[IntArray]:
        """See TokenSource."""
        return self.tokens.begin_lengths(self.order[rows])

    def begin_fetch(self, rows: IntArray) -> Pending[Fetched]:
        """See TokenSource."""
        return self.tokens.begin_fetch(self.order[rows])


class ReorderedVectors:
    """Rows and tokens of an AgingVectors under other ids: reverse edges have the texts of their originals.

    order [N]: the original id of each new id.
    """

    def __init__(self, table: AgingVectors, order: IntArray) -> None:
        self.table, self.width, self.tokens = table, table.width, ReorderedTokens(table.tokens, order)
        self._order = order

    def begin_rows(self, ids: IntArray) -> Pending[npt.NDArray[np.floating[Any]]]:
        """See FeatureSource."""
        return self.table.begin_rows(self._order[ids])

    def rows(self, ids: IntArray) -> npt.NDArray[np.floating[Any]]:
        """[N, D] float16 rows."""
        return self.begin_rows(ids).wait()

    def put(self, pieces: IntArray, vectors: Tensor) -> None:
        """See AgingVectors."""
        self.table.put(pieces, vectors)


VectorTable = FreshVectors | AgingVectors | ReorderedVectors
