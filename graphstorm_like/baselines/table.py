"""The simple models of one task as a table, beside the scores of the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from graphstorm_like.baselines.outcome import Outcome, Scores

THIS_RUN = "this pipeline's model"
MOST_PARTS = 30
"""Relations that are shown, at most; --json has all."""
PART = "/"
"""Between the name of a metric and the part of the rows that it is of, e.g. a relation."""


@dataclass(frozen=True)
class Comparison:
    """Outcomes of the simple models; model: the scores of the run by split, None when it has not been evaluated."""

    outcomes: list[Outcome]
    model: dict[str, Scores] | None
    select_by: str
    higher_is_better: bool
    split: str = "test"
    """Whose scores are shown."""
    valid_is_sample: bool = False
    """Whether validation scores are of some of the validation rows."""

    @property
    def best(self) -> str | None:
        """The simple model with the best validation score; None where none was fitted."""
        sign = 1.0 if self.higher_is_better else -1.0
        fitted = [outcome for outcome in self.outcomes if outcome.why_not is None]
        best = max(fitted, key=lambda outcome: sign * outcome.scores["valid"][self.select_by], default=None)
        return None if best is None else best.name

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return {
            "select_by": self.select_by,
            "higher_is_better": self.higher_is_better,
            "baselines": [outcome.as_json() for outcome in self.outcomes],
            "model": self.model,
        }

    def lines(self) -> Iterator[str]:
        """A table of the scores; another of the parts, where the task measures some; and below what does not apply."""
        fit = [outcome for outcome in self.outcomes if outcome.why_not is None]
        rows = [(outcome.name, outcome.scores[self.split], outcome.setting) for outcome in fit]
        if self.model is not None:
            rows.append((THIS_RUN, self.model.get(self.split, {}), ""))
        measured = dict.fromkeys(name for outcome in fit for name in outcome.scores[self.split])
        metrics = [name for name in measured if PART not in name or name == self.select_by]
        width, widths = max(len(name) for name, _, _ in rows), [max(13, len(name) + 2) for name in metrics]
        head = "".join(f"{name:>{wide}}" for name, wide in zip(metrics, widths, strict=True))
        yield f"{self.split:<{width}}{head}   chosen by validation"
        for name, scores, setting in rows:
            yield f"{name:<{width}}{_numbers(scores, metrics, widths)}   {setting}".rstrip()
        yield from self._parts([(name, scores) for name, scores, _ in rows], list(measured))
        if self.model is None:
            yield f"{THIS_RUN}: not evaluated yet. Run: gsl run"
        for outcome in self.outcomes:
            if outcome.why_not is not None:
                yield f"{outcome.name}: not applicable, {outcome.why_not}"

    def _parts(self, columns: Sequence[tuple[str, Scores]], measured: Sequence[str]) -> Iterator[str]:
        """The metric that selects, of each part: a line a part, a column a model."""
        metric = self.select_by.partition(PART)[0]
        parts = [name for name in measured if name.startswith(f"{metric}{PART}")]
        if not parts:
            return
        shown = parts[:MOST_PARTS]
        names = [part.removeprefix(f"{metric}{PART}") for part in shown]
        width = max(map(len, [f"{metric} of", *names]))
        yield ""
        yield f"{f'{metric} of':<{width}}" + "".join(f"  {name}" for name, _ in columns)
        for part, name in zip(shown, names, strict=True):
            cells = [_numbers(scores, [part], [len(column) + 2]) for column, scores in columns]
            yield f"{name:<{width}}{''.join(cells)}"
        if len(parts) > len(shown):
            yield f"{len(parts) - len(shown)} more: --json"


def _numbers(scores: Scores, metrics: Sequence[str], widths: Sequence[int]) -> str:
    """Cells of these widths."""
    cells = []
    for name, wide in zip(metrics, widths, strict=True):
        cells.append(f"{scores[name]:>{wide}.4f}" if name in scores else f"{'-':>{wide}}")
    return "".join(cells)
