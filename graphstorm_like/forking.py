"""Whether this process may be forked. Libraries with threads of their own, such as gRPC, hang for ever in a fork."""

from __future__ import annotations

import os

_forbidden_in: set[int] = set()


def forbid_forks() -> None:
    """From now on children of this process must be new programs, or be forked by a process that is one."""
    _forbidden_in.add(os.getpid())


def may_fork() -> bool:
    """Whether a fork of this process may do what it likes."""
    return os.getpid() not in _forbidden_in


def is_bad_fork() -> bool:
    """Whether this process is a fork of one that must not be forked."""
    return bool(_forbidden_in - {os.getpid()})
