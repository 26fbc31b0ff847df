"""CPU time and memory of the processes that this one starts, and of theirs: Java and Python of Spark, for example.

Linux tells of each process; elsewhere both figures are 0.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

_SECONDS = 0.25


class ProcessTree:
    """Looks at the processes below this one, from a thread, within a with block."""

    def __init__(self) -> None:
        self.peak_mb = 0.0
        """The most memory that they and this process had at one time; pages that several share count once"""
        self._ticks: dict[tuple[int, str], int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def cpu_seconds(self) -> float:
        """Of the processes below this one, as far as they were seen."""
        return sum(self._ticks.values()) / os.sysconf("SC_CLK_TCK")

    def __enter__(self) -> ProcessTree:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(_SECONDS):
            below = _below(os.getpid())
            for pid in below:
                self._see(pid)
            self.peak_mb = max(self.peak_mb, sum(map(_memory_mb, [os.getpid(), *below])))

    def _see(self, pid: int) -> None:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            return
        self._ticks[pid, fields[19]] = int(fields[11]) + int(fields[12])  # a number may be given twice; the start tells


def _below(pid: int) -> list[int]:
    """Children, and theirs."""
    children: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children += map(int, path.read_text().split())
        except OSError:  # the thread has ended
            continue
    return children + [below for child in children for below in _below(child)]


def _memory_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)
