"""Open choices: `type: rgcn` picks one of a family of configuration classes, which anybody may extend.

    class GnnConfig(Choice, tag="type"):           # the family; a field is annotated with it
        type: str

    class RgcnConfig(GnnConfig):                   # a member: it registers itself under its tag
        type: Literal["rgcn"]

A field of the family looks up the tag when a value is validated, so that members defined later are included.
"""

from __future__ import annotations

import sys
from collections.abc import Container, Mapping
from typing import Any, ClassVar, Literal, get_args, get_origin

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, SchemaValidator, core_schema

from graphstorm_like.config.base import Strict
from graphstorm_like.errors import ConfigError, nearest


class Family:
    """The members of a family by their tags, and the validator that chooses among them."""

    def __init__(self, root: type[Choice], tag: str, default: str | None) -> None:
        self.root, self.tag, self.default = root, tag, default
        self.members: dict[str, type[Choice]] = {}
        self._validator: SchemaValidator | None = None

    def add(self, member: type[Choice]) -> None:
        """Register a member under each value of its tag. Raises ConfigError when another class has that tag."""
        for value in tag_values(member, self.tag):
            registered = self.members.get(value)
            if registered is not None and not _same_class(registered, member):
                raise ConfigError(
                    f"{self.tag}: {value}: must be one class (got {_place(registered)} and {_place(member)}). "
                    f"Give one of them another tag"
                )
            self.members[value] = member
        self._validator = None

    def validate(self, value: Any) -> Any:
        """A member of the family from a mapping with the tag; instances are taken as they are."""
        if isinstance(value, self.root):
            return value
        if self._validator is None:
            choices = {tag: _validates(member) for tag, member in self.members.items()}
            schema = core_schema.tagged_union_schema(choices, self.tag)
            self._validator = SchemaValidator(schema)
        return self._validator.validate_python(self._with_tag(value))

    def _with_tag(self, value: Any) -> Any:
        """The implied tag where none is given, unless a key may be a misspelling of it (the message asks)."""
        if not isinstance(value, dict) or self.tag in value:
            return value
        implied = self.root.implied_tag(value)
        if implied is None:
            return value
        own_keys = self.members[implied].model_fields if implied in self.members else {}
        if nearest(self.tag, [key for key in value if key not in own_keys]) is not None:
            return value
        return {self.tag: implied, **value}


class Choice(Strict):
    """Base of configuration classes among which a tag chooses."""

    family: ClassVar[Family | None] = None

    def __init_subclass__(cls, tag: str | None = None, default: str | None = None, **kwargs: Any) -> None:
        """tag: makes the class the root of a family, whose members have this key. default: the tag when none
        is given; None: it must be given."""
        super().__init_subclass__(**kwargs)
        if tag is not None:
            cls.family = Family(cls, tag, default)

    @classmethod
    def implied_tag(cls, value: Mapping[str, Any]) -> str | None:
        """The tag of a mapping that has none: the family's default. None: it must be given."""
        return None if cls.family is None else cls.family.default

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        if cls.family is not None and cls.family.root is not cls:
            cls.family.add(cls)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        family = cls.family
        if family is None or family.root is not cls or "family" not in cls.__dict__:
            return handler(source)
        return core_schema.no_info_plain_validator_function(family.validate, metadata={"family": family.root.__name__})

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        family = cls.family
        if family is None or family.root is not cls:
            return handler(core)
        return handler(json_choices(cls, family.members))


def members_of(config_class: Any) -> Mapping[str, type[Choice]] | None:
    """The members of a family by their tags, when the class is the root of one."""
    if not (isinstance(config_class, type) and issubclass(config_class, Choice)):
        return None
    family = config_class.family
    return family.members if family is not None and family.root is config_class else None


def json_choices(root: type[Choice], tags: Container[str]) -> CoreSchema:
    """For JSON Schema: some members of a family."""
    family = root.family
    assert family is not None, "the root of a family"
    choices = {tag: _named(member) for tag, member in family.members.items() if tag in tags}
    return core_schema.tagged_union_schema(choices, family.tag)


def tag_values(member: type[Choice], tag: str) -> tuple[str, ...]:
    """The values of a member's tag; none for a class that other members derive from."""
    field = member.model_fields.get(tag)
    if field is None or get_origin(field.annotation) is not Literal:
        return ()
    values: tuple[str, ...] = get_args(field.annotation)
    return values


def _named(member: type[Choice]) -> Any:
    """A member's schema with a name, under which JSON Schema defines it once."""
    schema: Any = dict(member.__pydantic_core_schema__)
    inner = schema["schema"] if schema["type"] == "definitions" else schema
    if inner["type"] == "definition-ref":
        return schema
    inner = {**inner, "ref": f"{member.__module__}.{member.__qualname__}:{id(member)}"}
    return {**schema, "schema": inner} if schema["type"] == "definitions" else inner


def _validates(member: type[Choice]) -> CoreSchema:
    def validate(value: Any) -> Any:
        return member.__pydantic_validator__.validate_python(value)

    return core_schema.no_info_plain_validator_function(validate)


def _same_class(first: type, second: type) -> bool:
    """Whether it is the same class again, of a module that was imported twice."""
    return first.__qualname__ == second.__qualname__ and _file(first) == _file(second)


def _file(config_class: type) -> str | None:
    return getattr(sys.modules.get(config_class.__module__), "__file__", config_class.__module__)


def _place(config_class: type) -> str:
    return f"{config_class.__module__}.{config_class.__qualname__}"
