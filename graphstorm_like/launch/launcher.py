"""From `launch:` to running processes: what `gsl run`, `gsl launch` and `gsl host` do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import DataError, LaunchError
from graphstorm_like.files import write_json
from graphstorm_like.graph.remote.cluster import check_private
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.launch.host import (
    free_ports,
    interface_of,
    job_name,
    memory_root,
    new_secret,
    read_secret,
    sweep,
    usable_cores,
)
from graphstorm_like.launch.plan import (
    STAGES,
    Job,
    Ports,
    check_stages,
    is_done,
    plan_processes,
    runs_in_process,
    stage_folder,
    stage_mark,
)
from graphstorm_like.launch.process import Failure
from graphstorm_like.launch.stages import Runner, bring_back, hold_output, run_pipeline, writing
from graphstorm_like.launch.supervisor import listening, run_host, with_restarts
from graphstorm_like.training.progress import Reporter
from graphstorm_like.training.stopping import stop_on_signals

LOOPBACK = "127.0.0.1"


def launch(pipeline: Pipeline, stages: Sequence[str] = STAGES, fresh: bool = False, quiet: bool = False) -> None:
    """Run stages as `launch.on` says, until they are done. Raises LaunchError, or Stopped when a signal asks for it."""
    on = pipeline.launch.on
    if runs_in_process(pipeline.launch) or list(stages) == ["construct"]:
        with stop_on_signals():
            run_pipeline(pipeline, stages, fresh=fresh, reporter=Reporter(quiet))
    elif on == "local":
        launch_local(pipeline, stages, fresh, quiet)
    elif on == "ray":
        from graphstorm_like.launch.ray import launch_ray

        launch_ray(pipeline, stages, fresh, quiet)
    elif on == "slurm":
        raise LaunchError("launch.on: slurm runs what is submitted. Run: gsl launch PIPELINE --on slurm")
    else:
        raise LaunchError(
            "launch.on: external is started on each machine. Run there: gsl host PIPELINE --index 0 (1, 2, ...) "
            "--secret-file FILE"
        )


def launch_local(pipeline: Pipeline, stages: Sequence[str], fresh: bool, quiet: bool) -> None:
    """All hosts on this machine."""
    config, root = pipeline.launch, memory_root()
    servers = config.servers if config.hosts > 1 else 0
    with writing(Path(pipeline.output)), hold_output(pipeline):
        rest = prepare(pipeline, stages, fresh, Reporter(quiet))
        if not rest:
            return
        gpus = count_gpus(config.hosts) if pipeline.train.device != "cpu" else 0
        if gpus:
            from graphstorm_like.training.distributed import check_gpus

            check_gpus(config.hosts * config.trainers, gpus)
        sweep(root)
        base = Job(
            name=job_name(pipeline.name),
            pipeline_file=str(write_pipeline(pipeline, "pipeline.json")),
            stages=tuple(rest),
            addresses=(LOOPBACK,) * config.hosts,
            ports=Ports(0, ()),
            shm=str(root),
            fresh=fresh,
            quiet=quiet,
            cores=usable_cores(),
            gpus=gpus,
            interface=interface_of(LOOPBACK),
        )

        def ports(attempt: int) -> Ports:
            if config.port is not None:
                return Ports.from_base(config.port, attempt, config.hosts, servers)
            return Ports.of(free_ports(LOOPBACK, 1 + config.hosts * servers), config.hosts, servers)

        supervise(pipeline, base, ports, range(config.hosts), new_secret())


def run_one_host(
    pipeline: Pipeline,
    index: int,
    addresses: Sequence[str],
    secret_file: Path | None,
    stages: Sequence[str] = STAGES,
    mark: str | None = None,
    fresh: bool = False,
    quiet: bool = False,
) -> None:
    """The processes of one host of a job whose other hosts are started likewise elsewhere.

    addresses: private IP addresses of all hosts; mark: tells jobs apart that run on one machine, by default the output
    folder does. The graph must be there. Raises LaunchError, or Stopped.
    """
    config = pipeline.launch
    if config.port is None:
        raise LaunchError(f"launch.on: must be external or slurm for gsl host (got {config.on})")
    addresses = tuple(addresses) or (LOOPBACK,) * (config.hosts == 1)
    if len(addresses) != config.hosts:
        raise LaunchError(
            f"addresses: must be one for each of launch.hosts, {config.hosts} (got {len(addresses)}). Give "
            f"--addresses, or set launch.addresses"
        )
    if not 0 <= index < config.hosts:
        raise LaunchError(f"--index: must be less than launch.hosts, {config.hosts}, counted from 0 (got {index})")
    for address in addresses:
        check_private(address)
    if secret_file is None and config.hosts > 1:
        raise LaunchError(
            "--secret-file: must be given, for the hosts to know each other. Make one with: openssl rand -hex 32, "
            "and put it on each host"
        )
    secret = new_secret() if secret_file is None else read_secret(secret_file)
    rest = [stage for stage in check_stages(stages) if stage != "construct"]
    check_partitions(pipeline)
    root, base_port = memory_root(), config.port
    servers = config.servers if config.hosts > 1 else 0
    sweep(root)
    base = Job(
        name=job_name(pipeline.name, mark or blake2b(pipeline.output.encode(), digest_size=4).hexdigest()),
        pipeline_file=str(write_pipeline(pipeline, f"pipeline-h{index}.json")),
        stages=tuple(rest),
        addresses=addresses,
        ports=Ports(0, ()),
        shm=str(root),
        fresh=fresh,
        quiet=quiet,
        cores=usable_cores(),
        interface=interface_of(addresses[index]),
    )

    def ports(attempt: int) -> Ports:
        # No host hears of another but through their trainers: all count attempts, and take the ports of theirs.
        return Ports.from_base(base_port, attempt, config.hosts, servers)

    with hold_output(pipeline) if index == 0 else nullcontext():
        supervise(pipeline, base, ports, [index], secret)


def supervise(pipeline: Pipeline, base: Job, ports: Callable[[int], Ports], hosts: Sequence[int], secret: str) -> None:
    """Attempts with the processes of these hosts, each with ports of its own."""
    logs = Path(pipeline.output) / "logs"
    for host in hosts:
        forget_logs(logs, host)
    unbegun = stage_mark(pipeline, base.stages[0])
    with listening() as stopping:

        def attempt(number: int) -> Failure | None:
            # A restart goes on from the checkpoint, but not from one that was there before a fresh start.
            fresh = base.fresh and (number == 0 or stage_mark(pipeline, base.stages[0]) == unbegun)
            job = replace(base, attempt=number, ports=ports(number), fresh=fresh)
            plans = [plan for plan in plan_processes(pipeline, job) if plan.host in hosts]
            return run_host(plans, job, secret, logs, print_line, stopping)

        with_restarts(attempt, pipeline.launch.max_restarts, print_line, stopping)


def forget_logs(logs: Path, host: int, attempt: int = 0) -> None:
    """Before the first attempt: a host's logs of an earlier launch go."""
    if attempt == 0:
        for old in logs.glob(f"attempt-*/*-h{host}-*.log"):
            old.unlink(missing_ok=True)


