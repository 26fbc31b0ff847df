"""Ties a child process to its parent: when the parent dies, for any reason, the child is killed."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from dataclasses import dataclass, field
from multiprocessing import connection, parent_process

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


def die_with_starter() -> None:
    """Called by a process of multiprocessing whose parent, for the kernel, is a fork server: it is killed when the
    process that asked for it is gone."""
    starter = parent_process()
    assert starter is not None
    sentinel = starter.sentinel

    def watch() -> None:
        connection.wait([sentinel])
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="end with the parent").start()
