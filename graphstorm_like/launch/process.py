"""One process of a job, as its supervisor holds it: on a leash, in a group of its own, its lines read.

The leash: when the supervisor dies, whatever kills it, the kernel kills the process (Linux).
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
from graphstorm_like.launch.processes import ProcessPlan
from graphstorm_like.parent_death import DieWithParent
from graphstorm_like.progress import LOG_ONLY

GSL = (sys.executable, "-m", "graphstorm_like.cli.main")
"""What a plan calls `gsl`: it need not be on the PATH, and must be of this Python."""

TAIL_LINES = 20

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Failure:
    """How the first process that failed ended. code: exit status, or minus the signal. tail: its last lines."""

    process: str
    host: int
    code: int
    tail: tuple[str, ...]
    log: str
    how: str = ""
    """In place of what the code says."""

    @property
    def exit_code(self) -> int:
        """What the job ends with: the process's own, where it says what was wrong."""
        return self.code if self.code in _EXIT_CODES else LaunchError.exit_code

    @property
    def may_pass(self) -> bool:
        """Whether another start may do better. Wrong configurations, data and losses would only be wrong again."""
        return self.exit_code == LaunchError.exit_code

    @property
    def rank(self) -> int:
        """Lower: more of a cause. Who could not hear from others, or broke off with them, mostly is a consequence."""
        return {LaunchError.exit_code: 2, 1: 1}.get(self.code, 0)

    def message(self) -> str:
        """For people, over several lines."""
        introduction = f"Its last lines (all: {self.log}):" if self.tail else f"It said nothing ({self.log})"
        return "\n".join(
            [f"{self.process}: must run to its end, but {self.how or _how(self.code)}. {introduction}", *self.tail]
        )

    def error(self) -> LaunchError:
        """What ends the job, with the exit code of what was wrong."""
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
        memory = ", as the kernel does when memory is short" if -code == signal.SIGKILL else ""
        return f"was killed by {name}{memory}"
    meaning = f" ({_EXIT_CODES[code]})" if code in _EXIT_CODES else ""
    return f"ended with status {code}{meaning}" if code else "ended before the trainers did"


class Process:
    """A started process. Its lines go to `log`, with the time, and with a prefix to `say`."""

    def __init__(self, plan: ProcessPlan, log: Path, say: Say) -> None:
        self.plan, self.log = plan, log
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
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
        """Exit status, minus the signal, or None while it runs. Leaves it unreaped, for its group's number to be kept
        until `close`."""
        if self._popen.returncode is not None:
            return self._popen.returncode
        if not hasattr(os, "waitid"):
            return self._popen.poll()
        status = os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if status is None:
            return None
        return status.si_status if status.si_code == os.CLD_EXITED else -status.si_status

    def signal_group(self, number: int) -> None:
        """Signal the process and what it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)

    def close(self) -> None:
        """Kill what is left of the group, reap the process, read its last lines."""
        self.signal_group(signal.SIGKILL)
        self._popen.wait()
        self.read_to_end()

    def read_to_end(self) -> None:
        """Wait for the last lines, unless somebody outside the group holds the pipe open."""
        self._reader.join(timeout=2.0)

    def failure(self, code: int) -> Failure:
        """How it ended."""
        return Failure(self.name, self.plan.host, code, tuple(self.tail), str(self.log))

    def _read(self, say: Say) -> None:
        assert self._popen.stdout is not None
        prefix = f"[{self.plan.short}]"
        with open(self.log, "ab", buffering=0) as file, self._popen.stdout as lines:
            for raw in lines:
                # A bar that redraws itself with \\r would overwrite others' lines: its last state is its line.
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


def _environment(plan: ProcessPlan) -> dict[str, str]:
    """The plan's, over this process's; but which network to talk over is the user's word where there is one."""
    chosen = {key: os.environ[key] for key in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME") if key in os.environ}
    return {**os.environ, "PYTHONUNBUFFERED": "1", **plan.environment, **chosen}
