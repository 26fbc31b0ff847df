"""What every loss of labels has in its configuration, and the short form: `huber` for `{type: huber}`."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, cast

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from graphstorm_like.config.base import HintedError, KeyedError
from graphstorm_like.config.choice import Choice, json_choices, members_of
from graphstorm_like.errors import did_you_mean

LabelKind = Literal["class", "classes", "number"]
"""One class a row, any number of them, or a number."""


class LabelLossConfig(Choice, tag="type"):
    """The head's outputs and the labels -> a loss."""

    of_labels: ClassVar[tuple[LabelKind, ...]]
    """The kinds of labels that it is for."""

    type: str

    @property
    def smoothing(self) -> float:
        """How much of a class label's probability it spreads over all classes."""
        return 0.0


class LossOf:
    """Annotation of a field: a loss of one kind of labels, by its name alone or as a mapping."""

    def __init__(self, kind: LabelKind) -> None:
        self.kind = kind

    def names(self) -> list[str]:
        """Tags of the losses that fit."""
        members = members_of(LabelLossConfig) or {}
        return [tag for tag, member in members.items() if self.kind in cast(type[LabelLossConfig], member).of_labels]

    def check(self, value: Any) -> Any:
        """The long form of a loss that fits; ValueError lists those that do."""
        if isinstance(value, str):
            if value not in self.names():
                raise HintedError(f"must be {self._listed()}", did_you_mean(value, self.names()))
            return {"type": value}
        tag = value.get("type") if isinstance(value, dict) else None
        if isinstance(tag, str) and tag not in self.names():
            hint = did_you_mean(tag, self.names())
            raise KeyedError("type", f"must be {self._listed()} (got {tag!r}).{hint}")
        return value

    def _listed(self) -> str:
        *names, last = map(repr, self.names())
        return f"{', '.join(names)} or {last}" if names else last

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string"}, handler(json_choices(LabelLossConfig, self.names()))]}
