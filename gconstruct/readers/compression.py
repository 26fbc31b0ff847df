"""Compressed text files: the ending of the name says how."""

from __future__ import annotations

import pyarrow as pa

from gconstruct.inputs import InputFile
from gconstruct.readers.base import ends_of
from graphstorm_like.config.formats import COMPRESSION

_MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}


def compression_of(file: InputFile) -> str | None:
    """gzip, zstd or None."""
    return next((name for ending, name in COMPRESSION.items() if file.path.lower().endswith(ending)), None)


def plain_name(file: InputFile) -> str:
    """The path in small letters, without the ending of its compression."""
    lower = file.path.lower()
    for ending in COMPRESSION:
        lower = lower.removesuffix(ending)
    return lower


def open_text(file: InputFile) -> pa.NativeFile:
    """The file's bytes, decompressed, from the start."""
    return pa.input_stream(file.path if file.is_local else file.open(), compression=compression_of(file))


def not_compressed(file: InputFile) -> str | None:
    """The message about a file that is not compressed as its name says; None when it is."""
    compression = compression_of(file)
    head, _ = ends_of(file, 1)
    if compression is None or head.startswith(_MAGIC[compression]):
        return None
    return f"{file.path}: must be a {compression} file (got one that starts with {head!r}). Compress it, or rename it"
