"""Local files -> a folder in a store: files first, manifest last, old objects after that.

No object that the present manifest names is touched before the new manifest is there; a kill at any moment leaves the
old folder or the new one, and leftovers that the next publication removes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from graphstorm_like.mirror.manifest import (
    OBJECTS,
    PUBLISHED,
    Entry,
    Hashes,
    Publication,
    name_in,
    read_publication,
    write_publication,
)
from graphstorm_like.mirror.transfer import Store


@dataclass(frozen=True)
class Target:
    """A folder in a store.

    owned: whether everything below it is ours, so that leftovers may be removed. shared: other jobs may publish the
    same folder at the same time; then objects are named by their contents, and the first manifest stays.
    """

    store: Store
    folder: str = ""
    owned: bool = True
    shared: bool = False

    @property
    def url(self) -> str:
        """For messages."""
        return self.store.where(self.folder)


def publish(
    target: Target,
    files: Mapping[str, Path],
    hashes: Hashes,
    *,
    final: bool = True,
    allowed: Callable[[], None] = lambda: None,
    md5_etags: bool = False,
    similar: Mapping[str, str] | None = None,
) -> Publication:
    """Make `files` (name -> local path, which must not change meanwhile) the content of a folder in a store.

    final: objects get the files' own names, which takes a copy within the store for each that was renamed; not worth it
    for a snapshot that is soon replaced. allowed: raises when this job may not write (any longer), asked before the
    manifest. similar: objects of the store by blake2b, which are copied there instead of sent.
    Raises StoreError.
    """
    store, folder, final = target.store, target.folder, final and not target.shared
    old = read_publication(store, folder)
    if old is not None and target.shared:
        return old
    before = {} if old is None else old.files
    taken = {entry.object for entry in before.values()}
    entries: dict[str, Entry] = {}
    missing: dict[str, tuple[Path, str]] = {}
    for name, path in files.items():
        size, content = hashes.of(path)
        known = before.get(name)
        if known is not None and (known.bytes, known.blake2b) == (size, content):
            entries[name] = known
            continue
        at = f"{OBJECTS}/{content}" if name in taken or target.shared else name
        entries[name] = Entry(size, content, at)
        missing[at] = (path, content)
    if old is not None and entries == before and not (final and _renamed(entries)):
        return old
    found = _send(target, missing, md5_etags, similar or {})
    allowed()
    published = Publication(entries)
    write_publication(store, folder, published)
    if final and _renamed(entries):
        published = _with_own_names(target, published, allowed)
    remains = {entry.object for entry in published.files.values()}
    gone = taken | {entry.object for entry in entries.values()}
    if target.owned and not target.shared:
        gone |= found  # what interrupted transfers have left, too
    store.remove(name_in(folder, name) for name in sorted(gone - remains - {PUBLISHED}))
    return published


def _send(
    target: Target, missing: Mapping[str, tuple[Path, str]], md5_etags: bool, similar: Mapping[str, str]
) -> set[str]:
    """Upload, or copy within the store; then one listing tells what arrived. Returns all objects below the folder."""
    store, folder = target.store, target.folder

    def send(at: str) -> None:
        path, content = missing[at]
        if content in similar:
            try:
                store.copy(similar[content], name_in(folder, at))
                return
            except FileNotFoundError:  # it was removed since
                pass
        store.upload(path, name_in(folder, at))

    if not missing:
        return set()
    store.each(send, missing)
    found = store.listing(folder)
    for at, (path, _) in missing.items():
        name = name_in(folder, at)
        store.check(name, found.get(name), path, md5_etags)
    start = len(name_in(folder, "x")) - 1
    return {name[start:] for name in found}


def _renamed(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    return {name: entry for name, entry in entries.items() if entry.object != name}


def _with_own_names(target: Target, published: Publication, allowed: Callable[[], None]) -> Publication:
    """The objects of a publication under their files' names. The manifest names the copies only when all are there."""
    store, folder, renamed = target.store, target.folder, _renamed(published.files)

    def copy(name: str) -> None:
        store.copy(name_in(folder, renamed[name].object), name_in(folder, name))

    store.each(copy, renamed)
    entries = {name: Entry(entry.bytes, entry.blake2b, name) for name, entry in published.files.items()}
    plain = Publication(entries)
    allowed()
    write_publication(store, folder, plain)
    return plain
