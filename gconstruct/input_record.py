"""inputs.json: the input files of a graph at the time it was built, so that touching a file does not rebuild it.

A file counts as unchanged when its size and mtime match the record, or when its size and contents do. Comparing
contents means reading the file (about 1 GB/s) once per new mtime. Files behind URLs have their store's etag.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from gconstruct.inputs import InputFile
from graphstorm_like.files import file_hash, write_json

RECORD = "inputs.json"
"""In a graph folder, beside its manifest."""


@dataclass(frozen=True, slots=True)
class _Recorded:
    """One local file when the graph was built."""

    size: int
    stamp: str
    content: str
    """Hash of its bytes."""
    touched: str
    """The last stamp with which it had these bytes."""


class InputRecord:
    """The record of one graph folder; empty when the folder has none."""

    def __init__(self, files: dict[str, _Recorded]) -> None:
        self._files = files
        self._changed = False

    @classmethod
    def of(cls, files: Sequence[InputFile]) -> InputRecord:
        """Of the files as they are now. Take it before they are read: a change in between is then noticed later."""
        local = [file for file in files if file.is_local]
        return cls({_key(f): _Recorded(f.size, f.stamp, _content(f), f.stamp) for f in local})

    @classmethod
    def read(cls, folder: Path) -> InputRecord:
        """Of a graph folder. Without a readable record only size and mtime count."""
        try:
            content: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
            return cls({key: _Recorded(**entry) for key, entry in content["files"].items()})
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return cls({})

    def settle(self, files: Sequence[InputFile]) -> list[InputFile]:
        """The files; those with unchanged contents get the stamp that they had when the graph was built."""
        return [self._settled(file) for file in files]

    def _settled(self, file: InputFile) -> InputFile:
        recorded = self._files.get(_key(file))
        if recorded is None or recorded.size != file.size or not file.is_local:
            return file
        if file.stamp not in (recorded.stamp, recorded.touched):
            try:
                if _content(file) != recorded.content:
                    return file
            except OSError:
                return file
            self._files[_key(file)] = replace(recorded, touched=file.stamp)
            self._changed = True
        return replace(file, stamp=recorded.stamp)

    def write(self, folder: Path) -> None:
        """Write the record into a graph folder."""
        write_json(folder / RECORD, {"files": {key: asdict(recorded) for key, recorded in self._files.items()}})

    def update(self, folder: Path) -> None:
        """Write new stamps of unchanged files, which saves reading them next time; a folder that cannot be written to
        stays as it is."""
        if self._changed:
            with suppress(OSError):
                self.write(folder)


def _key(file: InputFile) -> str:
    """A hash: the folder may be given to others, who need not learn where its tables were."""
    return hashlib.blake2b(file.path.encode(), digest_size=16).hexdigest()


def _content(file: InputFile) -> str:
    return _content_of(file.path, file.size, file.stamp)


@functools.lru_cache(maxsize=4096)
def _content_of(path: str, size: int, stamp: str) -> str:
    """A run asks several times whether its graph is up to date."""
    return file_hash(Path(path))
