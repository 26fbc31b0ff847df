"""Workers of the server, and the questions that wait for them.

Questions that wait together go to a worker together: their texts are encoded in one batch. When a worker dies, a new
one is started at once, and its questions become suspects, which are asked again, each alone: so all are answered but
the one that ends workers. A worker that crashes with a single question was ended by it; one that was killed from
outside (by an operator, or for its memory) may not have been, so that question is tried once more. A worker that
answers nothing for far too long is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphstorm_like.errors import GslError, LaunchError
from graphstorm_like.forking import child_environment
from graphstorm_like.serve.worker import FAILED, MAX_MESSAGE, Settings, as_json

MAX_KILLED = 2
"""Workers that are killed from outside while they have nothing but one question, until it is refused."""
LOADING_PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0)
"""Seconds before a worker is started again that died while it loaded, once, twice ... in a row."""
PATIENCE = 4
"""A worker that has a batch for longer than this many time limits hangs; twice as many after each that did, since what
takes so long may be an index that is built at the first question."""
EXIT_SECONDS = 5.0
"""For a worker that has closed its pipe to be gone."""
MIN_PATIENCE_SECONDS, MAX_PATIENCE_SECONDS = 60.0, 3600.0


class BusyError(GslError):
    """Too many questions wait already."""


class TooLateError(GslError):
    """No answer within the time limit."""


class AnswerError(GslError):
    """A worker refused a question. kind: the class of its error."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass
class Waiting:
    """A question, as JSON, and where its answer goes. suspect: whether a worker died with it; killed: how many were
    killed that had nothing else."""

    question: bytes
    answer: asyncio.Future[dict[str, Any]]
    suspect: bool = False
    killed: int = 0


@dataclass(frozen=True)
class Limits:
    """workers: processes. batch: questions that a worker gets at once. queue: that may wait. seconds: for an answer."""

    workers: int = 1
    batch: int = 32
    queue: int = 256
    seconds: float = 30.0


@dataclass
class Observed:
    """Called with what happens, for metrics."""

    batch: Callable[[int, float], None] = lambda size, seconds: None
    death: Callable[[], None] = lambda: None


