"""Simulated hosts for the peer on this machine (Linux, root): it wants a host for each partition, ssh between them,
and fixed ports and names in /dev/shm. So each host is a network and mount namespace, and `ssh` enters one.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from peer_environment import PeerError

NETWORK, DEVICE = "10.77.0", "gs0"
_HOST = "mount -t tmpfs tmpfs /dev/shm && ip link set lo up && echo up && exec sleep infinity"
# What GraphStorm calls: ssh -o OPTION -p PORT [USER@]IP 'COMMAND'
_SSH = """#!/bin/sh
while :; do case "$1" in -o|-p) shift 2;; -*) shift;; *) break;; esac; done
ip="${1#*@}"; shift
exec nsenter -t "$(cat "$(dirname "$0")/$ip")" -n -m sh -c "$*"
"""


@dataclass(frozen=True, slots=True)
class Hosts:
    """enter: words before a command that is to run on the first host."""

    enter: tuple[str, ...]
    addresses: tuple[str, ...]
    environment: dict[str, str]


@contextmanager
def simulated_hosts(folder: Path) -> Iterator[Hosts]:
    """Two hosts; `folder` gets the stand-in for ssh. PeerError where namespaces cannot be made."""
    folder.mkdir(parents=True, exist_ok=True)
    holders: list[subprocess.Popen[str]] = []
    try:
        for _ in range(2):
            command = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", _HOST]
            holders.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            out = holders[-1].stdout
            if out is None or out.readline() != "up\n":
                raise PeerError("two hosts of the peer: must be root on Linux to simulate them (unshare failed)")
        pids = [str(holder.pid) for holder in holders]
        _call("ip", "link", "add", DEVICE, "netns", pids[0], "type", "veth", "peer", "name", DEVICE, "netns", pids[1])
        addresses = []
        for number, pid in enumerate(pids, 1):
            addresses.append(f"{NETWORK}.{number}")
            _call("nsenter", "-t", pid, "-n", "ip", "addr", "add", f"{addresses[-1]}/24", "dev", DEVICE)
            _call("nsenter", "-t", pid, "-n", "ip", "link", "set", DEVICE, "up")
            (folder / addresses[-1]).write_text(pid, encoding="ascii")
        ssh = folder / "ssh"
        ssh.write_text(_SSH, encoding="ascii")
        ssh.chmod(0o755)
        time.sleep(1)  # the link comes up
        path = f"{folder}{os.pathsep}{os.environ['PATH']}"
        enter = ("nsenter", "-t", pids[0], "-n", "-m", "--")
        yield Hosts(enter, tuple(addresses), {"PATH": path, "GLOO_SOCKET_IFNAME": DEVICE, "TP_SOCKET_IFNAME": DEVICE})
    finally:
        for holder in holders:
            holder.kill()
            holder.wait()


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise PeerError(f"{' '.join(command)}: ended with {done.returncode} ({done.stderr.strip()})")
