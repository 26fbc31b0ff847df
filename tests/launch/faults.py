"""What tests of faults need beside `graphstorm_like.bench.jobs`: whole runs, and a list of how long things took."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from graphstorm_like.bench.jobs import children
from graphstorm_like.launch.process import GSL


def gsl(yaml: Path, changes: Sequence[str], watch: Callable[[str, int], None] = lambda *_: None) -> tuple[int, str]:
    """Exit status and lines of `gsl run`; `watch` is called with every line and the launcher's process id."""
    said = []
    with subprocess.Popen(
        [*GSL, "run", str(yaml), *changes], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as launcher:
        assert launcher.stdout is not None
        for line in launcher.stdout:
            said.append(line)
            watch(line, launcher.pid)
    return launcher.returncode, "".join(said)


def record(fault: str, ends: str, detected: float | None = None, recovered: float | None = None) -> None:
    """Seconds from a fault until it was noticed, and until the job trained on: to the terminal and, an object a line,
    to the JSON file that GSL_FAULTS_JSON names."""
    row = {"fault": fault, "ends": ends}
    row |= {k: round(v, 1) for k, v in (("detected", detected), ("recovered", recovered)) if v is not None}
    print(json.dumps(row))
    if file := os.environ.get("GSL_FAULTS_JSON"):
        with open(file, "a", encoding="utf-8") as lines:
            lines.write(f"{json.dumps(row)}\n")


def hear_signals() -> None:
    """For `preexec_fn`: what a shell runs in the background ignores some signals, and so do its children."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def descendants(pid: int) -> list[int]:
    """Processes that a process and those have started."""
    return [found for child in children(pid) for found in (child, *descendants(child))]


def are_gone(pids: Sequence[int], seconds: float = 60.0) -> bool:
    """Whether processes end within a time."""
    deadline = time.monotonic() + seconds
    while any(_runs(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
