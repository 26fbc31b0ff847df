"""Spooled edges -> the files of an edge type and of its reverse: sorted rows, and index pointers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from gconstruct.csc import position_dtype
from gconstruct.engines.arrow.edges import EdgeRows
from gconstruct.engines.arrow.nodes import Nodes
from gconstruct.engines.arrow.work import Work
from gconstruct.spill.edge_sort import End, Pointers
from graphstorm_like.graph.schema import SOURCE_COLUMN, TARGET_COLUMN, indptr_file


def write_sorted(rows: EdgeRows, ends: tuple[Nodes, Nodes], files: list[str], work: Work) -> int:
    """Write the edge type, and its reverse when there are two files, at the same time; returns the number of repeated
    edges."""
    rows.spool.close()

    def write(number: int) -> int:
        return _write_one(rows, files[number], ends[:: -1 if number else 1], bool(number), work)

    with ThreadPoolExecutor(min(work.threads, len(files))) as pool:
        repeated = list(pool.map(write, range(len(files))))
    rows.spool.delete()
    return repeated[0]


def _write_one(rows: EdgeRows, file: str, ends: tuple[Nodes, ...], is_reverse: bool, work: Work) -> int:
    source, target = (End(nodes.ids.count, nodes.ids.positions) for nodes in ends)
    dtype = position_dtype(source.count, target.count)
    edges, index, pointers = work.writer(file), work.writer(indptr_file(file)), Pointers(target.count)
    edges.append({SOURCE_COLUMN: np.empty(0, dtype), TARGET_COLUMN: np.empty(0, dtype), **rows.nothing})
    for piece in rows.spool.sorted(is_reverse, (source, target)):
        edges.append({SOURCE_COLUMN: piece.source, TARGET_COLUMN: piece.target, **piece.attributes})
        for part in pointers.add(piece):
            index.append({"indptr": part})
    for part in pointers.finish():
        index.append({"indptr": part})
    work.finish(edges)
    work.finish(index)
    return pointers.repeated
