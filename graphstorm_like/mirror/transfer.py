"""A store: objects below one URL, with retries, counts, and checks of what arrived.

The only code that talks to fsspec for outputs. Errors that may pass (no answer, throttling) are tried again; a missing
object, refused credentials and a missing package are not.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from graphstorm_like.errors import StoreError
from graphstorm_like.files import file_hash
from graphstorm_like.mirror.stores import store_errors, store_of

PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds before an attempt is repeated; s3fs has made attempts of its own before that."""
THREADS = 8
_PUT_IS_ATOMIC = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "r2", "memory"}
"""Protocols whose objects appear whole or not at all. Elsewhere a small file is written beside and renamed."""
_LASTING = (FileNotFoundError, FileExistsError, PermissionError, NotADirectoryError, IsADirectoryError)
_CREATE_IS_ATOMIC = {"s3", "s3a", "memory"}
"""Where `create` is one conditional request."""
Answer = TypeVar("Answer")


@dataclass
class Counts:
    """What a store was asked for: requests by kind as fsspec was asked, and bytes. Large files are several requests."""

    requests: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    received: int = 0


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as a listing tells it. etag: '' where the store has none."""

    bytes: int
    etag: str = ""


class Store:
    """Objects below `url`, by their names, which are relative to it."""

    def __init__(self, url: str, pauses: tuple[float, ...] | None = None) -> None:
        self.url, self.counts = url.rstrip("/"), Counts()
        self.pauses = PAUSES if pauses is None else pauses
        self._counting = threading.Lock()
        try:
            with store_errors():
                self.fs, root = store_of(self.url)
        except (OSError, ValueError, ImportError) as err:
            extra = " Install s3fs: pip install 'graphstorm-like[aws]'" if self.url.startswith("s3") else ""
            raise StoreError(f"{self.url}: must be the URL of a store that can be reached ({err}).{extra}") from None
        self.root = root.rstrip("/")
        self.protocol = self.url.partition("://")[0]
        self.atomic = self.protocol in _PUT_IS_ATOMIC
        self.atomic_create = self.protocol in _CREATE_IS_ATOMIC

    def path(self, name: str) -> str:
        """An object's path within the file system of fsspec."""
        return f"{self.root}/{name}" if name else self.root

    def where(self, name: str) -> str:
        """An object's URL, for messages."""
        return f"{self.url}/{name}" if name else self.url

    def read(self, name: str) -> bytes | None:
        """An object's content; None when there is none."""
        try:
            content: bytes = self._tried("get", name, lambda: self.fs.cat_file(self.path(name)))
        except FileNotFoundError:
            return None
        self._add(received=len(content))
        return content

    def write(self, name: str, content: bytes) -> None:
        """Replace an object in one step."""
        self._tried("put", name, lambda: self._write(self.path(name), content))
        self._add(sent=len(content))

    def _write(self, path: str, content: bytes) -> None:
        if self.atomic:
            self.fs.pipe_file(path, content)
            return
        self._make_parents(path)
        beside = f"{path}.tmp-{os.getpid()}"
        self.fs.pipe_file(beside, content)
        self.fs.mv(beside, path)

    def create(self, name: str, content: bytes) -> bool:
        """Write an object unless it exists; False when it does. One conditional request where the store has those (S3,
        memory); elsewhere another writer may come between the question and the write."""
        try:
            self._tried("put", name, lambda: self._create(self.path(name), content))
        except FileExistsError:
            return False
        self._add(sent=len(content))
        return True

    def _create(self, path: str, content: bytes) -> None:
        self._make_parents(path)
        try:
            self.fs.pipe_file(path, content, mode="create")
        except OSError as err:
            if "PreconditionFailed" in f"{err}{err.__cause__!r}" or "pre-conditions" in str(err):
                raise FileExistsError(path) from None
            raise

    def _make_parents(self, path: str) -> None:
        """Stores of objects have no folders to make; s3fs would look for the bucket each time."""
        if not self.atomic:
            self.fs.makedirs(self.fs._parent(path), exist_ok=True)

    def upload(self, file: Path, name: str) -> None:
        """Copy a local file to an object; by several requests when it is large. `check` compares what arrived."""

        def put() -> None:
            self._make_parents(self.path(name))
            self.fs.put_file(str(file), self.path(name))

        self._tried("put", name, put)
        self._add(sent=file.stat().st_size)

    def check(self, name: str, found: StoredObject | None, file: Path, md5_etags: bool) -> None:
        """Raise StoreError unless an object has a file's size, and its MD5 sum where the store's etags are those."""
        size = file.stat().st_size
        if found is None or found.bytes != size:
            got = "nothing" if found is None else f"{found.bytes:,}"
            raise StoreError(f"{self.where(name)}: must have the {size:,} bytes that were sent (got {got})")
        if md5_etags and len(found.etag) == 32 and found.etag != _md5(file):
            raise StoreError(f"{self.where(name)}: must hold what was sent (its etag {found.etag} says otherwise)")

    def download(self, name: str, file: Path, size: int | None, content: str | None) -> None:
        """Copy an object to a local file, checked against its size and blake2b; None: not known. What does not match is
        fetched once more, then StoreError names the object. FileNotFoundError when there is no such object."""
        file.parent.mkdir(parents=True, exist_ok=True)
        for attempt in (1, 2):
            self._tried("get", name, lambda: self.fs.get_file(self.path(name), str(file)))
            got = file.stat().st_size
            self._add(received=got)
            if (size is None or got == size) and (content is None or file_hash(file) == content):
                return
            file.unlink()
            if attempt == 2:
                raise StoreError(
                    f"{self.where(name)}: must hold what was published (got {got:,} bytes of "
                    f"{'another content' if size is None or got == size else f'{size:,}'}). It was damaged or "
                    f"overwritten: restore it, or remove its folder there and run again"
                )

    def listing(self, folder: str) -> dict[str, StoredObject]:
        """All objects below a folder by name; none when there is no such folder."""
        start = len(self.root) + 1

        def find() -> dict[str, Any]:
            self.fs.invalidate_cache()  # other processes write too
            found: dict[str, Any] = self.fs.find(self.path(folder), detail=True)
            return found

        try:
            entries = self._tried("list", folder, find)
        except FileNotFoundError:
            return {}
        stored = {}
        for path, info in entries.items():
            etag = str(info.get("ETag") or "").strip('"')
            stored[path[start:]] = StoredObject(int(info.get("size") or 0), etag)
        return stored

    def folders(self, folder: str = "") -> list[str]:
        """Names of the folders in a folder, sorted."""

        def ls() -> list[dict[str, Any]]:
            self.fs.invalidate_cache()
            entries: list[dict[str, Any]] = self.fs.ls(self.path(folder), detail=True)
            return entries

        try:
            entries = self._tried("list", folder, ls)
        except FileNotFoundError:
            return []
        return sorted(e["name"].rstrip("/").rpartition("/")[2] for e in entries if e["type"] == "directory")

    def copy(self, source: str, target: str) -> None:
        """Copy an object within the store, which S3 and its like do without a transfer."""

        def cp() -> None:
            self._make_parents(self.path(target))
            self.fs.cp_file(self.path(source), self.path(target))

        self._tried("copy", target, cp)

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects; those that are gone already do not matter."""
        self.each(self._remove, names)

    def _remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._tried("delete", name, lambda: self.fs.rm_file(self.path(name)))

    def written_at(self, name: str) -> float | None:
        """Seconds since the epoch by the store's clock; None when there is no such object, or no such knowledge."""

        def modified() -> Any:
            self.fs.invalidate_cache()
            return self.fs.modified(self.path(name))

        try:
            moment = self._tried("head", name, modified)
        except (FileNotFoundError, NotImplementedError):
            return None
        return float(moment.timestamp())

    def each(self, action: Callable[[Any], Answer], items: Iterable[Any]) -> list[Answer]:
        """An action for each item, several at a time; the first error is raised."""
        todo = list(items)
        if len(todo) < 2:
            return [action(item) for item in todo]
        with ThreadPoolExecutor(min(THREADS, len(todo)), thread_name_prefix="store") as pool:
            return list(pool.map(action, todo))

    def _tried(self, kind: str, name: str, action: Callable[[], Answer]) -> Answer:
        """An action with retries. StoreError names the object."""
        for pause in (*self.pauses, None):
            self._add(kind)
            try:
                with store_errors():
                    return action()
            except PermissionError as err:
                raise StoreError(
                    f"{self.where(name)}: must be open to this job's credentials ({_reason(err)}). Check them and the "
                    "bucket's policy"
                ) from None
            except (*_LASTING, ImportError, NotImplementedError):
                raise
            except (OSError, ValueError) as err:
                if pause is None:
                    raise StoreError(
                        f"{self.where(name)}: {_VERBS[kind]} must succeed (got {_reason(err)} at the last of "
                        f"{len(self.pauses) + 1} attempts). Check the network and the store"
                    ) from err
                time.sleep(pause * random.uniform(0.75, 1.25))
        raise AssertionError("the last attempt returns or raises")

    def _add(self, kind: str | None = None, sent: int = 0, received: int = 0) -> None:
        with self._counting:
            if kind is not None:
                self.counts.requests[kind] += 1
            self.counts.sent += sent
            self.counts.received += received


_VERBS = {
    "get": "reading", "put": "writing", "list": "listing", "copy": "copying", "delete": "removing", "head": "asking",
}  # fmt: skip


def _reason(err: BaseException) -> str:
    lines = str(err).strip().splitlines()
    return f"{type(err).__name__}: {lines[0][:200]}" if lines else type(err).__name__


def _md5(file: Path) -> str:
    import hashlib

    with file.open("rb") as opened:
        return hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


@contextmanager
def told(where: str) -> Iterator[None]:
    """A store's missing objects as StoreError: somebody removed what a manifest names."""
    try:
        yield
    except FileNotFoundError as err:
        raise StoreError(
            f"{where}: must hold all objects that its manifest names (got no {err}). Somebody removed it, or another "
            "job published at this moment: run again"
        ) from None
