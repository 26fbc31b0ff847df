"""Dotted overrides: 'train.lr=1e-3', 'graph.edges[0].files=new.parquet', "graph.nodes.'a.b'.id=key"."""

from __future__ import annotations

import re
import sys
from typing import Any

from graphstorm_like.config.sql import without_secrets
from graphstorm_like.config.yaml_source import KeyPath, SourceLine, dotted, parse_value
from graphstorm_like.errors import ConfigError, printable

_KEY = r"(?:[^.\[\]='\s]+|'[^']+')"
_FORM = re.compile(rf"({_KEY}(?:\.{_KEY}|\[\d+\])*)=(.*)", re.DOTALL)
_PART = re.compile(r"'([^']+)'|\[(\d+)\]|([^.\[\]']+)")


def apply_override(data: Any, text: str, places: dict[KeyPath, SourceLine] | None = None) -> None:
    """Set one value in place; the value is YAML. Missing sections are created, missing list entries are not.

    Raises ConfigError when the form is wrong or the place does not exist. An unknown key is reported later, when the
    whole tree is checked; `places` then says that it came from this override.
    """
    where = f"override '{printable(without_secrets(text))}'"
    form = _FORM.fullmatch(text)
    if form is None:
        raise ConfigError(f"{where}: must be written section.key=value, e.g. train.lr=1e-3 or graph.edges[0].id=key")
    path: KeyPath = tuple(int(i) if i else quoted or key for quoted, i, key in _PART.findall(form[1]))
    try:
        value = parse_value(form[2])
    except ValueError as err:
        raise ConfigError(f"{where}: the value must be valid YAML ({err})") from None
    section = data
    for i, part in enumerate(path[:-1]):
        _must_hold(section, path[:i], part, where)
        if isinstance(part, str) and section.get(part) is None:
            section[part] = {}
        section = section[part]
    _must_hold(section, path[:-1], path[-1], where)
    section[path[-1]] = value
    if places is not None:
        replaced = [place for place in places if place[: len(path)] == path]
        for place in replaced:
            del places[place]
        places[path] = SourceLine(sys.maxsize, where)


def _must_hold(section: Any, at: KeyPath, part: str | int, where: str) -> None:
    """`here`, found at `at`, must be able to hold `part`: a key in a mapping, or an existing entry of a list."""
    if isinstance(section, dict) and isinstance(part, str):
        return
    if isinstance(section, list) and isinstance(part, int):
        if part < len(section):
            return
        raise ConfigError(
            f"{where}: {dotted((*at, part))} does not exist ({dotted(at)} has {len(section)} entries, counted from 0)"
        )
    kind, fix = f"the value {section!r}", ""
    if isinstance(section, dict):
        kind = "a section"
    elif isinstance(section, list):
        kind, fix = "a list", " Give the entry's number: [0]"
    raise ConfigError(f"{where}: {dotted(at) or 'the pipeline'} is {kind}, which has no {dotted((part,))}.{fix}")
