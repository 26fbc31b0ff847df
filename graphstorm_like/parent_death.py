"""Ties a child process to its parent: when that dies, whatever kills it, the kernel kills the child (Linux)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from dataclasses import dataclass, field

_SET_DEATH_SIGNAL = 1
# Looked up before there is a child: between fork and exec one may not load libraries.
_prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform.startswith("linux") else None


@dataclass(frozen=True, slots=True)
class DieWithParent:
    """Made by the parent, called by the child before anything else: asks for a death signal, and looks whether it is
    too late. Holds as long as the thread lives that started the child. No effect where there is no such signal."""

    parent: int = field(default_factory=os.getpid)

    def __call__(self) -> None:
        if _prctl is None:
            return
        _prctl(_SET_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != self.parent:
            os._exit(1)
