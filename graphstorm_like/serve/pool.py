"""Workers of the server, and the questions that wait for them.

Questions that wait together go to a worker together: their texts are encoded in one batch. When a worker dies, its
questions go to another one, and a new worker is started; a question that was there at two deaths is refused, since it
may be what kills them.
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
from graphstorm_like.serve.worker import MAX_MESSAGE, Settings, as_json

MAX_DEATHS = 2
RESTART_SECONDS = 1.0
"""Pause before a worker that died is started again."""


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
    """A question and where its answer goes."""

    question: dict[str, Any]
    answer: asyncio.Future[dict[str, Any]]
    deaths: int = 0


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
        waiting = Waiting(question, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._arrived.set()
        try:
            return await asyncio.wait_for(waiting.answer, self.limits.seconds)
        except TimeoutError:
            raise TooLateError(f"no answer within {self.limits.seconds:g} s. Ask for less, or again") from None

    # ------------------------------------------------------------------------------------------------------------

    async def _run(self, number: int, file: Path) -> None:
        """One worker after the other, for ever."""
        while True:
            process = await self._start_process(file)
            self._processes[number] = process
            try:
                if await self._says_ready(process):
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
            await asyncio.sleep(RESTART_SECONDS)

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
                answers = await _exchange(process, [waiting.question for waiting in batch])
            except BaseException:
                self._again(batch)
                raise
            if answers is None:
                self._again(batch)
                return
            self.observed.batch(len(batch), time.monotonic() - started)
            for waiting, answer in zip(batch, answers, strict=True):
                if waiting.answer.done():
                    continue
                if "ok" in answer:
                    waiting.answer.set_result(answer["ok"])
                else:
                    waiting.answer.set_exception(AnswerError(answer["error"], answer["kind"]))

    async def _next_batch(self, process: asyncio.subprocess.Process) -> list[Waiting]:
        """Questions that wait, up to the limit, at least one; none when the worker has died meanwhile."""
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
            waiting = self._waiting.popleft()
            if not waiting.answer.done():  # nobody waits for an answer that is too late
                batch.append(waiting)
        return batch or await self._next_batch(process)

    def _again(self, batch: list[Waiting]) -> None:
        """Questions of a dead worker go first in the queue."""
        for waiting in reversed(batch):
            waiting.deaths += 1
            if waiting.deaths >= MAX_DEATHS:
                _fail(waiting, AnswerError("the question ended two workers, and is not tried again", "WorkerDeath"))
            else:
                self._waiting.appendleft(waiting)
        self._arrived.set()


def _fail(waiting: Waiting, error: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)


async def _exchange(
    process: asyncio.subprocess.Process, questions: list[dict[str, Any]]
) -> list[dict[str, Any]] | None:
    """Answers of a worker; None when it died."""
    assert process.stdin is not None
    data = json.dumps(questions).encode()
    try:
        process.stdin.write(len(data).to_bytes(8, "little") + data)
        await process.stdin.drain()
    except (ConnectionError, OSError):
        return None
    answers: list[dict[str, Any]] | None = await _read(process)
    return answers


async def _read(process: asyncio.subprocess.Process) -> Any:
    """The next message; None at the end."""
    assert process.stdout is not None
    try:
        size = int.from_bytes(await process.stdout.readexactly(8), "little")
        if size > MAX_MESSAGE:
            return None
        return json.loads(await process.stdout.readexactly(size))
    except (asyncio.IncompleteReadError, ConnectionError, OSError):
        return None
