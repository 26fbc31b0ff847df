"""Jobs that tests disturb: their lines as they come, their processes, and how long they took to notice and recover."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

GSL = [sys.executable, "-m", "graphstorm_like.cli.main"]
PATIENCE = 300.0
"""Seconds that a test waits for anything: the machine may be slow."""


def hear_signals() -> None:
    """For `preexec_fn`: what a shell runs in the background, these tests perhaps, ignores some, and so do children."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Job:
    """A command whose lines are read as they come. Ended with all that it has started by `stop`."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.lines: list[tuple[float, str]] = []
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
        )
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def said(self) -> str:
        return "".join(line for _, line in self.lines)

    def when(self, pattern: str) -> float | None:
        """When the first line with a pattern came."""
        return next((moment for moment, line in list(self.lines) if re.search(pattern, line)), None)

    def wait_for(self, pattern: str) -> float:
        """When a line with a pattern comes; AssertionError when the job ends or `PATIENCE` does before."""
        deadline = time.monotonic() + PATIENCE
        with self._news:
            while (moment := self.when(pattern)) is None:
                assert self._reader.is_alive(), f"ended without '{pattern}':\n{self.said}"
                assert time.monotonic() < deadline, f"no '{pattern}' in time:\n{self.said}"
                self._news.wait(1.0)
        return moment

    def end(self) -> tuple[int, str]:
        """Exit status and all lines."""
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end in time:\n{self.said}") from None
        self._reader.join(PATIENCE)
        return code, self.said

    def stop(self) -> None:
        """SIGTERM, in need SIGKILL."""
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(20.0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                with self._news:
                    self.lines.append((time.monotonic(), line))
                    self._news.notify_all()


@contextlib.contextmanager
def running(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[Job]:
    """A job that is stopped at the end."""
    job = Job(command, environment)
    try:
        yield job
    finally:
        job.stop()


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


def children(pid: int) -> list[int]:
    """Processes that a process has started itself."""
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def descendants(pid: int) -> list[int]:
    """Processes that a process and those have started."""
    return [found for child in children(pid) for found in (child, *descendants(child))]


def members(launcher: int) -> dict[str, int]:
    """Process ids of a launcher's children by their name: trainer-<rank>, server-<host>."""
    found = {}
    for child in children(launcher):
        told = dict(e.partition("=")[::2] for e in Path(f"/proc/{child}/environ").read_text().split("\0"))
        found[f"trainer-{told['RANK']}" if "RANK" in told else f"server-{told['GSL_HOST']}"] = child
    return found


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


def record(fault: str, ends: str, detected: float | None = None, recovered: float | None = None) -> None:
    """Seconds from a fault until it was noticed, and until the job trained on: to the terminal and, an object a line,
    to the JSON file that GSL_FAULTS_JSON names."""
    row = {"fault": fault, "ends": ends}
    row |= {k: round(v, 1) for k, v in (("detected", detected), ("recovered", recovered)) if v is not None}
    print(json.dumps(row))
    if file := os.environ.get("GSL_FAULTS_JSON"):
        with open(file, "a", encoding="utf-8") as lines:
            lines.write(f"{json.dumps(row)}\n")
