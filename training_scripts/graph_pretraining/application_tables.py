"""Tables of a small application graph beside the corpus: a fifth of Debian's packages, under another schema.

    python training_scripts/graph_pretraining/application_tables.py

In: the tables of training_scripts/debian_packages. Out: program.parquet (name, short line, section and split; an
eighth of the training labels), recommends.parquet (with the split of lp_recommends) and maintained_by.parquet, in
training_scripts/graph_pretraining/tables. All choices are hashes of names, the same everywhere. None of the relations
that the corpus learns from is in it.
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

HERE = Path(__file__).parent
PROGRAMS, LABELS = 0.2, 0.125


def chosen(names: pa.ChunkedArray, salt: str, part: float) -> pa.Array:
    """Booleans: whether the hash of salt and name, between 0 and 1, is below `part`."""
    digests = b"".join(blake2b(f"{salt}|{name}".encode(), digest_size=8).digest() for name in names.to_pylist())
    return pa.array(np.frombuffer(digests, dtype=">u8") < part * 2.0**64)


def application_tables(tables: Path, output: Path) -> dict[str, int]:
    """Write the three tables; returns their numbers of rows."""
    package = pq.read_table(tables / "package.parquet")
    program = package.filter(chosen(package["name"], "application", PROGRAMS))
    few = pc.or_(pc.not_equal(program["section_split"], "train"), chosen(program["name"], "labels", LABELS))
    section = pc.if_else(few, program["section_label"], pa.scalar(None, program["section_label"].type))
    kept = {
        "program": pa.table(
            {
                "name": program["name"],
                "short": program["short"],
                "section": section,
                "split": program["section_split"],
            }
        )
    }
    for name, ends in (("recommends", ("source", "target")), ("maintained_by", ("source",))):
        table = pq.read_table(tables / f"{name}.parquet")
        for end in ends:
            table = table.filter(pc.is_in(table[end], value_set=program["name"].combine_chunks()))
        kept[name] = table
    output.mkdir(parents=True, exist_ok=True)
    for name, table in kept.items():
        pq.write_table(table, output / f"{name}.parquet")
    return {name: table.num_rows for name, table in kept.items()}


if __name__ == "__main__":
    print(application_tables(HERE.parent / "debian_packages" / "tables", HERE / "tables"))
