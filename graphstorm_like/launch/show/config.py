"""The whole configuration of a pipeline, defaults filled in, and where each value comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gconstruct.yaml_text import Lines, flow, text
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.yaml_source import KeyPath, Origin, dotted

DEFAULT = "default"


def config_yaml(pipeline: Pipeline, origin: Origin) -> str:
    """YAML that loads to the same configuration; a comment at each value says where it was given."""
    lines = Lines()
    for key, value in pipeline.model_dump(mode="json").items():
        _section(lines, 0, (key,), value, origin)
    return str(lines)


def config_facts(pipeline: Pipeline, origin: Origin) -> dict[str, Any]:
    """`config`, the whole configuration, and `sources`: where each value was given, by dotted key."""
    config = pipeline.model_dump(mode="json")
    return {
        "config": config,
        "sources": {dotted(path): _source(origin, path, value) for path, value in _leaves(config)},
    }


def _section(lines: Lines, depth: int, path: KeyPath, value: Any, origin: Origin) -> None:
    key = path[-1]
    head = "-" if isinstance(key, int) else f"{text(str(key))}:"
    if not _branches(value):
        lines.add(depth, f"{head} {flow(value)}", _source(origin, path, value))
        return
    lines.add(depth, head)
    entries = value.items() if isinstance(value, Mapping) else enumerate(value)
    for name, inside in entries:
        _section(lines, depth + 1, (*path, name), inside, origin)


def _branches(value: Any) -> bool:
    """Whether a value has values with sources of their own: lists of plain values stand on one line."""
    if isinstance(value, Mapping):
        return bool(value)
    return isinstance(value, list) and any(isinstance(entry, Mapping | list) for entry in value)


def _leaves(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    if not _branches(value):
        yield path, value
        return
    for name, inside in value.items() if isinstance(value, Mapping) else enumerate(value):
        yield from _leaves(inside, (*path, name))


def _source(origin: Origin, path: KeyPath, value: Any) -> str:
    """'pipeline.yaml:12', "override 'train.lr=1e-3'", 'quality best', or 'default'."""
    place = origin.source_of(path, value)
    if place is None and isinstance(value, list) and len(value) == 1:
        place = origin.source_of(path, value[0])
    return DEFAULT if place is None else place.text
