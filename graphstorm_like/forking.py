"""Whether this process may be forked, since libraries with threads of their own, such as gRPC, hang for ever in a
fork; and where a new Python program that it starts finds its modules."""

from __future__ import annotations

import os
import sys

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


def child_environment() -> dict[str, str]:
    """Return this process's environment for a child that runs `python -m`: the child finds modules where this process
    does, and not in the working directory, which Python would search first and which may be somebody else's folder."""
    places = os.pathsep.join(os.path.abspath(place) for place in sys.path)
    return {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": places}
