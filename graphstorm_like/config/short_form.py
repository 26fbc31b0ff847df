"""Fields that take some members of a family, by name alone (`huber`) or as a mapping (`{type: huber}`)."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from graphstorm_like.config.base import HintedError, KeyedError
from graphstorm_like.config.choice import Choice, json_choices, members_of
from graphstorm_like.errors import did_you_mean


class ShortForm:
    """Annotation of a field of a family with the tag 'type'; subclasses say which members fit."""

    family: ClassVar[type[Choice]]

    def fits(self, member: Any) -> bool:
        """Whether a class of the family may stand here. Default: all."""
        return True

    def names(self) -> list[str]:
        """Tags of the members that fit."""
        members = members_of(self.family) or {}
        return [tag for tag, member in members.items() if self.fits(member)]

    def settings(self, written: str) -> dict[str, Any]:
        """The long form of a short one."""
        self.check_name(written)
        return {"type": written}

    def check_name(self, tag: str) -> None:
        """HintedError for a name that does not fit."""
        if tag not in self.names():
            raise HintedError(f"must be {self._listed()}", did_you_mean(tag, self.names()))

    def check(self, value: Any) -> Any:
        """The long form of a member that fits; errors list those that do."""
        if isinstance(value, str):
            return self.settings(value)
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
        return {"anyOf": [{"type": "string"}, handler(json_choices(self.family, self.names()))]}
