"""`launch:` over how many hosts and processes, and who starts them. Nothing here changes what comes out."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from graphstorm_like.config.base import KeyedError, NonNegativeFloat, PositiveFloat, PositiveInt, Strict

Port = Annotated[int, Field(ge=1024, le=65_000)]


class _Launch(Strict):
    """What all ways of launching share."""

    on: str
    hosts: PositiveInt = 1
    """Machines; each has a partition of the graph of its own (graph.partitions.count, when it is more than one)."""
    trainers: PositiveInt = 1
    """Training processes on each host: one a GPU."""
    servers: PositiveInt = 1
    """Processes on each host that read its partition for the other hosts; none are started for one host."""
    threads: PositiveInt | None = None
    """Compute threads of a trainer; default: the host's cores, shared among its trainers."""
    max_restarts: Annotated[int, Field(ge=0)] = 0
    """How often the job starts again from its last checkpoint after a process has died."""
    timeout_seconds: PositiveFloat = 600.0
    """The longest wait of one process for another."""


class LocalLaunchConfig(_Launch):
    """This machine. More than one host: that many are pretended on it."""

    on: Literal["local"] = "local"
    port: Port | None = None
    """First of the ports that are used; default: free ones."""


class RayLaunchConfig(_Launch):
    """A Ray cluster."""

    on: Literal["ray"]
    address: str = "auto"
    """Of the cluster; local: a new one in this machine's memory."""
    cpus: PositiveFloat = 1.0
    """CPUs that Ray reserves for a trainer."""
    gpus: NonNegativeFloat = 0.0
    """GPUs that Ray reserves for a trainer."""
    spread: bool = True
    """Each host on a node of its own; false: as Ray likes."""
    port: Port | None = None
    """First of the ports that are used; default: free ones."""


class SlurmLaunchConfig(_Launch):
    """A Slurm cluster: `gsl launch PIPELINE --on slurm` submits a batch script that starts `gsl host` on every node."""

    on: Literal["slurm"]
    partition: str | None = None
    account: str | None = None
    time: str | None = None
    """Limit, as sbatch takes it: '04:00:00'."""
    sbatch: list[str] = []
    """Further options of sbatch: ['--gpus-per-node=4', '--mem=0']."""
    setup: list[str] = []
    """Shell lines before the job: ['module load cuda', 'source venv/bin/activate']."""
    port: Port = 29_500
    """First of the ports that are used, on every node."""

    @model_validator(mode="after")
    def _one_line_each(self) -> SlurmLaunchConfig:
        for key in ("partition", "account", "time", "sbatch", "setup"):
            value = getattr(self, key)
            for line in value if isinstance(value, list) else [value or ""]:
                if "\n" in line or "\r" in line:
                    raise KeyedError(key, f"must be one line each (got {line!r})")
        for line in self.sbatch:
            if not line.startswith("-"):
                raise KeyedError("sbatch", f"must be options of sbatch, e.g. --gpus-per-node=4 (got '{line}')")
        return self


def _check_address(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise ValueError("must be an IP address") from None
    return value


class ExternalLaunchConfig(_Launch):
    """A scheduler of your own that starts `gsl host PIPELINE --index I` on each machine."""

    on: Literal["external"]
    addresses: list[Annotated[str, AfterValidator(_check_address)]] = []
    """Private IP address of each host, in the order of their indices; or given with `gsl host --addresses`."""
    port: Port = 29_500
    """First of the ports that are used, on every machine."""

    @model_validator(mode="after")
    def _an_address_a_host(self) -> ExternalLaunchConfig:
        if self.addresses and len(self.addresses) != self.hosts:
            raise KeyedError(
                "addresses", f"must be one for each of launch.hosts, {self.hosts} (got {len(self.addresses)})"
            )
        return self


def _local_unless_said(value: Any) -> Any:
    return {"on": "local", **value} if isinstance(value, dict) and "on" not in value else value


LaunchConfig = Annotated[
    Annotated[
        LocalLaunchConfig | RayLaunchConfig | SlurmLaunchConfig | ExternalLaunchConfig, Field(discriminator="on")
    ],
    BeforeValidator(_local_unless_said),
]
