"""The reference of all keys as Markdown, made from the JSON Schema: docs/reference/configuration.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

HEAD = """# Configuration

Every key of a pipeline's YAML. Made by `gsl schema --markdown`: do not edit. Keys may be set on the command line too,
`train.lr=1e-3`. `<name>` stands for a name of your own, `[]` for each entry of a list.
"""

_BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
_UNBOUNDED = 1e9
"""Larger bounds are those of 64-bit numbers, which are of no interest to readers."""
_WORDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}


def markdown(schema: Schema) -> str:
    """Markdown of a JSON Schema with `$defs`, as pydantic writes it: a section per mapping, a row per key.

    A mapping that stands in several places has one section, and links to it everywhere else.
    """
    return "\n".join([HEAD, *_Reference(schema).sections()]).rstrip() + "\n"


def undescribed_keys(schema: Schema) -> list[str]:
    """'Section.key' of each key without a description, its own or that of the section it leads to.

    The key that tells alternatives apart (`type`, `encode`, `on`) is described by its section.
    """
    sections = {"Pipeline": schema, **schema.get("$defs", {})}
    tag_keys = set(_tag_keys(schema))
    missing = []
    for name, section in sections.items():
        for key, value in section.get("properties", {}).items():
            described = value.get("description") or ("$ref" in value and sections[_def_name(value)].get("description"))
            if not described and not ("const" in value and key in tag_keys):
                missing.append(f"{name}.{key}")
    return missing


def _tag_keys(schema: Any) -> Iterator[str]:
    """Keys that say which of several alternatives a mapping is, wherever they are in the schema."""
    if isinstance(schema, Mapping):
        if isinstance(schema.get("discriminator"), Mapping):
            yield str(schema["discriminator"]["propertyName"])
        for value in schema.values():
            yield from _tag_keys(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _tag_keys(value)


def _def_name(reference: Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


class _Reference:
    """Walks the schema from the root, depth first, and remembers the place of each section."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._defs: Mapping[str, Schema] = schema.get("$defs", {})
        self._tag_keys = set(_tag_keys(schema))
        self._title_of: dict[str, str] = {}
        self._within = ""
        self._waiting: list[tuple[str, str]] = []
        """(definition, path) of sections that are linked to and not yet written."""

    def sections(self) -> Iterator[str]:
        """Lines of all sections, the root's first."""
        yield from self._section("Pipeline", self._schema)
        while self._waiting:
            name, title = self._waiting.pop(0)
            yield from self._section(title, self._defs[name])

    def _section(self, title: str, section: Schema) -> Iterator[str]:
        earlier, self._waiting = self._waiting, []
        self._within = title
        yield f"## {title}\n"
        if section.get("description"):
            yield _one_line(section["description"]) + "\n"
        path = title.split("`")[1] if "`" in title else ""
        prefix = f"{path}." if path else ""
        yield "| key | value | default | |\n|---|---|---|---|"
        required = section.get("required", ())
        for key, value in section.get("properties", {}).items():
            default = "required" if key in required else _code(value.get("default"))
            cells = (f"`{key}`", self._value(value, f"{prefix}{key}"), default, _cell(value.get("description", "")))
            yield f"| {' | '.join(cells)} |"
        yield ""
        self._waiting += earlier  # the sections of this one come before those of its neighbours

    def _value(self, value: Schema, path: str) -> str:
        """The values that a key may have, in words; sections are linked."""
        if "$ref" in value:
            return self._link(_def_name(value), path)
        for union in ("anyOf", "oneOf"):
            if union in value:
                return _or(self._value(alternative, path) for alternative in value[union])
        if "const" in value:
            return _code(value["const"])
        if "enum" in value:
            return _or(map(_code, value["enum"]))
        if value.get("type") == "array":
            if "prefixItems" in value:
                return f"list of {len(value['prefixItems'])}"
            return f"list of: {self._value(value.get('items', {}), f'{path}[]')}"
        if value.get("type") == "object":
            return f"mapping of names to: {self._value(value.get('additionalProperties', {}), f'{path}.<name>')}"
        return _WORDS.get(str(value.get("type")), "anything") + _bounds(value)

    def _link(self, name: str, path: str) -> str:
        keys: Mapping[str, Schema] = self._defs[name].get("properties", {})
        tags = [f"{key}: {value['const']}" for key, value in keys.items() if self._is_tag(key, value)]
        if name not in self._title_of:
            title = f"`{path}` with `{tags[0]}`" if tags else f"`{path}`"
            if title in self._title_of.values():  # the same key of two alternatives
                title += f" in {self._within}"
            self._title_of[name] = title
            self._waiting.append((name, self._title_of[name]))
        title = self._title_of[name]
        shown = f"`{tags[0]}`" if tags else title
        return f"[{shown}](#{_anchor(title)})"

    def _is_tag(self, key: str, value: Schema) -> bool:
        return "const" in value and key in self._tag_keys


def _bounds(value: Schema) -> str:
    bounds = [bound for bound in _BOUNDS if bound in value and abs(value[bound]) < _UNBOUNDED]
    words = [f"{_BOUNDS[bound]} {value[bound]:g}" for bound in bounds]
    return f", {' and '.join(words)}" if words else ""


def _or(alternatives: Iterator[str] | map[str]) -> str:
    return " or ".join(dict.fromkeys(alternatives))


def _code(value: Any) -> str:
    """A value as in YAML; for long ones a reference to their section."""
    text = value if isinstance(value, str) and value.strip() else json.dumps(value, ensure_ascii=False)
    return "see there" if isinstance(value, dict) and value else f"`{_escape(text)}`"


def _one_line(text: str) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _cell(text: str) -> str:
    return _escape(" ".join(text.split()))


def _escape(text: str) -> str:
    return text.replace("|", "\\|")


def _anchor(title: str) -> str:
    """The fragment that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
