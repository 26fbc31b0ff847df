"""The columns that are read from each table and their types, checked on headers and footers before any row is read.

In: GraphConfig. Out: one TablePlan per table, its columns with the Arrow type they are cast to. All problems with
files, column names and types are reported together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import pyarrow as pa

from gconstruct.inputs import InputFile, inputs_of
from gconstruct.kinds import USES, accepts, hint, kind_of, merge_types
from gconstruct.problems import Problems
from gconstruct.readers import Piece
from gconstruct.tables.headers import read_header
from gconstruct.tables.needs import Need, edge_needs, node_needs
from graphstorm_like.config.graph import EdgeConfig, GraphConfig, NodeConfig
from graphstorm_like.config.rows import CsvOptions, Rows
from graphstorm_like.errors import unknown

FileHeader: TypeAlias = tuple[InputFile, dict[str, pa.DataType | None]]
"""A file and the types of its columns by name"""
_NUMBER_USES = {"numeric", "scalar", "number"}


@dataclass(slots=True)
class ColumnPlan:
    """How a column is read."""

    type: pa.DataType
    untyped: bool
    """From CSV files only: strings that may stand for integers."""
    file: str
    dtype: str
    """The first file that gives the column a type, and that type, for messages"""
    why: str = ""
    """The reason for this type, for messages about values that cannot be cast"""


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Which rows of a table are edges of one type."""

    column: str
    values: tuple[str, ...]
    """As text"""
    others: tuple[str, ...]
    """Values of rows of other edge types"""
    key: str
    """Where the YAML names the relations"""
    on_unknown: str
    """What other values do: 'error' and 'drop', or 'ignore' when another edge type tells of them"""


@dataclass(frozen=True, slots=True)
class TablePiece:
    """Rows of one file that can be read without the others."""

    file: InputFile
    part: Piece


@dataclass(slots=True)
class TablePlan:
    """One table: its files and the columns that are read. It can be sent to other processes."""

    key: str
    """'graph.nodes.item' or 'graph.edges[2]'"""
    csv: CsvOptions
    files: list[InputFile]
    needs: list[Need]
    columns: dict[str, ColumnPlan] = field(default_factory=dict)
    """Those of the table itself come first, then those of each of `joins`"""
    pieces: list[TablePiece] = field(default_factory=list)
    """All of them, in the order of the table's rows"""
    path_columns: dict[str, dict[str, str | None]] = field(default_factory=dict)
    """By file: columns that its folders key=value name, with their value in all rows"""
    rows: RowFilter | None = None
    """None: all of them"""
    joins: list[Join] = field(default_factory=list)
    """Other tables with columns of these rows"""

    @property
    def schema(self) -> pa.Schema:
        """The columns as they are once they are cast."""
        return pa.schema([(name, column.type) for name, column in self.columns.items()])

    @property
    def own_columns(self) -> dict[str, ColumnPlan]:
        """Without those of joined tables."""
        joined = {name for join in self.joins for name in join.columns}
        return {name: column for name, column in self.columns.items() if name not in joined}

    def only(self, names: Collection[str]) -> TablePlan:
        """The same table with these columns and those that it takes to find their rows."""
        joins = [join for join in self.joins if not set(names).isdisjoint(join.columns)]
        needed = {*names, *(join.to for join in joins)}
        for join in joins:
            needed |= set(join.columns)
        if self.rows is not None:
            needed.add(self.rows.column)
        return replace(self, columns={n: c for n, c in self.columns.items() if n in needed}, joins=joins)

    def read_columns(self, file: InputFile) -> dict[str, pa.DataType]:
        """The columns that are read from a file: all but those that its path names."""
        by_path = self.path_columns.get(file.path, {})
        return {name: column.type for name, column in self.own_columns.items() if name not in by_path}


@dataclass(slots=True)
class Join:
    """A table whose columns belong to the rows of another, by id."""

    plan: TablePlan
    id: str
    """Its column of ids"""
    to: str
    """The other table's column of ids"""
    skip_bad_ids: bool
    """Rows with a null or repeated id are left out, instead of an error."""

    @property
    def columns(self) -> list[str]:
        """Those that it adds."""
        return [name for name in self.plan.columns if name != self.id]


@dataclass(slots=True)
class _Opened:
    """A table whose headers were read."""

    plan: TablePlan
    headers: list[FileHeader]
    guessed: bool
    """Types of some file are those of its first rows."""

    def has(self, column: str) -> bool:
        """Whether all files have it."""
        return bool(self.headers) and all(column in header for _, header in self.headers)


