"""What every part of the configuration tree shares: strictness, names, edge types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

NAME_RULE = "letters, digits, '_', '-' or '.', starting with a letter or '_'"
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_.\-]*$")


class Strict(BaseModel):
    """A frozen model that refuses keys it does not know: a misspelt key is an error, never ignored.

    Types are taken at their word: '8', 8.0 and true are no whole numbers, 2020 is no text.
    """

    renamed_keys: ClassVar[Mapping[str, str]] = {}
    """Keys of earlier versions and what they are called now: the message that refuses them says so."""

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
    """Raised by a validator of a value; `hint` is said behind what was got."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Accepts:
    """Tells editors (JSON Schema) of a short form that a BeforeValidator takes besides the type itself."""

    def __init__(self, *short: str, **schema: Any) -> None:
        self.forms: list[JsonSchemaValue] = [{"type": name} for name in short] + ([schema] if schema else [])

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [*self.forms, handler(core)]}


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


Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]
