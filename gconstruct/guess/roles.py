"""What a column of a table is good for, when it is neither an id nor a link: pure decisions on ColumnFacts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gconstruct.guess.facts import ColumnFacts
from gconstruct.guess.names import ID_WORDS, singular, words
from gconstruct.kinds import NUMBERS

MAX_CATEGORIES = 256
MAX_CLASSES = 1_000
_ITEMS, _MOST_ITEMS = 256, 16384
"""Categories of `multi_hot` by its default, and at most here."""
SPLIT_VALUES = frozenset({"train", "valid", "val", "validation", "test"})
LABEL_WORDS = (
    "label", "target", "class", "y", "category", "section", "genre", "venue", "topic", "subject", "field", "kind",
    "type", "status", "churn", "fraud", "outcome", "rating", "stars", "score",
    "relevance", "relevant", "grade", "sentiment", "diagnosis",
)  # fmt: skip
"""Words that name what people predict, the likeliest first."""

PLAIN_LABELS = ("label", "target", "class", "y")
"""The first of LABEL_WORDS, which say nothing but that."""
GRADE_WORDS = frozenset(
    {"rating", "star", "score", "grade", "relevance", "point", "rank", "level", "quality", "severity"}
)
"""Words for steps of a scale."""


@dataclass(frozen=True)
class Role:
    """What a column is, and why. settings: of the feature, for features."""

    kind: str
    """split, text, feature, many (categories too many for a column each), or none"""
    why: str
    settings: dict[str, Any] | None = None


def role_of(facts: ColumnFacts) -> Role:
    """The role that a column's values give it."""
    if facts.nulls >= facts.rows or not facts.sample_rows:
        return Role("none", "empty")
    if is_split(facts):
        return Role("split", f"holds {', '.join(facts.values)}")
    if facts.kind.startswith("list of "):
        return _list_role(facts)
    if facts.binary:
        return Role("none", "bytes")
    if facts.kind not in ("string", "time", *NUMBERS):
        return Role("none", f"{facts.kind}: no use for it")
    if facts.sample_distinct <= 1 and facts.distinct <= 1:
        return Role("none", "the same in all rows")
    if facts.kind == "time":
        return _date_role(facts)
    if is_serial(facts):
        return Role("none", "an id of its own in nearly every row")
    if facts.kind in NUMBERS:
        return _number_role(facts)
    return _string_role(facts)


def is_split(facts: ColumnFacts) -> bool:
    """Whether it says which rows are for training, validation and test."""
    if facts.kind != "string":
        return False
    values = {value.lower() for value in facts.values}
    return "train" in values and len(values) > 1 and values <= SPLIT_VALUES


def _list_role(facts: ColumnFacts) -> Role:
    item = facts.kind.removeprefix("list of ")
    if item in NUMBERS and facts.width is not None and facts.width > 0:
        return Role("feature", f"{facts.width} numbers a row", {"normalize": "none", **_missing(facts)})
    if item in ("string", "integer") and facts.item_count > 1:
        return Role("feature", f"lists of {facts.item_count:,} categories", _multi_hot(facts))
    return Role("none", f"{facts.kind}s of different lengths")


def _multi_hot(facts: ColumnFacts) -> dict[str, Any]:
    """As many categories as there are, within reason: words of papers are thousands, and entries alone are kept."""
    most = min(facts.item_count, _MOST_ITEMS)
    return {"encode": "multi_hot"} | ({"max_categories": most} if most > _ITEMS else {})


def _date_role(facts: ColumnFacts) -> Role:
    """Parts of the date, as the default of that feature has them."""
    missing = {"missing": "zero"} if facts.nulls or not facts.whole else {}
    return Role("feature", f"{facts.distinct:,} different dates", {"encode": "date", **missing})


def _missing(facts: ColumnFacts) -> dict[str, Any]:
    """Nulls must be foreseen where some were seen, and in floats of which not all were seen."""
    unseen = not facts.whole and facts.kind != "integer"
    return {"missing": "mean"} if facts.nulls or unseen else {}


