"""Rows of tables in resume points and saved models: one file per rank, which any number of ranks can read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from safetensors import SafetensorError, safe_open
from torch import Tensor

from graphstorm_like.errors import DamagedFileError, TrainingError


class RankRows(Protocol):
    """A table whose own rows each rank saves and loads."""

    @property
    def file(self) -> str | None:
        """Name of this rank's file; None when it has no rows."""
        ...

    def state(self, moments: bool) -> dict[str, Tensor]:
        """The tensors to save. moments: whether to include those that only training needs."""
        ...

    def load(self, folder: Path) -> None:
        """Read this rank's rows from the files in a folder, whichever ranks wrote them. TrainingError when some are
        missing or have another shape. Other ranks see them after a barrier."""
        ...


def row_file(stem: str, start: int, stop: int) -> str | None:
    """Name of the file of rows start..stop - 1; None without rows, for another rank's rows may have the same start."""
    return f"{stem}-{start:012d}.safetensors" if start < stop else None


def row_files(tables: Sequence[RankRows], moments: bool) -> dict[str, dict[str, Tensor]]:
    """This rank's files of tables, by name."""
    return {table.file: table.state(moments) for table in tables if table.file is not None}


def read_rows(
    folder: Path,
    stem: str,
    bounds: tuple[int, int],
    targets: Mapping[str, Tensor],
    what: str,
    others: Sequence[str] = (),
) -> dict[str, list[Tensor]]:
    """Fill targets [stop - start, ...], by name, with rows start..stop - 1 (`bounds`) of the files' tensors. The first
    target must be complete; files may lack rows of the others. Returns the tensors named in `others`, of each file that
    has them."""
    start, stop = bounds
    rows_read, other_tensors = 0, {name: list[Tensor]() for name in others}
    for path in sorted(folder.glob(f"{stem}-*.safetensors")):
        try:
            with safe_open(path, framework="pt") as file:
                names = set(file.keys())
                for name in names & set(others):
                    other_tensors[name].append(file.get_tensor(name))
                for i, (name, target) in enumerate(targets.items()):
                    if name not in names:
                        continue
                    rows, first = file.get_slice(name), int(path.stem.rpartition("-")[2])
                    count, *width = map(int, rows.get_shape())
                    if width != list(target.shape[1:]):
                        raise TrainingError(
                            f"{path}: must have rows of {math.prod(target.shape[1:])} numbers (got {math.prod(width)})"
                        )
                    low, high = max(first, start), min(first + count, stop)
                    if low < high:
                        target[low - start : high - start] = rows[low - first : high - first]
                        rows_read += high - low if i == 0 else 0
        except (OSError, SafetensorError) as err:
            raise DamagedFileError(f"{path}: must be a whole safetensors file ({err})") from err
    if targets and rows_read != stop - start:
        raise DamagedFileError(
            f"{folder}: must hold {what}, rows {start:,} to {stop:,} (found {rows_read:,}). Train again with --fresh"
        )
    return other_tensors
