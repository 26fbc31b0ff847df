"""Makes the Arrow tables of the Debian package graph from `Package` records, and writes them as a whole or not at all.

In: packages (list order). Out: `{table name: pyarrow.Table}`. Edge tables have the columns `source` and `target`
(keys of the node types they join); edges between packages add `alternative` and `version_op`, those that are
predicted add `split`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from debian_control import RELATIONS, Package, mail_key
from debian_lists import TablesError
from debian_relations import Graph, Pair, Target, labelled_pairs, link_split, resolve, split_of, triples

MIN_SECTION = 100  # packages; a smaller section has too few in the test split to be scored
PREDICTED = ("recommends", "suggests")
WITH_VIRTUAL = ("depends", "recommends", "suggests", "conflicts")
META = "meta.json"


def make_tables(packages: Sequence[Package]) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    """Returns the tables by name, and what was dropped on the way (counts for meta.json)."""
    graph = resolve(packages)
    source_of = {package.name: package.source for package in packages}
    maintainer_of = _maintainers(packages)
    tables = {"package": _package_table(packages, maintainer_of)}
    for table in RELATIONS:
        edges = graph.relations[table].to_package
        splits = [link_split(table, pair, source_of) for pair in edges] if table in PREDICTED else None
        tables[table] = _relation_table(edges, splits)
    for table in WITH_VIRTUAL:
        tables[f"{table}_virtual"] = _relation_table(graph.relations[table].to_virtual)
    tables["provides"] = _edge_table(graph.provides)
    tables["built_from"] = _edge_table((package.name, package.source) for package in packages)
    tables["maintained_by"] = _edge_table(
        (package.name, maintainer_of[mail_key(package.maintainer)]) for package in packages if package.maintainer
    )
    tables["hosted_at"] = _edge_table(
        (package.name, package.homepage_host) for package in packages if package.homepage_host
    )
    tables["tagged"] = _edge_table((package.name, tag) for package in packages for tag in package.tags)
    labelled = labelled_pairs(graph, source_of)
    tables["relation_type"] = _string_table(labelled, ("source", "target", "label", "split"))
    tables["triples"] = _string_table(triples(graph, source_of), ("source", "relation", "target", "split"))
    return tables, {"nodes": _node_counts(tables, graph), "dropped": _dropped(graph)}


def _maintainers(packages: Sequence[Package]) -> dict[str, str]:
    """Mail address -> the spelling most packages use: one maintainer writes the name in several ways."""
    spellings = Counter(package.maintainer for package in packages)
    chosen: dict[str, str] = {}
    for spelling, _ in spellings.most_common():
        chosen.setdefault(mail_key(spelling), spelling)
    return chosen


def _package_table(packages: Sequence[Package], maintainer_of: dict[str, str]) -> pa.Table:
    size_of_section = Counter(package.section for package in packages)
    labels = [
        package.section if package.section and size_of_section[package.section] >= MIN_SECTION else None
        for package in packages
    ]
    # Siblings (binaries of one source) share text and section: the split follows the source package.
    splits = [split_of("nc|", package.source) for package in packages]
    sizes = pa.array([package.installed_size for package in packages], pa.int64())
    log_sizes = np.log1p(sizes.fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64))
    known = sizes.is_valid().to_pylist()

    def strings(values: Iterable[str | None]) -> pa.Array:
        return pa.array(list(values), pa.string())

    return pa.table(
        {
            "name": strings(package.name for package in packages),
            "source": strings(package.source for package in packages),
            "maintainer": strings(maintainer_of[mail_key(package.maintainer)] or None for package in packages),
            "homepage_host": strings(package.homepage_host for package in packages),
            "short": strings(package.short for package in packages),
            "long": strings(package.long for package in packages),
            "section": strings(package.section or None for package in packages),
            "priority": strings(package.priority or None for package in packages),
            "installed_size": sizes,
            "log_installed_size": pa.array(log_sizes, pa.float32(), mask=~np.asarray(known)),
            "section_label": strings(labels),
            "section_split": strings(
                split if label is not None else None for split, label in zip(splits, labels, strict=True)
            ),
            "size_split": strings(split if valid else None for split, valid in zip(splits, known, strict=True)),
        }
    )


def _relation_table(edges: dict[Pair, Target], splits: list[str | None] | None = None) -> pa.Table:
    table = _edge_table(edges)
    table = table.append_column(
        "alternative", pa.array([int(target.alternative) for target in edges.values()], pa.int8())
    )
    table = table.append_column("version_op", pa.array([target.version_op for target in edges.values()], pa.string()))
    return table if splits is None else table.append_column("split", pa.array(splits, pa.string()))


def _edge_table(pairs: Iterable[Pair]) -> pa.Table:
    pairs = list(pairs)
    return pa.table(
        {
            "source": pa.array([head for head, _ in pairs], pa.string()),
            "target": pa.array([tail for _, tail in pairs], pa.string()),
        }
    )


def _string_table(rows: Iterable[tuple[str | None, ...]], names: tuple[str, ...]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return pa.table({name: pa.array(column, pa.string()) for name, column in zip(names, columns, strict=True)})


def _node_counts(tables: dict[str, pa.Table], graph: Graph) -> dict[str, int]:
    targets = {"source": "built_from", "maintainer": "maintained_by", "host": "hosted_at", "tag": "tagged"}
    counts = {"package": tables["package"].num_rows}
    counts.update({node: len(tables[table]["target"].unique()) for node, table in targets.items()})
    counts["virtual"] = len({virtual for _, virtual in graph.provides})
    return counts


def _dropped(graph: Graph) -> dict[str, dict[str, int]]:
    return {
        "resolve_to_nothing": {table: relation.unresolved for table, relation in graph.relations.items()},
        "to_itself": {table: relation.to_itself for table, relation in graph.relations.items()},
        "virtual_without_a_table": {
            table: len(relation.to_virtual) for table, relation in graph.relations.items() if table not in WITH_VIRTUAL
        },
    }


# -------------------------------------------------------------------------------------------------------------- writing


def write_folder(output: Path, tables: dict[str, pa.Table], meta: dict[str, Any]) -> None:
    """Writes `<table>.parquet` and meta.json beside `output` under a temporary name, then renames: whole or not at all.

    Raises:
        TablesError: `output` exists and holds something that this builder did not write.
    """
    check_replaceable(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        staging.chmod(0o755)
        hashes: dict[str, str] = {}
        for name, table in tables.items():
            path = staging / f"{name}.parquet"
            pq.write_table(table, path, compression="zstd")
            hashes[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        rows = {name: table.num_rows for name, table in tables.items()}
        document = {**meta, "rows": rows, "sha256": hashes}
        (staging / META).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        for path in staging.iterdir():
            with path.open("rb") as handle:
                os.fsync(handle.fileno())
        _swap(staging, output)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _swap(staging: Path, output: Path) -> None:
    """Puts `staging` in the place of `output`; the old folder comes back if that fails."""
    if not output.exists():
        staging.rename(output)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{output.name}.old.", dir=output.parent)) / output.name
    output.rename(old)
    try:
        staging.rename(output)
    except BaseException:
        old.rename(output)
        raise
    finally:
        shutil.rmtree(old.parent, ignore_errors=True)


def check_replaceable(output: Path) -> None:
    """Refuses an output that would delete files of the user's."""
    if output.exists() and not (output.is_dir() and ((output / META).is_file() or not any(output.iterdir()))):
        raise TablesError(
            f"--output: must be a new folder, an empty one, or tables built before (got '{output}', which holds other "
            f"things and no {META}). Choose another folder"
        )


def read_meta(output: Path) -> dict[str, Any] | None:
    """meta.json of a complete folder of tables; None when there is none or a table is missing."""
    try:
        meta = json.loads((output / META).read_text(encoding="utf-8"))
        tables = list(meta["rows"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return meta if all((output / f"{name}.parquet").is_file() for name in tables) else None