def _number_role(facts: ColumnFacts) -> Role:
    settings: dict[str, Any] = {}
    why = f"{facts.low:g} to {facts.high:g}" if facts.low is not None else "numbers"
    if _has_long_tail(facts):
        settings["log1p"] = True
        why += f", half of them below {facts.median:g}: log"
    missing = _missing(facts)
    if missing:
        why += f"; {facts.nulls:,} null" if facts.nulls else "; not all rows were looked at for nulls"
    return Role("feature", why, settings | missing)


def _has_long_tail(facts: ColumnFacts) -> bool:
    if facts.low is None or facts.high is None or facts.median is None or facts.mean is None or facts.low < 0:
        return False
    is_wide = facts.high > 20 * max(facts.median, 1.0)
    return is_wide and facts.mean > 1.5 * max(facts.median, 0.1)


def _string_role(facts: ColumnFacts) -> Role:
    if facts.width is not None:
        settings = {"separator": facts.separator, "normalize": "none"}
        return Role("feature", f"{facts.width} numbers a row, divided by '{facts.separator}'", settings)
    if facts.separator is not None:
        settings = {**_multi_hot(facts), "separator": facts.separator}
        return Role("feature", f"{facts.item_count:,} categories divided by '{facts.separator}'", settings)
    share = facts.sample_distinct / max(facts.sample_rows, 1)
    if is_text(facts):
        return Role("text", f"{facts.words:.0f} words on the mean, {share:.0%} different")
    if facts.distinct <= MAX_CATEGORIES and facts.repeats >= 2:
        return Role("feature", f"{facts.distinct:,} categories", {"encode": "one_hot"})
    if facts.repeats >= 2:
        return Role("many", f"{facts.distinct:,} different values, each {facts.repeats:.0f} times on the mean")
    return Role("none", f"{share:.0%} different words: names, not text or categories")


def is_serial(facts: ColumnFacts) -> bool:
    """Whether it numbers rows: a name like order_id, and hardly a value twice."""
    is_named = bool(words(facts.name)) and words(facts.name)[-1] in ID_WORDS
    return facts.kind == "integer" and is_named and facts.repeats < 1.1


def is_text(facts: ColumnFacts) -> bool:
    """Words with blanks between them that are seldom the same: sentences, titles, searches."""
    if facts.kind != "string" or facts.binary or facts.separator is not None:
        return False
    share = facts.sample_distinct / max(facts.sample_rows, 1)
    is_long = facts.length > 64 and facts.words >= 3
    return facts.words >= 1.75 and facts.length >= 8 and (share >= 0.3 or (is_long and share >= 0.1))


def label_rank(name: str) -> int | None:
    """How early a column's name stands among LABEL_WORDS; None: nowhere."""
    found = words(name)
    ranks = [LABEL_WORDS.index(word) for word in found if word in LABEL_WORDS]
    return min(ranks) if ranks else None


def is_grade(facts: ColumnFacts) -> bool:
    """Whether few whole numbers are steps of a scale, as 1 to 5 stars, where a guess of 4 for 5 is nearly right."""
    is_number = facts.kind == "integer" and 2 < facts.distinct <= 20
    return is_number and bool({singular(word) for word in words(facts.name)} & GRADE_WORDS)


def label_kind(facts: ColumnFacts) -> str | None:
    """'class' or 'number' when a column can be a label, else None."""
    if facts.nulls >= facts.rows or facts.distinct < 2 or is_split(facts) or is_serial(facts):
        return None
    if facts.kind in ("string", "boolean"):
        return "class" if facts.distinct <= MAX_CLASSES and facts.repeats >= 2 else None
    if facts.kind == "integer":
        return "class" if facts.distinct <= 20 and not is_grade(facts) else "number"
    return "number" if facts.kind in ("float", "decimal") else None
