"""What every part of the configuration tree shares: strictness, names, edge types."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

NAME_RULE = "letters, digits, '_', '-' or '.', starting with a letter or '_'"
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_.\-]*$")


class Strict(BaseModel):
    """A frozen model that refuses keys it does not know: a misspelt key is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True)


def _check_name(value: str) -> str:
    if not _NAME.match(value):
        raise ValueError(f"must be a name: {NAME_RULE}")
    return value


def _split_edge_type(value: Any) -> Any:
    """Accept both 'source:relation:target' and [source, relation, target]."""
    if isinstance(value, str):
        parts = value.split(":")
        if len(parts) != 3:
            raise ValueError("must be an edge type, 'source:relation:target'")
        return tuple(parts)
    return tuple(value) if isinstance(value, list) else value


Name = Annotated[str, AfterValidator(_check_name)]
EdgeType: TypeAlias = tuple[str, str, str]
EdgeTypeField = Annotated[
    tuple[Name, Name, Name],
    BeforeValidator(_split_edge_type),
    Field(json_schema_extra={"description": "source:relation:target"}),
]


def edge_name(edge_type: EdgeType) -> str:
    """The one written form of an edge type: 'source:relation:target'."""
    return ":".join(edge_type)


Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]
