"""Runs a pipeline with many settings, several at a time; they share graph and cache, and each has its own folder.

A sweep that was stopped or killed goes on: what is finished is skipped, what was at work resumes. A run that fails is
named, and does not stop the others.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from graphstorm_like.baselines.quick import baselines_fingerprint
from graphstorm_like.config.load import load_with_origin
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.yaml_source import Origin
from graphstorm_like.errors import ConfigError
from graphstorm_like.files import exclusive, write_json
from graphstorm_like.forking import child_environment
from graphstorm_like.hashing import hash_facts
from graphstorm_like.launch.host import usable_cores
from graphstorm_like.launch.preflight import check_run
from graphstorm_like.launch.stages import Runner
from graphstorm_like.launch.state import STAGES, is_done
from graphstorm_like.parent_death import DieWithParent
from graphstorm_like.progress import Reporter, duration
from graphstorm_like.reports.compare import Comparison, compare
from graphstorm_like.reports.run_folder import RunFolder
from graphstorm_like.reports.sweep_plan import Axis, Settings, names
from graphstorm_like.training.stopping import stop_on_signals

RUNS, LOGS, SWEEP_FILE = "runs", "logs", "sweep.json"
POLL_SECONDS, STOP_SECONDS = 0.2, 120.0
"""Between two looks at the processes; how long they may take to write resume points when the sweep is stopped"""


@dataclass(frozen=True, slots=True)
class SweepRun:
    """A run of a sweep, checked before anything starts."""

    name: str
    settings: Settings
    overrides: list[str]
    """All that the command line gets, with the places that the sweep gives"""
    pipeline: Pipeline
    origin: Origin


@dataclass(slots=True)
class SweepResult:
    """What came of a sweep."""

    comparison: Comparison | None
    """Of the runs that have finished; None: none has"""
    failed: dict[str, str] = field(default_factory=dict)
    """Why, by the run's name"""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        compared = {} if self.comparison is None else self.comparison.as_json()
        return {**compared, "failed": self.failed}


def plan(yaml: Path, axes: Sequence[Axis], runs: Sequence[Settings], folder: Path, processes: int) -> list[SweepRun]:
    """The runs with their folders. ConfigError lists the problems of every run, before one has started."""
    drafts, problems = [], []
    for name, settings in zip(names(axes, runs), runs, strict=True):
        overrides = [f"{key}={value}" for key, value in settings]
        try:
            drafts.append(SweepRun(name, settings, overrides, *load_with_origin(yaml, overrides)))
        except ConfigError as error:
            problems += [f"{name}: {problem}" for problem in error.problems]
    if problems:
        raise ConfigError(problems)
    graphs = {draft.name: _graph_to_make(draft) for draft in drafts}
    several = len(set(graphs.values())) > 1
    planned = []
    for draft in drafts:
        overrides = [*draft.overrides, *_places(draft, folder, graphs[draft.name], several)]
        if processes > 1 and draft.pipeline.launch.threads is None:
            overrides.append(f"launch.threads={max(1, usable_cores() // processes)}")
        planned.append(SweepRun(draft.name, draft.settings, overrides, *load_with_origin(yaml, overrides)))
    return planned


def _graph_to_make(run: SweepRun) -> str:
    """Hash of the section `graph`; empty where the pipeline says itself where its graph is."""
    graph = run.pipeline.graph
    if graph.is_built or _is_given(run, "graph", "path"):
        return ""
    return hash_facts(graph.model_dump(mode="json", exclude={"path"}))


def _is_given(run: SweepRun, *key: str) -> bool:
    return run.origin.source_of(key, "") is not None


def _places(run: SweepRun, folder: Path, graph: str, several: bool) -> list[str]:
    """Overrides for the folders of a run: a cache that all share, and a graph for all that construct the same one."""
    places = {"output": folder / RUNS / run.name}
    if not _is_given(run, "cache"):
        places["cache"] = folder / "cache"
    if graph:
        places["graph.path"] = folder / "graphs" / graph[:12] if several else folder / "graph"
    return [f"{key}={json.dumps(str(path))}" for key, path in places.items()]


def sweep(
    yaml: Path,
    runs: Sequence[SweepRun],
    folder: Path,
    processes: int = 1,
    infer: bool = True,
    reporter: Reporter | None = None,
) -> SweepResult:
    """Run them all and compare those that have finished. Raises Stopped, or KeyboardInterrupt, after its processes have
    ended.

    infer: whether runs also write embeddings and predictions, and a report, which gives scores their intervals.
    """
    reporter = reporter or Reporter()
    stages = STAGES if infer else STAGES[:-1]
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / ".gsl.lock", "sweeping in this folder"):
        _note(folder, yaml, runs)
        _construct(runs, reporter)
        _fit_simple_models_once(runs)
        result = SweepResult(None)
        waiting = []
        for run in runs:
            if all(is_done(run.pipeline, stage) for stage in stages):
                reporter.line(f"{run.name}: up to date ({run.pipeline.output})")
            else:
                waiting.append(run)
        with stop_on_signals():
            result.failed = _Pool(yaml, folder, processes, stages, reporter).run_all(waiting)
        finished = [RunFolder(run.pipeline.output) for run in runs if run.name not in result.failed]
        if finished:
            result.comparison = compare(finished)
        best = None if result.comparison is None else result.comparison.best
        _note(folder, yaml, runs, {"best": best, "failed": result.failed})
    return result


