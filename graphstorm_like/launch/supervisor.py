"""Starts processes, watches them, stops all when one fails, and restarts them. Never leaves processes behind."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from graphstorm_like.graph.remote.credentials import Credentials
from graphstorm_like.launch.authority import host_credentials
from graphstorm_like.launch.host import host_folder
from graphstorm_like.launch.process import Failure, Process, Say
from graphstorm_like.launch.processes import Job, ProcessPlan
from graphstorm_like.training.stopping import ASK_TO_SAVE, SAVED, Stopped

POLL_SECONDS = 0.1
SETTLE_SECONDS, GRACE_SECONDS = 3.0, 5.0
"""How long after its consequence a cause may be noticed; time from SIGTERM to SIGKILL."""


class Stopping:
    """A request to stop, set by signal handlers and other threads, and checked in the supervisor's loop."""

    number: int = 0
    times: int = 0

    def ask(self, number: int = signal.SIGTERM, _frame: FrameType | None = None) -> None:
        """Ask to stop; a second request skips the grace period."""
        self.number = self.number or int(number)
        self.times += 1

    def check(self) -> None:
        """Raise Stopped when asked."""
        if self.number:
            raise Stopped(self.number)


@contextlib.contextmanager
def listening() -> Iterator[Stopping]:
    """A Stopping that Ctrl-C, SIGTERM and a closed terminal set, in the main thread."""
    stopping = Stopping()
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    old_handlers = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup, and shells with background jobs, ignore signals
            old_handlers[number] = signal.signal(number, stopping.ask)
    try:
        yield stopping
    finally:
        for number, handler in old_handlers.items():
            signal.signal(number, handler)


def run_host(
    plans: Sequence[ProcessPlan],
    job: Job,
    secret: Credentials,
    logs: Path,
    say: Say,
    stopping: Stopping,
    *,
    settle: float = SETTLE_SECONDS,
    grace: float = GRACE_SECONDS,
    save: float = 0.0,
) -> Failure | None:
    """One attempt with the processes of one or several hosts of a job. None when all trainers succeeded.

    secret: the job's. Logs go to logs/attempt-<a>/. Raises Stopped, after a resume point where trainers can write one
    within `save` seconds, and LaunchError when a process cannot be started. On return no process is left, and the
    hosts' shared-memory folders are removed.
    """
    with contextlib.ExitStack() as stack:
        for host in sorted({plan.host for plan in plans}):
            stack.enter_context(host_folder(Path(job.host_shm(host)), host_credentials(secret, host)))
        logs = logs / f"attempt-{job.attempt}"
        return run_processes(plans, logs, say, stopping, settle=settle, grace=grace, save=save)


def run_processes(
    plans: Sequence[ProcessPlan],
    logs: Path,
    say: Say,
    stopping: Stopping,
    *,
    settle: float = SETTLE_SECONDS,
    grace: float = GRACE_SECONDS,
    save: float = 0.0,
) -> Failure | None:
    """See run_host."""
    logs.mkdir(parents=True, exist_ok=True)
    running: list[Process] = []
    try:
        for plan in plans:
            stopping.check()
            running.append(Process(plan, logs / f"{plan.role}-h{plan.host}-{plan.local}.log", say))
        return _watch(running, stopping, settle)
    except Stopped as stopped:
        if save and stopped.number != signal.SIGINT:  # Ctrl-C is for people who wait
            stopped.is_saved = _let_save(running, stopping, save, ask=bool(stopping.number))
        raise
    finally:
        _stop(running, stopping, grace)


def _watch(running: Sequence[Process], stopping: Stopping, settle: float) -> Failure | None:
    """Wait until all trainers have succeeded, or any process has failed."""
    failed: list[tuple[Process, int]] = []
    deadline = 0.0
    while True:
        stopping.check()
        if any(p.plan.role == "trainer" and p.ended() == SAVED for p in running):
            raise Stopped(signal.SIGTERM)  # another host's supervisor was asked
        reported = [process for process, _ in failed]
        for process in running:
            code = None if process in reported else process.ended()
            if code or (code == 0 and process.plan.role != "trainer"):
                failed.append((process, code))
                deadline = deadline or time.monotonic() + settle
        if failed:
            # The first to fail is the cause; but if it only lost contact, wait a little for the one that it lost.
            process, code = min(failed, key=lambda pair: (pair[0].failure(pair[1]).rank, pair[0].silent_since))
            if process.failure(code).rank == 0 or time.monotonic() >= deadline or len(failed) == len(running):
                process.signal_group(signal.SIGKILL)  # children of it may hold the pipe open
                process.read_to_end()
                return process.failure(code)
        elif all(process.ended() == 0 for process in running if process.plan.role == "trainer"):
            return None
        time.sleep(POLL_SECONDS)


def _let_save(running: Sequence[Process], stopping: Stopping, seconds: float, ask: bool) -> bool:
    """Ask the trainers for a resume point, for which they need the servers, and wait. Whether all have written it; a
    second request to stop ends the wait."""
    trainers = [process for process in running if process.plan.role == "trainer"]
    for process in trainers if ask else ():
        process.signal(ASK_TO_SAVE)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and stopping.times < 2:
        codes = [process.ended() for process in trainers]
        if any(code not in (None, SAVED) for code in codes):
            return False
        if None not in codes:
            return bool(codes)
        time.sleep(POLL_SECONDS / 2)
    return False


def _stop(running: Sequence[Process], stopping: Stopping, grace: float) -> None:
    """End all processes: SIGTERM, and SIGKILL after the grace period. Those that have ended may have left children."""
    for process in running:
        process.signal_group(signal.SIGTERM)
    deadline = time.monotonic() + grace
    while any(p.ended() is None for p in running) and time.monotonic() < deadline and stopping.times < 2:
        time.sleep(POLL_SECONDS / 2)
    for process in running:
        process.close()


def with_restarts(attempt: Callable[[int], Failure | None], max_restarts: int, say: Say, stopping: Stopping) -> None:
    """Repeat attempts until one succeeds. Raises the failure of the last one, with its exit code; Stopped on
    request."""
    number = 0
    while (failure := attempt(number)) is not None:
        if not failure.may_pass or number >= max_restarts:
            raise failure.error()
        say(failure.message())
        number += 1
        say(f"restarting from the last checkpoint (restart {number} of {max_restarts})")
        stopping.check()
