"""SIGTERM and SIGHUP: training writes a resume point, everything else ends at once.

Schedulers announce the end of a job by SIGTERM, a closed terminal by SIGHUP; a supervisor passes both on to its
trainers as SIGUSR1. In the training loop a signal is only noted, and acted on between two optimizer steps; a second one
ends the process without that. Everywhere else the handler raises Stopped: what is on disk survives a kill, so there is
nothing to save.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
ASK_TO_SAVE = signal.SIGUSR1
"""From a supervisor to its trainers. Not SIGTERM, which ends at once those that are in no training loop."""
SAVED = 85
"""Exit status after a resume point that a signal asked for: the same command goes on, and nothing is lost. (HTCondor's
documentation uses the number in this sense.)"""


class Stopped(BaseException):
    """This process was asked to stop. Like KeyboardInterrupt it is not an Exception, since nothing went wrong.

    is_saved: whether training has written a resume point at the very step where it stopped.
    """

    def __init__(self, number: int, is_saved: bool = False) -> None:
        super().__init__(signal.Signals(number).name)
        self.number, self.is_saved = number, is_saved

    @property
    def exit_code(self) -> int:
        """SAVED, or 128 + the signal's number, as shells have it."""
        return SAVED if self.is_saved else 128 + self.number


class _Requests:
    """What was asked of this process by signals."""

    deferring = False
    number = 0


_requests = _Requests()


@contextlib.contextmanager
def stop_on_signals(numbers: Sequence[int] = SIGNALS) -> Iterator[None]:
    """While the body runs in the main thread these signals raise Stopped, at once or where `deferred` ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    own_pid = os.getpid()

    def handle(number: int, _frame: FrameType | None) -> None:
        if os.getpid() != own_pid:  # a forked child, which inherits the handler: signals end it as they would without
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        if _requests.deferring and not _requests.number:
            _requests.number = number
            return
        raise Stopped(number)

    before = {}
    for number in numbers:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _requests.number = 0


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """While the body runs the first signal is only noted; `requested` returns it. Stopped is raised after the body when
    the body has not acted on it."""
    _requests.deferring = True
    try:
        yield
    finally:
        _requests.deferring = False
    if _requests.number:
        raise Stopped(_requests.number)


@contextlib.contextmanager
def prompt() -> Iterator[None]:
    """Within `deferred`: a signal that has arrived, or arrives while the body runs, raises Stopped at once."""
    before = _requests.deferring
    _requests.deferring = False
    try:
        if _requests.number:
            raise Stopped(_requests.number)
        yield
    finally:
        _requests.deferring = before


def requested() -> int:
    """Number of the signal that has arrived; 0: none."""
    return _requests.number