def _note(folder: Path, yaml: Path, runs: Sequence[SweepRun], outcome: dict[str, Any] | None = None) -> None:
    """sweep.json: what the runs are, for people."""
    settings = {run.name: dict(run.settings) for run in runs}
    write_json(folder / SWEEP_FILE, {"pipeline": str(yaml), "runs": settings, **(outcome or {})})


def _construct(runs: Sequence[SweepRun], reporter: Reporter) -> None:
    """Each graph once, before runs that share it start at the same time."""
    made = set()
    for run in runs:
        path = run.pipeline.graph.path
        if path in made or run.pipeline.graph.is_built:
            continue
        made.add(path)
        check_run(run.pipeline, ["construct"], False, run.origin)
        Runner(run.pipeline, reporter, locked=True).run(["construct"])


def _fit_simple_models_once(runs: Sequence[SweepRun]) -> None:
    """Runs with the same graph, task and inputs have the same simple models: the first of them fits them."""
    known = set()
    for run in runs:
        key = baselines_fingerprint(run.pipeline) if run.pipeline.baselines else None
        if key in known:
            run.overrides.append("baselines=false")
        known.add(key)


@dataclass(slots=True)
class _Process:
    run: SweepRun
    child: subprocess.Popen[bytes]
    log: Path
    started: float


class _Pool:
    """Processes of `gsl run`, at most `processes` at a time."""

    def __init__(self, yaml: Path, folder: Path, processes: int, stages: Sequence[str], reporter: Reporter) -> None:
        self.yaml, self.logs, self.processes, self.reporter = yaml.absolute(), folder / LOGS, processes, reporter
        self.verb = ["run"] if tuple(stages) == STAGES else ["run", "--no-infer"]
        self._running: list[_Process] = []
        self._failed: dict[str, str] = {}
        self._ended = 0

    def run_all(self, runs: Sequence[SweepRun]) -> dict[str, str]:
        """Run them; returns why those that failed did, by name."""
        self.logs.mkdir(parents=True, exist_ok=True)
        waiting, count = list(runs), len(runs)
        with self._ended_with_us():
            while waiting or self._running:
                while waiting and len(self._running) < self.processes:
                    self._start(waiting.pop(0), count)
                time.sleep(POLL_SECONDS)
                self._look(count)
        return self._failed

    def _start(self, run: SweepRun, count: int) -> None:
        log = self.logs / f"{run.name}.log"
        command = [sys.executable, "-m", "graphstorm_like.cli.main", *self.verb, str(self.yaml), *run.overrides]
        started = self._ended + len(self._running) + 1
        self.reporter.line(f"{run.name}: starts ({started} of {count}; {log})")
        with open(log, "ab") as output:
            child = self._spawn(command, output)
        self._running.append(_Process(run, child, log, time.monotonic()))

    def _spawn(self, command: Sequence[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
        """In a session of its own: Ctrl-C reaches the sweep alone, which then asks its processes to stop."""
        environment = child_environment()
        if self.processes > 1:
            environment.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // self.processes)))
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            preexec_fn=DieWithParent(),
        )

    def _look(self, count: int) -> None:
        for process in list(self._running):
            code = process.child.poll()
            if code is None:
                continue
            self._running.remove(process)
            self._ended += 1
            name, seconds = process.run.name, duration(time.monotonic() - process.started)
            if code == 0:
                self.reporter.line(f"{name}: done in {seconds}{_validation(process.run)} ({self._ended} of {count})")
                continue
            reason = last_error(process.log) or f"exit code {code}"
            self._failed[name] = f"{reason} (see {process.log})"
            self.reporter.line(f"{name}: FAILED after {seconds}: {self._failed[name]}")

    @contextmanager
    def _ended_with_us(self) -> Iterator[None]:
        """Whatever ends the sweep ends its processes, which get time to write resume points."""
        try:
            yield
        except BaseException:
            for process in self._running:
                process.child.terminate()
            deadline = time.monotonic() + STOP_SECONDS
            for process in self._running:
                try:
                    process.child.wait(max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    process.child.kill()
                    process.child.wait()
            raise


def _validation(run: SweepRun) -> str:
    """', valid accuracy 0.8120'"""
    folder = RunFolder(run.pipeline.output)
    metric = folder.select_by
    score = folder.scores().get("valid", {}).get(metric or "")
    return "" if score is None else f", valid {metric} {score:.4f}"


def last_error(log: Path) -> str | None:
    """The message of the last error in a run's log; None: there is none."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    errors = [line for line in lines if line.startswith("error: ")]
    return errors[-1].removeprefix("error: ")[:500] if errors else None
