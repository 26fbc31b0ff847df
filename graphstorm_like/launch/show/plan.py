"""The plan: stages with their state, and the processes that `gsl run` starts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import DataError
from graphstorm_like.graph.schema import GraphManifest, read_manifest
from graphstorm_like.launch.launcher import planned_processes
from graphstorm_like.launch.show.table import table
from graphstorm_like.launch.state import STAGES, earlier_run, is_done, stage_folder


def show_plan(pipeline: Pipeline, yaml: str) -> Iterator[str]:
    """Stages with their state, and processes."""
    rows = [[stage, state, str(stage_folder(pipeline, stage))] for stage, state in _states(pipeline)]
    yield from table(["stage", "state", "folder"], rows)
    yield ""
    yield from _processes(pipeline, yaml)


def plan_facts(pipeline: Pipeline, yaml: str) -> dict[str, Any]:
    """The same as values for scripts."""
    stages = []
    for stage, state in _states(pipeline):
        stages.append({"stage": stage, "state": state, "folder": str(stage_folder(pipeline, stage))})
    processes = []
    for plan in planned_processes(pipeline, yaml, _manifest(pipeline)):
        what = {"role": plan.role, "number": plan.number, "host": plan.host, "address": plan.address}
        needs = {"threads": plan.cores, "memory_bytes": plan.memory}
        processes.append({**what, **needs, "command": list(plan.command), "environment": dict(plan.environment)})
    return {"stages": stages, "processes": processes}


def _states(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    for stage in STAGES:
        state = "up to date" if is_done(pipeline, stage) else "to do"
        if state == "to do" and stage == "train" and (earlier := earlier_run(pipeline)) is not None:
            state = f"to take from {earlier.name}"
        yield stage, state


def _processes(pipeline: Pipeline, yaml: str) -> Iterator[str]:
    """The processes that `gsl run` starts: one row each, then their common environment, then what differs."""
    launch = pipeline.launch
    plans = planned_processes(pipeline, yaml, _manifest(pipeline))
    rows = [
        [
            f"{plan.role} {plan.number}",
            str(plan.host),
            plan.address,
            str(plan.cores or "all"),
            "-" if plan.memory is None else f"{plan.memory / 1e9:.1f} GB",
        ]
        for plan in plans
    ]
    yield from table(["process", "host", "address", "threads", "memory"], rows)
    yield ""
    for role, command in {plan.role: plan.command for plan in plans}.items():
        yield f"{role}: {' '.join(command)}"
    common = dict(plans[0].environment)
    for plan in plans:
        common = {k: v for k, v in common.items() if plan.environment.get(k) == v}
    yield f"environment of all: {_shown(common)}"
    for plan in plans if len(plans) > 1 else []:
        own = {k: v for k, v in plan.environment.items() if k not in common}
        yield f"of {plan.role} {plan.number}: {_shown(own)}"
    if launch.port is None and len(plans) > 1:
        yield "port 0: a free one, chosen at the start"


def _shown(environment: dict[str, str]) -> str:
    return " ".join(f"{k}={v}" for k, v in environment.items()) or "-"


def _manifest(pipeline: Pipeline) -> GraphManifest | None:
    try:
        return read_manifest(stage_folder(pipeline, "construct"))
    except DataError:
        return None
