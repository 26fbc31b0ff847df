"""Writes a file of a graph folder again, with columns added, replaced or left out. Its other columns are mapped."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from gconstruct.opened import open_file
from gconstruct.write import write_columns


def rewrite(path: Path, columns: Mapping[str, np.ndarray | pa.Array], without: Collection[str] = ()) -> int:
    """columns: the new ones, by name; those that the file has already are replaced. Returns by how many bytes the file
    grew. A crash leaves the old file, or the new one."""
    batch = open_file(path)
    before, new = path.stat().st_size, path.with_suffix(".new")
    kept = {name: column for name, column in zip(batch.schema.names, batch.columns, strict=True) if name not in without}
    size = write_columns(new, {**kept, **columns})
    del batch, kept
    os.replace(new, path)
    return size - before
