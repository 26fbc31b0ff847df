"""A view of a folder that stays as it is while its writer goes on: hard links to large files, copies of small ones.

Writers replace folders by renaming them, so a view of one that was replaced meanwhile is noticed by its inode.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graphstorm_like.files import SET_ASIDE, TEMPORARY
from graphstorm_like.mirror.manifest import RECORDS


class Changed(Exception):  # noqa: N818 - nothing went wrong: look again
    """A folder was replaced while the view was taken."""


class View:
    """Files that are being gathered: `files` has their names and where they are held."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.files = folder, dict[str, Path]()

    def link(self, source: Path, prefix: str) -> None:
        """All files of a folder whose files are never changed in place, only replaced with it. Raises Changed."""
        before = _inode(source)
        for path in _files_of(source):
            self.hold(path, f"{prefix}/{path.relative_to(source).as_posix()}")
        if before is None or _inode(source) != before:
            raise Changed(str(source))

    def hold(self, path: Path, name: str) -> None:
        """A file that is never changed in place. Raises Changed when it is gone."""
        held = self._place(name)
        try:
            _link(path, held)
        except FileNotFoundError:
            raise Changed(str(path)) from None
        self.files[name] = held

    def drop(self, prefix: str) -> None:
        """Leave out what was gathered below a prefix."""
        self.files = {name: path for name, path in self.files.items() if not name.startswith(f"{prefix}/")}

    def copy(self, path: Path, name: str) -> None:
        """A file that may grow; none if it is not there."""
        held = self._place(name)
        try:
            shutil.copyfile(path, held)
        except FileNotFoundError:
            return
        self.files[name] = held

    def _place(self, name: str) -> Path:
        held = self.folder / name
        held.parent.mkdir(parents=True, exist_ok=True)
        return held


@contextmanager
def view_beside(folder: Path) -> Iterator[View]:
    """An empty view, held beside a folder, on the same disk; it is gone afterwards."""
    holding = folder.parent / RECORDS / f"view-{folder.name}-{os.getpid()}"
    shutil.rmtree(holding, ignore_errors=True)
    holding.mkdir(parents=True)
    try:
        yield View(holding)
    finally:
        shutil.rmtree(holding, ignore_errors=True)


def is_hidden(name: str) -> bool:
    """Whether a name is of work in progress: locks, temporary and replaced folders, records."""
    return name.startswith((".", TEMPORARY, SET_ASIDE)) or name.endswith((".lock", ".tmp")) or ".tmp-" in name


def _files_of(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.rglob("*") if path.is_file())
    except FileNotFoundError:
        raise Changed(str(folder)) from None


def _inode(folder: Path) -> int | None:
    try:
        return folder.stat().st_ino
    except FileNotFoundError:
        return None


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # a disk without links
        shutil.copyfile(source, target)
