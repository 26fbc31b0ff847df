"""Result tables as files: Parquet, CSV, or NumPy arrays; one function a format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq


def write_parquet(table: pa.Table, stem: Path) -> list[Path]:
    """stem.parquet"""
    path = stem.with_name(f"{stem.name}.parquet")
    pq.write_table(table, path, compression="zstd", compression_level=1)
    return [path]


def write_csv(table: pa.Table, stem: Path) -> list[Path]:
    """stem.csv: a column for each number of a vector, `embedding.0`, and for each part of a structure,
    `probabilities.CLASS`."""
    path = stem.with_name(f"{stem.name}.csv")
    columns: dict[str, pa.Array] = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        if pa.types.is_fixed_size_list(field.type):
            numbers = _matrix(column.combine_chunks(), field.type)
            columns |= {
                f"{field.name}.{i}": pa.array(numbers[:, i].astype(np.float32)) for i in range(numbers.shape[1])
            }
        elif pa.types.is_struct(field.type):
            parts = column.combine_chunks().flatten()
            columns |= {f"{field.name}.{part.name}": of for part, of in zip(field.type, parts, strict=True)}
        else:
            columns[field.name] = column
    pa_csv.write_csv(pa.table(columns), path)
    return [path]


def write_npy(table: pa.Table, stem: Path) -> list[Path]:
    """stem.COLUMN.npy for each column: numbers, strings, or a row of numbers for each vector and structure. Nulls are
    NaN, of strings the empty one."""
    paths = []
    for field, column in zip(table.schema, table.columns, strict=True):
        path = stem.with_name(f"{stem.name}.{field.name}.npy")
        np.save(path, _array(column.combine_chunks(), field.type), allow_pickle=False)
        paths.append(path)
    return paths


def _array(column: pa.Array, kind: pa.DataType) -> npt.NDArray[Any]:
    if pa.types.is_fixed_size_list(kind):
        return _matrix(column, kind)
    if pa.types.is_struct(kind):
        parts = [part.to_numpy(zero_copy_only=False) for part in column.flatten()]
        return np.stack(parts, axis=1) if parts else np.empty((len(column), 0), dtype=np.float32)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.array(pc.fill_null(column, "").to_pylist(), dtype=np.str_)
    values: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values


def _matrix(column: pa.Array, kind: pa.DataType) -> npt.NDArray[Any]:
    numbers: npt.NDArray[Any] = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), kind.list_size)
    return numbers


FORMATS: dict[str, Callable[[pa.Table, Path], list[Path]]] = {
    "parquet": write_parquet,
    "csv": write_csv,
    "npy": write_npy,
}
