"""Folders that are fetched when they are asked for: entries of a cache that a store has, and copies for readers.

A local folder whose entries come from a store has the store's URL in a small file; any process that is about to make an
entry asks for it first.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache, partial
from hashlib import blake2b
from pathlib import Path

from graphstorm_like.errors import DataError, StoreError
from graphstorm_like.files import exclusive, print_waiting
from graphstorm_like.mirror.manifest import RECORDS, Entry, Publication, name_in, read_publication
from graphstorm_like.mirror.publish import Target
from graphstorm_like.mirror.pull import Wanted, everything, pull
from graphstorm_like.mirror.transfer import Store

_URL_FILE, _GRAPH_FILE = ".url", "graph.json"
WAIT_SECONDS = 86_400.0
"""For another process of this machine that fetches the same."""


def is_url(place: str | os.PathLike[str]) -> bool:
    """Whether something is behind a URL, not in a local folder. file:// is local."""
    text = os.fspath(place)
    return "://" in text and not text.startswith("file://")


def entries_come_from(folder: Path, url: str) -> None:
    """Let the entries of a local folder be fetched from a store."""
    (folder / RECORDS).mkdir(parents=True, exist_ok=True)
    (folder / RECORDS / _URL_FILE).write_text(url, encoding="utf-8")


def fetch_entry(folder: Path) -> bool:
    """Fetch a folder that is not here, if its parent folder has a store and the store has it. When the store cannot be
    read, or holds damaged objects, a line says so, and the caller makes the entry itself."""
    try:
        url = (folder.parent / RECORDS / _URL_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    try:
        return not folder.exists() and pull(Target(_store(url), folder.name), folder)
    except StoreError as err:
        print_waiting(f"warning: {err}. It is made anew here")
        return False


@lru_cache(maxsize=8)
def _store(url: str) -> Store:
    return Store(url)


def user_cache() -> Path:
    """The folder of this user's caches: $XDG_CACHE_HOME/graphstorm-like, else ~/.cache/graphstorm-like."""
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expandvars(root)).expanduser() / "graphstorm-like"


def folder_for(url: str, root: Path) -> Path:
    """The folder below `root` for what a URL holds: the end of its path, and a hash that tells it from others."""
    mark = blake2b(url.rstrip("/").encode(), digest_size=6).hexdigest()
    slug = "".join(c if c.isalnum() or c in "-_." else "-" for c in url.rstrip("/").rpartition("/")[2])
    return root / f"{slug[-40:].lstrip('.') or 'store'}-{mark}"


def published_at(store: Store, folder: str = "") -> Publication | None:
    """What a folder holds: as its published.json says, else as the graph.json of a graph folder that was written or
    copied there by something else."""
    found = read_publication(store, folder)
    if found is not None:
        return found
    content = store.read(name_in(folder, _GRAPH_FILE))
    return None if content is None else _of_graph(content, store.where(name_in(folder, _GRAPH_FILE)))


def _of_graph(content: bytes, where: str) -> Publication:
    """The files that a graph.json names, with their hashes; and itself, whose hash is that of what was read."""
    try:
        hashes = dict(json.loads(content)["hashes"])
    except (ValueError, KeyError, TypeError) as err:
        raise StoreError(
            f"{where}: must be the manifest of a graph folder ({err}). Make or copy the folder again"
        ) from None
    own = blake2b(content, digest_size=16).hexdigest()
    entries = {name: Entry(None, str(content_hash), name) for name, content_hash in hashes.items()}
    return Publication({**entries, _GRAPH_FILE: Entry(len(content), own, _GRAPH_FILE)}, own)


def local_copy(place: str | os.PathLike[str], wanted: Wanted = everything, root: Path | None = None) -> Path:
    """A local folder with what `place` holds: itself when it is local, else a copy of what was published there, in the
    user's cache. What is there already is not fetched again.

    A run's URL gives a folder with its published folders (train, evaluate ...). wanted: which files are needed, by
    their names below `place`. Raises DataError when nothing was published there, StoreError when it cannot be read.
    """
    text = os.fspath(place)
    if not is_url(text):
        return Path(text.removeprefix("file://"))
    store = Store(text)
    local = folder_for(text, (root or user_cache() / "copies"))
    with exclusive(local.with_name(f"{local.name}.lock"), "fetching this copy", WAIT_SECONDS):
        found = published_at(store)
        parts = {} if found is not None and _GRAPH_FILE in found.files else _published_folders(store)
        if found is None and not parts:
            raise DataError(
                f"{text}: must hold a run, a graph or another folder that gsl has published (got none). Check the URL, "
                "and that its job has come so far"
            )
        for name, part in parts.items():
            pull(Target(store, name), local / name, partial(_wanted_below, wanted, name), publication=part)
        if not parts:
            pull(Target(store), local, wanted, publication=found)
    return local


def _published_folders(store: Store) -> dict[str, Publication]:
    found = {name: published_at(store, name) for name in store.folders() if not name.startswith(".")}
    return {name: publication for name, publication in found.items() if publication is not None}


def _wanted_below(wanted: Wanted, folder: str, name: str) -> bool:
    return wanted(f"{folder}/{name}")
