"""Vectors and ids from the Parquet shards that inference wrote, under the user's own ids.

Which vectors: embeddings of a node type, or those that a link prediction's head compares (`search` in the manifest).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from graphstorm_like.errors import DataError, unknown
from graphstorm_like.files import path_inside, read_object
from graphstorm_like.search.kinds import Floats

Similarity = Literal["cosine", "inner_product"]
SIMILARITIES: tuple[Similarity, ...] = ("cosine", "inner_product")


@dataclass(frozen=True, slots=True)
class Exported:
    """One table of vectors among the results of inference. name: its folder there, e.g. 'embeddings/product'."""

    folder: Path
    name: str
    shards: Sequence[Mapping[str, Any]]
    rows: int
    model: str | None
    """Hash of the weights that made the vectors."""

    def tables(self) -> Iterator[pa.Table]:
        """Shard by shard: an id and a list of numbers. Raises DataError when one cannot be read."""
        for shard in self.shards:
            path = path_inside(self.folder, shard["file"])
            try:
                yield pq.read_table(path)
            except (OSError, pa.ArrowException) as err:
                raise DataError(f"{path}: must be a Parquet file (got: {err}). Write it again: gsl infer") from None


@dataclass(frozen=True, slots=True)
class Results:
    """The results of inference: a folder with manifest.json."""

    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Results:
        """Of the folder that `gsl infer` or `gsl apply` wrote, or of the output folder above it. Raises DataError."""
        for candidate in (folder, folder / "infer"):
            manifest = read_object(candidate / "manifest.json")
            if manifest is not None and isinstance(manifest.get("tables"), dict):
                return cls(candidate, manifest)
        raise DataError(
            f"{folder}: must hold the results of inference, with a manifest.json (got none). Write them with: gsl infer"
        )

    def exported(self, name: str) -> Exported:
        """A table of vectors. Raises DataError when there is none of that name."""
        vectors = [table for table in self.manifest["tables"] if table != "predictions"]
        if name not in vectors:
            raise DataError(unknown(str(self.folder), "table of vectors", name, vectors))
        table = self.manifest["tables"][name]
        return Exported(self.folder, name, table["shards"], int(table["rows"]), self.manifest.get("model"))

    def of_links(self, end: Literal["source", "target"]) -> tuple[Exported, Similarity]:
        """Vectors of one end of a link prediction, and how they are compared. Raises DataError where there are none."""
        search = self.manifest.get("search") or {}
        if end not in search:
            reason = search.get("note", "the model does not predict links")
            raise DataError(f"{self.folder}: must hold vectors to search links by (got none: {reason})")
        return self.exported(search[end]), search["similarity"]

    def of_nodes(self, node_type: str | None) -> Exported:
        """Embeddings of a node type; None: of the only one. Raises DataError when it has none, or there are several."""
        of_types = [table for table in self.manifest["tables"] if table.startswith("embeddings/")]
        if node_type is None:
            if len(of_types) != 1:
                names = ", ".join(table.removeprefix("embeddings/") for table in of_types) or "none"
                raise DataError(
                    f"{self.folder}: must hold embeddings of one node type (got {names}). Name one: --node-type"
                )
            return self.exported(of_types[0])
        return self.exported(f"embeddings/{node_type}")


def list_numbers(column: pa.ChunkedArray, where: str) -> Floats:
    """A fixed-size-list column -> [n, width] numbers. DataError when it is something else, or has nulls."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if not pa.types.is_fixed_size_list(array.type) or array.null_count:
        raise DataError(f"{where}: must be lists of one length, without nulls (got {array.type})")
    numbers: Floats = array.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    return numbers.reshape(len(array), array.type.list_size)


def normalised(vectors: Floats) -> Floats:
    """Unit vectors; a zero vector stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Floats = (vectors / np.maximum(lengths, 1e-30)).astype(np.float32, copy=False)
    return unit
