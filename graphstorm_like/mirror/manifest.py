"""published.json: what a folder in a store holds, and the record of it beside the local copy.

    {"version": 1, "id": "<32 hex>", "files": {"best/model.safetensors": {"bytes": 1, "blake2b": "..", "object": ".."}}}

`object` is the name of the object within the folder: the file's own name, or .objects/<blake2b> where another content
of the same name was still needed when it was written.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from graphstorm_like.errors import StoreError
from graphstorm_like.files import file_hash, read_object, write_json
from graphstorm_like.mirror.transfer import Store

PUBLISHED, OBJECTS = "published.json", ".objects"
VERSION = 1
RECORDS = ".store"
"""Folder of records, beside the local folders."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A published file. bytes, blake2b: None when a folder was not published by us and does not say."""

    bytes: int | None
    blake2b: str | None
    object: str


@dataclass(frozen=True, slots=True)
class Publication:
    """A folder as it was published. id: another one for each publication."""

    files: dict[str, Entry]
    id: str = field(default_factory=lambda: secrets.token_hex(16))

    def as_json(self) -> dict[str, Any]:
        """For published.json."""
        files = {name: asdict(entry) for name, entry in sorted(self.files.items())}
        return {"version": VERSION, "id": self.id, "files": files}


def name_in(folder: str, name: str) -> str:
    """The name of a folder's object within the store."""
    return f"{folder}/{name}" if folder else name


def read_publication(store: Store, folder: str) -> Publication | None:
    """What a folder in the store holds; None when nothing was published there. StoreError when its manifest is
    damaged, or leads out of the folder."""
    content = store.read(name_in(folder, PUBLISHED))
    return None if content is None else parse_publication(content, store.where(name_in(folder, PUBLISHED)))


def parse_publication(content: bytes, where: str) -> Publication:
    """See read_publication."""
    try:
        data = json.loads(content)
        if data["version"] != VERSION:
            raise ValueError(f"version {data['version']}, where this program knows {VERSION}")
        files = {name: Entry(**entry) for name, entry in data["files"].items()}
        for name, entry in files.items():
            _check_inside(name)
            _check_inside(entry.object)
        return Publication(files, str(data["id"]))
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise StoreError(
            f"{where}: must be a manifest as gsl writes it ({err}). It was damaged: remove the folder in the store, "
            "and what made it runs again"
        ) from None


def _check_inside(name: str) -> None:
    """A store may be filled by somebody else: no name may lead out of the folder."""
    if {"", ".", ".."} & set(name.split("/")) or any(c in name for c in "\\\0"):
        raise ValueError(f"names must stay inside of the folder, got {name!r}")


def write_publication(store: Store, folder: str, publication: Publication) -> None:
    """Replace a folder's manifest, by one request."""
    content = json.dumps(publication.as_json(), indent=1) + "\n"
    store.write(name_in(folder, PUBLISHED), content.encode())


# ---------------------------------------------------------------------------------------------- beside the local copy


def record_path(folder: Path) -> Path:
    """Where the record of a local folder lies: beside it, for the folder itself may be renamed and is hashed."""
    return folder.parent / RECORDS / f"{folder.name}.json"


@dataclass(frozen=True, slots=True)
class Record:
    """What this machine last saw published of a local folder, and which of the files it left in the store."""

    publication: Publication
    elsewhere: frozenset[str] = frozenset()


def read_record(folder: Path) -> Record | None:
    """The record of a local folder; None when it is no copy of one in a store."""
    content = read_object(record_path(folder))
    if content is None:
        return None
    try:
        elsewhere = frozenset(map(str, content.pop("elsewhere", [])))
        return Record(parse_publication(json.dumps(content).encode(), str(record_path(folder))), elsewhere)
    except (StoreError, TypeError):
        return None


def write_record(folder: Path, record: Record) -> None:
    """Remember what is published of a local folder."""
    record_path(folder).parent.mkdir(parents=True, exist_ok=True)
    write_json(record_path(folder), {**record.publication.as_json(), "elsewhere": sorted(record.elsewhere)})


def held_elsewhere(folder: Path, hashes: Mapping[str, str | None]) -> set[str]:
    """Of files (name -> blake2b), those that a pull has left in the store; none for a folder that is no copy of one in
    a store."""
    record = read_record(folder)
    if record is None or not record.elsewhere:
        return set()
    known = record.publication.files
    asked = record.elsewhere & hashes.keys() & known.keys()
    return {n for n in asked if hashes[n] in (None, known[n].blake2b) and not (folder / n).exists()}


class Hashes:
    """blake2b of local files, computed once as long as size, time and inode stay."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, int], str] = {}

    def of(self, path: Path) -> tuple[int, str]:
        """(bytes, blake2b)."""
        state = path.stat()
        stamp = (state.st_size, state.st_mtime_ns, state.st_ino)
        if stamp not in self._known:
            self._known[stamp] = file_hash(path)
        return state.st_size, self._known[stamp]
