"""YAML text -> (data, place of every key, problems).

YAML 1.2's core schema, which is what people expect: `on`, `off`, `yes` and `no` are text (PyYAML reads them as
booleans), 1e-3 is a number, 010 and 2020-01-01 are text, and keys are always text. A place is the line of the file,
or the override, that gave a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from graphstorm_like.errors import ConfigError

KeyPath = tuple[str | int, ...]

MAX_CHARACTERS, MAX_DEPTH, MAX_NODES = 16 << 20, 64, 250_000
"""Of a document, its nesting, and its keys and values when aliases are followed: more cannot be a configuration, and
could take all memory."""


class SourceLine(NamedTuple):
    """Where a value was given; places sort in the order of the file, overrides last."""

    order: int
    text: str


class YamlSource(NamedTuple):
    """A parsed YAML file."""

    data: Any
    places: dict[KeyPath, SourceLine]
    problems: list[tuple[KeyPath, SourceLine, str]]
    """Repeated keys: the file can be read, but probably not as intended."""


class Origin:
    """Where the values of a configuration were given, for problems that are found when it is valid already."""

    def __init__(self, where: str, places: dict[KeyPath, SourceLine], data: Any = None) -> None:
        """data: the values as they were given, before they were checked."""
        self._whole, self._data = SourceLine(0, where), data
        self._places = {_plain(path): place for path, place in places.items() if path}
        self._paths = {_plain(path): path for path in places if path}

    def place(self, key: str) -> SourceLine:
        """Of a key such as 'graph.edges[2].source', or of the deepest part of it that was given; no line when none
        was."""
        while key and key not in self._places:
            key = key[: max(key.rfind("."), key.rfind("["), 0)]
        return self._places[key] if key else self._whole

    def places(self) -> Iterator[tuple[str, SourceLine]]:
        """All keys that were given, with their places."""
        yield from self._places.items()

    def value(self, key: str) -> Any:
        """What was given for a key that has a place."""
        node = self._data
        for part in self._paths[key]:
            node = node[part]
        return node

    def source_of(self, path: KeyPath, value: Any) -> SourceLine | None:
        """Where the checked `value` at `path` comes from; None: it is a default.

        A short form, `fanout: 10` for `{default: 10, by_edge_type: {}}`, gives those parts that repeat it.
        """
        node = self._data
        for i, part in enumerate(path):
            inside = node.get(part, _ABSENT) if isinstance(node, dict) else _ABSENT
            if isinstance(node, list) and isinstance(part, int) and part < len(node):
                inside = node[part]
            if inside is _ABSENT:
                repeats = not isinstance(node, dict) and str(value) in str(node)
                return self.place(_plain(path[:i])) if repeats else None
            node = inside
        return self.place(_plain(path))


_ABSENT = object()


def _plain(path: KeyPath) -> str:
    """Like `dotted`, without quotes."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def dotted(path: KeyPath) -> str:
    """('graph', 'edges', 2, 'source') -> 'graph.edges[2].source'; a key with a dot in it is quoted."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if re.fullmatch(r"[^.\[\]'\s]+", part) else f"'{part}'"
            text += f".{name}" if text else name
    return text


def parse_yaml(source: str, where: str) -> YamlSource:
    """Read one YAML document. Raises ConfigError on bad syntax, naming the line."""
    if len(source) > MAX_CHARACTERS:
        raise ConfigError(f"{where}: must have at most {MAX_CHARACTERS:,} characters (got more). Is it the right file?")
    try:
        return _read(source, where)
    except yaml.MarkedYAMLError as err:
        raise ConfigError(_syntax(where, err)) from None
    except yaml.YAMLError as err:
        raise ConfigError(f"{where}: must be valid YAML: {' '.join(str(err).split())}") from None


def parse_value(text: str) -> Any:
    """The value of an override, read as YAML. Raises ValueError that says what is wrong."""
    try:
        return _read(text, "").data
    except yaml.MarkedYAMLError as err:
        raise ValueError(err.problem or str(err)) from None
    except yaml.YAMLError as err:
        raise ValueError(" ".join(str(err).split())) from None


def _read(source: str, where: str) -> YamlSource:
    parsed = YamlSource(None, {}, [])
    loader = _Loader(source)
    node = loader.get_single_node()
    if node is None:
        return parsed
    _Walk(parsed, where).visit(node, (), ())
    return parsed._replace(data=loader.construct_document(node))


def _syntax(where: str, err: yaml.MarkedYAMLError) -> str:
    # 'epochs:3' is noticed one line too late: then the line of the context is reported.
    late = err.context == "while scanning a simple key"
    mark, since = err.problem_mark or err.context_mark, err.context_mark
    if late and since:
        mark = since
    problem = err.problem or str(err)
    if problem == "could not find expected ':'":
        problem = "a line must be 'key: value', with a space behind the colon"
    elif problem == "mapping values are not allowed here":
        problem = "this line or the one before must be 'key: value', with a space behind the colon"
    elif problem.startswith("expected <block end>"):
        problem = "the indentation of this line does not fit the lines above"
    elif "'\\t'" in problem:
        problem = "indent with spaces, not with tabs"
    elif err.context:
        far = since is not None and mark is not None and since.line != mark.line
        problem = f"{err.context}{f' (from line {since.line + 1})' if since and far else ''}: {problem}"
    return f"{where}{f':{mark.line + 1}' if mark else ''}: must be valid YAML: {problem}"


_MERGE = "tag:yaml.org,2002:merge"
_STR = "tag:yaml.org,2002:str"


class _Loader(yaml.SafeLoader):
    """SafeLoader with the implicit types of YAML 1.2 and keys that are always text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Counts the levels, because composing is recursive."""
        if self._depth >= MAX_DEPTH:
            raise _too_deep(self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        self.flatten_mapping(node)
        mapping = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be one word", key.start_mark)
            mapping[key.value] = self.construct_object(value, deep=deep)
        return mapping


def _too_deep(mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=f"must be nested at most {MAX_DEPTH} levels deep", problem_mark=mark)


_SCALARS: dict[str, re.Pattern[str]] = {}
"""How values of a type are written, by tag."""
_MAX_DIGITS = 1000
for _tag, _regex, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9_]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+"
        r"|\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN",
        "-+.0123456789",
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
):
    _SCALARS[f"tag:yaml.org,2002:{_tag}"] = re.compile(rf"(?:{_regex})")
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_regex})$"), list(_first))


class _Walk:
    """Records the place of every key, and keys that are given twice; refuses what cannot be a configuration."""

    def __init__(self, source: YamlSource, where: str) -> None:
        self.source, self.where = source, where
        self._visited = 0

    def visit(self, node: yaml.Node, path: KeyPath, above: tuple[int, ...]) -> None:
        """Look at a node and all below it. above: the nodes that it lies in."""
        self._visited += 1
        if self._visited > MAX_NODES:
            problem = f"must have at most {MAX_NODES:,} keys and values, aliases followed"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        if id(node) in above:
            raise yaml.MarkedYAMLError(
                problem="an alias must not stand inside its own anchor", problem_mark=node.start_mark
            )
        if len(above) > MAX_DEPTH:
            raise _too_deep(node.start_mark)
        _check_tag(node)
        above = (*above, id(node))
        self.source.places.setdefault(path, _place(self.where, node))
        if isinstance(node, yaml.SequenceNode):
            for i, value in enumerate(node.value):
                self.visit(value, (*path, i), above)
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.tag == _MERGE:
                    for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                        self.visit(merged, path, above)
            self._visit_keys(node, path, above)

    def _visit_keys(self, node: yaml.MappingNode, path: KeyPath, above: tuple[int, ...]) -> None:
        first_lines: dict[str, int] = {}
        for key, value in node.value:
            if key.tag == _MERGE or not isinstance(key, yaml.ScalarNode):
                continue
            at, place = (*path, key.value), _place(self.where, key)
            if key.value in first_lines:
                message = f"key is given twice (first in line {first_lines[key.value]}). Remove one"
                self.source.problems.append((at, place, message))
            first_lines.setdefault(key.value, place.order)
            self.source.places[at] = place
            self.visit(value, at, above)


def _check_tag(node: yaml.Node) -> None:
    """A standard tag of YAML (!!int) must be one that configurations use, and fit its value. PyYAML itself would raise
    Python's errors."""
    short = node.tag.removeprefix("tag:yaml.org,2002:")
    if short == node.tag or "/" in short:
        return  # not a standard tag: the loader reports it
    if isinstance(node, yaml.ScalarNode):
        numbers = ("int", "float") if short == "float" else (short,)  # '!!float 3' is a float
        patterns = [_SCALARS[tag] for n in numbers if (tag := f"tag:yaml.org,2002:{n}") in _SCALARS]
        fits = short == "str" or any(pattern.fullmatch(node.value) for pattern in patterns)
        fits = fits and (short == "str" or len(node.value) <= _MAX_DIGITS)
    else:
        fits = short == ("map" if isinstance(node, yaml.MappingNode) else "seq")
    if not fits:
        what = f"{node.value[:40]!r}" if isinstance(node, yaml.ScalarNode) else "what follows it"
        raise yaml.MarkedYAMLError(problem=f"the tag !!{short} does not fit {what}", problem_mark=node.start_mark)


def _place(where: str, node: yaml.Node) -> SourceLine:
    line = node.start_mark.line + 1
    return SourceLine(line, f"{where}:{line}")
