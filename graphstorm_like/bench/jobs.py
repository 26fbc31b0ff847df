"""A command that is watched and disturbed: its lines as they come, its processes by name, its end."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from graphstorm_like.errors import LaunchError

PATIENCE = 300.0
"""Seconds that are waited for a line or an end: the machine may be slow."""


class Watched:
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
        """Of the command."""
        return self._process.pid

    @property
    def said(self) -> str:
        """All lines so far."""
        return "".join(line for _, line in self.lines)

    def when(self, pattern: str) -> float | None:
        """When the first line with a pattern came."""
        return next((moment for moment, line in list(self.lines) if re.search(pattern, line)), None)

    def wait_for(self, pattern: str) -> float:
        """When a line with a pattern comes. Raises LaunchError when the command ends, or `PATIENCE` does, before."""
        deadline = time.monotonic() + PATIENCE
        with self._news:
            while (moment := self.when(pattern)) is None:
                if not self._reader.is_alive() or time.monotonic() > deadline:
                    raise LaunchError(f"command: must print '{pattern}' in time, but printed:\n{self.said}")
                self._news.wait(1.0)
        return moment

    def ended(self) -> int | None:
        """Exit status, minus the signal, or None while it runs."""
        return self._process.poll()

    def end(self) -> tuple[int, str]:
        """Exit status and all lines. Raises LaunchError when it takes longer than `PATIENCE`."""
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise LaunchError(f"command: must end in time, but printed:\n{self.said}") from None
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
def running(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[Watched]:
    """A command that is stopped at the end."""
    job = Watched(command, environment)
    try:
        yield job
    finally:
        job.stop()


def children(pid: int) -> list[int]:
    """Processes that a process has started itself."""
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def members(launcher: int) -> dict[str, int]:
    """Process ids of a launcher's children by their name: trainer-<rank>, server-<host>."""
    found = {}
    for child in children(launcher):
        try:
            told = dict(e.partition("=")[::2] for e in Path(f"/proc/{child}/environ").read_text().split("\0"))
        except OSError:  # it has just ended
            continue
        if "GSL_HOST" not in told:
            continue
        found[f"trainer-{told['RANK']}" if "RANK" in told else f"server-{told['GSL_HOST']}"] = child
    return found


def helpers(trainer: int) -> list[int]:
    """Sampler processes of a trainer: forks, whose command is its own, or those of its fork server."""
    found = []
    own = _command_of(trainer)
    for child in children(trainer):
        command = _command_of(child)
        if command and command == own:
            found.append(child)
        elif b"multiprocessing.forkserver" in command:
            found += children(child)
    return found


def _command_of(pid: int) -> bytes:
    """Empty when the process has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def send(pids: Sequence[int], number: int) -> None:
    """Signal processes, some of which may be gone."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
