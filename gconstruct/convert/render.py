"""A converted pipeline -> YAML text, what has no counterpart first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gconstruct.convert.notes import Note, Notes
from gconstruct.yaml_text import WIDTH, Lines, flow, text


def render(pipeline: Mapping[str, Any], notes: Notes, files: Sequence[str], from_dgl: bool) -> str:
    """The YAML's text. from_dgl: there were no tables, only a folder of partitions."""
    lines = Lines()
    lines.remark(0, f"Converted from {' and '.join(files)} by gsl convert.")
    _listed(lines, "These keys have no counterpart", notes.of("none"))
    _listed(lines, "These mean something else here", notes.of("near"))
    for name, section in pipeline.items():
        if not isinstance(section, str):
            lines.blank()
        if name == "graph":
            _graph_remark(lines, from_dgl)
        _value(lines, 0, name, section)
    return str(lines)


def _listed(lines: Lines, head: str, notes: Sequence[Note]) -> None:
    if not notes:
        return
    lines.remark(0, "")
    lines.remark(0, f"{head}:")
    for note in notes:
        lines.remark(0, f"- {note.key}: {note.text}")


def _graph_remark(lines: Lines, from_dgl: bool) -> None:
    if from_dgl:
        lines.remark(0, "Make the graph folder of DistDGL's partitions: gsl import GRAPH_NAME.json graph")
        lines.remark(0, "or give gsl convert the JSON of the graph's construction too, and start from the tables.")
    else:
        lines.remark(0, "Relative files start at this file's folder, or at graph.base.")


def _value(lines: Lines, depth: int, key: str, value: Any, start: str = "") -> None:
    """A key with its value: on one line where it fits and holds nothing nested deeply."""
    one_line = f"{start}{text(key)}: {flow(value)}"
    is_short = len(one_line) + 2 * depth <= WIDTH and _levels(value) <= 2 and depth > 0
    if not isinstance(value, Mapping | list) or not value or is_short or _is_plain_list(value):
        lines.add(depth, one_line if value != {} or depth else f"{start}{text(key)}: {{}}")
        return
    lines.add(depth, f"{start}{text(key)}:")
    if isinstance(value, Mapping):
        for name, item in value.items():
            _value(lines, depth + 1 + len(start) // 2, str(name), item)
        return
    for item in value:
        _item(lines, depth + 1, item)


def _item(lines: Lines, depth: int, item: Any) -> None:
    """An item of a list: a mapping in one line, or key by key."""
    one_line = f"- {flow(item)}"
    if not isinstance(item, Mapping) or (len(one_line) + 2 * depth <= WIDTH and _levels(item) <= 2):
        lines.add(depth, one_line)
        return
    start = "- "
    for name, value in item.items():
        if start:
            lines.add(depth, f"- {text(str(name))}: {flow(value)}")
            start = ""
        else:
            _value(lines, depth + 1, str(name), value)


def _levels(value: Any) -> int:
    if isinstance(value, Mapping):
        return 1 + max(map(_levels, value.values()), default=0)
    return 1 + max(map(_levels, value), default=0) if isinstance(value, list) else 0


def _is_plain_list(value: Any) -> bool:
    return isinstance(value, list) and not any(isinstance(item, Mapping | list) for item in value)
