"""Nearest neighbours among exported embeddings, by the user's own ids. A recipe: copy it and change it.

    python inference/nearest.py training_scripts/debian_packages/runs/section/infer package postgresql gimp

Reads the Parquet shards that `gsl infer` wrote; needs nothing of the model. For millions of rows hand the same arrays
to an index (faiss, hnswlib).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def load(folder: Path, node_type: str) -> tuple[list[str], np.ndarray]:
    """(ids as strings, unit vectors [n, D]) of a node type."""
    shards = sorted((folder / "embeddings" / node_type).glob("*.parquet"))
    if not shards:
        raise SystemExit(f"{folder}: must hold embeddings of '{node_type}'. Write them with: gsl infer")
    table = pa.concat_tables(pq.read_table(path) for path in shards).combine_chunks()
    column = table["embedding"].chunk(0)
    vectors = column.flatten().to_numpy().reshape(len(table), column.type.list_size).astype(np.float32)
    return [str(i) for i in table["id"].to_pylist()], vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(
        1e-12
    )


def main(folder: str, node_type: str, *wanted: str) -> None:
    """Print the ten nearest of each wanted id."""
    ids, vectors = load(Path(folder), node_type)
    position = {name: i for i, name in enumerate(ids)}
    for name in wanted:
        if name not in position:
            print(f"{name}: not among the {len(ids):,} ids of {node_type}")
            continue
        similar = vectors @ vectors[position[name]]
        best = [i for i in np.argsort(-similar)[:11] if ids[i] != name][:10]
        print(f"{name}: " + ", ".join(f"{ids[i]} {similar[i]:.2f}" for i in best))


if __name__ == "__main__":
    if len(sys.argv) < 4:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
