"""Plans the processes of a job: their commands, environments and ports. Nothing is started here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from graphstorm_like.config.launchers import LaunchConfig
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import LaunchError
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.launch.state import STAGES


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports of a job. rendezvous: where rank 0 listens; servers: for each host. 0: not chosen yet."""

    rendezvous: int
    servers: tuple[tuple[int, ...], ...]

    @classmethod
    def from_base(cls, base: int, attempt: int, hosts: int, servers: int) -> Ports:
        """The block of ports of an attempt. Each has its own, so that no process joins the rendezvous of an earlier
        one."""
        size = 1 + hosts * servers
        first = base + attempt * size
        if first + size > 65_536:
            raise LaunchError(f"launch.port: must leave room for {size} ports per attempt (got {base})")
        return cls.of(range(first, first + size), hosts, servers)

    @classmethod
    def of(cls, ports: Sequence[int], hosts: int, servers: int) -> Ports:
        """The first port for the rendezvous, the others for the `servers` of each host."""
        server_ports = ports[1:]
        by_host = []
        for host in range(hosts if servers else 0):
            by_host.append(tuple(server_ports[host * servers : (host + 1) * servers]))
        return cls(ports[0], tuple(by_host))


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt to run stages of a pipeline: the facts that all its processes need.

    addresses: one per host; shm: folder with the hosts' shared-memory folders. Facts of the machine: cores, None when
    unknown; gpus, counted only where it simulates several hosts; interface: the one with its host's address.
    """

    name: str
    pipeline_file: str
    stages: tuple[str, ...]
    addresses: tuple[str, ...]
    ports: Ports
    shm: str = "/dev/shm"
    attempt: int = 0
    fresh: bool = False
    quiet: bool = False
    cores: int | None = None
    gpus: int = 0
    interface: str | None = None

    def host_shm(self, host: int) -> str:
        """The shared-memory folder of a host."""
        return f"{self.shm}/gsl-{self.name}-h{host}"

    def points_shm(self, host: int) -> str:
        """Shared memory of a host that outlives its processes: the resume points of `train.checkpoint.memory_steps`."""
        return f"{self.shm}/gsl-{self.name}-points-h{host}"

    def secret_file(self, host: int) -> str:
        """The file from which the processes of a host read their credentials."""
        return f"{self.host_shm(host)}/secret"


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """One process: its role and number in the job, where it runs, its command and environment.

    cores: threads to compute with, None: all; memory: estimated bytes at the start, None when the graph does not exist
    yet.
    """

    role: Literal["trainer", "server"]
    number: int
    host: int
    local: int
    address: str
    command: tuple[str, ...]
    environment: dict[str, str]
    cores: int | None = None
    memory: int | None = None

    @property
    def short(self) -> str:
        """Prefix of its output lines: t0, s1."""
        return f"{self.role[0]}{self.number}"


# Measured resident sizes before anything is read: 373 MB with torch on CPU, 77 MB without, 322 MB for DGL's server.
# The processes of a host map one copy of its partition, which is counted for each of them here. Vectors, model and
# batches are not included.
_TRAINER_BYTES, _SERVER_BYTES, _DGL_SERVER_BYTES = 373_000_000, 77_000_000, 322_000_000


def plan_alone(pipeline: Pipeline, yaml: str) -> ProcessPlan:
    """The process of `gsl run` when a single one is enough."""
    threads = pipeline.launch.threads
    environment = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    return ProcessPlan("trainer", 0, 0, 0, "localhost", ("gsl", "run", yaml), environment, threads)


def plan_processes(pipeline: Pipeline, job: Job, manifest: GraphManifest | None = None) -> list[ProcessPlan]:
    """All processes of an attempt on all hosts, servers first."""
    launch = pipeline.launch
    own: list[int] | None = None
    if manifest and len(manifest.partitions) == launch.hosts:
        own = [partition.bytes for partition in manifest.partitions]
    plans = []
    for host in range(launch.hosts):
        for i in range(launch.servers if launch.hosts > 1 else 0):
            memory = None if own is None else own[host] + (_DGL_SERVER_BYTES if launch.uses_dgl else _SERVER_BYTES)
            plans.append(_plan_server(launch, job, host, i, memory))
    for host in range(launch.hosts):
        for i in range(launch.trainers):
            memory = None if own is None else _TRAINER_BYTES + own[host]
            plans.append(_plan_trainer(launch, job, host, i, memory))
    return plans


def sketch_job(pipeline: Pipeline, cores: int | None) -> Job:
    """The job as `gsl show plan` shows it before the start: placeholders for names that are chosen later, and ports
    0."""
    launch = pipeline.launch
    servers = launch.servers if launch.hosts > 1 else 0
    if launch.port is not None:
        ports = Ports.from_base(launch.port, 0, launch.hosts, servers)
    else:
        ports = Ports.of([0] * (1 + launch.hosts * servers), launch.hosts, servers)
    interface = "lo" if launch.simulates_hosts else None
    file = f"{pipeline.output}/launch/pipeline.json"
    return Job("JOB", file, STAGES[1:], launch.host_names(), ports, cores=cores, interface=interface)


def _plan_server(launch: LaunchConfig, job: Job, host: int, i: int, memory: int | None) -> ProcessPlan:
    environment = {**_environment(launch, job, host), "GSL_SERVER_INDEX": str(i), "OMP_NUM_THREADS": "1"}
    number = host * launch.servers + i
    return ProcessPlan("server", number, host, i, job.addresses[host], _command("server", job), environment, 1, memory)


def _plan_trainer(launch: LaunchConfig, job: Job, host: int, i: int, memory: int | None) -> ProcessPlan:
    rank = host * launch.trainers + i
    on_machine = launch.trainers * (launch.hosts if launch.simulates_hosts else 1)
    threads = launch.threads
    if not threads and job.cores is not None:
        threads = max(1, job.cores // on_machine)
    environment = {
        **_environment(launch, job, host),
        "RANK": str(rank),
        "WORLD_SIZE": str(launch.hosts * launch.trainers),
        "LOCAL_RANK": str(i),
        "LOCAL_WORLD_SIZE": str(launch.trainers),
        "MASTER_ADDR": job.addresses[0],
        "MASTER_PORT": str(job.ports.rendezvous),
    }
    if job.interface is not None:  # '=': an exact name, for NCCL matches prefixes otherwise
        environment |= {"GLOO_SOCKET_IFNAME": job.interface, "NCCL_SOCKET_IFNAME": f"={job.interface}"}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    if launch.hosts > 1 and job.gpus >= launch.hosts * launch.trainers:
        # Simulated hosts share a machine: each sees its own GPUs, because NCCL does not allow two ranks on one.
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(str(host * launch.trainers + j) for j in range(launch.trainers))
    return ProcessPlan(
        "trainer", rank, host, i, job.addresses[host], _command("trainer", job), environment, threads, memory
    )


def _environment(launch: LaunchConfig, job: Job, host: int) -> dict[str, str]:
    """The environment that trainers and servers share."""
    servers = []
    for ip, ports in zip(job.addresses, job.ports.servers, strict=False):
        written = f"[{ip}]" if ":" in ip else ip
        servers.append(",".join(f"{written}:{port}" for port in ports))
    store = {"GSL_STORE": launch.store} if launch.uses_dgl else {}
    return {
        "GSL_JOB": job.name,
        "GSL_HOST": str(host),
        "GSL_SHM": job.host_shm(host),
        "GSL_SERVERS": ";".join(servers) if launch.hosts > 1 else "",
        "GSL_SECRET_FILE": job.secret_file(host),
        "GSL_ATTEMPT": str(job.attempt),
        **store,
    }


def _command(role: str, job: Job) -> tuple[str, ...]:
    command = ["gsl", "worker", "--role", role, "--pipeline", job.pipeline_file, "--stages", ",".join(job.stages)]
    if job.fresh:
        command.append("--fresh")
    if job.quiet:
        command.append("--quiet")
    return tuple(command)
