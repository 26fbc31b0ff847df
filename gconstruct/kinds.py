"""The kind of a column, in the few words that rules and messages need, and which use accepts which kind.

A kind is one of string, integer, float, boolean, decimal, time, null, text (a CSV column: strings that may stand for
anything), 'list of <kind>', or other. Files of one table may differ in width (int32, int64) but not in kind.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

NUMBERS = ("integer", "float", "boolean", "decimal")
_SCALARS = ("string", *NUMBERS, "time")

USES: dict[str, tuple[str, tuple[str, ...]]] = {
    # use: (rule of its messages, kinds); 'null' and 'text' are checked where values are read
    "id": ("string or integer ids", ("string", "integer")),
    "ids": (
        "string or integer ids, or lists of them",
        ("string", "integer", "list of string", "list of integer"),
    ),
    "numeric": ("numbers, or lists of numbers", (*NUMBERS, *(f"list of {k}" for k in NUMBERS))),
    "scalar": ("numbers", NUMBERS),
    "one_hot": ("strings, integers or booleans", ("string", "integer", "boolean")),
    "multi_hot": ("lists of strings, integers or booleans", ("list of string", "list of integer", "list of boolean")),
    "categories": (
        "strings, integers or booleans, or lists of them",
        ("string", "integer", "boolean", "list of string", "list of integer", "list of boolean"),
    ),
    "date": ("dates, times, or strings in ISO 8601", ("time", "string")),
    "epoch": ("numbers of time since 1970", ("integer", "float", "decimal")),
    "separated": ("strings", ("string",)),
    "text": ("strings, numbers, booleans or dates", _SCALARS),
    "image": ("bytes of images, or paths of files", ("string",)),
    "class": ("strings, integers or booleans", ("string", "integer", "boolean")),
    "classes": ("lists of strings, integers or booleans", ("list of string", "list of integer", "list of boolean")),
    "number": ("numbers", NUMBERS),
    "split": ("strings (train, valid, test)", ("string",)),
    "group": ("strings or integers", ("string", "integer")),
    "moment": ("dates, times or numbers", ("time", "integer", "float", "string")),
}

_HINTS: dict[tuple[str, str], str] = {
    ("id", "float"): "Cast it to int64 or string: a float is no exact id (pandas makes integers with nulls float)",
    ("id", ""): "Cast it to int64 or string",
    ("numeric", "string"): "Use encode: one_hot, or cast the column to a number",
    ("scalar", "string"): "Use encode: one_hot, or cast the column to a number",
    ("scalar", "time"): "Use encode: date",
    ("numeric", "list of string"): "Use encode: multi_hot, or cast the column to numbers",
    ("numeric", "time"): "Use encode: date",
    ("one_hot", "float"): "Use encode: numeric, or cast the column to an integer",
    ("one_hot", "list of string"): "Use encode: multi_hot",
    ("categories", "float"): "Use encode: numeric or bucket, or cast the column to an integer",
    ("date", "integer"): "Set unit, e.g. unit: s for seconds since 1970",
    ("date", "float"): "Set unit, e.g. unit: s for seconds since 1970",
    ("epoch", "time"): "Leave unit out: the column holds times already",
    ("epoch", "string"): "Leave unit out for strings in ISO 8601, or cast the column to a number",
    ("multi_hot", "string"): "Set separator, e.g. separator: ';', or use encode: one_hot",
    ("multi_hot", "text"): "A CSV column holds no lists: set separator, e.g. separator: ';'",
    ("separated", "list of string"): "Leave separator out: the column holds lists already",
    ("classes", "string"): "Set separator, e.g. separator: ';', or use kind: class",
    ("classes", "text"): "A CSV column holds no lists: set separator, e.g. separator: ';'",
    ("class", "list of string"): "Use kind: classes",
    ("class", "list of integer"): "Use kind: classes",
    ("class", "float"): "Use kind: number, or cast the column to an integer (pandas: astype('Int64'))",
    ("number", "string"): "Use kind: class, or cast the column to a number",
    ("split", "integer"): "Write the names train, valid and test",
}


def kind_of(data_type: pa.DataType) -> str:
    """The kind of an Arrow type; a dictionary has the kind of its values."""
    t = pa.types
    if t.is_dictionary(data_type):
        return kind_of(data_type.value_type)
    if t.is_list(data_type) or t.is_large_list(data_type) or t.is_fixed_size_list(data_type):
        return f"list of {kind_of(data_type.value_type)}"
    for kind, tests in (
        (
            "string",
            (t.is_string, t.is_large_string, t.is_string_view, t.is_binary, t.is_large_binary, t.is_binary_view),
        ),
        ("integer", (t.is_integer,)),
        ("float", (t.is_floating,)),
        ("boolean", (t.is_boolean,)),
        ("decimal", (t.is_decimal,)),
        ("null", (t.is_null,)),
        ("time", (t.is_temporal,)),
    ):
        if any(test(data_type) for test in tests):
            return kind
    return "other"


def merge_types(types: Iterable[pa.DataType]) -> pa.DataType | None:
    """The one type to which the types of a column in several files are cast, or None when they do not fit together."""
    typed = [t for t in types if not pa.types.is_null(t)]
    kinds = {kind_of(t) for t in typed}
    if not kinds:
        return pa.null()
    if all(k.startswith("list of ") for k in kinds):
        values = merge_types([t.value_type for t in typed])
        return None if values is None else pa.large_list(values)
    if kinds <= {"integer", "float", "decimal"} and len(kinds) > 1:
        return pa.float64()
    return _widest(kinds.pop(), typed) if len(kinds) == 1 else None


def _widest(kind: str, types: list[pa.DataType]) -> pa.DataType:
    """The type for all columns of a scalar kind; float32 stays as it is when all files have it."""
    if kind == "float":
        return pa.float32() if all(t in (pa.float32(), pa.float16()) for t in types) else pa.float64()
    fixed = {"string": pa.large_string(), "integer": pa.int64(), "boolean": pa.bool_(), "decimal": pa.float64()}
    first = types[0].value_type if pa.types.is_dictionary(types[0]) else types[0]
    return fixed.get(kind, first)


def accepts(use: str, kind: str) -> bool:
    """Whether a column of this kind may be used so. 'list of null' comes from lists that are all empty."""
    if kind == "text":
        return use not in ("multi_hot", "classes")
    return kind in ("null", "list of null") or kind in USES[use][1]


def hint(use: str, kind: str) -> str:
    """What to do about a column of the wrong kind."""
    advice = _HINTS.get((use, kind)) or _HINTS.get((use, ""))
    return advice or f"Name another column, or cast it to {USES[use][0].split(' (')[0]}"
