"""Exceptions that speak to the user, and the one message builder behind them.

Every message answers four questions: where, what rule, what was got, what to do.
Programming mistakes of our own use `assert`; anything a user can cause uses these.
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
    """Weights that cannot be read, as against weights of another model."""


class LaunchError(GslError):
    """A process could not be started, died, or did not answer in time."""

    exit_code = 6


class LostRankError(LaunchError):
    """The other ranks were not heard from: mostly the consequence of what happened to one of them."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name spelt most like `name`, or None when nothing is close."""
    hits = difflib.get_close_matches(str(name), [str(k) for k in known], n=1, cutoff=0.6)
    return hits[0] if hits else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """' Did you mean 'x'?' or an empty string, for the end of a message."""
    hit = nearest(name, known)
    return f" Did you mean '{hit}'?" if hit else ""


def unknown(where: str, what: str, name: str, known: Iterable[str]) -> str:
    """`where: unknown what 'name' (known: a, b). Did you mean 'a'?`"""
    names = [str(k) for k in known]
    listed = ", ".join(sorted(names)) if names else "none"
    return f"{where}: unknown {what} '{name}' (known: {listed}).{did_you_mean(name, names)}"


def must_be(where: str, what: str, rule: str, got: object, fix: str = "") -> str:
    """`where: what must be rule (got got). fix`"""
    return f"{where}: {what} must be {rule} (got {got!r}).{' ' + fix if fix else ''}"
