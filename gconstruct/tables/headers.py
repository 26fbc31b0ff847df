"""The header of one file: names, types and pieces, or the reason why it cannot be read."""

from __future__ import annotations

from collections.abc import Collection

from gconstruct.inputs import InputFile
from gconstruct.problems import Problems
from gconstruct.readers import READ_ERRORS, Header, UnreadableError, reader_of
from graphstorm_like.config.rows import CsvOptions
from graphstorm_like.mirror.stores import store_errors


def read_header(
    file: InputFile, options: CsvOptions, needed: Collection[str], problems: Problems, key: str = ""
) -> Header | None:
    """None when the file cannot be read (then `problems` says why). key: where the YAML names the file."""
    if file.size == 0 and file.source is None:
        fix = "Write it again, or leave it out"
        problems.add(f"{file.path}: must hold a table (got an empty file, 0 bytes). {fix}", key)
        return None
    try:
        with store_errors():
            header = reader_of(file).header(file, options, needed)
    except (UnreadableError, *READ_ERRORS) as err:
        problems.add(why_unreadable(file, err, options), key)
        return None
    names = [name for name, _ in header.columns]
    repeated = sorted({n for n in names if names.count(n) > 1}) if len(set(names)) < len(names) else []
    if repeated:
        problems.add(f"{file.path}: column names must be unique (got {repeated[0]!r} more than once). Rename them", key)
        return None
    return header


def why_unreadable(file: InputFile, error: BaseException, options: CsvOptions) -> str:
    """The message about an error of a reader."""
    if isinstance(error, UnreadableError):
        return str(error)
    try:
        with store_errors():
            return reader_of(file).explain(file, error, options)
    except READ_ERRORS as err:  # it cannot even be opened
        reason = (str(err).strip() or type(err).__name__).splitlines()[0]
        return f"{file.path}: must be readable (got: {reason}). Check that it is there, and its permissions"
