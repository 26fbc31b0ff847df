"""One process of a job, as its supervisor sees it: in its own process group, its output read line by line.

When the supervisor dies, however it dies, the kernel kills the process too (Linux).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from graphstorm_like.errors import GslError, LaunchError
from graphstorm_like.forking import child_environment
from graphstorm_like.launch.processes import ProcessPlan
from graphstorm_like.parent_death import DieWithParent
from graphstorm_like.progress import LOG_ONLY

GSL = (sys.executable, "-m", "graphstorm_like.cli.main")
"""Command for `gsl` in a plan: it need not be on the PATH, and must run in this Python."""

TAIL_LINES = 20
LOST_RANK = 75
"""Exit status of a trainer that lost contact with the others; the job then ends with the status of a LaunchError."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Failure:
    """How the first process that failed ended. code: exit status, or minus the signal. tail: last lines of output."""

    process: str
    host: int
    code: int
    tail: tuple[str, ...]
    log: str
    how: str = ""
    """A description to use instead of the code's."""

    @property
    def exit_code(self) -> int:
        """Exit status of the job: that of the process, if it names a kind of error."""
        return self.code if self.code in _EXIT_CODES else LaunchError.exit_code

    @property
    def may_pass(self) -> bool:
        """Whether a restart may succeed. Errors of configuration, data and training would only occur again."""
        return self.exit_code == LaunchError.exit_code

    @property
    def rank(self) -> int:
        """Lower: more likely the cause. A process that lost contact with others mostly failed as a consequence:
        libraries also abort when a connection is lost."""
        return {LOST_RANK: 3, -signal.SIGABRT: 3, LaunchError.exit_code: 2, 1: 1}.get(self.code, 0)

    def message(self) -> str:
        """The failure as a message of several lines."""
        introduction = f"Its last lines (all: {self.log}):" if self.tail else f"It printed nothing ({self.log})"
        first_line = f"{self.process}: must run to its end, but {self.how or _how(self.code)}. {introduction}"
        return "\n".join([first_line, *self.tail])

    def error(self) -> LaunchError:
        """The error that ends the job, with the failure's exit code."""
        error = LaunchError(self.message())
        error.exit_code = self.exit_code
        return error


_EXIT_CODES = {kind.exit_code: kind.__name__ for kind in GslError.__subclasses__()}


def _how(code: int) -> str:
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        memory = ", as the kernel does when memory runs out" if -code == signal.SIGKILL else ""
        return f"was killed by {name}{memory}"
    if code == LOST_RANK:
        return "lost the other trainers"
    meaning = f" ({_EXIT_CODES[code]})" if code in _EXIT_CODES else ""
    return f"ended with status {code}{meaning}" if code else "ended before the trainers did"


class Process:
    """A started process. Its output goes line by line to `log`, with the time, and to `say`, with a prefix."""

    def __init__(self, plan: ProcessPlan, log: Path, say: Say) -> None:
        self.plan, self.log = plan, log
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.silent_since = float("inf")
        """Time when its output ended: when the process ended, unless a child of it lives on."""
        command = [*GSL, *plan.command[1:]] if plan.command[0] == "gsl" else list(plan.command)
        try:
            self._popen = subprocess.Popen(
                command,
                env=_environment(plan),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=DieWithParent(),
            )
        except (OSError, subprocess.SubprocessError) as err:
            raise LaunchError(f"{self.name}: must be a process that can be started ({err})") from err
        self._reader = threading.Thread(target=self._read, args=(say,), daemon=True, name=f"lines of {plan.short}")
        self._reader.start()

    @property
    def name(self) -> str:
        """'trainer 1 on host 0'"""
        return f"{self.plan.role} {self.plan.number} on host {self.plan.host}"

    def ended(self) -> int | None:
        """Exit status, or minus the signal; None while the process runs. Does not reap it, so that the number of its
        group stays reserved until `close`."""
        if self._popen.returncode is not None:
            return self._popen.returncode
        if not hasattr(os, "waitid"):
            return self._popen.poll()
        status = os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if status is None:
            return None
        return status.si_status if status.si_code == os.CLD_EXITED else -status.si_status

    def signal_group(self, number: int) -> None:
        """Signal the process and those that it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)

    def signal(self, number: int) -> None:
        """Signal the process alone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._popen.pid, number)

    def close(self) -> None:
        """Kill the rest of the group, reap the process, and read its last lines."""
        self.signal_group(signal.SIGKILL)
        self._popen.wait()
        self.read_to_end()

    def read_to_end(self) -> None:
        """Wait for the last lines, but not for long: a process outside the group may hold the pipe open."""
        self._reader.join(timeout=2.0)

    def failure(self, code: int) -> Failure:
        """How this process ended, as a Failure."""
        return Failure(self.name, self.plan.host, code, tuple(self.tail), str(self.log))

    def _read(self, say: Say) -> None:
        assert self._popen.stdout is not None
        prefix = f"[{self.plan.short}]"
        with open(self.log, "ab", buffering=0) as file, self._popen.stdout as lines:
            for raw in lines:
                # A progress bar redraws itself with \\r and would overwrite other lines: only its last state counts.
                line = raw.decode("utf-8", errors="replace").rstrip("\r\n").rpartition("\r")[2]
                log_only, line = line.startswith(LOG_ONLY), line.removeprefix(LOG_ONLY)
                if not line.strip():
                    continue
                self.tail.append(line)
                with contextlib.suppress(OSError):  # a full disk or a closed terminal must not stop the process
                    file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n".encode())
                if log_only:
                    continue
                with contextlib.suppress(OSError, ValueError):
                    say(f"{prefix} {line}")
        self.silent_since = time.monotonic()


def _environment(plan: ProcessPlan) -> dict[str, str]:
    """This process's environment, updated by the plan's; but the user's choice of a network interface is kept."""
    chosen = {key: os.environ[key] for key in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME") if key in os.environ}
    return {**child_environment(), "PYTHONUNBUFFERED": "1", **plan.environment, **chosen}
