"""YAML file + dotted overrides -> Pipeline (or StitchConfig), or one ConfigError that lists every problem.

A problem reads `pipeline.yaml:12: model.gnn.hiden: unknown key (known: ...). Did you mean 'hidden'?`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from graphstorm_like.config.base import Strict
from graphstorm_like.config.built import describe_folder
from graphstorm_like.config.explain import explain, shown
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.overrides import apply_override
from graphstorm_like.config.pipeline import Pipeline, cross_check
from graphstorm_like.config.plugins import check_named_again, import_plugins, is_file
from graphstorm_like.config.presets import with_preset
from graphstorm_like.config.stitch import StitchConfig
from graphstorm_like.config.yaml_source import (
    MAX_CHARACTERS,
    KeyPath,
    Origin,
    SourceLine,
    YamlSource,
    dotted,
    parse_yaml,
)
from graphstorm_like.errors import ConfigError, did_you_mean, printable

Found = tuple[KeyPath, SourceLine, str]
"""A problem: (path in the tree, where that was given, message)"""
Root = TypeVar("Root", bound=Strict)


def load_pipeline(path: str | Path, overrides: Sequence[str] = ()) -> Pipeline:
    """Read, override, check and resolve a pipeline.

    Raises ConfigError with every problem found: YAML syntax, repeated and unknown keys, wrong values, and
    references between sections. Relative paths are resolved against the YAML's folder.
    """
    return load_with_origin(path, overrides)[0]


def load_with_origin(path: str | Path, overrides: Sequence[str] = ()) -> tuple[Pipeline, Origin]:
    """As `load_pipeline`, and where each value was given."""
    path = Path(path)
    source = parse_yaml(_read(path), str(path))
    if source.data is None:
        raise ConfigError(f"{path}: must not be empty: a pipeline needs at least the sections graph and task")
    _must_be_sections(source.data, str(path))
    base = path.absolute().parent
    source = _overridden(source, overrides)
    _find_plugins(source.data, base)
    source = with_preset(source, base)
    pipeline = _check(Pipeline, source, str(path), base).with_absolute_paths(base)
    return pipeline, Origin(str(path), source.places, source.data)


def build_pipeline(data: Any, where: str = "pipeline", *, plugins: bool = False) -> Pipeline:
    """Check a nested dict (from Python, or a saved configuration); paths are left as they are. plugins: whether the
    code of its plug-ins may run; if not, ConfigError for those that this process has not imported already."""
    _must_be_sections(data, where)
    if not plugins:
        check_named_again(plugin_names(data), f"{where}: the pipeline", "build_pipeline(data, plugins=True)")
    return _check(Pipeline, with_preset(YamlSource(data, {}, []), Path()), where, Path())


def plugin_names(data: Mapping[str, Any]) -> list[str]:
    """The plug-ins that a configuration names; none where `plugins:` is not a list of names, which is reported as a
    problem of that key when the configuration is checked."""
    names = data.get("plugins")
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []


def build_graph_config(data: dict[str, Any], where: str = "graph") -> GraphConfig:
    """Check the section graph alone; paths are left as they are. Raises ConfigError as `load_pipeline` does."""
    config = _check(GraphConfig, YamlSource(data, {}, []), where, Path())
    problems = [f"{where}: {_head(path[1:])}{message}" for path, message in cross_check({"graph": config})]
    if problems:
        raise ConfigError(problems)
    return config


def check_section(section: type[Root], data: dict[str, Any], where: str) -> Root:
    """Check a section that comes alone; ConfigError with every problem."""
    return _check(section, YamlSource(data, {}, []), where, Path())


def load_stitch(path: str | Path, overrides: Sequence[str] = ()) -> StitchConfig:
    """Read, override, check and resolve what `gsl stitch` takes. Raises ConfigError as `load_pipeline` does."""
    path = Path(path)
    source = parse_yaml(_read(path), str(path))
    if not isinstance(source.data, dict):
        raise ConfigError(f"{path}: must be a mapping, 'application: ...' and so on (got {shown(source.data)})")
    checked = _check(StitchConfig, _overridden(source, overrides), str(path), path.absolute().parent)
    return checked.with_absolute_paths(path.absolute().parent)


def _overridden(source: YamlSource, overrides: Sequence[str]) -> YamlSource:
    for text in overrides:
        apply_override(source.data, text, source.places)
    return source


def _find_plugins(data: Any, base: Path) -> None:
    """Make the paths of plug-in files absolute: plug-ins are imported while the pipeline is checked."""
    names = data.get("plugins")
    if isinstance(names, list):
        data["plugins"] = [
            str((base / Path(name).expanduser()).absolute()) if isinstance(name, str) and is_file(name) else name
            for name in names
        ]


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(MAX_CHARACTERS + 1)  # of a file that is too long, no more than it takes to say so
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


def _check(root: type[Root], source: YamlSource, where: str, base: Path) -> Root:
    """The configuration, or ConfigError with all problems in the order of the file."""
    data, places, problems = source.data, source.places, list(source.problems)
    checked = None
    explained = _import_problems(data) if root is Pipeline else []
    if not explained:
        try:
            checked = root.model_validate(data)
        except ValidationError as err:
            explained = explain(root, err, data)
    crossed = cross_check(_with_built_graph(_valid_sections(data), base)) if root is Pipeline else ()
    for path, message in [*explained, *crossed]:
        problems.append((path, _place(path, places, where), message))
    if problems or checked is None:
        problems.sort(key=lambda problem: problem[1].order)
        raise ConfigError(
            dict.fromkeys(printable(f"{place.text}: {_head(path)}{message}") for path, place, message in problems)
        )
    return checked


def _import_problems(data: dict[str, Any]) -> list[tuple[KeyPath, str]]:
    """Import the plug-ins, whose operators the sections may choose. What is wrong with one hides all that follows."""
    try:
        import_plugins(plugin_names(data))
    except ConfigError as error:
        return [(("plugins",), str(error))]
    return []


def _with_built_graph(sections: dict[str, Any], base: Path) -> dict[str, Any]:
    """An existing graph folder takes the place of the tables. If it does not exist yet, the rules that need it are
    checked later, since no stage runs without it."""
    graph = sections.get("graph")
    if graph is None or not graph.is_built:
        return sections
    folder_config = describe_folder(base / Path(graph.path).expanduser())
    other_sections = {name: section for name, section in sections.items() if name != "graph"}
    return other_sections if folder_config is None else {**other_sections, "graph": folder_config}


def _valid_sections(data: dict[str, Any]) -> dict[str, Any]:
    """The sections that are valid by themselves. Defaults are filled in, unless an unknown section may be a
    misspelling."""
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


def _place(path: KeyPath, places: dict[KeyPath, SourceLine], where: str) -> SourceLine:
    """The place of the deepest part of `path` that was given; without a line if that is the file as a whole."""
    while path and path not in places:
        path = path[:-1]
    return places[path] if path else SourceLine(0, where)


def _head(path: KeyPath) -> str:
    return f"{dotted(path)}: " if path else ""
