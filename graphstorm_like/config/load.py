"""YAML file + dotted overrides -> Pipeline, or one ConfigError that lists every problem.

A problem reads `pipeline.yaml:12: model.gnn.hiden: unknown key (known: ...). Did you mean 'hidden'?`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from graphstorm_like.config.explain import explain
from graphstorm_like.config.pipeline import Pipeline, cross_check
from graphstorm_like.errors import ConfigError

Path_ = tuple[str | int, ...]


def load_pipeline(path: str | Path, overrides: Sequence[str] = ()) -> Pipeline:
    """Read, override, check and resolve a pipeline.

    Raises ConfigError with every problem found: YAML syntax, repeated and unknown keys, wrong values, and
    references between sections. Relative paths are resolved against the YAML's folder.
    """
    path = Path(path)
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path}: the pipeline file must be readable text ({err})") from None
    data, lines = parse_yaml(source, str(path))
    for text in overrides:
        apply_override(data, text)
    return build_pipeline(data, str(path), lines).with_absolute_paths(path.absolute().parent)


def build_pipeline(data: Any, where: str = "pipeline", lines: dict[Path_, int] | None = None) -> Pipeline:
    """Check a nested dict (from YAML or from Python); paths are left as they are."""
    if not isinstance(data, dict):
        raise ConfigError(f"{where}: a pipeline must be a mapping of sections (got {type(data).__name__})")
    lines = lines or {}
    problems: list[tuple[Path_, str]] = []
    try:
        pipeline = Pipeline.model_validate(data)
    except ValidationError as err:
        pipeline = None
        problems += explain(Pipeline, err)
    problems += cross_check(_valid_sections(data))
    if problems or pipeline is None:
        raise ConfigError(_format(where, path, message, lines) for path, message in _unique(problems))
    return pipeline


def _valid_sections(data: dict[str, Any]) -> dict[str, Any]:
    """Those sections that are valid by themselves, defaults filled in."""
    sections: dict[str, Any] = {}
    for name, field in Pipeline.model_fields.items():
        if name not in data:
            if not field.is_required():
                sections[name] = field.get_default()
            continue
        adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
        try:
            sections[name] = adapter.validate_python(data[name])
        except ValidationError:
            continue
    return sections


def _unique(problems: Iterable[tuple[Path_, str]]) -> Iterator[tuple[Path_, str]]:
    yield from dict.fromkeys(problems)


def _format(where: str, path: Path_, message: str, lines: dict[Path_, int]) -> str:
    at: Path_ = path
    while at and at not in lines:
        at = at[:-1]
    line = f":{lines[at]}" if at in lines else ""
    return f"{where}{line}: {dotted(path)}: {message}" if path else f"{where}{line}: {message}"


def dotted(path: Path_) -> str:
    """('graph', 'edges', 2, 'source') -> 'graph.edges[2].source'"""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def parse_yaml(source: str, where: str) -> tuple[Any, dict[Path_, int]]:
    """YAML -> (data, line number of each key). Repeated keys and syntax errors raise ConfigError."""
    try:
        node = yaml.compose(source, Loader=_Loader)
        data = yaml.load(source, Loader=_Loader)
    except yaml.MarkedYAMLError as err:
        line = f":{err.problem_mark.line + 1}" if err.problem_mark else ""
        raise ConfigError(f"{where}{line}: must be valid YAML: {err.problem}") from None
    except yaml.YAMLError as err:
        raise ConfigError(f"{where}: must be valid YAML: {err}") from None
    lines: dict[Path_, int] = {}
    repeated: list[str] = []
    if node is not None:
        _walk(node, (), lines, repeated, where)
    if repeated:
        raise ConfigError(repeated)
    return ({} if data is None else data), lines


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads 1e-3 as a number (YAML 1.2), which PyYAML takes for a string."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def _walk(node: yaml.Node, path: Path_, lines: dict[Path_, int], repeated: list[str], where: str) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                repeated.append(f"{where}:{line}: {dotted((*path, name))}: key is given twice (first in line {seen[name]})")
            seen[name] = line
            lines[(*path, name)] = line
            _walk(value, (*path, name), lines, repeated, where)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            _walk(value, (*path, i), lines, repeated, where)


_PART = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def apply_override(data: Any, text: str) -> None:
    """Set one value in place: 'train.lr=1e-3', 'graph.edges[0].files=new.parquet'. The value is YAML."""
    name, sep, value = text.partition("=")
    parts: list[str | int] = [int(i) if i else key for key, i in _PART.findall(name)]
    if not sep or not parts:
        raise ConfigError(f"override '{text}': must be written section.key=value, e.g. train.lr=1e-3")
    try:
        parsed = yaml.load(value, Loader=_Loader)
    except yaml.YAMLError as err:
        raise ConfigError(f"override '{text}': the value must be valid YAML ({err})") from None
    here = data
    for i, part in enumerate(parts[:-1]):
        at = dotted(tuple(parts[: i + 1]))
        if isinstance(here, dict):
            if here.get(str(part)) is None:
                here[str(part)] = {}
            here = here[str(part)]
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
        else:
            raise ConfigError(f"override '{text}': {at} does not exist")
    last = parts[-1]
    if isinstance(here, dict):
        here[str(last)] = parsed
    elif isinstance(here, list) and isinstance(last, int) and last < len(here):
        here[last] = parsed
    else:
        raise ConfigError(f"override '{text}': {dotted(tuple(parts))} does not exist")
