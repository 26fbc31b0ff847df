"""Runs a command and measures it with all its descendants; reads the epochs of both sides from what they log.

CPU seconds and memory come from /proc (Linux), every quarter second: with the time at which a log line appeared they
give the CPU seconds of an epoch inside a run, the same way for both sides.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from peer_environment import PeerError

_EVERY_S = 0.25
_MEMORY_EVERY = 4  # samples: the kernel walks all pages for it
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Run:
    """A measured command. Times are seconds since its start."""

    seconds: float
    cpu: float
    """Of the process and all that it started."""
    peak_mb: float
    """Most memory of all its processes together; pages that they share count once."""
    samples: list[tuple[float, float]]
    """(time, CPU seconds until then)"""
    lines: list[tuple[float, str]]
    """(time of appearance, line) of its output and the watched files"""

    def cpu_between(self, start: float, end: float) -> float:
        """CPU seconds between two times, interpolated between samples."""
        times, cpu = zip(*self.samples, strict=True)
        return float(np.interp(end, times, cpu) - np.interp(start, times, cpu))


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch of training and the evaluation after it; seconds, CPU seconds, accuracies."""

    seconds: float
    cpu: float
    eval_seconds: float
    eval_cpu: float
    valid: float
    test: float | None
    start: float = 0.0
    """Seconds from the start of the run to this epoch."""


def measure(
    command: Sequence[str],
    log: Path,
    timeout: float,
    env: dict[str, str] | None = None,
    watch: Sequence[Path] = (),
) -> Run:
    """Run a command to its end, output into `log`; raises PeerError when it fails or takes more than `timeout` s.

    Descendants that are left over, at whatever end, are killed: the peer's own launcher leaves its servers running.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    samples, lines, peak = [(0.0, 0.0)], [], 0.0
    started = time.perf_counter()
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=env)
    tree, tails = _Tree(child.pid), [_Tail(path) for path in (log, *watch)]
    try:
        while True:
            cpu = tree.sample()
            if len(samples) % _MEMORY_EVERY == 1:
                peak = max(peak, tree.memory_mb())
            ended, status, usage = os.wait4(child.pid, os.WNOHANG)
            now = time.perf_counter() - started
            if ended:
                cpu = max(cpu, usage.ru_utime + usage.ru_stime)
            samples.append((now, cpu))
            lines += [(now, line) for tail in tails for line in tail.read()]
            if ended:
                child.returncode = os.waitstatus_to_exitcode(status)
                break
            if now > timeout:
                raise PeerError(f"{_short(command)}: must end within {timeout:g} s (--timeout). See {log}")
            time.sleep(_EVERY_S)
    finally:
        tree.kill()
        if child.returncode is None:
            child.wait(10)
    if child.returncode:
        text = "\n".join(line for _, line in lines[-15:])
        raise PeerError(f"{_short(command)}: ended with {child.returncode}. See {log}, which ends with\n{text}")
    return Run(now, cpu, peak, samples, lines)


def _short(command: Sequence[str]) -> str:
    return " ".join([Path(command[0]).name, *command[1:4]])


class _Tail:
    """Whole lines that a file has got since the last look; it need not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path, self.offset = path, 0

    def read(self) -> list[str]:
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return []
        data = data[: data.rfind(b"\n") + 1]
        self.offset += len(data)
        return data.decode("utf-8", errors="replace").splitlines()


@dataclass(slots=True)
class _Tree:
    """A process and its descendants, also those whose parents have ended since."""

    root: int
    cpu: dict[tuple[int, int], float] = field(default_factory=dict)
    """(pid, start time) -> CPU seconds when last seen"""
    _strangers: set[int] = field(default_factory=set)

    def sample(self) -> float:
        """CPU seconds of all so far."""
        pids = {int(name) for name in os.listdir("/proc") if name.isdigit()}
        self._strangers &= pids  # a number that is free again may become one of ours
        alive = {key[0]: key for key in self.cpu if key[0] in pids}
        for pid in sorted(pids - self._strangers, key=lambda pid: (pid not in alive, pid)):
            stat = _stat(pid)
            if stat is None:
                continue
            parent, seconds, since = stat
            key = (pid, since)
            if key in self.cpu or pid == self.root or parent in alive:
                self.cpu[key] = seconds
                alive[pid] = key
            else:
                self._strangers.add(pid)
        return sum(self.cpu.values())

    def memory_mb(self) -> float:
        """Of all that are alive, shared pages divided among those that share them."""
        return sum(_proportional_mb(pid) for pid, _ in self.cpu)

    def kill(self) -> None:
        """End what is alive of them; a number that now belongs to another process is left alone."""
        self.sample()
        for pid, since in self.cpu:
            stat = _stat(pid)
            if stat is not None and stat[2] == since:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue


def _stat(pid: int) -> tuple[int, float, int] | None:
    """(parent, own CPU seconds, start time in ticks), or None when it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()  # the name before it may hold blanks
    return int(fields[1]), (int(fields[11]) + int(fields[12])) / _TICKS, int(fields[19])


def _proportional_mb(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        return int(text.split("\nPss:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return 0.0


_PEER_EPOCH = re.compile(r"Epoch (\d+) take ([\d.]+) seconds")
_PEER_SCORE = re.compile(r"Step \d+ \| (Validation|Test) accuracy: ([\d.]+)")
_PEER_EVAL = re.compile(r"Eval time: ([\d.]+), Evaluation step")
_OUR_START = re.compile(r"[\d,]+ parameters that learn on ")


def peer_epochs(run: Run) -> list[Epoch]:
    """Epochs in GraphStorm's log: it prints an epoch's seconds, then scores, then the evaluation's seconds."""
    found: list[Epoch] = []
    scores: dict[str, float] = {}
    start = end = 0.0
    for at, line in run.lines:
        if match := _PEER_EPOCH.search(line):
            start, end = at - float(match[2]), at
        elif match := _PEER_SCORE.search(line):
            scores[match[1]] = float(match[2])
        elif match := _PEER_EVAL.search(line):
            seconds = float(match[1])
            cpu, eval_cpu = run.cpu_between(start, end), run.cpu_between(at - seconds, at)
            test = scores.get("Test")
            found.append(Epoch(end - start, cpu, seconds, eval_cpu, scores["Validation"], test, start))
    if not found:
        raise PeerError("GraphStorm's log: must hold an epoch and its evaluation (none was found)")
    return found


def our_epochs(run: Run) -> list[Epoch]:
    """Epochs of `gsl train`: from the line before training, or the last validation, to a `valid` record."""
    found: list[Epoch] = []
    start: float | None = None
    for at, line in run.lines:
        if _OUR_START.search(line):
            start = at
        record = _record(line)
        if start is not None and record.get("kind") == "valid":
            end = max(start, at - record["seconds"])
            cpu, eval_cpu = run.cpu_between(start, end), run.cpu_between(end, at)
            found.append(Epoch(end - start, cpu, record["seconds"], eval_cpu, record["accuracy"], None, start))
            start = at
    if not found:
        raise PeerError("metrics.jsonl of `gsl train`: must hold a validation (none was found)")
    return found


def _record(line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}