def prepare(pipeline: Pipeline, stages: Sequence[str], fresh: bool, reporter: Reporter) -> list[str]:
    """Construct in this process, before there are others; the stages that are left to them, if any is not up to date.

    Raises DataError when the graph does not fit the hosts. The output folder must be held.
    """
    wanted = check_stages(stages)
    if "construct" in wanted:
        Runner(pipeline, reporter, fresh, locked=True).run(["construct"])
    rest = [stage for stage in wanted if stage != "construct"]
    if not rest:
        return []
    check_partitions(pipeline)
    if not fresh:
        bring_back(pipeline, reporter)
    if not fresh and all(is_done(pipeline, stage) for stage in rest):
        for stage in rest:
            reporter.line(f"{stage}: up to date ({stage_folder(pipeline, stage)})")
        return []
    return rest


def check_partitions(pipeline: Pipeline) -> None:
    """Each host owns a partition: as many of one as of the other. One host reads any number."""
    folder, hosts = stage_folder(pipeline, "construct"), pipeline.launch.hosts
    found = len(read_manifest(folder).partitions)
    if hosts > 1 and found != hosts:
        raise DataError(
            f"{folder}: must have a partition for each of launch.hosts, {hosts} (got {found}). Set "
            f"graph.partitions.count: {hosts}, or run: gsl partition {folder} TARGET --count {hosts}"
        )


def write_pipeline(pipeline: Pipeline, name: str) -> Path:
    """The resolved pipeline, for workers to read."""
    folder = Path(pipeline.output) / "launch"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / name, pipeline.model_dump(mode="json"))
    return folder / name


_GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Of NVIDIA, AMD, and Windows' Linux: without any, torch need not be asked."""


def count_gpus(hosts: int) -> int:
    """GPUs of this machine; only where hosts are pretended on it does it matter, and torch takes a second to load."""
    if hosts == 1 or (sys.platform == "linux" and not any(Path(device).exists() for device in _GPU_DEVICES)):
        return 0
    import torch

    return torch.cuda.device_count()


def print_line(text: str) -> None:
    """A line on the terminal, at once and whole."""
    print(text, flush=True)
