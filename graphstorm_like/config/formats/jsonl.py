"""JSON lines: one object a line."""

from graphstorm_like.config.formats.base import Format, add_format

add_format(Format("jsonl", (".jsonl", ".ndjson"), is_text=True, when_named=(".json",)))
