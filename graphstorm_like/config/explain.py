"""pydantic's errors -> messages for people: rule, what was got, what is allowed, nearest spelling."""

from __future__ import annotations

import types
import typing
from typing import Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from graphstorm_like.config.base import KeyedError
from graphstorm_like.config.choice import Choice, members_of, tag_values
from graphstorm_like.config.yaml_source import KeyPath
from graphstorm_like.errors import did_you_mean


class _Spot(NamedTuple):
    """Where in the type tree an error lies."""

    path: KeyPath
    """Keys as the user wrote them: without the names of union members."""
    owner: Any
    """Type of what holds the last key."""
    at: Any
    """Type of the value itself; None when the key is unknown."""
    tag: str
    """The union member that was chosen, e.g. 'rgcn'; empty outside unions."""


class _Rule(NamedTuple):
    """`must <rule> (got <got>).<hint>`; rules of one place are joined with 'or'."""

    rule: str
    got: str
    hint: str


def explain(root: type[BaseModel], error: ValidationError, data: Any) -> list[tuple[KeyPath, str]]:
    """[(path, message)] of every problem that `error` found in `data`; the members of a union share one message."""
    rules: dict[KeyPath, list[_Rule]] = {}
    structural: list[tuple[KeyPath, str]] = []
    for detail in error.errors(include_url=False):
        spot = _locate(root, detail["loc"])
        spot = spot._replace(path=_as_written(spot.path, data))
        rule = _rule(detail, spot)
        if rule is None:
            structural += _structure(detail, spot)
        else:
            rules.setdefault(_given(spot.path, data), []).append(rule)
    return _without_echo(structural) + [(path, _join(rules_of_path)) for path, rules_of_path in rules.items()]


def _join(rules_of_path: list[_Rule]) -> str:
    rules = list(dict.fromkeys(r.rule for r in rules_of_path))
    if len(rules) > 1:
        rules = [rule.replace("be ", "", 1).replace("true or false", "true, false") for rule in rules]
    hints = "".join(dict.fromkeys(r.hint for r in rules_of_path))
    text = f"must {'be ' if len(rules) > 1 else ''}{' or '.join(rules)} (got {rules_of_path[0].got})"
    return f"{text}.{hints.removeprefix('.')}" if hints else text


def _structure(detail: ErrorDetails, spot: _Spot) -> list[tuple[KeyPath, str]]:
    """Problems with keys rather than with a value; empty if the problem is with a value."""
    kind, value, path = detail["type"], detail["input"], spot.path
    if kind in ("extra_forbidden", "invalid_key"):
        return [(path, _unknown_key(str(path[-1]), _keys(spot.owner), spot))]
    if kind == "missing":
        allowed = get_args(spot.at) if get_origin(spot.at) is typing.Literal else ()
        return [(path, f"must be given{f': {_listed(list(allowed))}' if allowed else ''}")]
    if kind == "union_tag_invalid":
        field, tag = _tag_field(spot.at), detail["ctx"]["tag"]
        return [
            (
                (*path, field),
                f"must be {_listed(_tags(spot.at))} (got {shown(tag)}).{did_you_mean(tag, _tags(spot.at))}",
            )
        ]
    if kind == "union_tag_not_found":
        missing = ((*path, _tag_field(spot.at)), f"must be given: {_listed(_tags(spot.at))}")
        return [*_keys_of_no_member(value, spot), missing]
    error = detail["ctx"]["error"]
    if isinstance(error, KeyedError):
        return [((*path, error.key), str(error))]
    return [(path, str(error))]


def _keys_of_no_member(value: Any, spot: _Spot) -> list[tuple[KeyPath, str]]:
    """Unknown keys of a mapping without a tag: those that no member of the open choice has."""
    allowed: dict[str, None] = {}
    for member in _members(spot.at):
        allowed |= dict.fromkeys(_keys(member))
    unknown = [key for key in value if key not in allowed] if isinstance(value, dict) else []
    return [((*spot.path, key), _unknown_key(key, list(allowed), spot)) for key in unknown]


def _unknown_key(key: str, allowed: list[str], spot: _Spot) -> str:
    of = f" for {_tag_field(spot.owner)} {spot.tag}" if spot.tag else ""
    present_name = getattr(spot.owner, "renamed_keys", {}).get(key)
    hint = did_you_mean(key, allowed) if present_name is None else f" Did you mean '{present_name}'?"
    return f"unknown key{of} (known: {', '.join(allowed)}).{hint}"


def _without_echo(problems: list[tuple[KeyPath, str]]) -> list[tuple[KeyPath, str]]:
    """Leave out 'source must be given' where the message beside it asks whether 'sorce' is meant to be 'source'."""
    unknown = [(path[:-1], message) for path, message in problems if message.startswith("unknown key")]

    def is_asked_for(path: KeyPath) -> bool:
        question = f"Did you mean '{path[-1]}'?"
        return any(section == path[:-1] and message.endswith(question) for section, message in unknown)

    return [
        (path, message)
        for path, message in problems
        if not (message.startswith("must be given") and is_asked_for(path))
    ]


def _rule(detail: ErrorDetails, spot: _Spot) -> _Rule | None:
    """The rule that a single value breaks, or None when the problem is one of keys."""
    kind, value, ctx = detail["type"], detail["input"], detail.get("ctx", {})
    if kind in _KEY_PROBLEMS or (kind == "value_error" and isinstance(value, dict) and _keys(spot.at)):
        return None
    hint = _slip(kind, value)
    if kind == "value_error":
        rule = str(ctx["error"]).removeprefix("must ")
        hint = getattr(ctx["error"], "hint", "") or hint
    elif kind == "literal_error":
        rule = f"be {ctx['expected']}"
        hint = did_you_mean(str(value), [part.strip(" '") for part in ctx["expected"].replace(" or ", ",").split(",")])
    elif kind in _RULES:
        rule = _RULES[kind].format(**ctx)
    else:
        rule = detail["msg"].replace("Input should ", "").replace("Value should ", "")
    return _Rule(rule, shown(value), hint)


