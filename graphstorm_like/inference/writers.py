"""Results as shards of files keyed by the user's own ids, with a manifest; never half written.

<folder>/embeddings/<node_type>/part-00000.parquet    id, embedding (fixed-size list)
<folder>/link_vectors/source/part-00000.parquet       id, vector: as the head compares them, where embeddings cannot
                                                      be used; link_vectors/target likewise
<folder>/predictions/part-00000.parquet               what the task predicts
<folder>/manifest.json                                counts, hashes, model id, columns
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graphstorm_like.files import file_hash, fsync_path, path_inside, replace_folder
from graphstorm_like.inference.formats import FORMATS
from graphstorm_like.ranks.group import SINGLE_PROCESS, Group

MANIFEST_FILE = "manifest.json"


class ResultFolder:
    """Writes tables beside `target`, and moves them to `target` when all are written.

    Use as a context manager; on an error the old results stay. The ranks of a group write one folder together, each
    its own shards; where hosts have folders of their own, each gets those of the others.
    format: of the files, see `inference.formats`.
    """

    def __init__(self, target: Path, group: Group = SINGLE_PROCESS, format: str = "parquet") -> None:  # noqa: A002
        self.target, self.group, self._write = target, group, FORMATS[format]
        self._temporary = target.parent / f".writing-{target.name}"
        self._tables: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> ResultFolder:
        if self.group.leads_output:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary.mkdir(parents=True)
        self.group.barrier("writing results")
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is not None and self.group.leads_output:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def write(self, name: str, tables: Iterable[pa.Table]) -> int:
        """Write tables as this rank's shards of one result; returns the rows of all ranks. DataError for a name that
        leads out of the folder, as a node type of a foreign graph may have."""
        folder = path_inside(self._temporary, name)
        folder.mkdir(parents=True, exist_ok=True)
        prefix = "part" if self.group.size == 1 else f"part-{self.group.rank:05d}"
        rows, shards, columns = 0, [], {}
        for i, table in enumerate(tables):
            for path in self._write(table, folder / f"{prefix}-{i:05d}"):
                fsync_path(path)
                shards.append({"file": f"{name}/{path.name}", "rows": len(table), "blake2b": file_hash(path)})
            columns = {field.name: str(field.type) for field in table.schema}
            rows += len(table)
        self._tables[name] = {"rows": rows, "columns": columns, "shards": shards}
        return int(self.group.total(np.array([float(rows)]), f"writing {name}")[0])

    def finish(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Write the manifest and swap the folder in."""
        shards = [shard["file"] for table in self._tables.values() for shard in table["shards"]]
        self.group.share_files(self._temporary, shards, "writing results")
        written_by_rank = self.group.collect(json.dumps(self._tables), "results")
        tables = _merged([json.loads(tables) for tables in written_by_rank])
        manifest = {**facts, "tables": tables}
        if self.group.leads_output:
            text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
            (self._temporary / MANIFEST_FILE).write_text(text, encoding="utf-8")
            fsync_path(self._temporary / MANIFEST_FILE)
            replace_folder(self._temporary, self.target)
        self.group.barrier("writing results")
        return manifest


def _merged(of_ranks: list[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """All ranks' parts of each table."""
    merged = of_ranks[0]
    for tables in of_ranks[1:]:
        for name, table in tables.items():
            merged[name]["rows"] += table["rows"]
            merged[name]["shards"] += table["shards"]
    return merged


def list_column(values: npt.NDArray[Any], dtype: str = "float32") -> pa.Array:
    """[n, width] numbers -> a fixed-size-list column, without a Python loop."""
    width = values.shape[1]
    flat = pa.array(np.ascontiguousarray(values, dtype=dtype).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, width)


def shards(first: int, last: int, shard_rows: int) -> Iterator[slice]:
    """Slices of at most shard_rows of the rows first..last-1; one empty slice when there are none."""
    for start in range(first, max(last, first + 1), shard_rows):
        yield slice(start, min(start + shard_rows, last))
