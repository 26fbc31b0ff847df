"""Programs in processes of their own, forked from one that has imported all that they need: importing torch,
transformers and torchmetrics takes a process 3 to 7 CPU seconds, the work of a test's rank a few tenths of one.

`run_programs` starts that process once. What a fork shares with the others and a fresh process does not: the modules
that are imported, and the seed of `hash`.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
import types
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from graphstorm_like.errors import MissingExtraError
from graphstorm_like.text.loading import quiet_transformers

IMPORTED = (
    "torch._dynamo",  # by every optimizer
    "torch.distributed",
    "pyarrow.parquet",
    "graphstorm_like.graph.remote.server",
    "graphstorm_like.launch.stages",
    "graphstorm_like.ranks.torch_group",
    "graphstorm_like.training.trainer",
)
LAZY = ("AutoModel", "AutoTokenizer", "BertModel", "BertForMaskedLM", "PreTrainedTokenizerFast")
"""Of transformers, which imports them when they are asked for"""
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Program:
    """A Python program as of `python -c`. output: the file that gets what it says."""

    code: str
    arguments: Sequence[str]
    environment: dict[str, str]
    output: str


def run_programs(programs: Sequence[Program], beside: Sequence[Program], timeout: float) -> list[int | None]:
    """Run programs to their ends and others meanwhile, which are killed then. Returns the exit statuses of `programs`:
    minus the signal of one that was killed; None for one that did not end within `timeout` seconds."""
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    request = {
        "cwd": os.getcwd(),
        "programs": [asdict(program) for program in programs],
        "beside": [asdict(program) for program in beside],
        "timeout": timeout,
    }
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    answer = server.stdout.readline()
    assert answer, "the process that forks has ended"
    statuses: list[int | None] = json.loads(answer)
    return statuses


@functools.cache
def _server() -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", __name__]
    server = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def end() -> None:
        server.communicate(timeout=60)

    atexit.register(end)
    return server


def serve() -> None:
    """Fork programs as they are asked for, until the other side is gone."""
    for name in IMPORTED:
        importlib.import_module(name)
    with contextlib.suppress(MissingExtraError), quiet_transformers() as transformers:
        for name in LAZY:
            getattr(transformers, name)
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), flush=True)


def _answer(request: dict[str, Any]) -> list[int | None]:
    os.chdir(request["cwd"])
    beside = [_fork(Program(**program)) for program in request["beside"]]
    pids = [_fork(Program(**program)) for program in request["programs"]]
    statuses: dict[int, int] = {}
    parent, deadline = os.getppid(), time.monotonic() + request["timeout"]
    try:
        while len(statuses) < len(pids) and time.monotonic() < deadline and os.getppid() == parent:
            statuses |= {pid: status for pid in pids if pid not in statuses and (status := _ended(pid)) is not None}
            time.sleep(_POLL_SECONDS)
    finally:
        for pid in {*beside, *pids} - set(statuses):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return [statuses.get(pid) for pid in pids]


def _ended(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _fork(program: Program) -> int:
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    status = 1
    try:
        status = _become(program)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _become(program: Program) -> int:
    """Run a program in this process; returns its exit status."""
    Path(program.output).touch()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    said = os.open(program.output, os.O_WRONLY | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.environ.clear()
    os.environ.update(program.environment)
    sys.argv = ["-c", *program.arguments]
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    try:
        exec(compile(program.code, "<string>", "exec"), main.__dict__)
    except SystemExit as err:
        return err.code if isinstance(err.code, int) else int(err.code is not None)
    return 0


if __name__ == "__main__":
    serve()
