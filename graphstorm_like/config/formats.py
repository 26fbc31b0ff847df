"""`format:` of a table's files.

parquet   typed, compressed; read column by column
csv       also .tsv; types are guessed unless `types:` says them
jsonl     JSON lines: lists and nested values
arrow     Arrow IPC and Feather: memory-mapped
orc       of Hive and Spark
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from graphstorm_like.config.base import NameIn
from graphstorm_like.errors import ConfigError

COMPRESSION = {".gz": "gzip", ".zst": "zstd"}
"""What an ending after that of a text format stands for."""
_AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Format:
    """How files of one format are named."""

    name: str
    suffixes: tuple[str, ...]
    """Endings in small letters, with the dot."""
    is_text: bool = False
    """.gz and .zst may follow an ending."""
    when_named: tuple[str, ...] = ()
    """Endings that count for a file that the YAML names, but not for the files of a folder."""


_formats: dict[str, Format] = {}
_names: dict[str, str] = {_AUTO: "by the endings of their names"}


def add_format(added: Format) -> None:
    """Let `format` choose it. Raises ConfigError when another format has its name."""
    registered = _formats.setdefault(added.name, added)
    if registered != added or added.name == _AUTO:
        raise ConfigError(f"format: {added.name}: must be one format (got two). Give one of them another name")
    _names[added.name] = ", ".join(added.suffixes)


def known_formats() -> Mapping[str, Format]:
    """All formats by name."""
    return _formats


def format_of(path: str, *, in_folder: bool = False) -> str | None:
    """The name of the format that a file's name tells. in_folder: the YAML names its folder, not the file."""
    lower = path.lower()
    plain = compressed = lower
    for ending in COMPRESSION:
        plain = plain.removesuffix(ending)
    for known in _formats.values():
        stem = plain if known.is_text else compressed
        if stem.endswith(known.suffixes) or (stem.endswith(known.when_named) and (not in_folder or plain != lower)):
            return known.name
    return None


def listed_suffixes() -> str:
    """'.csv, .tsv or .parquet; .csv and .tsv also with .gz after them', for messages."""
    every = [suffix for known in _formats.values() for suffix in known.suffixes]
    text = [known.suffixes[0] for known in _formats.values() if known.is_text]
    return f"{', '.join(every)}; {' and '.join(text)} also with {' or '.join(COMPRESSION)} after it"


FormatName = Annotated[str, NameIn(_names)]


add_format(Format("arrow", (".arrow", ".arrows", ".ipc", ".feather")))


add_format(Format("csv", (".csv", ".tsv"), is_text=True))


add_format(Format("jsonl", (".jsonl", ".ndjson"), is_text=True, when_named=(".json",)))


add_format(Format("orc", (".orc",)))


add_format(Format("parquet", (".parquet", ".pq")))
