"""Memory and CPU time of this process, with the processes that it has waited for."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from graphstorm_like.allocator import peak_rss

_STATM = "/proc/self/statm"
SAMPLE_SECONDS = 0.05


def cpu_seconds() -> float:
    """User and system time of all threads, and of child processes that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def resident_bytes() -> int:
    """Memory of this process now, pages of mapped files included; where the system does not tell: its peak so far."""
    try:
        with open(_STATM, "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return peak_rss()


class Sampler:
    """Calls `see` every SAMPLE_SECONDS within a with block, from a thread of its own."""

    def __init__(self, see: Callable[[], None]) -> None:
        self._see, self._ended = see, threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self._see()
