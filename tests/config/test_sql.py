"""`sql:` of tables: what a URL may hold, and what of it is shown."""

from __future__ import annotations

from typing import Any

import pytest

from graphstorm_like.config.load import build_graph_config
from graphstorm_like.config.sql import SqlConfig
from graphstorm_like.errors import ConfigError

ODBC = "mssql+pyodbc:///?odbc_connect=DRIVER%3D%7BX%7D%3BUID%3Du%3BPWD%3D"


def shown(url: str) -> str:
    return SqlConfig(url=url, table="t").shown_url


def refusal(url: str) -> str:
    data: dict[str, Any] = {
        "path": "graph",
        "nodes": {"n": {"id": "id", "sql": {"url": url, "table": "t"}}},
        "edges": [],
    }
    with pytest.raises(ConfigError) as err:
        build_graph_config(data)
    return str(err.value)


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("postgresql://u:hunter2@h/d", "password"),
        ("postgresql://u:hunter2$X@h/d", "password"),
        ("postgresql://:hunter2@h/d", "password"),
        ("mysql://u@h/d?x=1&password=hunter2", "password"),
        ("mysql://u@h/d?pass%77ord=hunter2", "password"),
        ("snowflake://u@h/d?TOKEN=hunter2", "TOKEN"),
        ("x://u@h/d?api_key=hunter2", "api_key"),
        (f"{ODBC}hunter2", "PWD"),
        (f"{ODBC}%7Bhunter2%3B%7D%7D%7D", "PWD"),
    ],
)
def test_a_secret_in_the_configuration_is_refused(url: str, what: str) -> None:
    message = refusal(url)
    assert (
        f"nodes.n.sql.url: must have no {what} in it (it would be in saved configurations): "
        "write $NAME of an environment variable that holds it" in message
    )
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:$PW@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:${PW}@h/d?sslkey=/a/b.key", "postgresql://u:***@h/d?sslkey=/a/b.key"),
        ("mysql://u@h/d?pwd=$PW&x=1&secret=${S}", "mysql://u@h/d?pwd=***&x=1&secret=***"),
        ("mysql://u@h/d?pass%77ord=$PW", "mysql://u@h/d?pass%77ord=***"),
        (f"{ODBC}$PW", "mssql+pyodbc:///?odbc_connect=***"),
        (f"{ODBC}%7B$PW%7D", "mssql+pyodbc:///?odbc_connect=***"),
        ("mssql+pyodbc:///?odbc_connect=$ALL", "mssql+pyodbc:///?odbc_connect=***"),
        ("sqlite:///a:b@c.db?timeout=3", "sqlite:///a:b@c.db?timeout=3"),
        ("duckdb:///shop.duckdb", "duckdb:///shop.duckdb"),
    ],
)
def test_what_is_shown(url: str, expected: str) -> None:
    assert shown(url) == expected