def plan_tables(
    config: GraphConfig, problems: Problems, id_types: Mapping[str, pa.DataType] | None = None
) -> tuple[dict[str, TablePlan], list[TablePlan]]:
    """Plans of the node tables by type (only types with files) and of the edge tables in the YAML's order. id_types:
    the types that ids must have, by node type, where these are known already."""
    nodes = {
        name: _node_plan(f"graph.nodes.{name}", node, config.base, problems)
        for name, node in config.nodes.items()
        if node.has_table
    }
    edges: list[TablePlan] = []
    for i, edge in enumerate(config.edges):
        key = config.edge_key(i)
        same = next((plan for plan in edges if edge.relations and plan.key == key), None)
        plan = _plan(key, edge, edge_needs(key, edge), config.base, problems) if same is None else _copied(same)
        plan.rows = _row_filter(key, edge, same is None)
        edges.append(plan)
    problems.raise_if_any()
    for name in config.nodes:
        _agree_on_ids(name, config, nodes, edges, (id_types or {}).get(name), problems)
    problems.raise_if_any()
    return nodes, edges


def _row_filter(key: str, edge: EdgeConfig, is_first: bool) -> RowFilter | None:
    if edge.relation_column is None:
        return None
    values = tuple(value for value, relation in edge.relations.items() if relation == edge.relation)
    others = tuple(value for value in edge.relations if value not in values)
    on_unknown = edge.on_unknown_relation if is_first else "ignore"
    return RowFilter(edge.relation_column, values, others, key, on_unknown)


def _copied(plan: TablePlan) -> TablePlan:
    """Of the same table, for another edge type."""
    return replace(plan, columns={name: replace(column) for name, column in plan.columns.items()})


def _plan(key: str, table: Rows, needs: list[Need], base: str | None, problems: Problems) -> TablePlan:
    return _planned(_opened(key, table, {need.column for need in needs}, base, problems), needs, problems)


def _node_plan(key: str, node: NodeConfig, base: str | None, problems: Problems) -> TablePlan:
    needs = node_needs(key, node)
    needed, id_column = {need.column for need in needs}, str(node.id)
    opened = [_opened(key, node, needed, base, problems)]
    ids = [join.id or id_column for join in node.join]
    for i, (join, column) in enumerate(zip(node.join, ids, strict=True)):
        opened.append(_opened(f"{key}.join[{i}]", join, needed | {column}, base, problems))
    by_table: list[list[Need]] = [[] for _ in opened]
    for need in needs:
        by_table[0 if need.use == "id" else _table_with(need, opened, ids, problems)].append(need)
    plan = _planned(opened[0], by_table[0], problems)
    for table, own, column in zip(opened[1:], by_table[1:], ids, strict=True):
        id_need = Need(column, "id", f"{table.plan.key}.id")
        joined = _planned(table, [id_need, *own], problems)
        join_plan = Join(joined, column, id_column, node.on_bad_id == "skip")
        plan.joins.append(join_plan)
        plan.columns |= {name: joined.columns[name] for name in join_plan.columns}
    return plan


def _table_with(need: Need, opened: list[_Opened], ids: list[str], problems: Problems) -> int:
    """The number of the only table with a column; 0, the node table, when there is none."""
    found = [i for i, table in enumerate(opened) if table.has(need.column) and not (i and need.column == ids[i - 1])]
    if len(found) > 1:
        one, other = (opened[i].headers[0][0].path for i in found[:2])
        problems.add(
            f"{need.key}: column {need.column!r} must be in one of the joined tables (got {one} and {other}). "
            "Rename it in one of them",
            need.key,
        )
    return found[0] if found else 0


def _opened(key: str, table: Rows, needed: set[str], base: str | None, problems: Problems) -> _Opened:
    """Read the headers."""
    opened = _Opened(TablePlan(key, table.csv, inputs_of(key, table, base, problems), []), [], False)
    for file in opened.plan.files:
        header = read_header(file, table.csv, needed, problems, f"{key}.files")
        if header is not None:
            opened.headers.append((file, dict(header.columns)))
            opened.guessed = opened.guessed or header.guessed
            opened.plan.pieces += [TablePiece(file, part) for part in header.pieces]
    _add_path_columns(opened.plan, needed, opened.headers)
    return opened


def _planned(opened: _Opened, needs: list[Need], problems: Problems) -> TablePlan:
    """Give the columns their types."""
    plan = opened.plan
    plan.needs = needs
    complete = [(f, h) for f, h in opened.headers if _has_columns(f, h, needs, problems)]
    if complete and len(complete) == len(plan.files):
        for need in needs:
            if need.column not in plan.columns:
                column = _column_plan(need, complete, problems)
                if column is not None:
                    if need.use == "image" and _is_bytes(need.column, complete):
                        column.type = pa.large_binary()
                    if opened.guessed and {n.use for n in needs if n.column == need.column} <= _NUMBER_USES:
                        column.type = _with_fractions(column.type)
                    plan.columns[need.column] = column
        _check_uses(plan, complete, problems)
    return plan


def _add_path_columns(plan: TablePlan, needed: set[str], headers: list[FileHeader]) -> None:
    """Give the files the needed columns that their folders key=value name: text, like a column of a CSV file."""
    for file, header in headers:
        by_path = {name: value for name, value in file.keys.items() if name in needed and name not in header}
        if by_path:
            plan.path_columns[file.path] = by_path
            header.update(dict.fromkeys(by_path))


