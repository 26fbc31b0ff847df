"""The rows of a split that were predicted: labels and predictions, or ranks, beside their places in the graph.

Read from what `infer` and `evaluate` have written, never computed again. A file that does not fit the graph (another
one was made since) is a DataError.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from graphstorm_like.config.base import EdgeType
from graphstorm_like.config.inverses import is_inverse, stored
from graphstorm_like.errors import DataError
from graphstorm_like.graph.schema import SPLITS
from graphstorm_like.graph.store import Graph, IntArray, NodeType, RowType
from graphstorm_like.inference.ranks import RANKS_FOLDER, read_ranks, relation_folder
from graphstorm_like.reports.run_folder import RunFolder

MOST_PROBABILITIES = 50_000_000
"""Rows times classes of which all probabilities are read: 400 MB"""
Measured = Literal["classes", "numbers", "ranks"]


@dataclass(frozen=True, slots=True)
class End:
    """The nodes that rows are about: the nodes themselves, or an end of the edges."""

    role: Literal["node", "source", "target"]
    node_type: NodeType
    ids: IntArray

    @property
    def name(self) -> str:
        """For headings."""
        return self.node_type if self.role == "node" else f"{self.role} {self.node_type}"


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """n rows of one split. rows: node or edge ids; true, predicted: classes by position, or numbers; None for links,
    which have ranks."""

    row_type: RowType
    measured: Measured
    rows: IntArray
    ends: list[End]
    true: npt.NDArray[Any] | None = None
    predicted: npt.NDArray[Any] | None = None
    confidence: npt.NDArray[np.float64] | None = None
    probabilities: npt.NDArray[np.float32] | None = None
    """[n, classes]; None: too many"""
    ranks: npt.NDArray[np.float64] | None = None
    candidates: npt.NDArray[np.float64] | None = None
    """[n]: of links, how many each true answer was ranked among"""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def outputs(self) -> npt.NDArray[Any] | None:
        """What metrics take: probabilities, numbers or ranks; None: probabilities that were too many to read."""
        return {"classes": self.probabilities, "numbers": self.predicted, "ranks": self.ranks}[self.measured]

    @property
    def labels(self) -> npt.NDArray[Any]:
        """What metrics compare them with."""
        labels = self.candidates if self.true is None else self.true
        assert labels is not None, "links have candidates"
        return labels


def shards(folder: RunFolder, table: str) -> list[Path]:
    """Files of an exported table, in the order of their rows."""
    tables = folder.exported().get("tables", {})
    return [folder.stage("infer") / shard["file"] for shard in tables.get(table, {}).get("shards", [])]


# -------------------------------------------------------------------------------------------------- labels


def labelled_rows(folder: RunFolder, graph: Graph, row_type: RowType) -> dict[str, ScoredRows]:
    """By split: rows of valid and test that have a label and a prediction. Empty when no predictions were written,
    and of labels of several classes."""
    files = shards(folder, "predictions")
    if not files:
        return {}
    schema = pq.read_schema(files[0])
    columns = schema.names
    if not {"prediction", "label", "split"} <= set(columns) or pa.types.is_list(schema.field("label").type):
        return {}  # of several classes a row there is no confusion of two
    classes = list(folder.exported().get("classes", []))
    found = {}
    for split in ("valid", "test"):
        pieces = list(_pieces(files, split, classes, columns))
        if pieces and sum(len(piece[0]) for piece in pieces):
            found[split] = _together(graph, row_type, pieces, classes)
    return found


Piece = tuple[IntArray, pa.Table]


def _pieces(files: Sequence[Path], split: str, classes: Sequence[str], columns: Sequence[str]) -> Iterator[Piece]:
    """(rows, columns) of the split, file by file."""
    keys = [name for name in ("id", "source", "target") if name in columns]
    wanted = [*keys, "prediction", "label", "split"] + ["probability"] * bool(classes)
    start, chosen = 0, []
    for file in files:
        table = pq.read_table(file, columns=wanted)
        keep = pc.and_(pc.equal(table["split"], split), pc.is_valid(table["label"]))
        rows = np.flatnonzero(keep.to_numpy())
        chosen.append((file, start, rows, table.take(pa.array(rows))))
        start += len(table)
    small = sum(len(rows) for _, _, rows, _ in chosen) * len(classes) <= MOST_PROBABILITIES
    for file, begin, rows, table in chosen:
        taken = table
        if classes and small and "probabilities" in columns:
            values = pq.read_table(file, columns=["probabilities"])["probabilities"]
            taken = table.append_column("probabilities", values.take(pa.array(rows)))
        yield begin + rows, taken


def _together(graph: Graph, row_type: RowType, pieces: list[Piece], classes: Sequence[str]) -> ScoredRows:
    rows = np.concatenate([piece[0] for piece in pieces])
    table = pa.concat_tables([piece[1] for piece in pieces])
    ends = _ends(graph, row_type, rows, table)
    if not classes:
        true, predicted = (table[name].to_numpy().astype(np.float64) for name in ("label", "prediction"))
        return ScoredRows(row_type, "numbers", rows, ends, true, predicted)
    names = pa.array(list(classes), pa.string())
    true, predicted = (
        pc.index_in(table[name], value_set=names).to_numpy().astype(np.int64) for name in ("label", "prediction")
    )
    probabilities = None
    if "probabilities" in table.column_names:
        struct = table["probabilities"].combine_chunks()
        probabilities = np.stack([part.to_numpy(zero_copy_only=False) for part in struct.flatten()], axis=1)
    confidence = table["probability"].to_numpy().astype(np.float64)
    return ScoredRows(row_type, "classes", rows, ends, true, predicted, confidence, probabilities)


def _ends(graph: Graph, row_type: RowType, rows: IntArray, table: pa.Table) -> list[End]:
    """The nodes of the rows; DataError unless their ids are those that the table has."""
    if isinstance(row_type, str):
        known = {"id": End("node", row_type, rows)}
        count = graph.manifest.node(row_type).count
    else:
        count = graph.manifest.edge(row_type).count
    if len(rows) and rows.max() >= count:
        raise _other_graph(graph)
    if not isinstance(row_type, str):
        source, target = graph.edges(row_type, rows)
        known = {"source": End("source", row_type[0], source), "target": End("target", row_type[2], target)}
    for column, end in known.items():
        if column not in table.column_names or not _same_ids(table[column], graph.ids_of(end.node_type, end.ids)):
            raise _other_graph(graph)
    return list(known.values())


def _same_ids(written: pa.ChunkedArray, ids: pa.Array) -> bool:
    return bool(written.combine_chunks().cast(ids.type).equals(ids))


def _other_graph(graph: Graph) -> DataError:
    return DataError(
        f"{graph.folder}: must be the graph that the predictions are of (got another one). Run: gsl infer --fresh"
    )


# --------------------------------------------------------------------------------------------------- links


def ranked_rows(folder: RunFolder, graph: Graph, edge_type: EdgeType) -> dict[str, ScoredRows]:
    """By split: the scored edges of a type and the ranks of their targets; of an inverse relation, of their sources.
    Empty when none were written."""
    source_type, _, target_type = stored(edge_type)
    found = {}
    for split in SPLITS[2:]:
        place = folder.stage("evaluate") / RANKS_FOLDER / split / relation_folder(edge_type)
        files = sorted(place.glob("*.parquet"))
        if not files:
            continue
        table = pa.concat_tables([pq.read_table(file) for file in files])
        ends = [
            End("source", source_type, positions(graph, source_type, table["source"])),
            End("target", target_type, positions(graph, target_type, table["target"])),
        ]
        if is_inverse(edge_type):
            ends.reverse()  # the known end first, the one that was ranked last
        ranks = read_ranks(files)
        if len(ranks):
            rows = np.arange(len(ranks))
            found[split] = ScoredRows(edge_type, "ranks", rows, ends, ranks=ranks.rank, candidates=ranks.candidates)
    return found


def positions(graph: Graph, node_type: NodeType, ids: pa.ChunkedArray) -> IntArray:
    """Return the places of the user's ids [n]; DataError when the graph lacks one."""
    known = graph.ids(node_type)
    places = pc.index_in(ids.cast(known.type), value_set=known)
    if places.null_count:
        raise _other_graph(graph)
    found: IntArray = places.to_numpy().astype(np.int64)
    return found
