"""YAML file + dotted overrides -> Pipeline, or one ConfigError that lists every problem.

A problem reads `pipeline.yaml:12: model.gnn.hiden: unknown key (known: ...). Did you mean 'hidden'?`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from graphstorm_like.config.explain import explain, shown
from graphstorm_like.config.overrides import apply_override
from graphstorm_like.config.pipeline import Pipeline, cross_check
from graphstorm_like.config.yaml_source import KeyPath, Place, dotted, parse_yaml
from graphstorm_like.errors import ConfigError, did_you_mean

Found = tuple[KeyPath, Place, str]
"""A problem: (path in the tree, where that was given, message)"""


def load_pipeline(path: str | Path, overrides: Sequence[str] = ()) -> Pipeline:
    """Read, override, check and resolve a pipeline.

    Raises ConfigError with every problem found: YAML syntax, repeated and unknown keys, wrong values, and
    references between sections. Relative paths are resolved against the YAML's folder.
    """
    path = Path(path)
    source = parse_yaml(_read(path), str(path))
    data = source.data
    if data is None:
        raise ConfigError(f"{path}: must not be empty: a pipeline needs at least the sections graph and task")
    _must_be_sections(data, str(path))
    for text in overrides:
        apply_override(data, text, source.places)
    return _check(data, str(path), source.places, source.problems).with_absolute_paths(path.absolute().parent)


def build_pipeline(data: Any, where: str = "pipeline") -> Pipeline:
    """Check a nested dict (from Python, or a saved configuration); paths are left as they are."""
    _must_be_sections(data, where)
    return _check(data, where, {}, [])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: must be a text file in UTF-8") from None
    except OSError as err:
        others = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        raise ConfigError(
            f"{path}: must be a file that can be read ({err.strerror}).{did_you_mean(path.name, others)}"
        ) from None


def _must_be_sections(data: Any, where: str) -> None:
    if not isinstance(data, dict):
        raise ConfigError(
            f"{where}: a pipeline must be a mapping of sections, 'graph: ...' and so on (got {shown(data)})"
        )


def _check(data: dict[str, Any], where: str, places: dict[KeyPath, Place], found: list[Found]) -> Pipeline:
    """The pipeline, or ConfigError with all problems in the order of the file."""
    found, pipeline, explained = list(found), None, []
    try:
        pipeline = Pipeline.model_validate(data)
    except ValidationError as err:
        explained = explain(Pipeline, err, data)
    for path, message in [*explained, *cross_check(_valid_sections(data))]:
        found.append((path, _place(path, places, where), message))
    if found or pipeline is None:
        found.sort(key=lambda problem: problem[1].order)
        raise ConfigError(dict.fromkeys(f"{place.text}: {_head(path)}{message}" for path, place, message in found))
    return pipeline


def _valid_sections(data: dict[str, Any]) -> dict[str, Any]:
    """Those sections that are valid by themselves. Defaults are filled in, unless an unknown section may be the
    misspelt one."""
    sections: dict[str, Any] = {}
    misspelt = not data.keys() <= Pipeline.model_fields.keys()
    for name, field in Pipeline.model_fields.items():
        if name not in data:
            if not (misspelt or field.is_required()):
                sections[name] = field.get_default()
            continue
        adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
        try:
            sections[name] = adapter.validate_python(data[name])
        except ValidationError:
            continue
    return sections


def _place(path: KeyPath, places: dict[KeyPath, Place], where: str) -> Place:
    """The place of the deepest part of `path` that was given; no line when that is the file as a whole."""
    while path and path not in places:
        path = path[:-1]
    return places[path] if path else Place(0, where)


def _head(path: KeyPath) -> str:
    return f"{dotted(path)}: " if path else ""
