"""Ties a child process to its parent: when the parent dies, for any reason, the kernel kills the child (Linux)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from dataclasses import dataclass, field

_SET_DEATH_SIGNAL = 1
# Looked up before there is a child, because libraries must not be loaded between fork and exec.
_prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform.startswith("linux") else None


@dataclass(frozen=True, slots=True)
class DieWithParent:
    """Made by the parent and called by the child before anything else: asks for a death signal, and checks whether the
    parent is dead already. Lasts as long as the thread that started the child. Linux only."""

    parent: int = field(default_factory=os.getpid)

    def __call__(self) -> None:
        if _prctl is None:
            return
        _prctl(_SET_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != self.parent:
            os._exit(1)
