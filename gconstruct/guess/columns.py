"""The remaining columns of a table as keys of the YAML: features, texts, and what is left out and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from gconstruct.guess.facts import TableFacts
from gconstruct.guess.names import as_name
from gconstruct.guess.roles import role_of

MOST_TEXTS = 1_000_000
"""Of which to count the words: with more, pairs of words are too many to count by default."""


@dataclass
class Columns:
    """features: name -> (settings, why). texts: columns that are read as one text. left_out: column -> why."""

    features: dict[str, tuple[dict[str, Any], str]] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    words: float = 0.0
    """In the text of a row, on the mean."""

    @property
    def text_name(self) -> str:
        """Of the text."""
        return as_name(self.texts[0]) if len(self.texts) == 1 else "text"


def with_words(columns: Columns, table: TableFacts) -> Columns:
    """Beside texts their words, which tell rare words and names apart, as a frozen language model does not."""
    if not columns.texts or table.rows > MOST_TEXTS:
        return columns
    name = "words"
    while name in columns.features:
        name += "_too"
    columns.features[name] = ({"columns": columns.texts, "encode": "words"}, "rare words and names too: TF-IDF")
    return columns


def columns_of(table: TableFacts, taken: Collection[str], left_out: Mapping[str, str]) -> Columns:
    """What the columns are good for. taken: columns with another use. left_out: column -> why it must not be read."""
    columns = Columns()
    for facts in table.columns.values():
        if facts.name in taken:
            continue
        if facts.name in left_out:
            columns.left_out[facts.name] = left_out[facts.name]
            continue
        role = role_of(facts)
        if role.kind == "feature":
            name = as_name(facts.name)
            while name in columns.features:
                name += "_too"
            columns.features[name] = ({"column": facts.name, **(role.settings or {})}, role.why)
        elif role.kind == "many":
            columns.features[as_name(facts.name)] = ({"column": facts.name, "encode": "hashing"}, role.why)
        elif role.kind == "text":
            columns.texts.append(facts.name)
            columns.words += facts.words
        elif role.kind == "split":
            columns.left_out[facts.name] = "says which rows are for training, and is not needed"
        else:
            columns.left_out[facts.name] = role.why
    return columns