_KEY_PROBLEMS = ("extra_forbidden", "invalid_key", "missing", "union_tag_invalid", "union_tag_not_found")

_RULES = {
    "bool_type": "be true or false",
    "int_type": "be a whole number",
    "float_type": "be a number",
    "finite_number": "be a finite number",
    "string_type": "be text",
    "greater_than": "be greater than {gt:g}",
    "greater_than_equal": "be at least {ge:g}",
    "less_than": "be less than {lt:g}",
    "less_than_equal": "be at most {le:g}",
    "list_type": "be a list",
    "dict_type": "be a mapping of keys to values",
    "model_type": "be a mapping of keys to values",
    "model_attributes_type": "be a mapping of keys to values",
    "too_short": "have at least {min_length} entry",
    "string_too_short": "have at least {min_length} character",
    "string_too_long": "have at most {max_length} character",
}


def _slip(kind: str, value: Any) -> str:
    """What to do about the commonest slips."""
    if value is None:
        return " Give it a value, or remove the key"
    if kind == "list_type":
        return " Start each entry with a dash" if isinstance(value, dict) else f" Write [{value}]"
    if kind == "string_type" and isinstance(value, int | float):
        return f" Put it in quotes: '{shown(value)}'"
    if kind in ("int_type", "float_type") and isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return ""
        return " Write it without quotes"
    return ""


def shown(value: Any) -> str:
    """A value as it is written in YAML: true, 'text', nothing; cut at 60 characters."""
    if value is None:
        return "nothing"
    text = repr(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _listed(names: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(repr(n) for n in names[:-1]), repr(names[-1]))))


def _given(path: KeyPath, data: Any) -> KeyPath:
    """The part of `path` that is in `data`: `fanouts: [-2]` is short for `[{default: -2}]`, but was not written so."""
    for i, part in enumerate(path):
        entries = dict(enumerate(data)) if isinstance(data, list) else data
        if not isinstance(entries, dict) or part not in entries:
            return path[:i]
        data = entries[part]
    return path


def _as_written(path: KeyPath, data: Any) -> KeyPath:
    """`path` without the keys that a list is short for: `pairs: [a, b]` stands for `pairs: {terms: [a, b]}`."""
    written: list[str | int] = []
    for part in path:
        if isinstance(data, list) and isinstance(part, str):
            continue
        written.append(part)
        entries = dict(enumerate(data)) if isinstance(data, list) else data
        data = entries.get(part) if isinstance(entries, dict) else None
    return tuple(written)


def _locate(root: Any, loc: tuple[str | int, ...]) -> _Spot:
    """Follow `loc` through the type tree, leaving out the steps that name a union's member."""
    spot = _Spot((), root, root, "")
    for step in loc:
        members = _members(spot.at)
        chosen = next((m for m in members if step in _tag_values(m)), None) if _tags(spot.at) else None
        if chosen is not None:
            spot = spot._replace(owner=chosen, at=chosen, tag=str(step))
        elif step != "[key]" and not _is_choice(members):
            spot = _Spot((*spot.path, step), spot.at, _child(spot.at, step), spot.tag if spot.owner is spot.at else "")
    return spot


def _is_choice(members: list[Any]) -> bool:
    """A union of plain values, e.g. bool | str."""
    return len(members) > 1 and not any(_as_model(m) for m in members)


def _child(at: Any, step: str | int) -> Any:
    for member in _members(at):
        model = _as_model(member)
        if model is not None and isinstance(step, str) and step in model.model_fields:
            return model.model_fields[step].annotation
        origin, args = get_origin(member), get_args(member)
        if origin is dict:
            return args[1]
        if origin is list and isinstance(step, int):
            return args[0]
    return None


def _members(at: Any) -> list[Any]:
    """The types that a value may have: of a union, or of an open choice; a plain type is its only member."""
    members: list[Any] = []
    for plain in _without_unions(at):
        family = members_of(plain)
        members += [plain] if family is None else dict.fromkeys(family.values())
    return members


def _without_unions(at: Any) -> list[Any]:
    """The types that make up a union, without None and annotations."""
    while get_origin(at) is typing.Annotated:
        at = get_args(at)[0]
    if get_origin(at) in (Union, types.UnionType):
        members: list[Any] = []
        for argument in get_args(at):
            members += _without_unions(argument)
        return members
    return [] if at is None or at is type(None) else [at]


def _as_model(at: Any) -> type[BaseModel] | None:
    return at if isinstance(at, type) and issubclass(at, BaseModel) else None


def _keys(at: Any) -> list[str]:
    models = [model for member in _members(at) if (model := _as_model(member))]
    return list(models[0].model_fields) if models else []


def _tag_field(at: Any) -> str:
    """The key that chooses a member of an open choice."""
    return next((member.family.tag for member in _members(at) if _is_member(member)), "")


def _is_member(at: Any) -> bool:
    return isinstance(at, type) and issubclass(at, Choice) and at.family is not None


def _tag_values(member: Any) -> tuple[str, ...]:
    return tag_values(member, member.family.tag) if _is_member(member) else ()


def _tags(at: Any) -> list[str]:
    """The tags of an open choice; empty for anything else."""
    tags: list[str] = []
    for plain in _without_unions(at):
        tags += members_of(plain) or ()
    return tags
