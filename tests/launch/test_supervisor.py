"""Processes that end, die, hang and are stopped: tiny ones, which do nothing else."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import pytest

from graphstorm_like.errors import LaunchError
from graphstorm_like.graph.remote.credentials import Credentials
from graphstorm_like.launch.process import LOST_RANK, Failure
from graphstorm_like.launch.processes import Job, Ports, ProcessPlan
from graphstorm_like.launch.supervisor import Stopping, listening, run_host, run_processes, with_restarts
from graphstorm_like.training.stopping import SAVED, Stopped
from tests.launch.faults import hear_signals

SLEEP = "import time; time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
SERVER = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); time.sleep(60)"


def process(
    code: str, number: int = 0, role: Literal["trainer", "server"] = "trainer", host: int = 0, **environment: str
) -> ProcessPlan:
    return ProcessPlan(role, number, host, number, "127.0.0.1", (sys.executable, "-c", code), environment)


class Terminal:
    """Keeps what is said, from any thread."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, text: str) -> None:
        self.lines.append(text)


def run(plans: Sequence[ProcessPlan], folder: Path, say: Callable[[str], None] | None = None, **more: float):
    return run_processes(plans, folder, say or Terminal(), Stopping(), **more)


def alive(pid: int) -> bool:
    """Whether a process runs: not gone, no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def has(file: Path, text: str) -> bool:
    return file.exists() and text in file.read_text()


def wait_until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


# ------------------------------------------------------------------------------------------------------- well


def test_all_end_well_and_servers_are_told_to(tmp_path: Path) -> None:
    said = Terminal()
    server = process("print('serves', flush=True)\n" + SERVER, 1, "server")
    code = "import os; print('one\\nhalf\\rtwo\\n\\x1ffor the log'); print('err', file=__import__('sys').stderr)"
    assert (
        run([server, process(code, 0), process("import time; time.sleep(0.5); print('late')", 3)], tmp_path, said)
        is None
    )
    assert {"[s1] serves", "[t0] one", "[t0] two", "[t0] err", "[t3] late"} == set(said.lines)
    assert logged(tmp_path / "trainer-h0-0.log") == ["one", "two", "for the log", "err"]
    assert logged(tmp_path / "server-h0-1.log") == ["serves"]


def logged(path: Path) -> list[str]:
    """The lines of a log, each of which begins with the time."""
    lines = path.read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in lines), lines
    return [line[20:] for line in lines]


def test_a_process_is_told_by_its_environment_only(tmp_path: Path) -> None:
    code = "import os, sys; print(os.environ['RANK'], os.environ['PYTHONUNBUFFERED'], repr(sys.stdin.read()))"
    said = Terminal()
    assert run([process(code, RANK="5")], tmp_path, said) is None
    assert said.lines == ["[t0] 5 1 ''"]


def test_a_terminal_that_is_closed_stops_nobody(tmp_path: Path) -> None:
    def closed(_: str) -> None:
        raise BrokenPipeError

    assert run([process("print('x\\n' * 100_000)")], tmp_path, closed) is None
    assert logged(tmp_path / "trainer-h0-0.log") == ["x"] * 100_000


# ------------------------------------------------------------------------------------------------------ failures


def test_a_killed_process_is_noticed_at_once_and_stops_the_others(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = f"import os, time; open({str(pids)!r}, 'a').write(str(os.getpid()) + '\\n'); print('at work', flush=True); "
    kill = code + "os.kill(os.getpid(), 9)"
    started = time.monotonic()
    failure = run([process(code + "time.sleep(60)", 0), process(kill, 1)], tmp_path)
    assert time.monotonic() - started < 3
    assert failure == Failure("trainer 1 on host 0", 0, -9, ("at work",), str(tmp_path / "trainer-h0-1.log"))
    assert "trainer 1 on host 0: must run to its end, but was killed by SIGKILL" in failure.message()
    assert failure.message().endswith("\nat work")
    assert not any(alive(int(pid)) for pid in pids.read_text().split())


def test_the_last_lines_are_kept(tmp_path: Path) -> None:
    failure = run([process("print(*range(100), sep='\\n'); raise SystemExit(1)")], tmp_path)
    assert failure.tail == tuple(str(i) for i in range(80, 100))


@pytest.mark.parametrize("code", [0, 1])
def test_a_server_that_ends_is_a_failure(tmp_path: Path, code: int) -> None:
    failure = run([process(f"raise SystemExit({code})", 0, "server"), process(SLEEP)], tmp_path, settle=0.3)
    assert (failure.process, failure.code, failure.may_pass) == ("server 0 on host 0", code, True)


def test_who_does_not_hear_sigterm_is_killed(tmp_path: Path) -> None:
    said = Terminal()
    wait = "import pathlib, time; log = pathlib.Path(%r)\n"
    wait += "while not (log.exists() and 'deaf' in log.read_text()): time.sleep(0.05)\nraise SystemExit(3)"
    wait %= str(tmp_path / "trainer-h0-0.log")
    started = time.monotonic()
    failure = run([process(DEAF, 0), process(wait, 1)], tmp_path, said, grace=0.5)
    assert failure.code == 3
    assert 0.5 < time.monotonic() - started < 5


def test_children_of_a_process_go_with_it(tmp_path: Path) -> None:
    """Also those whose parent ended well, and those that hold its pipe open."""
    file = tmp_path / "pid"
    code = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); "
    code += f"open({str(file)!r}, 'w').write(str(p.pid))"
    assert run([process(code)], tmp_path) is None
    wait_until(lambda: not alive(int(file.read_text())), 2)  # init reaps it, at its leisure


def test_the_cause_is_preferred_to_its_consequences(tmp_path: Path) -> None:
    lost = process("raise SystemExit(6)", 0)
    late = process("import time; time.sleep(0.6); raise SystemExit(3)", 1)
    failure = run([lost, late, process(SLEEP, 2)], tmp_path, settle=3.0)
    assert (failure.process, failure.exit_code, failure.may_pass) == ("trainer 1 on host 0", 3, False)
    failure = run([lost, process(SLEEP, 1)], tmp_path, settle=0.3)
    assert (failure.process, failure.exit_code, failure.may_pass) == ("trainer 0 on host 0", 6, True)


def test_a_command_that_cannot_start(tmp_path: Path) -> None:
    plan = ProcessPlan("trainer", 0, 0, 0, "127.0.0.1", ("/nowhere/to/be/found",), {})
    with pytest.raises(LaunchError, match="trainer 0 on host 0: must be a process that can be started"):
        run([process(SLEEP, 1), plan], tmp_path)


# ------------------------------------------------------------------------------------------------------- restarts


def job(tmp_path: Path, attempt: int = 0) -> Job:
    return Job("test", "p.json", (), ("127.0.0.1",), Ports(0, ()), shm=str(tmp_path), attempt=attempt)


def attempts(code: str, tmp_path: Path, max_restarts: int) -> list[str]:
    """What is said over all attempts of one trainer and one that waits."""
    said = Terminal()

    def attempt(number: int) -> Failure | None:
        this = job(tmp_path, number)
        plans = [process(code, 0, GSL_ATTEMPT=str(number), GSL_SHM=this.host_shm(0)), process("pass", 1)]
        return run_host(plans, this, Credentials("ab" * 32), tmp_path / "logs", said, Stopping(), settle=0.2)

    try:
        with_restarts(attempt, max_restarts, said, Stopping())
    finally:
        assert not list(tmp_path.glob("gsl-*"))
    return said.lines


def test_restart_until_it_works(tmp_path: Path) -> None:
    code = (
        "import os, pathlib; a = int(os.environ['GSL_ATTEMPT']); shm = pathlib.Path(os.environ['GSL_SHM']); "
        "assert (shm / 'secret').read_text() == 'ab' * 32 + chr(10); assert not (shm / 'left').exists(); "
        "(shm / 'left').write_text(''); print('attempt', a, oct(shm.stat().st_mode)[-3:], "
        "oct((shm / 'secret').stat().st_mode)[-3:], flush=True); a == 2 or os.kill(os.getpid(), 9)"
    )
    said = attempts(code, tmp_path, 2)
    assert [line for line in said if line.startswith(("[t0]", "restarting"))] == [
        "[t0] attempt 0 700 600",
        "restarting from the last checkpoint (restart 1 of 2)",
        "[t0] attempt 1 700 600",
        "restarting from the last checkpoint (restart 2 of 2)",
        "[t0] attempt 2 700 600",
    ]
    assert [p.parent.name for p in sorted(tmp_path.glob("logs/*/trainer-h0-0.log"))] == [
        "attempt-0", "attempt-1", "attempt-2"
    ]  # fmt: skip


def test_too_many_restarts(tmp_path: Path) -> None:
    code = "import os; print('ran out of luck', flush=True); os.kill(os.getpid(), 11)"
    with pytest.raises(LaunchError, match="was killed by SIGSEGV.*\n.*ran out of luck") as caught:
        attempts(code, tmp_path, 1)
    assert caught.value.exit_code == 6
    assert len(list(tmp_path.glob("logs/*"))) == 2


@pytest.mark.parametrize("code", [2, 3, 4, 5])
def test_what_would_only_fail_again_is_not_tried(tmp_path: Path, code: int) -> None:
    with pytest.raises(LaunchError, match=f"ended with status {code} ") as caught:
        attempts(f"print('no such file'); raise SystemExit({code})", tmp_path, 5)
    assert caught.value.exit_code == code
    assert len(list(tmp_path.glob("logs/*"))) == 1


# ------------------------------------------------------------------------------------------------ asked to stop


def test_stopped_from_another_thread(tmp_path: Path) -> None:
    stopping = Stopping()
    threading.Timer(0.3, stopping.ask).start()
    with pytest.raises(Stopped) as stopped:
        run_host([process(SLEEP)], job(tmp_path), Credentials("ab" * 32), tmp_path / "logs", Terminal(), stopping)
    assert stopped.value.number == signal.SIGTERM
    assert not list(tmp_path.glob("gsl-*"))


SAVES = "import signal, sys, time; signal.signal(signal.SIGUSR1, lambda *_: sys.exit({code})); "
SAVES += "print('ready', flush=True); time.sleep({seconds}); sys.exit({code})"


def stop_savers(tmp_path: Path, codes: Sequence[int], seconds: float = 60.0, number: int = signal.SIGTERM) -> Stopped:
    """Trainers end with these codes when they are asked to save, or after a time; asked as soon as all can hear it."""
    plans = [process(SAVES.format(code=code, seconds=seconds), rank) for rank, code in enumerate(codes)]
    stopping, said = Stopping(), Terminal()

    def say(line: str) -> None:
        said(line)
        if len(said.lines) == len(codes) and seconds > 10.0:
            stopping.ask(number)

    started = time.monotonic()
    with pytest.raises(Stopped) as stopped:
        run_processes(plans, tmp_path, say, stopping, save=60.0)
    assert time.monotonic() - started < 30.0, "nobody waits for those who have ended"
    return stopped.value


def test_sigterm_lets_trainers_save(tmp_path: Path) -> None:
    stopped = stop_savers(tmp_path, [SAVED, SAVED])
    assert (stopped.number, stopped.is_saved, stopped.exit_code) == (signal.SIGTERM, True, 85)
    stopped = stop_savers(tmp_path, [SAVED, 6])
    assert (stopped.is_saved, stopped.exit_code) == (False, 143)
    stopped = stop_savers(tmp_path, [SAVED, SAVED], number=signal.SIGINT)
    assert (stopped.is_saved, stopped.exit_code) == (False, 130)


def test_trainers_that_saved_because_another_host_was_asked(tmp_path: Path) -> None:
    assert stop_savers(tmp_path, [SAVED, SAVED], seconds=0.3).exit_code == 85


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with listening() as stopping:
        os.kill(os.getpid(), signal.SIGTERM)
        wait_until(lambda: stopping.number == signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


SUPERVISOR = """
import sys
from pathlib import Path
from graphstorm_like.graph.remote.credentials import Credentials
from graphstorm_like.launch.supervisor import listening, run_host
from graphstorm_like.training.stopping import Stopped
from tests.launch.test_supervisor import DEAF, SERVER, SLEEP, job, process

