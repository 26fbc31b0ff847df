"""Tables in databases: SQLite through SQLAlchemy, and DuckDB."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gconstruct import build_graph, fingerprint, is_current, table_problems
from gconstruct.problems import Problems
from gconstruct.readers import sql as module
from gconstruct.tables.read import read_table, stream_table
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.sql import SqlConfig
from graphstorm_like.errors import DataError, MissingExtraError

from ..tables import graph, read, write
from .formats import plan_of

ROWS = [(f"n{i}", i if i % 3 else None, f"text {i}") for i in range(1000)]
NODE: dict[str, Any] = {"features": {"x": {"column": "x", "missing": "zero"}}, "text": {"t": {"columns": "words"}}}


def sqlite(folder: Path, rows: Any = ROWS) -> str:
    with sqlite3.connect(folder / "a.sqlite") as database:
        database.execute("create table items (id text, x integer, words text, other blob)")
        database.executemany("insert into items values (?, ?, ?, x'00')", rows)
    database.close()
    return "sqlite:///a.sqlite"


def duck(folder: Path, rows: Any = ROWS) -> str:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(str(folder / "a.duckdb")) as database:
        database.execute("create table items (id varchar, x integer, words varchar, other blob)")
        database.executemany("insert into items values (?, ?, ?, '00')", rows)
    return "duckdb:///a.duckdb"


DATABASES = pytest.mark.parametrize("make", [sqlite, duck])


@pytest.fixture(autouse=True)
def _needs_sqlalchemy(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sqlalchemy")
    monkeypatch.setattr(module, "_ROWS", 300)


@DATABASES
@pytest.mark.parametrize("rows", [{"table": "items"}, {"query": "select id, x, words from items order by rowid"}])
def test_a_table_or_a_query(make: Any, rows: dict[str, str], tmp_path: Path) -> None:
    problems = Problems()
    plan = plan_of(tmp_path, problems, sql={"url": make(tmp_path), **rows}, **NODE)
    whole = read_table(plan, problems)
    problems.raise_if_any()
    assert whole is not None
    assert list(zip(*(whole.data.column(name).to_pylist() for name in ("id", "x", "words")))) == ROWS
    assert [len(table) for table in stream_table(plan, problems, 400)] == [400, 400, 200]
    assert whole.place(999)[1] == 1000


@DATABASES
def test_a_graph_of_a_database_and_of_files(make: Any, tmp_path: Path) -> None:
    """It is built again when the database changes, and not before."""
    url = make(tmp_path)
    write(tmp_path / "links.parquet", source=["n0", "n1"], target=["n1", "n2"])
    edges = [{"source": "item", "relation": "link", "target": "item", "files": "links.parquet"}]
    config = graph(tmp_path, {"item": {"id": "id", "sql": {"url": url, "table": "items"}, **NODE}}, edges)
    manifest = build_graph(config)
    assert (manifest.nodes["item"].count, manifest.num_edges) == (1000, 4)
    built = read(tmp_path / "out/graph/part-0/nodes/item.arrow")
    assert built.column("text:t").to_pylist()[:2] == ["text 0", "text 1"]
    assert is_current(config)
    path = tmp_path / url.rpartition("/")[2]
    os.utime(path, ns=(1, 1))
    assert not is_current(config)


def test_a_column_that_is_null_for_long(tmp_path: Path) -> None:
    rows = [(f"n{i}", None, None) for i in range(700)] + [("a", 1, "t"), ("b", 2.5, None)]
    problems = Problems()
    plan = plan_of(tmp_path, problems, sql={"url": sqlite(tmp_path, rows), "table": "items"}, **NODE)
    table = read_table(plan, problems)
    problems.raise_if_any()
    assert table is not None
    assert table.data.column("x").to_pylist()[-2:] == [1.0, 2.5]
    assert table.data.column("words").to_pylist()[-3:] == [None, "t", None]


def test_values_of_several_types_are_told_with_their_row(tmp_path: Path) -> None:
    rows = [*ROWS[:500], ("a", "five", "t")]
    problems = Problems()
    plan = plan_of(tmp_path, problems, sql={"url": sqlite(tmp_path, rows), "table": "items"}, **NODE)
    assert read_table(plan, problems) is None
    assert problems.messages == [
        f"sqlite:///{tmp_path}/a.sqlite table items row 501: column 'x' must hold values of one type, int as before "
        "(got 'five', str). Correct the value, or cast it in a query"
    ]


def test_an_empty_table(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, sql={"url": sqlite(tmp_path, []), "table": "items"})
    assert [len(table) for table in stream_table(plan, Problems())] == [0]


def told(folder: Path, **sql: str) -> str:
    config = graph(folder, {"item": {"id": "id", "sql": sql}})
    ((_, message),) = table_problems(config)
    with pytest.raises(DataError):
        build_graph(config)
    return message.replace(str(folder), "{tmp}")


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            {"url": "sqlite:///no.sqlite", "table": "items"},
            "sqlite:///{tmp}/no.sqlite table items: must be a database that is there (got no file {tmp}/no.sqlite). "
            "Check the path",
        ),
        (
            {"url": "sqlite:///a.sqlite", "table": "itms"},
            "sqlite:///{tmp}/a.sqlite table itms: must be rows that the database gives (got: "
            "(sqlite3.OperationalError) no such table: itms). Check sql.url and the names",
        ),
        (
            {"url": "sqlite:///a.sqlite", "query": "selec"},
            "sqlite:///{tmp}/a.sqlite query 'selec': must be rows that the database gives (got: "
            '(sqlite3.OperationalError) near "selec": syntax error). Check sql.url and the names',
        ),
        (
            {"url": "sqlite:///a.sqlite", "query": "select x from items"},
            "graph.nodes.item.id: sqlite:///{tmp}/a.sqlite query 'select x from items': "
            "unknown column 'id' (known: x).",
        ),
        (
            {"url": "nosuch://u:$SECRET@h/d?password=$HIDDEN", "table": "items"},
            "nosuch://u:***@h/d?password=*** table items: must be rows that the database gives (got: "
            "Can't load plugin: sqlalchemy.dialects:nosuch). Check sql.url and the names",
        ),
        (
            {"url": "duckdb:///no.duckdb", "table": "items"},
            "duckdb:///{tmp}/no.duckdb table items: must be rows that the database gives (got: IO Error: Cannot open "
            'database "{tmp}/no.duckdb" in read-only mode: database does not exist). Check sql.url and the names',
        ),
    ],
)
def test_messages(sql: dict[str, str], message: str, tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    sqlite(tmp_path)
    assert told(tmp_path, **sql) == message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.sqlite"], "no database is made"


def config_with(url: str, folder: Path, **sql: str) -> GraphConfig:
    return graph(folder, {"item": {"id": "id", "sql": {"url": url, "table": "items", **sql}}})


def test_passwords_are_shown_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GC_TEST_WORD", "changed")
    config = config_with("mysql://u:$GC_TEST_WORD@h/d", tmp_path)
    before = fingerprint(config)
    monkeypatch.setenv("GC_TEST_WORD", "secret")
    assert fingerprint(config) == before, "the password is no part of it"
    assert before != fingerprint(config_with("mysql://u:$GC_TEST_WORD@h/d", tmp_path, version="2"))
    hidden = SqlConfig(url="nosuch://u:$GC_TEST_WORD@h/d?token=$GC_TEST_TOKEN", table="items")
    monkeypatch.setenv("GC_TEST_TOKEN", "secret-token")
    assert hidden.shown_url == "nosuch://u:***@h/d?token=***"
    assert sorted(hidden.secrets()) == ["$GC_TEST_TOKEN", "$GC_TEST_WORD"]

    def failing(*args: Any) -> Any:
        raise RuntimeError("cannot connect with secret or secret-token")

    monkeypatch.setattr(module, "_rows", failing)
    config = graph(tmp_path, {"item": {"id": "id", "sql": hidden.model_dump()}})
    ((_, message),) = table_problems(config)
    assert "(got: cannot connect with *** or ***)" in message


WORD = "p@s/s:%40?x;}"


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("postgresql://u:$GC_TEST_WORD@h:5432/d", {"password": WORD, "host": "h", "port": 5432, "database": "d"}),
        ("postgresql://u:${GC_TEST_WORD}@$GC_TEST_HOST/d", {"password": WORD, "host": "db.example.com", "port": 77}),
        ("mysql://u:$GC_TEST_WORD@h:$GC_TEST_PORT/d", {"username": "u", "password": WORD, "host": "h", "port": 55}),
        ("mysql://$GC_TEST_WORD@h/$GC_TEST_WORD", {"username": WORD, "host": "h", "database": WORD}),
        ("mysql://h/d?password=$GC_TEST_WORD&x=1", {"query": {"password": WORD, "x": "1"}}),
        (
            "mssql+pyodbc:///?odbc_connect=DRIVER%3D%7BODBC%7D%3BPWD%3D$GC_TEST_WORD",
            {"query": {"odbc_connect": "DRIVER={ODBC};PWD={p@s/s:%40?x;}}}"}},
        ),
        ("mssql+pyodbc:///?odbc_connect=$GC_TEST_WORD", {"query": {"odbc_connect": WORD}}),
    ],
)
def test_values_of_variables_stay_in_their_part_of_the_url(
    url: str, parts: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("WORD", WORD), ("HOST", "db.example.com:77"), ("PORT", "55")):
        monkeypatch.setenv(f"GC_TEST_{name}", value)
    expanded = module._expanded(SqlConfig(url=url, table="t").url)
    assert {name: getattr(expanded, name) for name in parts} == parts


@DATABASES
def test_a_file_with_options(make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts at `base`, and the graph is built again when it changes."""
    url = make(tmp_path)
    monkeypatch.setenv("GC_TEST_OPTION", "2")
    options = "threads=$GC_TEST_OPTION" if url.startswith("duckdb") else "timeout=$GC_TEST_OPTION"
    config = config_with(f"{url}?{options}", tmp_path)
    assert build_graph(config).num_nodes == 1000
    assert is_current(config)
    os.utime(tmp_path / url.rpartition("/")[2], ns=(1, 1))
    assert not is_current(config)


def test_a_uri_of_sqlite(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    sqlite(folder)
    for url in ("sqlite:///file:a.sqlite?mode=ro&uri=true", f"sqlite:///file:{tmp_path}/a%20folder/a.sqlite?uri=true"):
        assert build_graph(config_with(url, folder)).num_nodes == 1000


def test_an_environment_variable_in_the_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite(tmp_path)
    monkeypatch.setenv("GC_TEST_FOLDER", str(tmp_path))
    config = config_with("sqlite:///$GC_TEST_FOLDER/a.sqlite", tmp_path / "elsewhere")
    assert build_graph(config).num_nodes == 1000


def test_a_missing_package_is_told_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    sqlite(tmp_path)
    (tmp_path / "a.duckdb").write_bytes(b"x")
    for package, url in (("sqlalchemy", "sqlite:///a.sqlite"), ("duckdb", "duckdb:///a.duckdb")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(MissingExtraError, match=rf"needs the package '{package}'.*graphstorm-like\[sql\]"):
            build_graph(config_with(url, tmp_path))
