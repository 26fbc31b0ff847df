"""All hosts of a job on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from graphstorm_like.config.launchers.local import LocalLaunchConfig
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.launch.authority import new_credentials
from graphstorm_like.launch.host import (
    free_ports,
    interface_of,
    job_name,
    memory_root,
    sweep,
    usable_cores,
)
from graphstorm_like.launch.launchers.base import LAUNCHERS, Launcher, Source
from graphstorm_like.launch.preflight import may_have_gpu
from graphstorm_like.launch.prepare import prepare, supervise, write_pipeline
from graphstorm_like.launch.processes import Job, Ports
from graphstorm_like.launch.stages import hold_output, run_pipeline, writing
from graphstorm_like.launch.state import STAGES
from graphstorm_like.progress import Reporter

LOOPBACK = "127.0.0.1"


@LAUNCHERS.register(LocalLaunchConfig)
class LocalLauncher(Launcher):
    """See module."""

    def run(self, pipeline: Pipeline, stages: Sequence[str] = STAGES, fresh: bool = False, quiet: bool = False) -> None:
        """See Launcher. A single trainer runs in this process, without a launcher."""
        config, root = pipeline.launch, memory_root()
        servers = config.servers if config.hosts > 1 else 0
        with writing(Path(pipeline.output)), hold_output(pipeline):
            remaining = prepare(pipeline, stages, fresh, Reporter(quiet))
            if not remaining:
                return
            gpus = count_gpus(config.hosts) if pipeline.train.device != "cpu" else 0
            if gpus:
                from graphstorm_like.ranks.torch_group import check_gpus

                check_gpus(config.hosts * config.trainers, gpus)
            sweep(root)
            base = Job(
                name=job_name(pipeline.name),
                pipeline_file=str(write_pipeline(pipeline, "pipeline.json")),
                stages=tuple(remaining),
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

            supervise(pipeline, base, ports, range(config.hosts), new_credentials(config.needs_tls))

    def submit(self, pipeline: Pipeline, source: Source, fresh: bool = False, quiet: bool = False) -> str | None:
        """See Launcher."""
        if pipeline.launch.in_process:
            run_pipeline(pipeline, STAGES, fresh=fresh, reporter=Reporter(quiet))
            return None
        return super().submit(pipeline, source, fresh, quiet)


def count_gpus(hosts: int) -> int:
    """Number of GPUs of this machine. Counted only where it simulates several hosts, because importing torch takes a
    second; 0 otherwise."""
    if hosts == 1 or not may_have_gpu():
        return 0
    import torch

    return torch.cuda.device_count()