folder = Path(sys.argv[1])
code = f"import os, pathlib; pathlib.Path({str(folder)!r}, 'pid-' + str(os.getpid())).write_text('')\\n"
plans = [process(code + SERVER, 0, "server"), process(code + SLEEP, 0), process(code + DEAF, 1)]
with listening() as stopping:
    try:
        run_host(plans, job(folder), Credentials("ab" * 32), folder / "logs", print, stopping, grace=0.5)
    except Stopped as stopped:
        sys.exit(128 + stopped.number)
"""


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_is_left_of_a_stopped_supervisor(tmp_path: Path, number: signal.Signals) -> None:
    """SIGKILL leaves the folder in shared memory, which the next start sweeps."""
    from graphstorm_like.launch.host import sweep

    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", SUPERVISOR, str(tmp_path)]
    with subprocess.Popen(command, cwd=root, preexec_fn=hear_signals) as supervisor:
        wait_until(lambda: len(list(tmp_path.glob("pid-*"))) == 3 and list(tmp_path.glob("gsl-*")), 30)
        wait_until(lambda: has(tmp_path / "logs/attempt-0/trainer-h0-1.log", "deaf"), 30)
        pids = [int(p.name[4:]) for p in tmp_path.glob("pid-*")]
        assert all(alive(pid) for pid in pids)
        sweep(tmp_path)
        assert list(tmp_path.glob("gsl-*")), "in use"
        supervisor.send_signal(number)
        assert supervisor.wait(timeout=10) == (-9 if number == signal.SIGKILL else 128 + number)
    wait_until(lambda: not any(alive(pid) for pid in pids), 5)
    if number == signal.SIGKILL:
        sweep(tmp_path)
    assert not list(tmp_path.glob("gsl-*"))


# ------------------------------------------------------------------------------------------- causes before consequences


def test_of_two_that_broke_off_the_earlier_one_is_the_cause(tmp_path: Path) -> None:
    """Both are seen in one look; the order of ranks says nothing. Files tell when they end: machines may be slow."""
    first, second = tmp_path / "first", tmp_path / "second"
    wait = f"import pathlib, time\nwhile not pathlib.Path({str(first)!r}).exists(): time.sleep(0.01)\ntime.sleep(0.3)\n"
    later = process(f"{wait}pathlib.Path({str(second)!r}).touch(); raise SystemExit(1)", 0)
    touch = f"import pathlib; pathlib.Path({str(first)!r}).touch()"
    earlier = process(f"print('the cause', flush=True); {touch}; raise SystemExit(1)", 1)
    failure = run_processes([later, earlier], tmp_path, Terminal(), LateStopping(second), settle=0.1)
    assert failure is not None
    assert failure.process == "trainer 1 on host 0"
    assert failure.tail == ("the cause",)


class LateStopping(Stopping):
    """Delays a look at the processes until both have ended."""

    def __init__(self, ended: Path) -> None:
        self._ended, self._looks = ended, 0

    def check(self) -> None:
        self._looks += 1
        if self._looks == 3:  # the third look: after both have been started
            wait_until(self._ended.exists, 20.0)
            time.sleep(0.5)  # from the file to the end of the process
        super().check()


def test_an_abort_is_a_consequence(tmp_path: Path) -> None:
    """Libraries abort when a connection is lost."""
    abort = process("import os; os.abort()", 0)
    cause = process("import time; time.sleep(0.5); raise SystemExit(5)", 1)
    failure = run([abort, cause, process(SLEEP, 2)], tmp_path, settle=3.0)
    assert failure.process == "trainer 1 on host 0"


def test_who_lost_a_server_says_more_than_who_lost_that_rank(tmp_path: Path) -> None:
    lost_rank = process(f"raise SystemExit({LOST_RANK})", 0)
    lost_server = process("import time; time.sleep(0.5); raise SystemExit(6)", 1)
    failure = run([lost_rank, lost_server, process(SLEEP, 2)], tmp_path, settle=2.0)
    assert failure.process == "trainer 1 on host 0"
    failure = run([lost_rank, process(SLEEP, 1)], tmp_path, settle=0.1)
    assert "trainer 0 on host 0: must run to its end, but lost the other trainers." in failure.message()
    assert (failure.exit_code, failure.may_pass) == (6, True)


def test_a_lost_rank_is_in_the_log_only(tmp_path: Path) -> None:
    """Its error would come before the cause: who watches all ranks shows one of them, with its last lines."""
    code = (
        "from graphstorm_like.errors import LostRankError\n"
        "from graphstorm_like.launch import worker\n"
        "def lost(*_): raise LostRankError('rank 0 of 2, scores: must hear from all ranks')\n"
        "worker.read_pipeline = lost\n"
        "worker.run_worker('trainer', None, [], False, False)\n"
    )
    said = Terminal()
    failure = run([process(code)], tmp_path, said, settle=0.1)
    assert said.lines == []
    assert (failure.code, failure.exit_code) == (LOST_RANK, 6)
    assert failure.message().endswith("\nerror: rank 0 of 2, scores: must hear from all ranks")
    assert logged(tmp_path / "trainer-h0-0.log") == ["error: rank 0 of 2, scores: must hear from all ranks"]
