"""Shared by launchers: the work before processes start, and attempts with the processes of this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import DataError
from graphstorm_like.files import write_json
from graphstorm_like.graph.remote.credentials import Credentials
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.launch.host import host_folder
from graphstorm_like.launch.process import Failure
from graphstorm_like.launch.processes import Job, Ports, plan_processes
from graphstorm_like.launch.stages import Runner, bring_back
from graphstorm_like.launch.state import check_stages, is_done, stage_folder, stage_mark
from graphstorm_like.launch.supervisor import listening, run_host, with_restarts
from graphstorm_like.progress import Reporter
from graphstorm_like.training.memory_points import FOLDER_VARIABLE

LOOPBACK = "127.0.0.1"


def supervise(
    pipeline: Pipeline, base: Job, ports: Callable[[int], Ports], hosts: Sequence[int], secret: Credentials
) -> None:
    """Attempts with the processes of these hosts, each attempt with its own ports. secret: the job's."""
    logs = Path(pipeline.output) / "logs"
    for host in hosts:
        forget_logs(logs, host)
    initial_mark = stage_mark(pipeline, base.stages[0])
    keeps_points = pipeline.train.checkpoint.memory_steps is not None
    with listening() as stopping, ExitStack() as stack:
        for host in hosts if keeps_points else ():
            stack.enter_context(host_folder(Path(base.points_shm(host)), None))

        def attempt(number: int) -> Failure | None:
            # A restart continues from the checkpoint, but not from one that is older than a fresh start.
            fresh = base.fresh and (number == 0 or stage_mark(pipeline, base.stages[0]) == initial_mark)
            job = replace(base, attempt=number, ports=ports(number), fresh=fresh)
            plans = [plan for plan in plan_processes(pipeline, job) if plan.host in hosts]
            for plan in plans if keeps_points else ():
                plan.environment[FOLDER_VARIABLE] = job.points_shm(plan.host)
            save = pipeline.launch.save_seconds
            return run_host(plans, job, secret, logs, print_line, stopping, save=save)

        with_restarts(attempt, pipeline.launch.max_restarts, print_line, stopping)


def forget_logs(logs: Path, host: int, attempt: int = 0) -> None:
    """Before the first attempt: remove a host's logs of an earlier launch."""
    if attempt == 0:
        for old in logs.glob(f"attempt-*/*-h{host}-*.log"):
            old.unlink(missing_ok=True)


def prepare(pipeline: Pipeline, stages: Sequence[str], fresh: bool, reporter: Reporter) -> list[str]:
    """Construct in this process, before others start. Returns the stages that they must run; none when all are up to
    date.

    Raises DataError when the graph does not fit the hosts. The caller must hold the output folder.
    """
    names = check_stages(stages)
    if "construct" in names:
        Runner(pipeline, reporter, fresh, locked=True).run(["construct"])
    remaining = [stage for stage in names if stage != "construct"]
    if not remaining:
        return []
    check_partitions(pipeline)
    if not fresh:
        bring_back(pipeline, reporter)
    if not fresh and all(is_done(pipeline, stage) for stage in remaining):
        for stage in remaining:
            reporter.line(f"{stage}: up to date ({stage_folder(pipeline, stage)})")
        return []
    return remaining


def check_partitions(pipeline: Pipeline) -> None:
    """Several hosts need one partition each; a single host reads any number. Raises DataError."""
    folder, hosts = stage_folder(pipeline, "construct"), pipeline.launch.hosts
    partitions = len(read_manifest(folder).partitions)
    if hosts > 1 and partitions != hosts:
        raise DataError(
            f"{folder}: must have a partition for each of launch.hosts, {hosts} (got {partitions}). Set "
            f"graph.partitions.count: {hosts}, or run: gsl partition {folder} TARGET --count {hosts}"
        )


def write_pipeline(pipeline: Pipeline, name: str) -> Path:
    """Write the resolved pipeline for workers to read; returns the file's path."""
    folder = Path(pipeline.output) / "launch"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / name, pipeline.model_dump(mode="json"))
    return folder / name


def print_line(text: str) -> None:
    """Print a line, and flush it at once."""
    print(text, flush=True)
