"""Where the rows of a table come from."""

from __future__ import annotations

from typing import Annotated, Protocol

from pydantic import Field, model_validator

from graphstorm_like.config.base import Files, KeyedError, Strict
from graphstorm_like.config.formats import FormatName
from graphstorm_like.config.sql import SqlConfig


class CsvOptions(Strict):
    """How CSV files are written. Other formats need none of this."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """One character between two values."""
    quote: Annotated[str, Field(min_length=1, max_length=1)] = '"'
    """One character around values that hold the delimiter."""
    header: list[str] | None = None
    """Column names, for files without a header line."""
    null_values: list[str] = ["", "NULL", "null", "NA", "NaN", "nan"]
    """Values that stand for null."""


class Rows(Protocol):
    """What has rows, or may have them."""

    @property
    def files(self) -> list[str]: ...
    @property
    def sql(self) -> SqlConfig | None: ...
    @property
    def format(self) -> str: ...
    @property
    def csv(self) -> CsvOptions: ...


def check_one_place(table: Rows) -> None:
    """Raise KeyedError when rows come from files and from a database."""
    if table.files and table.sql is not None:
        raise KeyedError("sql", "must be left out when there are 'files': the rows of a table come from one place")


class RowsConfig(Strict):
    """Rows of files or of a database."""

    files: Files = []
    """Paths, globs, folders or URLs (s3://...); relative ones start at `graph.base`, or at the YAML's folder. Folders
    key=value within a folder make columns."""
    sql: SqlConfig | None = None
    """Rows of a database, instead of files."""
    format: FormatName = "auto"
    """Of the files; auto: by the endings of their names."""
    csv: CsvOptions = CsvOptions()

    @property
    def has_table(self) -> bool:
        """False for what stands for an existing graph folder."""
        return bool(self.files) or self.sql is not None

    @model_validator(mode="after")
    def _has_rows(self) -> RowsConfig:
        check_one_place(self)
        if not self.has_table:
            raise KeyedError("files", "must have at least 1 entry, unless there is 'sql'")
        return self


class JoinConfig(RowsConfig):
    """Another table with columns of the same nodes. Each of its rows belongs to the node with its id; nodes without a
    row have nulls, and rows of no node are left out. It is held in memory."""

    id: str | None = None
    """The column with the nodes' ids; default: the name that it has in the node table."""
