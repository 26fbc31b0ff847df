"""`format:` of a table's files.

Every module here adds one: a new one is a new file, with a reader in gconstruct.readers.
"""

from graphstorm_like.config.formats.base import (
    Format,
    FormatName,
    add_format,
    format_of,
    known_formats,
    listed_suffixes,
)
from graphstorm_like.registry import import_modules

__all__ = ["Format", "FormatName", "add_format", "format_of", "known_formats", "listed_suffixes"]

import_modules(__name__)
