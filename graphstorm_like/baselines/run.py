"""All simple models of a pipeline's task, on its own splits, beside the scores of the run if there are some."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphstorm_like.baselines.base import Around, Baseline, Contest, contests
from graphstorm_like.baselines.outcome import Outcome, Scores, chosen
from graphstorm_like.baselines.packages import check_packages
from graphstorm_like.baselines.table import Comparison
from graphstorm_like.baselines.union import UnionGraph
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import ConfigError
from graphstorm_like.files import read_object
from graphstorm_like.launch.stages import BESIDE_SCORES, METRICS_FILE
from graphstorm_like.launch.state import stage_folder
from graphstorm_like.progress import Reporter
from graphstorm_like.tasks import build_task, open_graph


@dataclass(frozen=True)
class Comparisons:
    """One a task, by its name; of a task alone the name is empty. without: why a task has none, by its name."""

    by_task: Mapping[str, Comparison]
    without: Mapping[str, str]

    @property
    def only(self) -> Comparison:
        """That of a task alone."""
        return self.by_task[""]

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        if "" in self.by_task:
            return self.only.as_json()
        none = {name: {"not_applicable": why} for name, why in self.without.items()}
        return {"tasks": {name: comparison.as_json() for name, comparison in self.by_task.items()} | none}

    def lines(self) -> Iterator[str]:
        """A table a task."""
        for number, (name, comparison) in enumerate(self.by_task.items()):
            yield from [""] if number else []
            yield from [f"task {name}"] if name else []
            yield from comparison.lines()
        for name, why in self.without.items():
            yield f"task {name}: {why}"


LeftOut = Callable[[Baseline[Any], Any], str | None]
"""(simple model, what its family reads of the task) -> why it is left out; None: it is fitted"""


def run_baselines(pipeline: Pipeline, reporter: Reporter) -> Comparisons:
    """Fit, choose and score every simple model of the pipeline's task or tasks. ConfigError where there are none;
    DataError without a constructed graph, or validation rows to choose by; MissingExtraError without scikit-learn."""
    check_packages()
    return fit_baselines(pipeline, reporter, lambda baseline, data: None)


def fit_baselines(pipeline: Pipeline, reporter: Reporter, left_out: LeftOut) -> Comparisons:
    """As `run_baselines`, of the simple models that are not left out."""
    assert pipeline.graph.path is not None, "paths are resolved before"
    graph = open_graph(pipeline.task, pipeline.graph.path, pipeline.seed, clock=False)
    task = build_task(pipeline.task, graph, 2)
    task.check_validation()
    around = Around(pipeline.task, pipeline.model, pipeline.seed, UnionGraph(graph))
    found = list(contests(task, around))
    without = {contest.prefix.rstrip("."): contest.why_not for contest in found if contest.why_not is not None}
    if len(without) == len(found):
        raise ConfigError(f"gsl baseline: task.type must have simple models (got none). {'; '.join(without.values())}")
    model = _scores_of_run(pipeline)
    by_task = {}
    for contest in found:
        if contest.why_not is None:
            by_task[contest.prefix.rstrip(".")] = _compared(contest, model, reporter, left_out)
    return Comparisons(by_task, without)


def _scores_of_run(pipeline: Pipeline) -> dict[str, Scores] | None:
    """By split; None when it has not been evaluated."""
    written = read_object(stage_folder(pipeline, "evaluate") / METRICS_FILE)
    return None if written is None else {split: dict(s) for split, s in written.items() if split not in BESIDE_SCORES}


def _compared(
    contest: Contest, model: Mapping[str, Scores] | None, reporter: Reporter, left_out: LeftOut
) -> Comparison:
    task, prefix = contest.task, contest.prefix
    outcomes = [outcome.with_prefix(prefix) for outcome in _outcomes(contest, reporter, left_out)]
    of_task = None
    if model is not None:
        of_task = {split: _with(prefix, scores) for split, scores in model.items()}
    split = task.scored_splits[-1]
    sampled = bool(getattr(contest.data, "validates_on_sample", False))
    return Comparison(outcomes, of_task, f"{prefix}{task.select_by}", task.higher_is_better, split, sampled)


def _with(prefix: str, scores: Scores) -> Scores:
    return {name: value for name, value in scores.items() if name.startswith(prefix)}


def _outcomes(contest: Contest, reporter: Reporter, left_out: LeftOut) -> Iterator[Outcome]:
    task = contest.task
    assert contest.family is not None, "contests say why there is none"
    for make in contest.family:
        baseline = make()
        # Before it is looked at: some need a package even to say that they do not apply.
        if (reason := left_out(baseline, contest.data)) is not None:
            yield Outcome(baseline.name, why_not=reason, left_out=True)
            continue
        with reporter.step(f"{contest.prefix}{baseline.name}" if contest.prefix else baseline.name):
            problem = baseline.unfit(contest.data)
            if problem is not None:
                yield Outcome(baseline.name, why_not=problem)
                continue
            settings = baseline.settings(contest.data)
            yield chosen(baseline.name, settings, task.select_by, task.higher_is_better, task.scored_splits)
