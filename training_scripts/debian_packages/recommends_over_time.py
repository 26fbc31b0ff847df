"""What packages recommend in a later release and did not in an older one: the links that are forecast.

    python training_scripts/debian_packages/recommends_over_time.py

Training edges are all of the older release. Validation and test edges are those of the later release that are not in
the older one, between packages that the older one has; a package's new edges are in one split, by a hash of its source
package's name. Writes recommends_over_time.parquet (source, target, split) into the folder `before`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from debian_relations import split_share

HERE = Path(__file__).parent
VALID_SHARE = 0.3  # of source packages; the others' new edges are test edges


def forecast_edges(older: pa.Table, newer: pa.Table, packages: pa.Table) -> pa.Table:
    """Edges of both releases with their split.

    Args:
        older: source, target of the older release.
        newer: source, target of the later one.
        packages: name, source (the source package) of the older release.

    Returns:
        source, target, split: `train` for the older edges, in their order; then the new ones, `valid` or `test`.
    """
    ends = ["source", "target"]
    names = packages["name"]
    both_existed = pc.and_(pc.is_in(newer["source"], names), pc.is_in(newer["target"], names))
    candidates = newer.select(ends).filter(both_existed)
    new_edges = candidates.join(older.select(ends), keys=ends, join_type="left anti").sort_by(
        [(end, "ascending") for end in ends]
    )
    source_of = dict(zip(names.to_pylist(), packages["source"].to_pylist(), strict=True))
    splits = []
    for package in new_edges["source"].to_pylist():
        share = split_share("tv|", source_of[package])
        splits.append("valid" if share < VALID_SHARE else "test")
    train = older.select(ends).append_column("split", pa.array(["train"] * older.num_rows, pa.string()))
    return pa.concat_tables([train, new_edges.append_column("split", pa.array(splits, pa.string()))])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Links that are new in a later release.")
    parser.add_argument("--before", type=Path, default=HERE / "tables_before", help="tables of the older release")
    parser.add_argument("--after", type=Path, default=HERE / "tables", help="tables of the later release")
    options = parser.parse_args(arguments)
    needed = [
        options.before / "package.parquet", options.before / "recommends.parquet", options.after / "recommends.parquet"
    ]  # fmt: skip
    for path in needed:
        if not path.exists():
            print(
                f"error: {path}: must exist. Build it with build_tables.py --suite RELEASE --output FOLDER",
                file=sys.stderr,
            )
            return 1
    packages, older, newer = (pq.read_table(path) for path in needed)
    edges = forecast_edges(older, newer, packages)
    pq.write_table(edges, options.before / "recommends_over_time.parquet")
    for value in pc.value_counts(edges["split"]).to_pylist():
        print(f"{value['values']}: {value['counts']:,} edges")
    return 0


if __name__ == "__main__":
    sys.exit(main())
