"""Peak memory of this process. Torch-free, for launchers measure it too."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset_peak_rss() -> None:
    """Let `peak_rss` count from now on, where the kernel permits it."""
    with suppress(OSError):
        _RESET.write_text("5")


def peak_rss() -> int:
    """Return the most resident memory that this process has had since `reset_peak_rss`, or since its start, in bytes;
    pages of mapped files included. 0: the system does not tell."""
    with suppress(OSError, ValueError, StopIteration):
        line = next(text for text in _STATUS.read_text().splitlines() if text.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # not a POSIX system
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # on Linux it would remember the parent's before exec
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024
