"""`sql:` of a table: rows of a database instead of files."""

from __future__ import annotations

import re

from pydantic import model_validator

from graphstorm_like.config.base import KeyedError, Strict

_PASSWORD = re.compile(r"(?<=://)([^/@:]*):([^@]*)@")
_SECRETS = re.compile(r"(?i)([?&][^=&]*(?:pass|pwd|secret|token|key)[^=&]*=)([^&]*)")


class SqlConfig(Strict):
    """Rows of a database, read in the order in which it gives them: say ORDER BY where that order may change."""

    url: str
    """duckdb:///FILE, or a URL of SQLAlchemy, such as sqlite:///FILE or postgresql://user:$PASSWORD@host/db; files
    start at `graph.base`, $NAME stands for an environment variable, whose value is written nowhere."""
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
        return self

    @property
    def shown_url(self) -> str:
        """Without passwords and other secrets."""
        return _SECRETS.sub(r"\1***", _PASSWORD.sub(r"\1:***@", self.url))

    def secrets(self) -> list[str]:
        """The parts of the URL that nobody may see."""
        found = [match[2] for pattern in (_PASSWORD, _SECRETS) for match in pattern.finditer(self.url)]
        return [secret for secret in found if secret]
