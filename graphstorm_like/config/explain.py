"""pydantic's errors -> messages for people: rule, what was got, what is allowed, nearest spelling."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from graphstorm_like.errors import did_you_mean

Path_ = tuple[str | int, ...]


def explain(root: type[BaseModel], error: ValidationError) -> list[tuple[Path_, str]]:
    """[(path without union tags, message)] of every problem in `error`."""
    found: dict[tuple[Path_, str], None] = {}
    for detail in error.errors(include_url=False):
        path, at = _locate(root, detail["loc"])
        found[(path, _message(detail, at, path))] = None
    return list(found)


def _message(detail: ErrorDetails, at: Any, path: Path_) -> str:
    kind, got, ctx = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        known = _known_keys(at)
        return f"unknown key (known: {', '.join(known)}).{did_you_mean(str(path[-1]), known)}"
    if kind == "missing":
        return "must be given"
    if kind == "literal_error":
        allowed = ctx["expected"]
        names = [p.strip(" '") for p in allowed.replace(" or ", ",").split(",")]
        return f"must be {allowed} (got {_short(got)}).{did_you_mean(str(got), names)}"
    if kind == "union_tag_invalid":
        names = [p.strip(" '") for p in ctx["expected_tags"].split(",")]
        tag = ctx["tag"]
        return f"{_tag_field(ctx)} must be one of {', '.join(names)} (got '{tag}').{did_you_mean(tag, names)}"
    if kind == "union_tag_not_found":
        return f"must have a key {_tag_field(ctx)} (one of {', '.join(_tags(at))})"
    if kind == "value_error":
        return f"{ctx['error']} (got {_short(got)})" if not isinstance(got, dict) else str(ctx["error"])
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return f"must be a mapping of keys to values (got {_short(got)})"
    if kind == "list_type":
        return f"must be a list (got {_short(got)})"
    rule = detail["msg"].replace("Input should be ", "must be ").replace("Value should", "must")
    return f"{rule[0].lower()}{rule[1:]} (got {_short(got)})"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _tag_field(ctx: dict[str, Any]) -> str:
    return str(ctx["discriminator"])


def _known_keys(at: Any) -> list[str]:
    model = _as_model(at)
    return list(model.model_fields) if model else []


def _locate(root: Any, loc: tuple[str | int, ...]) -> tuple[Path_, Any]:
    """Follow `loc` through the type tree; drop what is a union's tag; give the innermost container type."""
    at, path, parent = root, [], root
    for step in loc:
        members = _members(at)
        if len(members) > 1 or _is_tagged(at):
            tagged = next((m for m in members if step in _tag_values(m)), None)
            if tagged is not None:
                at = parent = tagged
                continue
            if isinstance(step, str) and step in {getattr(m, "__name__", "") or str(m) for m in members} | _CORE_NAMES:
                continue
        path.append(step)
        parent = at
        at = _child(at, step)
    return tuple(path), (at if at is not None and _tags(at) else parent)


_CORE_NAMES = {"bool", "str", "int", "float", "list[str]", "constrained-str", "constrained-int"}


def _child(at: Any, step: str | int) -> Any:
    for member in _members(at):
        model = _as_model(member)
        if model is not None and isinstance(step, str) and step in model.model_fields:
            return _field_type(model.model_fields[step])
        origin, args = get_origin(member), get_args(member)
        if origin is dict:
            return args[1]
        if origin is list and isinstance(step, int):
            return args[0]
    return None


def _field_type(field: FieldInfo) -> Any:
    return field.annotation if not field.metadata and field.discriminator is None else field.rebuild_annotation()


def _strip(at: Any) -> Any:
    while get_origin(at) is typing.Annotated:
        at = get_args(at)[0]
    return at


def _members(at: Any) -> list[Any]:
    bare = _strip(at)
    if get_origin(bare) in (Union, types.UnionType):
        return [m for arg in get_args(bare) for m in _members(arg)]
    return [] if bare is None else [bare]


def _is_tagged(at: Any) -> bool:
    return bool(_tags(at))


def _as_model(at: Any) -> type[BaseModel] | None:
    bare = _strip(at)
    return bare if isinstance(bare, type) and issubclass(bare, BaseModel) else None


def _tag_values(member: Any) -> tuple[str, ...]:
    """The values of a model's Literal tag field (type, encode, on)."""
    model = _as_model(member)
    if model is None:
        return ()
    for name in ("type", "encode", "on"):
        field = model.model_fields.get(name)
        if field is not None and get_origin(field.annotation) is typing.Literal:
            return tuple(get_args(field.annotation))
    return ()


def _tags(at: Any) -> list[str]:
    members = [m for m in _members(at) if m is not type(None)]
    return [v for m in members for v in _tag_values(m)] if len(members) > 1 else []


def allowed_keys(model: type[BaseModel]) -> Iterator[str]:
    """Names of a model's keys (for `gsl` completions and docs)."""
    yield from model.model_fields
