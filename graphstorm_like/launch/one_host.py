"""`gsl host`: the processes of one host of a job. Its other hosts are started by the same command on other machines."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from hashlib import blake2b
from pathlib import Path

from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import LaunchError
from graphstorm_like.graph.remote.cluster import check_private
from graphstorm_like.launch.authority import new_credentials
from graphstorm_like.launch.host import (
    interface_of,
    job_name,
    memory_root,
    read_secret,
    sweep,
    usable_cores,
)
from graphstorm_like.launch.mirrored.places import places_of
from graphstorm_like.launch.mirrored.session import mirrored
from graphstorm_like.launch.prepare import check_partitions, supervise, write_pipeline
from graphstorm_like.launch.processes import Job, Ports
from graphstorm_like.launch.stages import hold_output
from graphstorm_like.launch.state import STAGES, check_stages
from graphstorm_like.progress import Reporter

LOOPBACK = "127.0.0.1"


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
    """Run the processes of one host of a job until they end.

    addresses: private IP addresses of all hosts; mark: tells apart the jobs on one machine, by default a hash of the
    output folder. The graph must already exist. Where output is a URL each host works in folders of its own, and the
    first one's are kept equal with the store. Raises LaunchError and StoreError, or Stopped.
    """
    apart = pipeline.launch.hosts > 1 and places_of(pipeline).output is not None
    names = [stage for stage in check_stages(stages) if stage != "construct"]
    with mirrored(pipeline, names, Reporter(quiet), fresh, index, apart) as local:
        _run_one_host(local, index, addresses, secret_file, names, mark, fresh, quiet, apart)


def _run_one_host(
    pipeline: Pipeline,
    index: int,
    addresses: Sequence[str],
    secret_file: Path | None,
    remaining: Sequence[str],
    mark: str | None,
    fresh: bool,
    quiet: bool,
    apart: bool,
) -> None:
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
            "--secret-file: must be given, so that the hosts can recognise each other. Make one with: gsl secret "
            "FILE, and put it on each host"
        )
    secret = new_credentials(tls=False) if secret_file is None else read_secret(secret_file, config.needs_tls)
    check_partitions(pipeline)
    root, base_port = memory_root(), config.port
    servers = config.servers if config.hosts > 1 else 0
    sweep(root)
    base = Job(
        name=job_name(pipeline.name, mark or blake2b(pipeline.output.encode(), digest_size=4).hexdigest()),
        pipeline_file=str(write_pipeline(pipeline, f"pipeline-h{index}.json")),
        stages=tuple(remaining),
        addresses=addresses,
        ports=Ports(0, ()),
        shm=str(root),
        fresh=fresh,
        quiet=quiet,
        cores=usable_cores(),
        interface=interface_of(addresses[index]),
    )

    def ports(attempt: int) -> Ports:
        # Hosts communicate only through their trainers: each counts its attempts, which gives all the same ports.
        return Ports.from_base(base_port, attempt, config.hosts, servers)

    with hold_output(pipeline) if index == 0 or apart else nullcontext():
        supervise(pipeline, base, ports, [index], secret)
