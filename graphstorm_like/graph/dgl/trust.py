"""What must hold before DistDGL's servers are started: a Python that has DGL, closed addresses, the user's word."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.util import find_spec

from graphstorm_like.errors import LaunchError, MissingExtraError
from graphstorm_like.graph.remote.cluster import check_private

STRANGER = (
    "DGL's messages are neither authenticated nor encrypted: whoever reaches its ports can read the graph, take a "
    "trainer's place, stop the job, and perhaps run code in its processes"
)


def check_packages() -> None:
    """Raises LaunchError on a Python without DGL 1.1.3, MissingExtraError when it is not installed. Imports nothing."""
    if sys.version_info >= (3, 12):
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise LaunchError(
            f"launch.store: dgl must run on Python 3.11 (got {version}): DGL 1.1.3, its last release that loads beside "
            f"today's torch, has no build for newer ones, and nobody mends it any more. {STRANGER}. Install Python "
            f"3.11, or set launch.store: own"
        )
    if find_spec("dgl") is None:
        raise MissingExtraError("launch.store: dgl", "dgl", "dgl")


def check_addresses(addresses: Iterable[str]) -> None:
    """Raises LaunchError unless all servers have private IPv4 addresses."""
    for address in addresses:
        try:
            check_private(address)
        except LaunchError as err:
            raise LaunchError(f"{err}. With launch.store: dgl more is at stake: {STRANGER}") from None
        if ":" in address:
            raise LaunchError(
                f"launch.store: dgl must have IPv4 addresses, DGL knows no others (got {address}). Give the hosts' "
                f"IPv4 addresses, or set launch.store: own"
            )
