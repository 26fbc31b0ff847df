"""The place of a process in its job, read from the environment that the launcher sets."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from graphstorm_like.errors import LaunchError
from graphstorm_like.graph.remote.credentials import Credentials

EXACT = "float32"
"""The choice of `launch.wire` with which every row travels as it is stored."""
SHARED_ADDRESSES = ipaddress.ip_network("100.64.0.0/10")
"""RFC 6598: not public either; pods of some clouds have such addresses."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """servers: addresses (ip, port) of the servers of each host; empty when there is one host. wire, hot_rows_mb,
    store: as the launch section says."""

    job: str
    host: int
    hosts: int
    shm: Path
    servers: tuple[tuple[tuple[str, int], ...], ...]
    credentials: Credentials = field(repr=False)
    timeout_seconds: float = 600.0
    wire: str = EXACT
    hot_rows_mb: float = 0.0
    store: str = "own"

    @classmethod
    def from_environment(cls, timeout_seconds: float, environment: Mapping[str, str] = os.environ) -> Cluster | None:
        """None when no launcher started this process."""
        if "GSL_JOB" not in environment:
            return None
        try:
            servers = parse_servers(environment.get("GSL_SERVERS", ""))
            secret_file = environment.get("GSL_SECRET_FILE")
            text = Path(secret_file).read_text(encoding="ascii") if secret_file else ""
            credentials = Credentials.parse(text) if text else Credentials("")
            host = int(environment["GSL_HOST"])
            shm = Path(environment["GSL_SHM"])
        except (KeyError, ValueError, OSError) as err:
            raise LaunchError(
                f"environment: must be as a launcher sets it ({type(err).__name__}: {err}). Start with gsl run or "
                f"gsl launch"
            ) from None
        if servers and not credentials.token:
            raise LaunchError("GSL_SECRET_FILE: must hold the host's credentials when there are servers")
        if not 0 <= host < max(len(servers), 1):
            raise LaunchError(f"GSL_HOST: must be one of the {max(len(servers), 1)} hosts of GSL_SERVERS (got {host})")
        place = (environment["GSL_JOB"], host, max(len(servers), 1), shm, servers, credentials, timeout_seconds)
        return cls(*place, store=environment.get("GSL_STORE", "own"))


def parse_servers(text: str) -> tuple[tuple[tuple[str, int], ...], ...]:
    """'ip:port,ip:port;ip:port' -> the servers of each host."""
    hosts = []
    for host in filter(None, text.split(";")):
        addresses = []
        for address in host.split(","):
            ip, _, port = address.rpartition(":")
            addresses.append((ip.strip("[]"), int(port)))
        hosts.append(tuple(addresses))
    return tuple(hosts)


def check_private(address: str) -> None:
    """Servers listen on private addresses only: LaunchError for any other."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise LaunchError(f"launch.addresses: must be IP addresses (got '{address}')") from None
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed  # ::ffff:8.8.8.8 is 8.8.8.8
    is_shared = parsed.version == 4 and parsed in SHARED_ADDRESSES
    if parsed.is_unspecified or not (parsed.is_private or parsed.is_loopback or parsed.is_link_local or is_shared):
        raise LaunchError(
            f"launch.addresses: must be private addresses (got {address}), so that servers cannot be reached from the "
            f"internet. Give the hosts' addresses on the cluster's own network"
        )
