"""Exceptions with messages for users, and the functions that build these messages.

Every message answers four questions: where, which rule, what the value was, what to do.
Programming mistakes of our own use `assert`; these are for everything that a user can cause.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GslError(Exception):
    """Base of all errors shown to users without a traceback."""

    exit_code = 1


class ConfigError(GslError):
    """The pipeline YAML (or an override) is wrong. Carries every problem found, not only the first."""

    exit_code = 2

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        head = "" if len(self.problems) == 1 else f"{len(self.problems)} problems in the configuration:\n"
        super().__init__(head + "\n".join(self.problems))


class DataError(GslError):
    """Input tables, a graph folder or a cache hold something that breaks a rule."""

    exit_code = 3


class MissingExtraError(GslError):
    """A feature needs an optional dependency that is not installed."""

    exit_code = 4

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the package '{package}', which is not installed. "
            f"Install it with: pip install 'graphstorm-like[{extra}]'"
        )


class TrainingError(GslError):
    """Training cannot go on (a loss that is not finite, a checkpoint that does not fit, ...)."""

    exit_code = 5


class DamagedFileError(TrainingError):
    """Weights that cannot be read, in contrast to weights of another model."""


class LaunchError(GslError):
    """A process could not be started, died, or did not answer in time."""

    exit_code = 6


class StoreError(GslError):
    """A store behind a URL cannot be read or written, holds damaged objects, or belongs to another job."""

    exit_code = 7


class LostRankError(LaunchError):
    """The other ranks no longer answer, usually because one of them failed."""


def printable(text: str) -> str:
    """The text on one line: line breaks, control characters and lone surrogates as Python escapes them."""
    escaped = [char if char.isprintable() else repr(char)[1:-1] for char in text]
    return "".join(escaped)


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The known name spelt most like `name`, or None when nothing is close."""
    hits = difflib.get_close_matches(str(name), [str(k) for k in names], n=1, cutoff=0.6)
    return hits[0] if hits else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """' Did you mean 'x'?' or an empty string, for the end of a message."""
    hit = nearest(name, names)
    return f" Did you mean '{hit}'?" if hit else ""


def unknown(where: str, what: str, name: str, allowed: Iterable[str]) -> str:
    """`where: unknown what 'name' (known: a, b). Did you mean 'a'?`"""
    names = [str(k) for k in allowed]
    listed = ", ".join(sorted(names)) if names else "none"
    return f"{where}: unknown {what} '{name}' (known: {listed}).{did_you_mean(name, names)}"


def must_be(where: str, what: str, rule: str, got: object, fix: str = "") -> str:
    """`where: what must be rule (got got). fix`"""
    return f"{where}: {what} must be {rule} (got {got!r}).{' ' + fix if fix else ''}"
