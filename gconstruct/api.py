"""Graph folders of tables that are in memory: Arrow tables, and data frames of pandas, polars and others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gconstruct.construction import build_graph
from gconstruct.held import SCHEME, hold
from graphstorm_like.config.load import build_graph_config
from graphstorm_like.errors import ConfigError
from graphstorm_like.graph.schema import GraphManifest

if TYPE_CHECKING:
    import pyarrow as pa

Entry = Mapping[str, Any]
"""The keys of a table in the YAML, and `table` instead of `files`."""


def build(
    path: str | PathLike[str],
    nodes: Mapping[str, Entry | None],
    edges: Sequence[Entry] = (),
    *,
    progress: Callable[[str], None] | None = None,
    force: bool = False,
    **graph: Any,
) -> GraphManifest:
    """Make the graph folder `path`, unless it is up to date, and return its manifest.

    nodes and edges have the keys of `graph.nodes` and `graph.edges` in a pipeline, but for `table`, which takes the
    place of `files`: a pyarrow Table, RecordBatch or RecordBatchReader (read once, into memory), whatever exports an
    Arrow stream or the data frame protocol (pandas, polars, DuckDB relations ...), or a dict of columns. `graph` are
    further keys of the section, e.g. partitions. Raises ConfigError and DataError as `build_graph` does; messages name
    a table as table://nodes.TYPE or table://edges[I].
    """
    named, tables = name_tables(nodes, edges)
    data = {"path": str(Path(path).absolute()), "base": str(Path.cwd()), **named, **graph}
    with hold(tables):
        return build_graph(build_graph_config(data), progress=progress, force=force)


def name_tables(
    nodes: Mapping[str, Entry | None], edges: Sequence[Entry] = ()
) -> tuple[dict[str, Any], dict[str, pa.Table]]:
    """({'nodes': ..., 'edges': ...} as in a YAML, the tables whose names stand there instead of `table`). The names
    mean something while `held.hold` holds the tables. Raises ConfigError."""
    tables: dict[str, pa.Table] = {}
    named = {
        "nodes": {name: _entry(f"nodes.{name}", entry, tables) for name, entry in nodes.items()},
        "edges": [_entry(f"edges[{i}]", entry, tables) for i, entry in enumerate(edges)],
    }
    return named, tables


def _entry(name: str, entry: Entry | None, tables: dict[str, pa.Table]) -> dict[str, Any] | None:
    """The entry with the name of its table, which goes to `tables`."""
    if entry is None:
        return None
    if not isinstance(entry, Mapping):
        raise ConfigError(
            f"graph.{name}: must be a mapping, {{'table': ..., 'id': ...}} (got {type(entry).__name__}). "
            "The table itself is the value of its key 'table'"
        )
    options = {key: value for key, value in entry.items() if key != "table"}
    if isinstance(entry.get("join"), Sequence):
        options["join"] = [_entry(f"{name}.join[{i}]", other, tables) for i, other in enumerate(entry["join"])]
    if "table" in entry:
        if "files" in entry:
            raise ConfigError(f"graph.{name}: must have either 'table' or 'files', not both")
        tables[name] = to_arrow(f"graph.{name}.table", entry["table"])
        options["files"] = [f"{SCHEME}{name}"]
    return options


def to_arrow(where: str, value: Any) -> pa.Table:
    """A table in one of the forms that `construct` takes. Raises ConfigError."""
    import pyarrow as pa
    from pyarrow.interchange import from_dataframe

    try:
        if isinstance(value, pa.Table):
            return value
        if isinstance(value, pa.RecordBatch):
            return pa.Table.from_batches([value])
        if hasattr(value, "__arrow_c_stream__"):
            return pa.RecordBatchReader.from_stream(value).read_all()
        if hasattr(value, "__arrow_c_array__") or isinstance(value, Mapping):
            return pa.table(dict(value) if isinstance(value, Mapping) else value)
        if hasattr(value, "__dataframe__"):
            return from_dataframe(value)
    except (pa.ArrowException, TypeError, ValueError) as err:
        reason = str(err).splitlines()[0]
        raise ConfigError(f"{where}: must be a table that Arrow can hold (got: {reason}). Cast its columns") from err
    raise ConfigError(
        f"{where}: must be a pyarrow Table, a data frame or a dict of columns (got {type(value).__name__}). "
        "For files give 'files'"
    )
