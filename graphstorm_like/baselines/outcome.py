"""What came of one simple model, and how its setting is chosen: by validation, with one look at test."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Scores = dict[str, float]


@dataclass(frozen=True)
class Setting:
    """One way to set a simple model. score: metrics of a split, `valid` or `test`."""

    name: str
    score: Callable[[str], Scores]


@dataclass(frozen=True)
class Outcome:
    """Scores of a simple model by split, or why it says nothing of this pipeline."""

    name: str
    scores: dict[str, Scores] = field(default_factory=dict)
    setting: str = ""
    """The one that validation has chosen."""
    why_not: str | None = None
    left_out: bool = False
    """Whether it could have been fitted, but was not; `why_not` says why"""
    seconds: float = 0.0

    def with_prefix(self, prefix: str) -> Outcome:
        """The same with metrics of longer names."""
        scores = {}
        for split, of_split in self.scores.items():
            scores[split] = {f"{prefix}{name}": value for name, value in of_split.items()}
        return replace(self, scores=scores)

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        if self.why_not is not None:
            return {"name": self.name, "not_applicable": self.why_not}
        return {"name": self.name, "setting": self.setting, "seconds": round(self.seconds, 2), **self.scores}


def chosen(
    name: str,
    settings: Iterable[Setting],
    select_by: str,
    higher_is_better: bool,
    splits: Sequence[str] = ("valid", "test"),
) -> Outcome:
    """The setting with the best validation score, and its scores; test, if it is one of the splits that have rows, is
    scored once."""
    started = time.perf_counter()
    best: tuple[float, Setting, Scores] | None = None
    for setting in settings:
        valid = setting.score("valid")
        value = valid[select_by] if higher_is_better else -valid[select_by]
        if best is None or value > best[0]:
            best = (value, setting, valid)
    assert best is not None, "a simple model has at least one setting"
    scores = {split: best[2] if split == "valid" else best[1].score(split) for split in splits}
    return Outcome(name, scores, best[1].name, seconds=time.perf_counter() - started)
