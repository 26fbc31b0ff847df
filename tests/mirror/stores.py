"""Stores for tests: empty ones in memory, and ones that fail when they are told to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec

from graphstorm_like.mirror.manifest import Hashes
from graphstorm_like.mirror.publish import Target, publish
from graphstorm_like.mirror.transfer import Store


def memory(name: str) -> Store:
    """An empty store in this process's memory."""
    fs = fsspec.filesystem("memory")
    if fs.exists(f"/{name}"):
        fs.rm(f"/{name}", recursive=True)
    return Store(f"memory://{name}", pauses=(0.0, 0.0))


class Flaky:
    """A file system that asks `fails` (operation, path, how often before) before each call, and raises what that
    returns."""

    def __init__(self, fs: Any, fails: Callable[[str, str, int], Exception | None]) -> None:
        self._fs, self._fails, self.calls = fs, fails, Counter[tuple[str, str]]()

    def __getattr__(self, name: str) -> Any:
        own = getattr(self._fs, name)
        if name not in ("cat_file", "pipe_file", "put_file", "get_file", "find", "ls", "cp_file", "rm_file"):
            return own

        def call(*arguments: Any, **options: Any) -> Any:
            path = arguments[1] if name == "put_file" else arguments[0]
            error = self._fails(name, path, self.calls[name, path])
            self.calls[name, path] += 1
            if error is not None:
                raise error
            return own(*arguments, **options)

        return call


def files_in(folder: Path, **contents: str) -> dict[str, Path]:
    """Write files; returns them by name, '__' standing for '/'."""
    paths = {}
    for key, text in contents.items():
        name = key.replace("__", "/")
        paths[name] = folder / name
        paths[name].parent.mkdir(parents=True, exist_ok=True)
        paths[name].write_text(text)
    return paths


def put(store: Store, folder: str, files: dict[str, Path], **options: Any) -> Any:
    """Publish."""
    return publish(Target(store, folder), files, Hashes(), **options)


def objects(store: Store, folder: str = "") -> list[str]:
    """Names of the objects below a folder, without the manifest."""
    start = len(folder) + 1 if folder else 0
    return sorted(name[start:] for name in store.listing(folder) if not name.endswith("published.json"))
