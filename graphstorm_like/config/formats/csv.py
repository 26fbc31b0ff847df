"""Comma-separated values, and others with `csv.delimiter`."""

from graphstorm_like.config.formats.base import Format, add_format

add_format(Format("csv", (".csv", ".tsv"), is_text=True))
