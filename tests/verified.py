"""Whether tests marked `known_answer` run the operators that they name: the code of these, not what stands beside them.

Calls are traced while a marked test runs. It fails when it has called none of its operators; where it has several, and
several parameters, all of its runs together must have called each, which the session says at its end.
"""

from __future__ import annotations

import gc
import inspect
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

import pytest

from graphstorm_like.registry import Registry

from .operators import operators

KEY = "known_answer"


@contextmanager
def called() -> Iterator[set[CodeType]]:
    """The code of all functions that are called here and in new threads."""
    seen: set[CodeType] = set()

    def see(frame: FrameType, event: str, argument: Any) -> None:
        seen.add(frame.f_code)

    before, before_of_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(see)
    threading.settrace(see)
    try:
        yield seen
    finally:
        sys.settrace(before)
        threading.settrace(before_of_threads)  # type: ignore[arg-type]


def run_of(names: tuple[str, ...], seen: set[CodeType]) -> list[str]:
    """Those operators whose code was called: that of their file, where each has one; of their class; or what a class
    without functions inherits."""
    places: dict[str, set[str]] = defaultdict(set)
    for code in seen:
        if code.co_flags & inspect.CO_OPTIMIZED:  # not the bodies of modules and classes
            places[code.co_filename].add(code.co_qualname)
    known, registered = operators(), _registered()
    alone = Counter(operator.__module__ for operator in {id(o): o for o in registered.values()}.values())
    found = []
    for name in names:
        parents = [parent for parent in known[name].__mro__ if parent in registered]
        if not parents:
            continue  # nobody has imported it
        operator = registered[parents[0]]
        has_its_file = alone[operator.__module__] == 1 and _has_functions(operator.__module__)
        if _file(operator) in places if has_its_file else _was_called(_owner(operator), places):
            found.append(name)
    return found


def _registered() -> dict[type, Any]:
    """Operators by their configurations, of all that was imported."""
    found: dict[type, Any] = {}
    for registry in [one for one in gc.get_objects() if type(one) is Registry]:  # others may warn when asked
        found.update(registry._operators)
    return found


def _has_functions(module: str) -> bool:
    own = [member for member in vars(sys.modules[module]).values() if getattr(member, "__module__", None) == module]
    return any(inspect.isfunction(member) or (inspect.isclass(member) and _functions(member)) for member in own)


def _functions(owner: type) -> bool:
    return any(inspect.isfunction(member) for member in vars(owner).values())


def _owner(operator: Any) -> Any:
    """The operator; of a class without functions the nearest one from which it has some."""
    if not inspect.isclass(operator):
        return operator
    return next((base for base in operator.__mro__ if _functions(base)), operator)


def _was_called(owner: Any, places: dict[str, set[str]]) -> bool:
    names, own = places.get(_file(owner), set()), owner.__qualname__
    return any(name == own or name.startswith(f"{own}.") for name in names)


def _file(owner: Any) -> str:
    return str(sys.modules[owner.__module__].__file__)


# ------------------------------------------------------------------------------------------------------ hooks of pytest


def marked(item: pytest.Item) -> tuple[str, ...]:
    """The operators that a test names."""
    return tuple(name for mark in item.iter_markers("known_answer") for name in mark.args)


def count_runs(items: list[pytest.Item]) -> None:
    """Notes in each marked test how many runs it has, before some are left out."""
    counts = Counter(item.nodeid.partition("[")[0] for item in items)
    for item in items:
        if marked(item):
            test = item.nodeid.partition("[")[0]
            item.user_properties.append((KEY, {"test": test, "runs": counts[test], "marked": marked(item)}))


def verify(item: pytest.Item, seen: set[CodeType]) -> None:
    """Fails a test that has called none of its operators."""
    names = marked(item)
    run = run_of(names, seen)
    note = next(value for key, value in item.user_properties if key == KEY)
    assert isinstance(note, dict)
    note["run"] = run
    if not run:
        pytest.fail(f"marked known_answer of {', '.join(names)}, of which it must run one (got none)", pytrace=False)


class Together:
    """What the runs of each test have called, over all workers."""

    def __init__(self) -> None:
        self.notes: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def add(self, report: pytest.TestReport) -> None:
        """A run that passed."""
        for key, note in report.user_properties:
            if key == KEY and report.when == "call" and report.passed and isinstance(note, dict):
                self.notes[note["test"]].append(note)

    def wrong(self) -> list[str]:
        """Of tests all of whose runs are here."""
        found = []
        for test, notes in self.notes.items():
            run = {name for note in notes for name in note["run"]}
            missing = sorted(set(notes[0]["marked"]) - run)
            if missing and len(notes) == notes[0]["runs"]:
                found.append(f"{test} is marked known_answer of {', '.join(missing)}, which it must run")
        return found
