"""Keeps folders equal with a store while others write them: a thread that looks, takes a view, and publishes it.

Nobody waits for it. Changes that come while one is sent are sent together afterwards, so that at most one state is
behind. A store that is away costs a warning, and an error only when it is still away at the end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from graphstorm_like.errors import StoreError
from graphstorm_like.mirror.manifest import Hashes, Record, name_in, read_record, write_record
from graphstorm_like.mirror.publish import Target, publish
from graphstorm_like.mirror.snapshot import Changed, View, view_beside

LOOK_SECONDS, RETRY_SECONDS = 1.0, 10.0
"""Time between looks; after a failure."""


@dataclass(frozen=True)
class Unit:
    """A local folder and its place in a store.

    state: changes when there is something new to publish; None: there is nothing yet. gather: fills a view, or raises
    Changed. check: raises Changed for a view that lacks something, as of a folder of which a part was left in the
    store. final: whether this state is one that stays (see `publish`). alone: holds what must be held meanwhile.
    """

    local: Path
    target: Target
    state: Hashable | None
    gather: Callable[[View], None]
    check: Callable[[View], None] = lambda view: None
    final: bool = True
    alone: Callable[[], AbstractContextManager[object]] = nullcontext


class Watcher:
    """Publishes the units that `units` finds, whenever their states change."""

    def __init__(
        self,
        units: Callable[[], Iterable[Unit]],
        say: Callable[[str], None],
        allowed: Callable[[], None] = lambda: None,
        md5_etags: Callable[[], bool] = lambda: False,
    ) -> None:
        self.units, self.say, self.allowed, self.md5_etags = units, say, allowed, md5_etags
        self._hashes = Hashes()
        self._published: dict[Path, Hashable] = {}
        self._warned = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="mirror")

    def start(self) -> None:
        """Begin to look. What is there now counts as published where its record says so."""
        for unit in self.units():
            if unit.state is not None and read_record(unit.local) is not None:
                self._published[unit.local] = self._seen(unit)
        self._thread.start()

    def _seen(self, unit: Unit) -> Hashable | None:
        """The state of a folder that was pulled; None when it has gone on since."""
        record = read_record(unit.local)
        if record is None:
            return None
        try:
            with view_beside(unit.local) as view:
                unit.gather(view)
                local = {name: self._hashes.of(path) for name, path in view.files.items()}
        except (Changed, OSError):
            return None
        there = {n: (e.bytes, e.blake2b) for n, e in record.publication.files.items() if n not in record.elsewhere}
        return unit.state if local == there else None

    def look(self) -> None:
        """Publish what has changed. Raises StoreError."""
        for unit in self.units():
            if unit.state is not None and self._published.get(unit.local) != unit.state:
                self._publish(unit)

    def _publish(self, unit: Unit) -> None:
        with unit.alone(), view_beside(unit.local) as view:
            try:
                unit.gather(view)
                unit.check(view)
            except Changed:
                return  # at the next look
            started = time.monotonic()
            sent = unit.target.store.counts.sent
            published = publish(
                unit.target,
                view.files,
                self._hashes,
                final=unit.final,
                allowed=self.allowed,
                md5_etags=self.md5_etags(),
                similar=self._similar(unit),
            )
            seen = read_record(unit.local)
            write_record(unit.local, Record(published))
            self._published[unit.local] = unit.state
            sent = unit.target.store.counts.sent - sent
            if unit.final and (seen is None or seen.publication.id != published.id):
                self.say(f"{unit.target.url}: published, {sent / 1e6:,.1f} MB in {time.monotonic() - started:.1f} s")

    def _similar(self, unit: Unit) -> Mapping[str, str]:
        """Objects of other folders of the same store, by content: a folder that was renamed need not be sent again."""
        objects: dict[str, str] = {}
        for other in self.units():
            if other.target.store is not unit.target.store or other.local == unit.local:
                continue
            if (record := read_record(other.local)) is not None:
                for entry in record.publication.files.values():
                    if entry.blake2b is not None:
                        objects[entry.blake2b] = name_in(other.target.folder, entry.object)
        return objects

    def _run(self) -> None:
        pause = LOOK_SECONDS
        while not self._stop.wait(pause):
            try:
                self.look()
                if self._warned:
                    self.say("the store answers again")
                pause, self._warned = LOOK_SECONDS, ""
            except StoreError as err:
                if str(err) != self._warned:
                    self.say(f"warning: {err}. The run goes on; it is tried again")
                pause, self._warned = RETRY_SECONDS, str(err)
            except FileNotFoundError:  # a folder was replaced while it was looked at
                pause = LOOK_SECONDS
            except Exception as err:  # it must not end the thread: the last look meets it again, and raises it
                if str(err) != self._warned:
                    self.say(f"warning: {type(err).__name__}: {err}. Nothing is published until that has passed")
                pause, self._warned = RETRY_SECONDS, str(err)

    def stop(self) -> None:
        """Look no more; a transfer that has begun is finished."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
