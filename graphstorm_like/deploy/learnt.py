"""What a model has learnt of single nodes: rows of embeddings, found again by the nodes' ids."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from graphstorm_like.errors import DataError
from graphstorm_like.inputs.node_embeddings import NodeEmbeddings
from graphstorm_like.inputs.rank_rows import read_rows

Unknown = Literal["refuse", "mean", "zero"]
"""What a node without a learnt vector gets: an error, the mean of the learnt vectors, or zeros."""


class LearntRows:
    """Learnt vectors [n, width] of the nodes of one type, and the ids that they belong to."""

    def __init__(self, folder: Path, node_type: str, place: Mapping[str, Any], width: int) -> None:
        self.node_type = node_type
        self.ids: pa.Array = pq.read_table(folder / place["ids"]).column("id").combine_chunks()
        self.rows = torch.zeros(int(place["rows"]), width)
        stem, what = f"embedding-{place['number']}", f"embeddings of {node_type}"
        read_rows(folder, stem, (0, len(self.rows)), {"rows": self.rows}, what)

    def fill(self, table: NodeEmbeddings, ids: pa.Array, unknown: Unknown) -> int:
        """Give the nodes with these ids their vectors; returns for how many `unknown` decided. Raises DataError when it
        refuses them."""
        rows = pc.index_in(same_type(ids, self.ids), value_set=self.ids)
        known = pc.is_valid(rows).to_numpy(zero_copy_only=False)
        missing = np.flatnonzero(~known)
        if len(missing) and unknown == "refuse":
            examples = ", ".join(repr(value) for value in ids.take(pa.array(missing[:3])).to_pylist())
            raise DataError(
                f"{self.node_type}: nodes must be those that the model has learnt vectors of, since it reads nothing "
                f"else of them (got {len(missing):,} of {len(ids):,} that it does not know, e.g. {examples}). Give "
                f"them the mean of the learnt vectors, --unknown mean, or zeros, --unknown zero"
            )
        own = torch.from_numpy(table.table.own)
        stand_in = self.rows.mean(dim=0) if unknown == "mean" and len(self.rows) else torch.zeros(own.shape[1])
        own[torch.from_numpy(missing)] = stand_in
        at = np.flatnonzero(known)
        own[torch.from_numpy(at)] = self.rows[torch.from_numpy(pc.drop_null(rows).to_numpy().astype(np.int64))]
        return len(missing)


def same_type(ids: pa.Array, like: pa.Array) -> pa.Array:
    """Ids in the type of other ids; those that cannot be are null."""
    if ids.type == like.type:
        return ids
    if pa.types.is_integer(like.type):
        return pa.array([_integer(value) for value in ids.to_pylist()], like.type)
    return pc.cast(ids, like.type)


def _integer(value: Any) -> int | None:
    """Of a string in the form that Python writes integers in."""
    text = str(value)
    digits = text.removeprefix("-")
    is_plain = digits.isascii() and digits.isdigit() and str(int(digits)) == digits
    return int(text) if is_plain and -(2**63) <= int(text) < 2**63 else None
