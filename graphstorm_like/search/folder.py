"""An index folder: vectors under the user's ids, and what finds the nearest of them.

<folder>/meta.json     kind of search and its options, similarity, where the vectors come from, measured recall, hashes
<folder>/ids.arrow     id: the row's name, as in the user's tables
<folder>/vectors.npy   [n, width] float32; of unit length where the similarity is cosine
<folder>/index.faiss   of ivf and hnsw
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphstorm_like.config.search import ExactSearchConfig, SearchConfig
from graphstorm_like.errors import DataError
from graphstorm_like.files import (
    check_contents,
    check_target,
    content_records,
    fsync_path,
    new_folder,
    read_meta,
    recover_target,
    reserve,
    write_json,
)
from graphstorm_like.search.kinds import INDEXES, Floats, Rows, VectorIndex
from graphstorm_like.search.recall import Recall, measure_recall
from graphstorm_like.search.vectors import Exported, Similarity, list_numbers, normalised

KIND, VERSION = "vector index", 1
IDS, VECTORS, META = "ids.arrow", "vectors.npy", "meta.json"
_KEYS = ("search", "similarity", "rows", "width")


def build_index(
    exported: Exported,
    target: Path,
    config: SearchConfig,
    similarity: Similarity,
    say: Callable[[str], None] = lambda _: None,
) -> Recall | None:
    """Write the index folder `target` of exported vectors; an old index there is replaced at the end.

    Returns the recall that was measured; None for an exact index. Raises DataError, and MissingExtraError without
    faiss where it is needed.
    """
    recover_target(target)
    check_target(target, "-o", "index", META)
    if not exported.rows:
        raise DataError(f"{exported.folder / exported.name}: must hold vectors (got no rows)")
    with new_folder(target) as folder:
        vectors = _write_vectors(exported, folder, similarity == "cosine")
        index = INDEXES.of(config)(config, vectors)
        say(f"index of {len(vectors):,} vectors of {vectors.shape[1]} numbers, {config.type}, {similarity}")
        index.build()
        index.save(folder)
        recall = None if config.is_exact else measure_recall(index, vectors)
        for path in folder.iterdir():
            fsync_path(path)
        meta: dict[str, Any] = {
            "kind": KIND,
            "version": VERSION,
            "search": config.model_dump(mode="json"),
            "similarity": similarity,
            "rows": len(vectors),
            "width": vectors.shape[1],
            "of": exported.name,
            "model": exported.model,
            "recall": None if recall is None else recall.as_json(),
            "files": content_records(folder),
        }
        write_json(folder / META, meta)
    return recall


def _write_vectors(exported: Exported, folder: Path, unit: bool) -> Floats:
    """ids.arrow and vectors.npy, shard by shard; returns the vectors, mapped."""
    vectors: Floats | None = None
    writer: pa.RecordBatchFileWriter | None = None
    start = 0
    try:
        for table in exported.tables():
            name = next((column for column in table.column_names if column != "id"), "")
            numbers = list_numbers(table[name], f"{exported.folder / exported.name}: column '{name}'")
            if vectors is None or writer is None:
                vectors = _new_matrix(folder / VECTORS, exported.rows, numbers.shape[1])
                schema = pa.schema([table.schema.field("id")])
                writer = pa.ipc.new_file(str(folder / IDS), schema)
            vectors[start : start + len(numbers)] = normalised(numbers) if unit else numbers
            writer.write_table(table.select(["id"]))
            start += len(numbers)
    finally:
        if writer is not None:
            writer.close()
    if vectors is None or start != exported.rows:
        raise DataError(f"{exported.folder / exported.name}: must have {exported.rows:,} rows (got {start:,})")
    vectors.flush()  # type: ignore[attr-defined]
    return vectors


def _new_matrix(path: Path, rows: int, width: int) -> Floats:
    """A mapped .npy file [rows, width]; its blocks are taken first, so that a full disk is a message."""
    header = 1024
    reserve(path, header + 4 * rows * width)
    matrix: Floats = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, width))
    return matrix


@dataclass(frozen=True)
class Neighbours:
    """For each query: rows of the index and their scores, best first; -1 and -inf where fewer were found."""

    scores: Floats
    rows: Rows


class IndexFolder:
    """An opened index folder. Raises DataError for one that is damaged or something else."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.meta = read_meta(self.folder, KIND, VERSION, _KEYS)
        check_contents(self.folder, self.meta)
        self.similarity: Similarity = self.meta["similarity"]
        self.vectors: Floats = np.load(self.folder / VECTORS, mmap_mode="r")
        with pa.memory_map(str(self.folder / IDS)) as file:
            self.ids: pa.ChunkedArray = pa.ipc.open_file(file).read_all()["id"]
        config = SearchConfig.family.validate(self.meta["search"]) if SearchConfig.family else None
        assert config is not None
        self.config: SearchConfig = config
        self._index = INDEXES.of(config)(config, self.vectors)
        self._index.load(self.folder)

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return int(self.vectors.shape[1])

    def search(self, queries: Floats, k: int, exact: bool = False) -> Neighbours:
        """The k nearest of queries [q, width]. exact: compare all vectors, whatever kind the index is of."""
        if queries.shape[1] != self.width:
            raise DataError(
                f"{self.folder}: queries must have {self.width} numbers, like its vectors (got {queries.shape[1]})"
            )
        ready = normalised(queries) if self.similarity == "cosine" else queries
        index: VectorIndex = self._index
        if exact and not self.config.is_exact:
            index = INDEXES.of(ExactSearchConfig(type="exact"))(None, self.vectors)
        scores, rows = index.search(np.ascontiguousarray(ready, dtype=np.float32), min(k, len(self.vectors)))
        return Neighbours(scores, rows)

    def rows_of(self, ids: Sequence[Any]) -> Rows:
        """The rows of some ids, [n]. Raises DataError that names those which it lacks."""
        wanted = self._as_ids(ids)
        rows = pc.index_in(wanted, self.ids.combine_chunks())
        missing = wanted.filter(pc.is_null(rows)).to_pylist()
        if missing:
            shown = ", ".join(repr(name) for name in missing[:5])
            more = f" and {len(missing) - 5:,} more" if len(missing) > 5 else ""
            raise DataError(
                f"{self.folder}: ids must be among its {len(self.ids):,} (got {shown}{more}). An example: "
                f"{self.ids[0].as_py()!r}"
            )
        found: Rows = rows.to_numpy().astype(np.int64)
        return found

    def _as_ids(self, ids: Sequence[Any]) -> pa.Array:
        """Ids in the type of the index's; what cannot be converted is a missing one."""
        try:
            return pa.array(ids, from_pandas=True).cast(self.ids.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as err:
            raise DataError(f"{self.folder}: ids must be of type {self.ids.type} (got: {err})") from None

    def nearest_to_ids(self, ids: Sequence[Any], k: int, exact: bool = False) -> pa.Table:
        """Columns query, id, score, rank: the k nearest others of ids in the index."""
        rows = self.rows_of(ids)
        found = self.search(np.asarray(self.vectors[rows], dtype=np.float32), k + 1, exact)
        return self.table(self._as_ids(ids), _without(found, rows, k))

    def table(self, queries: pa.Array, found: Neighbours) -> pa.Table:
        """Columns query, id, score, rank. queries: their names [q]."""
        per_query = found.rows.shape[1]
        listed = np.flatnonzero(found.rows.reshape(-1) >= 0)
        ranks = np.tile(np.arange(1, per_query + 1, dtype=np.int32), len(found.rows))
        return pa.table(
            {
                "query": queries.take(pa.array(listed // max(per_query, 1))),
                "id": self.ids.take(pa.array(found.rows.reshape(-1)[listed])),
                "score": found.scores.reshape(-1)[listed],
                "rank": ranks[listed],
            }
        )


def _without(found: Neighbours, own: Rows, k: int) -> Neighbours:
    """The first k of each line without the line's own row."""
    is_own = found.rows == own[:, None]
    order = np.argsort(is_own, axis=1, kind="stable")[:, :k]
    rows = np.take_along_axis(np.where(is_own, -1, found.rows), order, axis=1)
    scores = np.take_along_axis(np.where(is_own, -np.inf, found.scores), order, axis=1)
    return Neighbours(scores.astype(np.float32), rows)
