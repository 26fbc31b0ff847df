"""Where servers may listen, what a launcher says to a process, and a server as a process of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from graphstorm_like.errors import LaunchError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.remote.cluster import Cluster, check_private, parse_servers
from graphstorm_like.graph.remote.credentials import Credentials
from graphstorm_like.graph.remote.server import GraphServer
from graphstorm_like.testing.ranks import free_ports

from .serving import JOB, client, close, ends, of_host, serving


@pytest.fixture
def folder(shop: tuple[Path, Path]) -> Path:
    return shop[1]


# ----------------------------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.1.2.3", "192.168.0.9", "172.16.1.1", "fe80::1", "fd00::1",
                                     "169.254.3.4", "100.64.0.1", "::ffff:10.0.0.1"])  # fmt: skip
def test_private_addresses(address: str) -> None:
    check_private(address)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "localhost",
                                     "::ffff:0.0.0.0", "100.128.0.1", "", "172.32.0.1"])  # fmt: skip
def test_addresses_that_the_world_reaches_are_refused(folder: Path, tmp_path: Path, address: str) -> None:
    with pytest.raises(LaunchError, match=r"launch.addresses: must be (private|IP) addresses"):
        GraphServer(folder, 0, tmp_path, (address, 0), of_host(0))


def test_a_port_that_is_taken(folder: Path, tmp_path: Path) -> None:
    with serving(folder, 0, tmp_path) as server:
        for port in (server.address[1], 70_000):
            with pytest.raises(LaunchError, match=rf"127.0.0.1:{port}: must be able to listen there"):
                GraphServer(folder, 0, tmp_path, ("127.0.0.1", port), of_host(0))


def test_what_a_launcher_says(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(of_host(1).text)
    of_host_1 = Credentials.parse((tmp_path / "secret").read_text())
    said = {
        "GSL_JOB": "j",
        "GSL_HOST": "1",
        "GSL_SHM": str(tmp_path),
        "GSL_SERVERS": "10.0.0.1:5,10.0.0.1:6;[fd00::1]:7",
        "GSL_SECRET_FILE": str(tmp_path / "secret"),
    }
    found = Cluster.from_environment(5.0, said)
    assert found is not None
    assert found.servers == ((("10.0.0.1", 5), ("10.0.0.1", 6)), (("fd00::1", 7),))
    assert (found.host, found.hosts, found.credentials, found.timeout_seconds) == (1, 2, of_host_1, 5.0)
    assert JOB.token not in repr(found)
    assert "PRIVATE" not in repr(found)
    assert parse_servers("") == ()
    assert Cluster.from_environment(5.0, {}) is None
    for change in (
        {"GSL_HOST": "2"}, {"GSL_HOST": "-1"}, {"GSL_HOST": "x"}, {"GSL_SERVERS": "10.0.0.1"},
        {"GSL_SECRET_FILE": ""}, {"GSL_SECRET_FILE": str(tmp_path / "none")},
    ):  # fmt: skip
        with pytest.raises(LaunchError, match="GSL_|environment"):
            Cluster.from_environment(5.0, {**said, **change})


def test_servers_speak_the_other_internet_protocol_too(folder: Path, tmp_path: Path) -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("no IPv6 here")
    server = GraphServer(folder, 0, tmp_path, ("::1", 0), of_host(0))
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    part = client(folder, server.address)
    expected = LocalGraph(folder).gather("item", "price", np.arange(3))
    assert part.begin_rows(("item", "feature:price"), np.arange(3)).wait().tolist() == expected.tolist()
    close([part])
    server.stop()
    ends(thread)


# ------------------------------------------------------------------------------------------------- a process of its own

SERVE = """
import signal, sys
from pathlib import Path
from graphstorm_like.graph.remote.credentials import Credentials
from graphstorm_like.graph.remote.credentials import Credentials
from graphstorm_like.graph.remote.server import GraphServer
credentials = Credentials.parse(Path(sys.argv[2], "secret").read_text())
server = GraphServer(Path(sys.argv[1]), 0, Path(sys.argv[2]), ("127.0.0.1", int(sys.argv[3])), credentials)
signal.signal(signal.SIGTERM, lambda *_: server.stop())
server.serve()
print("ended")
"""


@pytest.mark.dist
def test_a_server_ends_when_it_is_told_to(folder: Path, tmp_path: Path) -> None:
    """From a signal handler, and with clients that are still connected."""
    (port,) = free_ports(1)
    (tmp_path / "secret").write_text(of_host(0).text)
    arguments = [sys.executable, "-c", SERVE, str(folder), str(tmp_path), str(port)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        part = client(folder, ("127.0.0.1", port))
        expected = LocalGraph(folder).gather("item", "price", np.arange(3))
        # It connects before the server is up, and tries again.
        assert part.begin_rows(("item", "feature:price"), np.arange(3)).wait().tolist() == expected.tolist()
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=20) == ("ended\n", None)
        assert process.returncode == 0
    with pytest.raises(LaunchError, match="must stay connected"):
        part.begin_rows(("item", "feature:price"), np.arange(3)).wait()
