"""Progress of long work: a live bar on a terminal, plain lines with rate and time left elsewhere."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

FIRST_SECONDS = 10.0
"""Not on a terminal: work that takes longer than this is spoken of."""
LOG_SECONDS = "GSL_LOG_SECONDS"
"""Environment variable: not on a terminal, at most one line of progress in this many seconds; default: a minute."""
STEP_SECONDS = 2.0
"""Work that takes longer than this is named."""


def line_seconds() -> float:
    """The shortest time between two lines of progress in a log; a minute where the environment names no number."""
    try:
        return max(0.0, float(os.environ.get(LOG_SECONDS, "60")))
    except ValueError:
        return 60.0


class ProgressMeter:
    """One piece of work of known size. `update` may be called at any rate."""

    def __init__(self, reporter: Reporter, what: str, total: int, ends: bool = True) -> None:
        """ends: whether the end of work that was spoken of is a line too; not where the caller says so itself."""
        self._reporter, self._what, self._total, self._ends = reporter, what, total, ends
        self._started, self._spoke = time.monotonic(), False
        self._first_done: int | None = None
        self._bar = reporter.live.add_task(what, total=total, info="") if reporter.live else None

    def update(self, finished: int, info: str = "") -> None:
        """Now `done` of `total`; `info` is shown at the end of the line."""
        if self._first_done is None:
            self._first_done = finished if finished < self._total else 0
        if self._reporter.live is not None and self._bar is not None:
            self._reporter.live.update(self._bar, completed=finished, info=info)
            return
        now = time.monotonic()
        if now - self._started >= FIRST_SECONDS and self._reporter.may_speak():
            self._spoke = True
            rate = max(finished - self._first_done, 1) / max(now - self._started, 1e-9)
            seconds_left = (self._total - finished) / rate
            share = 100 * finished / max(self._total, 1)
            speed = f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"
            self._reporter.line(
                f"{self._what}: {share:.0f} % ({speed}/s, {duration(seconds_left)} left) {info}".rstrip()
            )

    def close(self) -> None:
        """Take the bar away; in a log, the end of work that was spoken of is a line too."""
        if self._reporter.live is not None and self._bar is not None:
            self._reporter.live.remove_task(self._bar)
        elif self._spoke and self._ends:
            self._reporter.line(f"{self._what}: ended after {duration(time.monotonic() - self._started)}")


LOG_ONLY = "\x1f"
"""Prefix of lines that a supervisor writes into the process's log but does not show."""


class Reporter:
    """Prints lines and bars. quiet: nothing. log_only: only into the log, for ranks other than the first, whose lines
    would repeat those of the first."""

    def __init__(self, quiet: bool = False, log_only: bool = False) -> None:
        self.quiet, self._prefix = quiet, LOG_ONLY if log_only else ""
        self.console = Console(stderr=False, quiet=quiet, highlight=False, soft_wrap=True)
        self.live: Progress | None = None
        self._spoke_at: float | None = None
        self._on_terminal = sys.stdout.isatty()

    def line(self, text: str) -> None:
        """One line of plain text."""
        self.console.print(f"{self._prefix}{text}", markup=False)

    def may_speak(self) -> bool:
        """Whether a line of progress may be written now: on a terminal always, in a log when the last one is long
        enough ago (`line_seconds`). Who asks must then write it."""
        now = time.monotonic()
        if not self._on_terminal and self._spoke_at is not None and now - self._spoke_at < line_seconds():
            return False
        self._spoke_at = now
        return True

    def now_and_then(self, text: str, always: bool = False) -> None:
        """A line of a series, such as that of an epoch. In a log the first and the last (always) stand, and of the
        others one in `line_seconds`."""
        if self.may_speak() or always:
            self.line(text)

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Work of unknown size, within which no process may be forked. After STEP_SECONDS a line says what is being
        done, and another one in the end how long it took; of quicker work nothing is said."""
        started = time.monotonic()
        timer = threading.Timer(STEP_SECONDS, self.line, (f"{what} ...",))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
        seconds = time.monotonic() - started
        if seconds >= STEP_SECONDS:
            self.line(f"{what}: {duration(seconds)}")

    def follow(self) -> Callable[[str, int, int], None]:
        """A callback (what, done, total) that shows each `what` as a meter of its own until it is done."""
        open_meters: dict[str, ExitStack] = {}
        meters: dict[str, ProgressMeter] = {}

        def update(what: str, done: int, total: int) -> None:
            if what not in meters:
                open_meters[what] = ExitStack()
                meters[what] = open_meters[what].enter_context(self.meter(what, total))
            meters[what].update(done)
            if done >= total:
                open_meters.pop(what).close()
                del meters[what]

        return update

    @contextmanager
    def meter(self, what: str, total: int, ends: bool = True) -> Iterator[ProgressMeter]:
        """A ProgressMeter for the duration of a with block."""
        started_here = False
        if self.live is None and not self.quiet and self._on_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TaskProgressColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[info]}"),
            )
            self.live = Progress(*columns, console=self.console, transient=True)
            self.live.start()
            started_here = True
        meter = ProgressMeter(self, what, total, ends)
        try:
            yield meter
        finally:
            meter.close()
            if started_here and self.live is not None:
                self.live.stop()
                self.live = None


def duration(seconds: float) -> str:
    """'2 h 03 min', '4 min 05 s', '12 s'"""
    total = int(seconds + 0.5)
    if total >= 3600:
        return f"{total // 3600} h {total % 3600 // 60:02d} min"
    if total >= 60:
        return f"{total // 60} min {total % 60:02d} s"
    return f"{total} s"


def shown(metrics: Mapping[str, float]) -> str:
    """'mrr 0.2500, hits@10 0.5000'; numbers of parts ('mrr/a:r:b') stay in the files, for there may be many."""
    return ", ".join(f"{name} {value:.4f}" for name, value in metrics.items() if "/" not in name)
