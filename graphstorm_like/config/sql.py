"""`sql:` of a table: rows of a database instead of files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote, unquote_plus

from pydantic import model_validator

from graphstorm_like.config.base import KeyedError, Strict

_PASSWORD = re.compile(r"(?<=://)([^/@:]*):([^@]*)@")
_OPTION = re.compile(r"([?&][^=&]*=)([^&]*)")
_SECRET = re.compile(r"(?i)odbc_connect|pass|pwd|secret|token|key|credential")
_HARMLESS = re.compile(r"(?i)(?:ssl_?key|file|path|space)$")
"""Names of options that only sound like secrets: they name files."""
_ODBC = re.compile(r"([^=;]*)=\s*(\{(?:[^}]|\}\})*\}|[^;]*)")
_VARIABLE = re.compile(r"\$\w+|\$\{\w+\}")


class SqlConfig(Strict):
    """Rows of a database, read in the order in which it gives them: say ORDER BY where that order may change."""

    url: str
    """duckdb:///FILE, or a URL of SQLAlchemy, such as sqlite:///FILE or postgresql://user:$PASSWORD@host/db; files
    start at `graph.base`. $NAME stands for an environment variable, whose value is taken as it is and written nowhere;
    passwords must be given in this way."""
    table: str | None = None
    """A table's name, or 'schema.table'."""
    query: str | None = None
    """A SELECT statement."""
    version: str = ""
    """Change it when the rows have changed, so that the graph is built again. A database in a file needs no version."""

    @model_validator(mode="after")
    def _one_way(self) -> SqlConfig:
        if (self.table is None) == (self.query is None):
            raise ValueError("must have either 'table' or 'query'")
        if "://" not in self.url:
            raise KeyedError("url", "must be a database URL, e.g. sqlite:///tables.db or duckdb:///tables.duckdb")
        for name, secret in _secrets_in(self.url):
            if not _VARIABLE.fullmatch(secret):
                rule = f"must have no {name} in it (it would be in saved configurations)"
                raise KeyedError("url", f"{rule}: write $NAME of an environment variable that holds it")
        return self

    @property
    def shown_url(self) -> str:
        """Without passwords and other secrets."""
        return without_secrets(self.url)

    def secrets(self) -> list[str]:
        """The parts of the URL that nobody may see."""
        return [secret for _, secret in _secrets_in(self.url)]


def without_secrets(text: str) -> str:
    """A URL, or a text with one, as it may be shown: *** for passwords, keys and tokens."""
    return _OPTION.sub(_masked, _PASSWORD.sub(r"\1:***@", text))


def refuse_secrets(key: str, url: str | None) -> None:
    """Raise KeyedError, which does not show it, when the URL of a store has a password, key or token in it."""
    for name, _ in _secrets_in(url) if url is not None and "://" in url else ():
        raise KeyedError(
            key,
            f"must have no {name} in it (it would be in saved configurations). Give credentials by the environment or "
            "the store's own configuration files",
        )


def _masked(option: re.Match[str]) -> str:
    return f"{option[1]}***" if _is_secret(unquote_plus(option[1])[1:-1]) else option[0]


def _is_secret(name: str) -> bool:
    return _SECRET.search(name) is not None and _HARMLESS.search(name) is None


def _secrets_in(url: str) -> Iterator[tuple[str, str]]:
    """(what it is, its decoded value) of everything in a URL that is a secret and not empty."""
    if (password := _PASSWORD.search(url)) is not None and password[2]:
        yield "password", unquote(password[2])
    for option in _OPTION.finditer(url):
        name, value = unquote_plus(option[1])[1:-1], unquote_plus(option[2])
        if name.lower() == "odbc_connect":
            whole = [(name, value)] if _VARIABLE.fullmatch(value) else []
            yield from (part for part in (*whole, *odbc_parts(value)) if _is_secret(part[0]))
        elif value and _is_secret(name):
            yield name, value


def odbc_parts(connect: str) -> list[tuple[str, str]]:
    """The (name, value) pairs of a connection string of ODBC, 'UID=u;PWD={p;w}', values without braces."""
    pairs = [(name.strip(), value.strip()) for name, value in _ODBC.findall(connect)]
    return [(n, v[1:-1].replace("}}", "}") if v.startswith("{") else v) for n, v in pairs if n and v]