def _with_fractions(data_type: pa.DataType) -> pa.DataType:
    """Whole numbers of the first rows may have fractions further down."""
    if kind_of(data_type) == "list of integer":
        return pa.large_list(pa.float64())
    return pa.float64() if kind_of(data_type) == "integer" else data_type


def _is_bytes(column: str, headers: list[FileHeader]) -> bool:
    """Whether a column holds bytes in all files. Outside of images, bytes are read as text."""
    types = [header[column] for _, header in headers]
    return all(t is not None and (pa.types.is_binary(t) or pa.types.is_large_binary(t)) for t in types)


def _has_columns(file: InputFile, header: dict[str, pa.DataType | None], needs: list[Need], problems: Problems) -> bool:
    missing = {need.column: need.key for need in reversed(needs) if need.column not in header}
    for column, key in reversed(missing.items()):
        problems.add(f"{key}: {unknown(file.path, 'column', column, header)}", key)
    return not missing


def _column_plan(need: Need, headers: list[FileHeader], problems: Problems) -> ColumnPlan | None:
    column = need.column
    typed = [(file, header[column]) for file, header in headers if header[column] is not None]
    if not typed:
        return ColumnPlan(pa.large_string(), True, headers[0][0].path, "CSV text")
    with_values = [(f, t) for f, t in typed if t is not None and not pa.types.is_null(t)]
    merged = merge_types([t for _, t in with_values])
    first_file, first_type = with_values[0] if with_values else typed[0]
    if merged is None:
        first_kind = kind_of(first_type)
        other_file, other_type = next((f, t) for f, t in with_values if kind_of(t) != first_kind)
        problems.add(
            f"{other_file.path}: column {column!r} must be of one type in all files of a table "
            f"(got {other_type}; {first_file.path} has {first_type}). Cast one of them",
            need.key,
        )
        return None
    mixed = len(typed) < len(headers)
    why = f"{first_file.path} has {first_type}, so the CSV files of this table must hold the same" if mixed else ""
    return ColumnPlan(merged, False, first_file.path, str(first_type), why)


def _check_uses(plan: TablePlan, headers: list[FileHeader], problems: Problems) -> None:
    for need in plan.needs:
        for file, header in headers if need.column in plan.columns else []:
            data_type = header[need.column]
            kind = "text" if data_type is None else kind_of(data_type)
            if not accepts(need.use, kind):
                type_name = "CSV text" if data_type is None else data_type
                problems.add(
                    f"{file.path}: column {need.column!r} must hold {USES[need.use][0]} (got {type_name}). "
                    f"{hint(need.use, kind)}. See {need.key}",
                    need.key,
                )
                break


def _agree_on_ids(
    node_type: str,
    config: GraphConfig,
    nodes: dict[str, TablePlan],
    edges: list[TablePlan],
    known: pa.DataType | None,
    problems: Problems,
) -> None:
    """Give all id columns of a node type one type: the known one, if there is one. CSV columns take the type of the
    others; if there are only CSV columns they are text here, and int64 in the end when every id is an integer."""
    id_columns: list[tuple[str, ColumnPlan]] = []
    if node_type in nodes:
        column = config.nodes[node_type].id
        assert column is not None
        id_columns.append((column, nodes[node_type].columns[column]))
        id_columns += [(join.id, join.plan.columns[join.id]) for join in nodes[node_type].joins]
    for edge, plan in zip(config.edges, edges, strict=True):
        ends = ((edge.source, edge.source_id), (edge.target, edge.target_id))
        id_columns += [(column, plan.columns[column]) for end, column in ends if end == node_type]
    if known is not None:
        _take_known_type(node_type, id_columns, known, problems)
        return
    typed = [(c, p) for c, p in id_columns if not p.untyped and not pa.types.is_null(p.type)]
    if not typed:
        for _, free in id_columns:
            free.type, free.untyped = pa.large_string(), True
        return
    first_column, first = typed[0]
    for column, later in typed[1:]:
        if later.type != first.type:
            problems.add(
                f"{later.file}: column {column!r} must have ids of the same type as column {first_column!r} of "
                f"{first.file} ({first.dtype}), for both name nodes of type {node_type!r} (got {later.dtype}). "
                "Cast one of them to the other's type",
                f"graph.nodes.{node_type}",
            )
    for _, follower in id_columns:
        if follower.untyped or pa.types.is_null(follower.type):
            follower.type, follower.untyped = first.type, False
            follower.why = f"Column {first_column!r} of {first.file} ({first.dtype}) names the same nodes"


def _take_known_type(
    node_type: str, id_columns: list[tuple[str, ColumnPlan]], known: pa.DataType, problems: Problems
) -> None:
    for column, plan in id_columns:
        if plan.untyped or pa.types.is_null(plan.type):
            plan.type, plan.untyped = known, False
            plan.why = f"The graph that the tables add to has ids of type {known}"
        elif plan.type != known:
            problems.add(
                f"{plan.file}: column {column!r} must have ids of type {known}, as nodes of type {node_type!r} have in "
                f"the graph that the tables add to (got {plan.dtype}). Cast the column",
                f"graph.nodes.{node_type}",
            )
