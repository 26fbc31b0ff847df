"""A folder in a store -> local files: what its manifest names, checked by size and hash, swapped in as a whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from graphstorm_like.errors import StoreError
from graphstorm_like.files import (
    TEMPORARY,
    fsync_path,
    path_inside,
    recover_target,
    replace_folder,
)
from graphstorm_like.mirror.manifest import (
    Entry,
    Hashes,
    Publication,
    Record,
    name_in,
    read_publication,
    read_record,
    record_path,
    write_record,
)
from graphstorm_like.mirror.publish import Target
from graphstorm_like.mirror.transfer import told

Wanted = Callable[[str], bool]


def everything(_name: str) -> bool:
    """All files are wanted."""
    return True


def pull(
    target: Target,
    local: Path,
    wanted: Wanted = everything,
    *,
    publication: Publication | None = None,
    exact: bool = False,
    lenient: Callable[[str, StoreError], bool] = lambda _name, _err: False,
) -> bool:
    """Make a local folder that of the store; False when nothing was published.

    A local folder that has gone on from what is published stays as it is, with wanted files that it had left there
    added (exact: it is replaced, too); one that comes from an older publication, or from elsewhere, is replaced.
    publication: what is there, when the caller has read it. lenient: whether a damaged file (name, error) may be left
    out. Raises StoreError, and DataError for names that lead out of the folder.
    """
    found = publication or read_publication(target.store, target.folder)
    if found is None:
        forget(local)
        return False
    for name in found.files:
        path_inside(local, name)
    seen = read_record(local)
    if not exact and local.is_dir() and seen is not None and seen.publication.id == found.id:
        lacking = {name for name in seen.elsewhere if wanted(name)}
        if lacking:
            _fetch(target, found, local, sorted(lacking), lenient, local)
            write_record(local, Record(found, seen.elsewhere - lacking))
        return True
    temporary = local.parent / f"{TEMPORARY}{local.name}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        _fetch(target, found, temporary, [name for name in found.files if wanted(name)], lenient, local)
        for folder, _, _ in os.walk(temporary):
            fsync_path(Path(folder))
        recover_target(local)
        replace_folder(temporary, local)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    write_record(local, Record(found, frozenset(name for name in found.files if not wanted(name))))
    return True


def pull_missing(target: Target, local: Path, wanted: Wanted = everything) -> None:
    """Fetch the wanted files of a published folder that are not in `local`, which holds other things too and is not
    replaced. Raises as `pull`."""
    found = read_publication(target.store, target.folder)
    names = [] if found is None else [name for name in found.files if wanted(name)]
    for name in names:
        path_inside(local, name)
    if found is not None:
        _fetch(target, found, local, names, lambda _name, _err: False, local)


def forget(local: Path) -> None:
    """The store no longer holds what this folder was a copy of: what is here is to be published again."""
    record_path(local).unlink(missing_ok=True)


def _fetch(
    target: Target,
    found: Publication,
    into: Path,
    names: list[str],
    lenient: Callable[[str, StoreError], bool],
    before: Path,
) -> None:
    """Files that are not in `into` yet: linked from the folder `before` where that has the same, else downloaded."""
    hashes = Hashes()

    def fetch(name: str) -> None:
        entry, path = found.files[name], into / name
        if path.exists() or (into != before and _linked(before / name, path, entry, hashes)):
            return
        beside = path.with_name(f"{path.name}.tmp-{os.getpid()}")
        try:
            with told(target.url):
                target.store.download(name_in(target.folder, entry.object), beside, entry.bytes, entry.blake2b)
        except StoreError as err:
            beside.unlink(missing_ok=True)
            if lenient(name, err):
                return
            raise
        fsync_path(beside)
        os.replace(beside, path)

    target.store.each(fetch, names)


def _linked(old: Path, new: Path, entry: Entry, hashes: Hashes) -> bool:
    if entry.blake2b is None or not old.is_file() or entry.bytes not in (None, old.stat().st_size):
        return False
    if hashes.of(old)[1] != entry.blake2b:
        return False
    new.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(old, new)
    return True
