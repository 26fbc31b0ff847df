"""Hosts as network namespaces of this machine: addresses, cables and a /dev/shm of their own. Needs root.

Each host's cable ends at a switch, a bridge in a namespace of its own. A cable is pulled out of the bridge, so that the
host's interface stays up, and packets are lost without a word: as when a switch dies.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence

from graphstorm_like.bench.jobs import Watched
from graphstorm_like.bench.netns import ip
from graphstorm_like.errors import LaunchError


class Network:
    """Hosts 0 .. count-1 at one switch."""

    def __init__(self, count: int) -> None:
        # Names of namespaces are the machine's; interfaces have theirs within a namespace.
        self._mark = f"gsl-{secrets.token_hex(4)}"
        self._subnet = f"10.77.{secrets.randbelow(250)}"
        self._switch = f"{self._mark}-switch"
        self._made: list[str] = []
        try:
            self._make(self._switch)
            ip("-n", self._switch, "link", "add", "switch", "type", "bridge", "forward_delay", "0")
            ip("-n", self._switch, "link", "set", "switch", "up")
            for host in range(count):
                self._add(host)
        except BaseException:
            self.close()
            raise

    def _make(self, name: str) -> None:
        ip("netns", "add", name)
        self._made.append(name)
        ip("-n", name, "link", "set", "lo", "up")

    def _add(self, host: int) -> None:
        name, port = self._name(host), f"port{host}"
        self._make(name)
        ip("link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", port, "netns", self._switch)
        ip("-n", name, "addr", "add", f"{self.address(host)}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        ip("-n", self._switch, "link", "set", port, "up")
        self.plug(host)

    def _name(self, host: int) -> str:
        return f"{self._mark}-h{host}"

    def address(self, host: int) -> str:
        """Of a host."""
        return f"{self._subnet}.{host + 1}"

    def pull(self, host: int) -> None:
        """Take a host's cable out of the switch."""
        ip("-n", self._switch, "link", "set", f"port{host}", "nomaster")

    def plug(self, host: int) -> None:
        """Put it back."""
        ip("-n", self._switch, "link", "set", f"port{host}", "master", "switch")

    def command(self, host: int, command: Sequence[str]) -> list[str]:
        """A command as it runs on a host, with a shared memory of its own."""
        own = 'mount -t tmpfs -o size=256m tmpfs /dev/shm && exec "$@"'
        return ["ip", "netns", "exec", self._name(host), "unshare", "-m", "sh", "-c", own, "sh", *command]

    def start(self, host: int, command: Sequence[str]) -> Watched:
        """A command on a host."""
        return Watched(self.command(host, command))

    def run(self, host: int, command: Sequence[str]) -> str:
        """What a short command on a host prints."""
        return subprocess.run(
            self.command(host, command), capture_output=True, text=True, check=True, timeout=60.0
        ).stdout

    def close(self) -> None:
        """Remove all; interfaces go with their namespaces."""
        while self._made:
            with contextlib.suppress(LaunchError):
                ip("netns", "del", self._made.pop())


@contextlib.contextmanager
def network(count: int) -> Iterator[Network]:
    """Hosts that are gone afterwards."""
    made = Network(count)
    try:
        yield made
    finally:
        made.close()


@functools.cache
def what_is_missing() -> str:
    """Why this machine cannot have hosts within itself; '' when it can."""
    if not all(map(shutil.which, ("ip", "unshare", "mount"))):
        return "needs ip, unshare and mount"
    if os.getuid() != 0:
        return "needs root"
    try:
        with network(1) as made:
            made.run(0, ["true"])
    except (LaunchError, OSError, subprocess.SubprocessError) as err:
        return f"needs network namespaces ({err})"
    return ""
