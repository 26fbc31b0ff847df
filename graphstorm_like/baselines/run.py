"""All simple models of a pipeline's task, on its own splits, beside the scores of the run if there are some."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from graphstorm_like.baselines.labels.base import LabelBaseline, LabelData
from graphstorm_like.baselines.labels.both import TextAndNeighbours
from graphstorm_like.baselines.labels.features import FeatureLinear
from graphstorm_like.baselines.labels.majority import Majority
from graphstorm_like.baselines.labels.propagation import LabelPropagation
from graphstorm_like.baselines.labels.text import TextLinear
from graphstorm_like.baselines.labels.trees import FeatureTrees
from graphstorm_like.baselines.labels.votes import NeighbourVote
from graphstorm_like.baselines.links.base import MOST_NODES, LinkBaseline, LinkData
from graphstorm_like.baselines.links.neighbours import CommonNeighbours, ThreeSteps
from graphstorm_like.baselines.links.popularity import Popularity
from graphstorm_like.baselines.links.text import TextCosine, TextNeighbours
from graphstorm_like.baselines.outcome import Outcome, Scores, chosen
from graphstorm_like.baselines.packages import check_packages
from graphstorm_like.baselines.union import UnionGraph
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import ConfigError
from graphstorm_like.files import read_object
from graphstorm_like.launch.stages import BESIDE_SCORES, METRICS_FILE
from graphstorm_like.launch.state import stage_folder
from graphstorm_like.progress import Reporter
from graphstorm_like.tasks import LabelTask, LinkPrediction, Task, build_task, open_graph

LABELS: tuple[type[LabelBaseline], ...] = (
    Majority,
    FeatureLinear,
    FeatureTrees,
    TextLinear,
    NeighbourVote,
    LabelPropagation,
    TextAndNeighbours,
)
LINKS: tuple[type[LinkBaseline], ...] = (Popularity, TextCosine, TextNeighbours, CommonNeighbours, ThreeSteps)
THIS_RUN = "this pipeline's model"


@dataclass(frozen=True)
class Comparison:
    """Outcomes of the simple models; model: the scores of the run by split, None when it has not been evaluated."""

    metrics: list[str]
    outcomes: list[Outcome]
    model: dict[str, Scores] | None
    select_by: str
    higher_is_better: bool

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return {
            "select_by": self.select_by,
            "higher_is_better": self.higher_is_better,
            "baselines": [outcome.as_json() for outcome in self.outcomes],
            "model": self.model,
        }

    def lines(self) -> Iterator[str]:
        """A table of the test scores, and below what does not apply."""
        fit = [outcome for outcome in self.outcomes if outcome.why_not is None]
        rows = [(outcome.name, outcome.scores["test"], outcome.setting) for outcome in fit]
        if self.model is not None:
            rows.append((THIS_RUN, self.model.get("test", {}), ""))
        width = max(len(name) for name, _, _ in rows)
        yield "test".ljust(width) + "".join(f"{name:>13}" for name in self.metrics) + "   chosen by validation"
        for name, scores, setting in rows:
            numbers = "".join(f"{scores[m]:>13.4f}" if m in scores else f"{'-':>13}" for m in self.metrics)
            yield f"{name:<{width}}{numbers}   {setting}".rstrip()
        if self.model is None:
            yield f"{THIS_RUN}: not evaluated yet. Run: gsl run"
        for outcome in self.outcomes:
            if outcome.why_not is not None:
                yield f"{outcome.name}: not applicable, {outcome.why_not}"


def run_baselines(pipeline: Pipeline, reporter: Reporter) -> Comparison:
    """Fit, choose and score every simple model of the pipeline's task. ConfigError for a task that has none; DataError
    without a constructed graph, or validation rows to choose by; MissingExtraError without scikit-learn."""
    check_packages()
    assert pipeline.graph.path is not None, "paths are resolved before"
    graph = open_graph(pipeline.task, pipeline.graph.path, pipeline.seed, clock=False)
    task = build_task(pipeline.task, graph, 2)
    task.check_validation()
    outcomes = list(_outcomes(task, pipeline, reporter))
    names = [name for outcome in outcomes if outcome.why_not is None for name in outcome.scores["test"]]
    written = read_object(stage_folder(pipeline, "evaluate") / METRICS_FILE)
    model = None if written is None else {split: dict(s) for split, s in written.items() if split not in BESIDE_SCORES}
    return Comparison(list(dict.fromkeys(names)), outcomes, model, task.select_by, task.higher_is_better)


def _outcomes(task: Task, pipeline: Pipeline, reporter: Reporter) -> Iterator[Outcome]:
    if isinstance(task, LabelTask) and task.labels.ndim == 1:
        labels = LabelData(task, pipeline.task, pipeline.model, UnionGraph(task.graph))
        yield from _each(LABELS, labels, task, reporter)
    elif isinstance(task, LinkPrediction):
        links = LinkData(task, pipeline.seed, UnionGraph(task.graph))
        if max(links.shape) > MOST_NODES:
            raise ConfigError(f"gsl baseline: must have at most {MOST_NODES:,} nodes a type (got {max(links.shape):,})")
        yield from _each(LINKS, links, task, reporter)
    else:
        several = " with edge_types" if pipeline.task.asks_relations else ""
        raise ConfigError(
            f"task.type: must be about one label a row, or link_prediction with edge_type, for gsl baseline "
            f"(got {pipeline.task.type}{several})"
        )


def _each(baselines: Sequence[Callable[[], Any]], data: Any, task: Task, reporter: Reporter) -> Iterator[Outcome]:
    for make in baselines:
        baseline = make()
        with reporter.step(baseline.name):
            problem = baseline.unfit(data)
            if problem is not None:
                yield Outcome(baseline.name, why_not=problem)
                continue
            yield chosen(baseline.name, baseline.settings(data), task.select_by, task.higher_is_better)