@dataclass
class Pool:
    """See module. work: folder of the server, for the settings file and what workers share."""

    settings: Settings
    limits: Limits
    observed: Observed = field(default_factory=Observed)
    facts: dict[str, Any] = field(default_factory=dict)
    """What the first worker says of the model."""

    def __post_init__(self) -> None:
        self._waiting: deque[Waiting] = deque()
        self._arrived = asyncio.Event()
        self._runs: list[asyncio.Task[None]] = []
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._ready: set[int] = set()
        self.failed: str | None = None
        """Why no worker could load the model; None: there was one that could"""
        self._first_ready = asyncio.Event()
        self._patience = min(max(PATIENCE * self.limits.seconds, MIN_PATIENCE_SECONDS), MAX_PATIENCE_SECONDS)

    @property
    def ready(self) -> int:
        """Workers that can answer."""
        return len(self._ready)

    @property
    def queued(self) -> int:
        """Questions that no worker has yet."""
        return len(self._waiting)

    @property
    def pids(self) -> list[int]:
        """Of the workers that are ready."""
        return [self._processes[number].pid for number in sorted(self._ready)]

    async def start(self) -> None:
        """Start the workers; returns when the first one is ready. LaunchError when it cannot be."""
        file = Path(self.settings.work) / "settings.json"
        file.write_text(json.dumps(as_json(self.settings)), encoding="utf-8")
        self._runs = [asyncio.create_task(self._run(number, file)) for number in range(self.limits.workers)]
        await self._first_ready.wait()
        if self.failed is not None:
            await self.stop()
            raise LaunchError(self.failed)

    async def stop(self) -> None:
        """End the workers; questions that wait are refused."""
        for run in self._runs:
            run.cancel()
        await asyncio.gather(*self._runs, return_exceptions=True)
        while self._waiting:
            _fail(self._waiting.popleft(), BusyError("the server stops. Ask again"))

    async def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """The answer. Raises BusyError, TooLateError, AnswerError."""
        if len(self._waiting) >= self.limits.queue:
            raise BusyError(f"{len(self._waiting):,} questions wait already. Ask again in a moment")
        waiting = Waiting(json.dumps(question).encode(), asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._arrived.set()
        try:
            return await asyncio.wait_for(waiting.answer, self.limits.seconds)
        except TimeoutError:
            raise TooLateError(f"no answer within {self.limits.seconds:g} s. Ask for less, or again") from None

    # ------------------------------------------------------------------------------------------------------------

    async def _run(self, number: int, file: Path) -> None:
        """One worker after the other, for ever."""
        unloaded = 0
        while True:
            try:
                process = await self._start_process(file)
            except OSError as err:  # no memory, or too many processes
                _warn(f"a worker could not be started ({err}), and is tried again")
                await asyncio.sleep(LOADING_PAUSES[-1])
                continue
            self._processes[number] = process
            try:
                unloaded += 1
                if await self._says_ready(process):
                    unloaded = 0
                    self._ready.add(number)
                    self._first_ready.set()
                    await self._serve(process)
            finally:
                self._ready.discard(number)
                if process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process.pid, signal.SIGKILL)  # process.kill() may take the exit status from asyncio
                await process.wait()
            if self.failed is not None:
                self._first_ready.set()
                return
            self.observed.death()
            if unloaded:
                await asyncio.sleep(LOADING_PAUSES[min(unloaded, len(LOADING_PAUSES)) - 1])

    async def _start_process(self, file: Path) -> asyncio.subprocess.Process:
        threads = str(self.settings.threads)
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "graphstorm_like.serve.worker",
            str(file),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**child_environment(), "OMP_NUM_THREADS": threads},
        )

    async def _says_ready(self, process: asyncio.subprocess.Process) -> bool:
        """Whether it has loaded; what is wrong with model or graph ends the server if no worker has ever been ready."""
        said = await _read(process)
        if said is None:
            if not self._first_ready.is_set():
                self.failed = "the worker died while it loaded the model; its messages are above"
            return False
        if "error" in said:
            if not self._first_ready.is_set():
                self.failed = str(said["error"])
            return False
        if "ready" not in said:
            return False
        self.facts = said["ready"]
        return True

    async def _serve(self, process: asyncio.subprocess.Process) -> None:
        """Give a worker questions until it dies."""
        while True:
            batch = await self._next_batch(process)
            if not batch:
                return
            started = time.monotonic()
            try:
                async with asyncio.timeout(self._patience):
                    replies = await _exchange(process, [waiting.question for waiting in batch])
            except TimeoutError:
                _warn(f"a worker has not answered for {self._patience:g} s, and is replaced")
                self._patience = min(2 * self._patience, MAX_PATIENCE_SECONDS)
                for waiting in batch:
                    _fail(waiting, TooLateError("the question took too long, and its worker was ended. Ask for less"))
                return
            except BaseException:
                self._again(batch, killed=True)
                raise
            if replies is None:
                self._again(batch, killed=await _was_killed(process))
                return
            self.observed.batch(len(batch), time.monotonic() - started)
            if not self._deliver(batch, replies):
                _warn("a worker gave a malformed reply, and is replaced")
                self._again(batch, killed=False)
                return

    def _deliver(self, batch: list[Waiting], replies: Any) -> bool:
        """Whether the replies fit the questions; then each has its own."""
        if not (isinstance(replies, list) and len(replies) == len(batch) and all(map(_is_reply, replies))):
            return False
        for waiting, reply in zip(batch, replies, strict=True):
            if "error" in reply:
                _fail(waiting, AnswerError(reply["error"], reply["kind"]))
            elif not waiting.answer.done():
                waiting.answer.set_result(reply["ok"])
        return True

    async def _next_batch(self, process: asyncio.subprocess.Process) -> list[Waiting]:
        """Questions that wait, up to the limit, at least one, a suspect alone; none when the worker has died
        meanwhile."""
        while not self._waiting:
            self._arrived.clear()
            arrived, died = asyncio.create_task(self._arrived.wait()), asyncio.create_task(process.wait())
            try:
                await asyncio.wait({arrived, died}, return_when=asyncio.FIRST_COMPLETED)
                if died.done():
                    return []
            finally:
                arrived.cancel()
                died.cancel()
        batch: list[Waiting] = []
        while self._waiting and len(batch) < self.limits.batch:
            if batch and (batch[0].suspect or self._waiting[0].suspect):
                break
            waiting = self._waiting.popleft()
            if not waiting.answer.done():  # nobody waits for an answer that is too late
                batch.append(waiting)
        return batch or await self._next_batch(process)

    def _again(self, batch: list[Waiting], killed: bool) -> None:
        """Questions of a dead worker go first in the queue, but for one that ended it. killed: from outside."""
        for waiting in reversed(batch):
            waiting.suspect = True
            if len(batch) == 1:
                waiting.killed += 1
                if not killed or waiting.killed >= MAX_KILLED:
                    _warn("a question ended its worker, and is not tried again")
                    _fail(waiting, AnswerError("the question ended its worker, and is not tried again", FAILED))
                    continue
            self._waiting.appendleft(waiting)
        self._arrived.set()


def _fail(waiting: Waiting, error: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)


def _is_reply(reply: Any) -> bool:
    return isinstance(reply, dict) and ("ok" in reply or {"error", "kind"} <= reply.keys())


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr, flush=True)


async def _was_killed(process: asyncio.subprocess.Process) -> bool:
    """Whether a worker that has closed its pipe was ended by a signal from outside."""
    try:
        status = await asyncio.wait_for(process.wait(), timeout=EXIT_SECONDS)
    except TimeoutError:
        return False
    return status in (-signal.SIGKILL, -signal.SIGTERM)


async def _exchange(process: asyncio.subprocess.Process, questions: list[bytes]) -> Any:
    """What a worker replies, {} where that is no JSON; None when it died."""
    assert process.stdin is not None
    data = b"[" + b",".join(questions) + b"]"
    try:
        process.stdin.write(len(data).to_bytes(8, "little") + data)
        await process.stdin.drain()
    except (ConnectionError, OSError):
        return None
    return await _read(process)


async def _read(process: asyncio.subprocess.Process) -> Any:
    """The next message, {} where that is no JSON; None at the end."""
    assert process.stdout is not None
    try:
        size = int.from_bytes(await process.stdout.readexactly(8), "little")
        if size > MAX_MESSAGE:
            return {}
        data = await process.stdout.readexactly(size)
    except (asyncio.IncompleteReadError, ConnectionError, OSError):
        return None
    try:
        return json.loads(data)
    except ValueError:
        return {}
