"""A plug-in that lets a process be frozen in the worst way: SIGUSR2 makes its main thread wait for ever with the GIL in
its hand, so that no thread of Python goes on, no handler of signals runs, and nothing times out within it."""

from __future__ import annotations

import ctypes
import signal
import threading
from types import FrameType

HOLD_GIL = signal.SIGUSR2
_SECONDS = 1_000_000


def _hold(_number: int, _frame: FrameType | None) -> None:
    ctypes.PyDLL(None).sleep(_SECONDS)  # unlike CDLL, PyDLL keeps the GIL during a call


if threading.current_thread() is threading.main_thread():
    signal.signal(HOLD_GIL, _hold)
