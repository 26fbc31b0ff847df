"""What every launcher has in its configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, Self

from pydantic import Field

from graphstorm_like.config.base import PositiveFloat, PositiveInt, Strict
from graphstorm_like.config.choice import Choice

Port = Annotated[int, Field(ge=1024, le=65_000)]


class DglStoreConfig(Strict):
    """Of `launch.store: dgl`."""

    trusted_network: bool = False
    """Your word that nobody else reaches the hosts' network, which store: dgl needs: DGL neither authenticates nor
    encrypts its messages, and whoever reaches its ports can read the graph, stop the job, and perhaps run code."""


class LaunchConfig(Choice, tag="on", default="local"):
    """Over how many hosts and processes a run goes, and who starts them. Only `wire` changes results."""

    on: str
    hosts: PositiveInt = 1
    """Number of machines; with more than one, each owns a partition of the graph (see graph.partitions.count)."""
    trainers: PositiveInt = 1
    """Training processes on each host: one per GPU."""
    servers: PositiveInt = 1
    """Processes on each host that read its partition for the other hosts; none are started for one host."""
    store: Literal["own", "dgl"] = "own"
    """What serves the partitions of several hosts. own: this library's servers. dgl: DistDGL 1.1.3's servers and
    samplers (extra `dgl`, Python 3.11), with launch.dgl.trusted_network. With one host there are no servers."""
    dgl: DglStoreConfig = DglStoreConfig()
    """Of store: dgl."""
    threads: PositiveInt | None = None
    """Compute threads of a trainer; default: the host's cores, shared among its trainers."""
    max_restarts: Annotated[int, Field(ge=0)] = 0
    """How often the job starts again from its last checkpoint after a process has died."""
    timeout_seconds: PositiveFloat = 600.0
    """The longest wait of one process for another."""
    save_seconds: PositiveFloat = 60.0
    """How long trainers may take for a resume point after SIGTERM, before they are killed. Schedulers kill after a time
    of their own."""
    tls: bool = True
    """Whether graph servers and trainers of several hosts talk in mutual TLS, with certificates of the job's own
    authority; false: in a closed network only, where nobody else can read or change what hosts send each other."""
    wire: Literal["float32", "float16", "int8"] = "float32"
    """How hosts send each other rows of features and of frozen text vectors; the other two are smaller, and round."""
    hot_rows_mb: Annotated[float, Field(ge=0)] = 64.0
    """Megabytes of shared memory on each host for the rows of other hosts that its trainers need most often."""
    port: Port | None = None
    """First of the ports that are used; default: free ones."""

    @property
    def needs_tls(self) -> bool:
        """Whether the job has servers, and they use TLS."""
        return self.tls and self.hosts > 1

    @property
    def in_process(self) -> bool:
        """Whether `gsl run` needs no other process."""
        return False

    @property
    def elsewhere(self) -> bool:
        """Whether the whole run goes on elsewhere, so that nothing about this machine's folders matters."""
        return False

    @property
    def simulates_hosts(self) -> bool:
        """Whether all hosts are simulated on this machine."""
        return False

    def with_paths(self, absolute: Callable[[str], str]) -> Self:
        """With paths of this machine made absolute. Default: there are none."""
        return self

    @property
    def uses_dgl(self) -> bool:
        """Whether DGL's servers serve the partitions."""
        return self.store == "dgl" and self.hosts > 1

    def host_names(self) -> tuple[str, ...]:
        """The hosts' addresses as far as they are known before the job starts, one each, for people to read."""
        return tuple(f"host{number}" for number in range(self.hosts))
