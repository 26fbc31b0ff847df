"""Values as YAML text that the pipeline's reader (YAML 1.2) takes for the same values, and lines with comments."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphstorm_like.errors import ConfigError

_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./\-]*(:[A-Za-z0-9_./\-]+)*")
_SPECIAL = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", ".inf", ".nan", "."})
WIDTH = 118


def flow(value: Any) -> str:
    """A value on one line: `{ column: age, encode: one_hot }`, `[a, b]`, `5`."""
    if isinstance(value, Mapping):
        inside = ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, int | float):
        return _number(value)
    return text(str(value))


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    short = f"{value:g}"
    if float(short) != value:
        return repr(value)
    short = re.sub(r"e([+-])0+(\d)", r"e\1\2", short)
    return short if re.search(r"[.e]", short) else f"{short}.0"


def text(value: str) -> str:
    """Text, in quotes unless it is plain."""
    if _PLAIN.fullmatch(value) and value.lower() not in _SPECIAL:
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return re.sub(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", lambda found: f"\\u{ord(found[0]):04x}", quoted)


class Lines:
    """YAML under construction."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, depth: int, content: str, comment: str = "") -> None:
        """A line, with a comment beside it, or above it where that would be too long."""
        indent = "  " * depth
        comment = _one_line(comment)
        beside = f"{indent}{content} # {comment}"
        if not comment:
            self._lines.append(f"{indent}{content}")
        elif len(beside) <= WIDTH:
            self._lines.append(beside)
        else:
            self.remark(depth, comment)
            self._lines.append(f"{indent}{content}")

    def remark(self, depth: int, comment: str) -> None:
        """A comment on lines of its own."""
        start, line = "  " * depth + "#", ""
        for word in _one_line(comment).split(" "):
            if line and len(start) + len(line) + 1 + len(word) > WIDTH:
                self._lines.append(start + line)
                line = ""
            line += f" {word}"
        self._lines.append((start + line).rstrip())

    def entry(self, depth: int, key: str, value: Any, comment: str = "") -> None:
        """`key: value`"""
        self.add(depth, f"{text(key)}: {flow(value)}", comment)

    def blank(self) -> None:
        """An empty line."""
        self._lines.append("")

    def __str__(self) -> str:
        return "\n".join(self._lines) + "\n"


def _one_line(comment: str) -> str:
    """A comment must not end: names of columns may hold line breaks of any kind."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]+", " ", comment)


def must_be_free(output: str | Path, force: bool) -> None:
    """Raises ConfigError when the file is there already, unless `force`."""
    if Path(output).exists() and not force:
        raise ConfigError(f"{output}: must not be there yet (got a file). Name another one with -o, or use --force")


def write_new(text: str, output: str | Path) -> None:
    """Write a text file under another name, then rename it."""
    path = Path(output)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
