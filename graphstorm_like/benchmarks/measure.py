"""What benchmarks share: clocks, peak memory, tables."""

from __future__ import annotations

import time
from pathlib import Path

from graphstorm_like.launch.inspect import table

__all__ = ["Clock", "peak_rss_mb", "table"]


def peak_rss_mb() -> float:
    """VmHWM belongs to this program alone; getrusage would also remember the size of the parent before exec."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError, ValueError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Clock:
    """Wall and CPU seconds of this process since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    @property
    def wall(self) -> float:
        """Seconds."""
        return time.perf_counter() - self._wall

    @property
    def cpu(self) -> float:
        """Seconds of all threads."""
        return time.process_time() - self._cpu
