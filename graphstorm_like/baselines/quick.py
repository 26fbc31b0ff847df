"""The simple models that `gsl run` fits by itself: those that take seconds, beside the score of the network.

A model is fitted when its estimate says that it takes at most MOST_SECONDS, and as long as the models before it have
left something of the budget: LEAST_BUDGET seconds, or BUDGET_SHARE of the training. What is left out says so, and
`gsl baseline` fits it. Without scikit-learn those are fitted that need no package.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from graphstorm_like import __version__
from graphstorm_like.baselines.base import Baseline
from graphstorm_like.baselines.run import Comparisons, fit_baselines
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.plugins import plugin_hashes
from graphstorm_like.files import read_object, write_json
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.hashing import hash_facts
from graphstorm_like.launch.cost import COST_FILE, read_cost
from graphstorm_like.launch.simple_models import BASELINES_FILE
from graphstorm_like.launch.state import stage_folder
from graphstorm_like.progress import Reporter, duration

MOST_SECONDS, LEAST_BUDGET, BUDGET_SHARE = 3.0, 10.0, 0.05


def baselines_of_run(pipeline: Pipeline, reporter: Reporter, fresh: bool, warn: Callable[[str], None]) -> None:
    """Fit the quick simple models of a run that has finished, unless they are up to date, and write baselines.json. It
    never raises: a run whose simple models fail is a run with a warning."""
    path = Path(pipeline.output) / BASELINES_FILE
    try:
        key = baselines_fingerprint(pipeline)
        if not fresh and (read_object(path) or {}).get("fingerprint") == key:
            reporter.line(f"simple models: up to date ({path})")
            return
        path.unlink(missing_ok=True)
        started = time.perf_counter()
        found = fit_baselines(pipeline, Reporter(quiet=True), _Chooser(_budget(pipeline)).left_out)
        seconds = time.perf_counter() - started
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"fingerprint": key, "seconds": round(seconds, 2), **_content(found)})
        reporter.line(f"simple models: {_counts(found)} in {duration(seconds)} -> {path}")
    except Exception as error:  # the run's results are there, whatever is wrong with what they are compared with
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        warn(f"simple models: not fitted, the results are complete without them ({first[:300]})")


def baselines_fingerprint(pipeline: Pipeline) -> str:
    """Return a hash of everything that the scores of simple models depend on. DataError without a graph."""
    model = pipeline.model.model_dump(mode="json", include={"inputs", "edge_inputs"})
    return hash_facts(
        {
            "version": __version__,
            "graph": read_manifest(stage_folder(pipeline, "construct")).hashes,
            "seed": pipeline.seed,
            "task": pipeline.task.model_dump(mode="json"),
            "inputs": model,
            "plugins": plugin_hashes(pipeline.plugins),
            "has_packages": _has_packages(),
        }
    )


def _has_packages() -> bool:
    return find_spec("sklearn") is not None


def _budget(pipeline: Pipeline) -> float:
    """Seconds for all simple models together."""
    cost = read_cost(stage_folder(pipeline, "train") / COST_FILE)
    return max(LEAST_BUDGET, BUDGET_SHARE * (0.0 if cost is None else cost.seconds))


class _Chooser:
    """Says which simple models are left out; the clock starts with it."""

    def __init__(self, budget: float) -> None:
        self._budget, self._started, self._has_packages = budget, time.perf_counter(), _has_packages()

    def left_out(self, baseline: Baseline[Any], data: Any) -> str | None:
        """Return why a simple model is not fitted now; None: it is."""
        if baseline.needs_packages and not self._has_packages:
            return "scikit-learn is not installed: pip install 'graphstorm-like[baseline]'"
        if time.perf_counter() - self._started > self._budget:
            return f"the models before it took the budget of {self._budget:.0f} s; gsl baseline fits it"
        estimate = baseline.estimate(data)
        if estimate > MOST_SECONDS:
            return f"it may take more than {MOST_SECONDS:.0f} s; gsl baseline fits it"
        return None


def _content(found: Comparisons) -> dict[str, Any]:
    tasks = {}
    for name, comparison in found.by_task.items():
        content = comparison.as_json()
        del content["model"]
        tasks[name] = {
            **content,
            "split": comparison.split,
            "best": comparison.best,
            "valid_is_sample": comparison.valid_is_sample,
        }
    return {"tasks": tasks, "without": dict(found.without)}


def _counts(found: Comparisons) -> str:
    outcomes = [outcome for comparison in found.by_task.values() for outcome in comparison.outcomes]
    fitted = sum(outcome.why_not is None for outcome in outcomes)
    left_out = sum(outcome.left_out for outcome in outcomes)
    return f"{fitted} fitted" + (f", {left_out} left out" if left_out else "")
