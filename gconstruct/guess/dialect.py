"""How a CSV file is written, from its first lines: what divides values, and what quotes them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from gconstruct.inputs import InputFile
from gconstruct.readers.compression import open_text, plain_name
from graphstorm_like.config.rows import CsvOptions

_DELIMITERS = (",", ";", "\t", "|")
_QUOTES = ('"', "'")
_HEAD = 64 << 10


def sniff(file: InputFile) -> CsvOptions:
    """Delimiter and quote of a CSV file. Only what differs from the default is set."""
    with open_text(file) as stream:
        text = stream.read(_HEAD).decode("utf-8-sig", errors="replace")
    if len(text) >= _HEAD * 3 // 4:
        text = text[: text.rfind("\n") + 1]  # the last line may be cut
    ways = [(delimiter, quote) for quote in _QUOTES for delimiter in _DELIMITERS]
    best = max(ways, key=lambda way: _fitness(text, *way))
    default = CsvOptions()
    is_tsv = plain_name(file).endswith(".tsv")
    given = dict(zip(("delimiter", "quote"), best, strict=True))
    usual = {"delimiter": "\t" if is_tsv else default.delimiter, "quote": default.quote}
    return CsvOptions.model_validate({key: value for key, value in given.items() if value != usual[key]})


def _fitness(text: str, delimiter: str, quote: str) -> tuple[float, int, float, int]:
    """How well a way of writing explains the text: (lines as wide as the header, columns, values that are quoted as it
    says, earlier ways first). A file of one column fits every delimiter that it does not hold."""
    rows = _rows(text, delimiter, quote)
    if not rows:
        return (0.0, 0, 0.0, 0)
    width = len(rows[0])
    even = sum(len(row) == width for row in rows) / len(rows)
    wanted = f"{delimiter}{quote}"
    stray = sum(value[:1] in _QUOTES and value[:1] == value[-1:] for row in rows for value in row)
    order = -(_QUOTES.index(quote) * len(_DELIMITERS) + _DELIMITERS.index(delimiter))
    return (even if width > 1 else even * 0.5, min(width, 2), text.count(wanted) - 2 * stray, order)


def _rows(text: str, delimiter: str, quote: str) -> Sequence[list[str]]:
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote) if row]
    except csv.Error:
        return []
