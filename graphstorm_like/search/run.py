"""What `gsl index` and `gsl search` do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from graphstorm_like.config.base import Strict
from graphstorm_like.config.explain import explain
from graphstorm_like.config.overrides import apply_override
from graphstorm_like.config.search import SearchConfig
from graphstorm_like.errors import ConfigError, DataError, unknown
from graphstorm_like.search.exports import STORES
from graphstorm_like.search.folder import IndexFolder, build_index
from graphstorm_like.search.vectors import SIMILARITIES, Exported, Results, Similarity, list_numbers


class _Options(Strict):
    """Gives the options of the command line a key, which messages name."""

    search: SearchConfig


def search_config(options: Sequence[str]) -> SearchConfig:
    """`type=hnsw neighbours=16` -> its configuration. Raises ConfigError."""
    given: dict[str, Any] = {}
    for option in options:
        apply_override(given, option)
    return parse_search(given)


def parse_search(given: Mapping[str, Any]) -> SearchConfig:
    """A mapping as in `infer.search`. Raises ConfigError."""
    values = {"search": dict(given)}
    try:
        return _Options.model_validate(values).search
    except ValidationError as err:
        problems = explain(_Options, err, values)
        raise ConfigError(f"{'.'.join(map(str, path))}: {message}" for path, message in problems) from None


def make_index(
    results: Path,
    target: Path | None,
    options: Sequence[str],
    node_type: str | None,
    links: bool,
    similarity: str | None,
    store: str | None,
    say: Callable[[str], None],
) -> str:
    """Write the index or the export; returns a line on what was written."""
    opened = Results.open(results)
    exported, usual = _chosen(opened, node_type, links)
    if similarity is not None and similarity not in SIMILARITIES:
        raise ConfigError(unknown("--similarity", "similarity", similarity, SIMILARITIES))
    name = exported.name.replace("/", "-")
    if store is not None:
        if store not in STORES:
            raise ConfigError(unknown("--store", "store", store, STORES))
        suffix = ".lance" if store == "lance" else ""
        place = target or opened.folder.parent / store / f"{name}{suffix}"
        return f"{place}: {exported.rows:,} vectors; {STORES[store](exported, place)}"
    config = search_config(options)
    compared: Similarity = usual if similarity is None else "cosine" if similarity == "cosine" else "inner_product"
    place = target or opened.folder.parent / "index" / name
    recall = build_index(exported, place, config, compared, say)
    line = f"{place}: {exported.rows:,} vectors of {exported.name}, {config.type}, {compared}"
    if recall is None:
        return line
    return f"{line}; recall@{recall.k} {recall.value:.3f} on {recall.queries} of them"


def _chosen(results: Results, node_type: str | None, links: bool) -> tuple[Exported, Similarity]:
    """The vectors to index, and how they are usually compared."""
    if links and node_type is not None:
        raise ConfigError("--links: means the targets of the link prediction, so it must stand without --node-type")
    if links:
        return results.of_links("target")
    return results.of_nodes(node_type), "cosine"


def search_ids(
    index_folder: Path, ids: Sequence[str] | None, k: int, queries: Path | None = None, exact: bool = False
) -> pa.Table:
    """Columns query, id, score, rank of the nearest. ids: None for all. queries: results that hold the vectors of
    sources of links; None: ids are among the index's own, and are not their own neighbours."""
    index = IndexFolder(index_folder)
    if queries is None:
        wanted = index.ids.to_pylist() if ids is None else list(ids)
        return index.nearest_to_ids(wanted, k, exact)
    sources, _ = Results.open(queries).of_links("source")
    parts = [_of_sources(index, table, ids, k, exact, sources) for table in sources.tables()]
    found = pa.concat_tables(parts)
    _refuse_missing(sources, ids, parts)
    return found


def _of_sources(
    index: IndexFolder, table: pa.Table, ids: Sequence[str] | None, k: int, exact: bool, sources: Exported
) -> pa.Table:
    """The nearest of those sources in one shard that are asked for."""
    if ids is not None:
        names = table["id"].cast(pa.string())
        asked = np.isin(names.to_numpy(zero_copy_only=False), np.asarray(list(ids), dtype=object))
        table = table.filter(pa.array(asked))
    vectors = list_numbers(table[table.column_names[1]], f"{sources.folder / sources.name}")
    if not len(vectors):
        vectors = vectors.reshape(0, index.width)
    return index.table(table["id"].combine_chunks(), index.search(vectors, k, exact))


def _refuse_missing(sources: Exported, ids: Sequence[str] | None, parts: Sequence[pa.Table]) -> None:
    """DataError when ids have no vector."""
    found: set[str] = set()
    for part in parts:
        found.update(map(str, part["query"].to_pylist()))
    missing = [name for name in ids or () if name not in found]
    if missing:
        raise DataError(
            f"{sources.folder / sources.name}: ids must be among its {sources.rows:,} (got {', '.join(missing[:5])})"
        )


def print_lines(found: pa.Table) -> Iterator[str]:
    """A line a query: its neighbours with their scores."""
    lines: dict[Any, list[str]] = {}
    for row in found.to_pylist():
        lines.setdefault(row["query"], []).append(f"{row['id']} {row['score']:.3f}")
    for query, neighbours in lines.items():
        yield f"{query}: {', '.join(neighbours)}"
