"""What every part of the configuration tree shares: strictness, names, edge types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

NAME_RULE = "letters, digits, '_', '-' or '.', starting with a letter or '_'"
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_.\-]*$")


class Strict(BaseModel):
    """A frozen model that refuses keys it does not know: a misspelt key is an error, never ignored.

    Types are strict: '8', 8.0 and true are not whole numbers, 2020 is not text.
    """

    renamed_keys: ClassVar[Mapping[str, str]] = {}
    """Keys of earlier versions and their present names, for the message about them."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        use_attribute_docstrings=True,
    )


class KeyedError(ValueError):
    """Raised by a validator of a whole section when one of its keys is to blame."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class HintedError(ValueError):
    """Raised by a validator of a value; `hint` comes at the end of the message."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Accepts:
    """Tells editors (JSON Schema) of a short form that a BeforeValidator takes besides the type itself."""

    def __init__(self, *short: str, **schema: Any) -> None:
        self.forms: list[JsonSchemaValue] = [{"type": name} for name in short] + ([schema] if schema else [])

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [*self.forms, handler(core)]}


class NameIn:
    """Annotation of a field: a name in a table, looked up when a value is validated, so that names which plug-ins add
    are allowed too."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.table = table

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "enum": list(self.table)}

    def _check(self, value: Any) -> Any:
        if isinstance(value, str) and value in self.table:
            return value
        *names, last = map(repr, self.table)
        expected = f"{', '.join(names)} or {last}" if names else last
        raise PydanticCustomError("literal_error", "must be {expected}", {"expected": expected})


def _check_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(f"must be a name: {NAME_RULE}")
    return value


def _split_edge_type(value: Any) -> Any:
    """Accept both 'source:relation:target' and [source, relation, target]."""
    parts = value.split(":") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or len(parts) != 3:
        raise ValueError("must be an edge type, 'source:relation:target'")
    return tuple(parts)


Name = Annotated[str, AfterValidator(_check_name)]
EdgeType: TypeAlias = tuple[str, str, str]
EdgeTypeField = Annotated[
    tuple[Name, Name, Name],
    BeforeValidator(_split_edge_type),
    Accepts("string"),
]


def edge_name(edge_type: EdgeType) -> str:
    """The one written form of an edge type: 'source:relation:target'."""
    return ":".join(edge_type)


def _paths(value: Any) -> Any:
    if not isinstance(value, str | list):
        raise ValueError("must be a path, or a list of paths")
    return [value] if isinstance(value, str) else value


def names_of(value: Any) -> Any:
    """One column's name stands for a list of one."""
    if not isinstance(value, str | list):
        raise ValueError("must be a column's name, or a list of them")
    return [value] if isinstance(value, str) else value


Files = Annotated[list[str], BeforeValidator(_paths), Accepts("string")]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]
