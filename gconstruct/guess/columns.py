"""The remaining columns of a table as keys of the YAML: features, texts, and what is left out and why."""

from __future__ import annotations

import collections
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from gconstruct.guess.facts import TableFacts
from gconstruct.guess.names import as_name
from gconstruct.guess.roles import role_of

FEWEST_WORDS = 10
"""That come twice, for texts to be told apart by words."""
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
    reads_words: bool = False
    """Whether a feature says which words the texts have."""

    @property
    def text_name(self) -> str:
        """Of the text."""
        return as_name(self.texts[0]) if len(self.texts) == 1 else "text"


def with_words(columns: Columns, table: TableFacts) -> Columns:
    """Beside texts their words, which tell rare words and names apart, as a frozen language model does not; pieces of
    words where few words come twice, as in codes and in languages that do not divide words."""
    if not columns.texts or table.rows > MOST_TEXTS or table.sample is None:
        return columns
    name = "words"
    while name in columns.features:
        name += "_too"
    settings: dict[str, Any] = {"columns": columns.texts, "encode": "words"}
    if _repeated_words(table.sample, columns.texts) < FEWEST_WORDS:
        settings["of"] = "characters"
    columns.features[name] = (settings, "rare words and names too: TF-IDF")
    columns.reads_words = True
    return columns


def _repeated_words(sample: pa.Table, texts: Collection[str]) -> int:
    """How many different words are in two of the first thousand rows."""
    rows = collections.Counter[str]()
    for row in sample.select(list(texts)).slice(0, 1000).to_pylist():
        rows.update({word for text in row.values() if text is not None for word in str(text).lower().split()})
    return sum(count > 1 for count in rows.values())


def columns_of(table: TableFacts, taken: Collection[str], left_out: Mapping[str, str]) -> Columns:
    """What the columns are good for. taken: columns with another use. left_out: column -> why it must not be read."""
    columns = Columns(left_out=dict(table.set_aside))
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
