"""One job at a time writes to a folder of a store: an object with the holder's name and a heartbeat.

On stores with conditional writes (S3, where fsspec's `mode="create"` is one request) two jobs never both get it.
Elsewhere two that start within the same second may: each looks again after SETTLE_SECONDS, at every heartbeat and
before every manifest, and the one whose mark is gone stops. A holder that is silent for STALE_SECONDS counts as dead.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graphstorm_like.errors import StoreError
from graphstorm_like.files import print_waiting
from graphstorm_like.mirror.transfer import Store

LOCK = ".gsl-lock.json"
BEAT_SECONDS, STALE_SECONDS, SETTLE_SECONDS = 15.0, 60.0, 1.0


class StoreLock:
    """The lock of a folder, held by this process."""

    def __init__(self, store: Store, name: str = LOCK) -> None:
        self.store, self.name, self.beat, self.stale = store, name, BEAT_SECONDS, STALE_SECONDS
        self.mark = secrets.token_hex(16)
        self.md5_etags = False
        """Whether this store's etags are MD5 sums, as that of the lock shows."""
        self._since, self._count, self._written = time.strftime("%Y-%m-%d %H:%M:%S"), 0, time.time()
        self._lost = ""
        self._stopped = threading.Event()
        self._beating = threading.Thread(target=self._beat, daemon=True, name="store lock")

    def acquire(self, say: Callable[[str], None] = print_waiting, wait: float = 0.0) -> None:
        """Take it. A holder that gives no sign of life for `stale` seconds is replaced; StoreError, which names it,
        when it lives and still holds it after `wait` seconds."""
        give_up, said = time.monotonic() + wait, False
        while not self.store.create(self.name, self._content()):
            holder = self._read()
            if holder is None:  # it has just been given back
                continue
            silent = self.stale if _is_dead_here(holder) else self._silent_for(holder)
            if silent < self.stale:
                if not said:
                    say(f"{self.store.url} is held by {_shown(holder)}: waiting for a sign of life ...")
                    said = True
                lives = self._gives_sign(holder, self.stale - silent)
                if lives and time.monotonic() >= give_up:
                    raise StoreError(
                        f"{self.store.url}: must be written by one job at a time (held by {_shown(holder)}, which is "
                        "alive). Wait until it ends, or choose another `output`"
                    )
                if lives:
                    continue
            if (self._read() or {}).get("mark") == holder.get("mark"):
                say(f"{self.store.url} was held by {_shown(holder)}, which is silent: taking over")
                self.store.remove([self.name])
        if not self.store.atomic_create:
            time.sleep(SETTLE_SECONDS)
        self.check()
        self._learn_etags()
        self._beating.start()

    def check(self) -> None:
        """Raise StoreError when another job has taken over."""
        holder = self._read()
        if not self._lost and (holder is None or holder.get("mark") != self.mark):
            self._lost = "nobody" if holder is None else _shown(holder)
        if self._lost:
            raise StoreError(
                f"{self.store.url}: must be held by this job until it ends (now held by {self._lost}). This job was "
                "silent for too long, or its lock was removed: nothing more is written; run again"
            )

    def release(self) -> None:
        """Give it back, unless it was lost."""
        self._stopped.set()
        if self._beating.is_alive():
            self._beating.join(timeout=self.beat)
        holder = self._read()
        if holder is not None and holder.get("mark") == self.mark:
            self.store.remove([self.name])

    def _beat(self) -> None:
        while not self._stopped.wait(self.beat):
            try:
                self.check()
                self._count, self._written = self._count + 1, time.time()
                self.store.write(self.name, self._content())
            except StoreError:  # the store is away, or the lock is lost: `check` will tell whoever writes next
                if self._lost:
                    return

    def _content(self) -> bytes:
        facts = {
            "mark": self.mark,
            "holder": f"process {os.getpid()} on {socket.gethostname()} since {self._since}",
            "process": [_processes_here(), os.getpid()],
            "beat": self._count,
            "written": self._written,
        }
        return json.dumps(facts).encode()

    def _read(self) -> dict[str, Any] | None:
        content = self.store.read(self.name)
        if content is None:
            return None
        try:
            holder = json.loads(content)
            return holder if isinstance(holder, dict) else {}
        except ValueError:
            return {}

    def _silent_for(self, holder: dict[str, Any]) -> float:
        """Seconds since the holder's last beat, by the clock of the store where that can be asked: this machine's and
        the holder's may differ. A probe beside the lock tells what time it is there."""
        written, probe = self.store.written_at(self.name), f"{self.name}.{self.mark[:8]}"
        if written is None:
            return time.time() - float(holder.get("written") or 0.0)
        self.store.write(probe, b"{}")
        now = self.store.written_at(probe)
        self.store.remove([probe])
        return max(0.0, (now or time.time()) - written)

    def _gives_sign(self, holder: dict[str, Any], seconds: float) -> bool:
        """Whether the holder beats again within some seconds. False as well when it has given the lock back."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(min(1.0, self.beat / 4))
            now = self._read()
            if now is None:
                return False
            if (now.get("mark"), now.get("beat")) != (holder.get("mark"), holder.get("beat")):
                return True
        return False

    def _learn_etags(self) -> None:
        found = self.store.listing(self.name).get(self.name)
        own = hashlib.md5(self._content(), usedforsecurity=False).hexdigest()
        self.md5_etags = found is not None and found.etag == own


def _processes_here() -> str:
    """Names this machine's process numbers: its boot, and the namespace of a container. '' where that is unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _is_dead_here(holder: dict[str, Any]) -> bool:
    """Whether the holder was a process of this machine that has ended: it need not be waited for."""
    match holder.get("process"):
        case [str(where), int(number)] if where and where == _processes_here():
            try:
                os.kill(number, 0)
            except ProcessLookupError:
                return True
            except OSError:
                return False
    return False


def _shown(holder: dict[str, Any]) -> str:
    return str(holder.get("holder") or "another job")


@contextmanager
def locked(store: Store, say: Callable[[str], None], wait: float = 0.0, name: str = LOCK) -> Iterator[StoreLock]:
    """Hold a folder of a store while the body runs."""
    lock = StoreLock(store, name)
    lock.acquire(say, wait)
    try:
        yield lock
    finally:
        lock.release()
