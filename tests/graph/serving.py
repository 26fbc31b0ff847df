"""Graph servers in threads of this process, and the hosts of a simulated cluster."""

from __future__ import annotations

import faulthandler
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from graphstorm_like.graph.partition_reader import HiddenEdges, Partition
from graphstorm_like.graph.past import HopRequest
from graphstorm_like.graph.remote.client import Client, Connection
from graphstorm_like.graph.remote.cluster import Cluster
from graphstorm_like.graph.remote.credentials import Credentials
from graphstorm_like.graph.remote.part import RemotePart
from graphstorm_like.graph.remote.server import GraphServer, open_call
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.launch.authority import host_credentials, new_credentials

from ..gconstruct.partitioning import LINK

JOB = new_credentials(tls=True)
OTHER_JOB = new_credentials(tls=True)
PLAIN = Credentials("ab" * 32)
NOTHING = HiddenEdges({}, {})
SIZE = ("item", "feature:size")
PATIENCE = 120.0
"""Seconds that are waited for what comes within a few of a thread's own time: others may take all of the machine. What
never comes is found out all the same."""


def of_host(host: int, job: Credentials = JOB) -> Credentials:
    """A host's credentials."""
    return host_credentials(job, host)


@contextmanager
def serving(folder: Path, host: int, shm: Path, job: Credentials = JOB) -> Iterator[GraphServer]:
    """A server that answers until the end, and then ends."""
    server = GraphServer(folder, host, shm, ("127.0.0.1", 0), of_host(host, job))
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        ends(thread)


@contextmanager
def clusters(folder: Path, shm: Path, hosts: int, timeout: float = 30.0) -> Iterator[list[Cluster]]:
    """What a process of each host knows; all hosts have servers."""
    with ExitStack() as stack:
        places = [shm / f"h{host}" for host in range(hosts)]
        for place in places:
            place.mkdir(exist_ok=True)
        servers = [stack.enter_context(serving(folder, host, places[host])) for host in range(hosts)]
        addresses = tuple((server.address,) for server in servers)
        yield [Cluster("test", host, hosts, places[host], addresses, of_host(host), timeout) for host in range(hosts)]


def client(
    folder: Path,
    address: tuple[str, int],
    host: int = 0,
    hidden: HiddenEdges = NOTHING,
    credentials: Credentials | None = None,
    timeout: float = 30.0,
) -> RemotePart:
    """A partition over a connection of its own. credentials: by default those of host 1."""
    connection = Connection(address, credentials or of_host(1), open_call(read_manifest(folder), host, hidden), timeout)
    return RemotePart(Client([connection]), connection)


def close(parts: Sequence[RemotePart]) -> None:
    """Hang up."""
    for part in parts:
        part._connection.close()


def works(folder: Path, part: RemotePart) -> None:
    """It samples and reads what the files hold."""
    here = Partition(folder, read_manifest(folder), 0, NOTHING)
    rows = np.arange(5)
    request = [HopRequest(LINK, rows, 2)]
    for one, two in zip(part.begin_hops(request, 3).wait(), here.begin_hops(request, 3).wait(), strict=True):
        assert (one.sources.tolist(), one.edge_ids.tolist()) == (two.sources.tolist(), two.edge_ids.tolist())
    assert part.begin_rows(SIZE, rows).wait().tolist() == here.begin_rows(SIZE, rows).wait().tolist()


def ends(thread: threading.Thread) -> None:
    """It does; where it hangs, all threads are shown."""
    thread.join(PATIENCE)
    if thread.is_alive():
        faulthandler.dump_traceback(2)
    assert not thread.is_alive(), f"{thread.name} has not ended"


def until(what: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for what comes about."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


def reach(server: GraphServer) -> socket.socket:
    """A connection to its port, with nothing said."""
    return socket.create_connection(server.address, timeout=5)
