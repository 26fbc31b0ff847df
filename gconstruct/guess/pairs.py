"""Edge tables that repeat the edges which are to be predicted: they would give the answers away."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gconstruct.guess.facts import TableFacts
from gconstruct.guess.keys import MOST
from gconstruct.guess.measure import ROWS
from gconstruct.guess.shape import EdgeGuess, Shape
from gconstruct.guess.sketch import Sketch
from gconstruct.hashing import hash_strings

_MIX = np.uint64(0x9E3779B97F4A7C15)


def repeating_edges(shape: Shape, target: EdgeGuess) -> dict[int, str]:
    """Edge types between the same node types of which most pairs are among the target's, or the other way round:
    position in `shape.edges` -> why. Pairs are compared whichever way they point."""
    ends = {target.source.node_type, target.target.node_type}
    others = [
        (number, edge) for number, edge in enumerate(shape.edges)
        if edge is not target and {edge.source.node_type, edge.target.node_type} == ends
    ]  # fmt: skip
    if not others:
        return {}
    own = _pairs(shape.tables[target.table], target, target.source.node_type)
    found = {}
    for number, edge in others:
        theirs = _pairs(shape.tables[edge.table], edge, target.source.node_type)
        share = max(theirs.share_in(own), own.share_in(theirs))
        if share >= MOST:
            found[number] = f"{share:.0%} of its pairs are pairs of {target.relation}, or the other way round"
    return found


def _pairs(table: TableFacts, edge: EdgeGuess, first_type: str) -> Sketch:
    """Hashes of the pairs of ids, those of `first_type` first; between nodes of one type, without a direction."""
    ends = [edge.source, edge.target]
    if edge.source.node_type != first_type:
        ends.reverse()
    same_type = edge.source.node_type == edge.target.node_type
    sketch, seen = Sketch(), 0
    for piece in table.source.batches([end.column for end in ends]):
        one, two = (hash_strings(_text(piece.column(end.column))) for end in ends)
        sketch.add(one ^ two if same_type else (one * _MIX) ^ two)
        seen += piece.num_rows
        if seen >= ROWS:
            break
    return sketch


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    return pc.cast(column, pa.large_string())
