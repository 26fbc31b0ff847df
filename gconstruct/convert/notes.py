"""What became of each key of a foreign configuration, and mappings that notice keys which nobody read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from graphstorm_like.errors import ConfigError

Outcome = Literal["same", "near", "none"]
"""same: ours means the same; near: ours differs, the note says how; none: there is no counterpart."""


@dataclass(frozen=True)
class Note:
    """key: theirs, from the root of its file. at: the path in our YAML that it became, for a comment there."""

    key: str
    outcome: Outcome
    text: str
    at: tuple[str | int, ...] = ()


class Notes:
    """Notes so far, each once."""

    def __init__(self) -> None:
        self.all: list[Note] = []
        self.sections: list[Section] = []
        """Every mapping that was opened: `close_all` finds in them what no reader has closed."""

    def _add(self, note: Note) -> None:
        if note not in self.all:
            self.all.append(note)

    def same(self, key: str, text: str = "") -> None:
        """The key has a counterpart."""
        self._add(Note(key, "same", text))

    def near(self, key: str, text: str, at: tuple[str | int, ...] = ()) -> None:
        """The key has a counterpart that differs."""
        self._add(Note(key, "near", text, at))

    def none(self, key: str, text: str) -> None:
        """The key has no counterpart, for this reason."""
        self._add(Note(key, "none", text))

    def left_out(self, key: str, text: str) -> None:
        """A mapping is left out with all that was read in it."""
        self.all = [note for note in self.all if not note.key.startswith(f"{key}.")]
        self.none(key, text)

    def close_all(self) -> None:
        """Note the keys that nobody took, of mappings that were opened and not closed, and those that were taken
        without a word about what became of them."""
        for section in self.sections:
            if not any(note.key == section.key and note.outcome == "none" for note in self.all):
                section.close()
        for section in reversed(self.sections):  # those within others were opened later
            for name, value in section.data.items():
                if value not in (None, {}, []) and not self._is_about(section.path(name)):
                    self.none(section.path(name), "nothing follows from it here")

    def _is_about(self, key: str) -> bool:
        """Whether there is a note on a key, on what holds it, or on what it holds."""
        for note in self.all:
            shorter, longer = sorted((note.key, key), key=len)
            if shorter == longer or longer.startswith((f"{shorter}.", f"{shorter}[")):
                return True
        return False

    def of(self, outcome: Outcome) -> list[Note]:
        """The notes of one outcome."""
        return [note for note in self.all if note.outcome == outcome]


class Section:
    """A mapping of a foreign file. What is taken is noted as read; `close` notes all that was not."""

    def __init__(self, data: Any, key: str, notes: Notes) -> None:
        if not isinstance(data, Mapping):
            raise ConfigError(f"{key or 'file'}: must be a mapping (got {type(data).__name__})")
        self.data, self.key, self.notes = {str(name): value for name, value in data.items()}, key, notes
        self._left = dict(self.data)
        notes.sections.append(self)

    def path(self, name: str) -> str:
        """Of a key in it, from the root of the file."""
        return f"{self.key}.{name}" if self.key else name

    def __contains__(self, name: str) -> bool:
        return name in self.data

    def take(self, name: str, default: Any = None, note: str | None = "") -> Any:
        """The value of a key, which has a counterpart; None in the file is as if it were not there. note: about
        it; None: the caller notes what became of it."""
        if name in self._left:
            del self._left[name]
            if note is not None:
                self.notes.same(self.path(name), note)
        value = self.data.get(name)
        return default if value is None else value

    def section(self, name: str) -> Section:
        """A mapping in it; empty when it is not there."""
        return Section(self.take(name, {}, note=None), self.path(name), self.notes)

    def sections(self, name: str) -> list[Section]:
        """A list of mappings in it."""
        value = self.take(name, [], note=None)
        if not isinstance(value, list):
            raise ConfigError(f"{self.path(name)}: must be a list (got {type(value).__name__})")
        return [Section(item, f"{self.path(name)}[{i}]", self.notes) for i, item in enumerate(value)]

    def left(self) -> Iterator[tuple[str, Any]]:
        """Keys that nobody took, with their values."""
        yield from list(self._left.items())

    def close(self, reasons: Mapping[str, str] | None = None) -> None:
        """Note the keys that nobody took. reasons: why the ones that are known have no counterpart."""
        for name, value in self.left():
            del self._left[name]
            if value is not None:
                reason = (reasons or {}).get(name, "not a key that is known here: it may be misspelt, or a plug-in's")
                self.notes.none(self.path(name), reason)
