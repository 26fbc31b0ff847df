"""What a host's processes share while a job runs: a shared-memory folder with its credentials, and free ports.

The folder is named after job and host. The supervisor that made it holds a kernel lock on it, so that the next one can
tell a folder in use from one that a killed supervisor left behind, and remove the latter.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import socket
import stat
import struct
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import LaunchError
from graphstorm_like.files import try_lock
from graphstorm_like.graph.remote.cluster import check_private
from graphstorm_like.graph.remote.credentials import Credentials

MEMORY = Path("/dev/shm")
_LOCK = "lock"
RESOLVE_SECONDS = 60.0
"""How long a host's name may be unknown."""


def memory_root() -> Path:
    """Where shared-memory folders are made: GSL_SHM_ROOT, else /dev/shm, else a temporary folder. Raises
    LaunchError."""
    if not (chosen := os.environ.get("GSL_SHM_ROOT")):
        return MEMORY if os.access(MEMORY, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    if not (Path(chosen).is_absolute() and os.access(chosen, os.W_OK | os.X_OK)):
        raise LaunchError(
            f"GSL_SHM_ROOT: must be the absolute path of a folder that can be written to (got '{chosen}')"
        )
    return Path(chosen)


def job_name(name: str, mark: str | None = None) -> str:
    """[a-z0-9-]+: the pipeline's name and a mark, by default a random one."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:24] or "job"
    return f"{slug}-{mark or secrets.token_hex(4)}"


def read_secret(path: Path, tls: bool) -> Credentials:
    """A job's secret, from a file that others cannot read; without its authority if there is no TLS. Raises
    LaunchError."""
    make = f"Make one with: gsl secret {path}"
    try:
        mode, found = path.stat().st_mode, Credentials.parse(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as err:
        raise LaunchError(f"{path}: must hold the job's secret ({err}). {make}") from None
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise LaunchError(f"{path}: must not be open to others (mode {stat.filemode(mode)}). Run: chmod 600 {path}")
    if not tls:
        return Credentials(found.token)
    if not found.encrypted or found.certificate:
        raise LaunchError(
            f"{path}: must hold the job's certificate authority, which hex alone is not. {make}, and put it on each "
            f"host; or set launch.tls: false in a closed network"
        )
    return found


@contextlib.contextmanager
def host_folder(folder: Path, credentials: Credentials | None) -> Iterator[None]:
    """A shared-memory folder of a host, mode 0700, with its credentials, if any, in it, mode 0600; gone afterwards.

    Raises LaunchError when another job of this name is running here.
    """
    if folder.exists() and not _remove_dead(folder):
        raise LaunchError(f"{folder}: another job of this name runs on this host. Wait for its end, or rename yours")
    # Locked before it gets its name: a sweep must never find it unlocked.
    making = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    descriptor = -1
    try:
        try:
            making.mkdir(mode=0o700)
            descriptor = os.open(making / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            try_lock(descriptor)
            if credentials is not None:
                write_secret(making / "secret", credentials.text)
            making.rename(folder)
        except OSError as err:
            raise LaunchError(
                f"{folder}: must be a folder that can be made ({err}). Free space there, or set GSL_SHM_ROOT"
            ) from err
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)
        shutil.rmtree(making, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def write_secret(path: Path, secret: str) -> None:
    """Write a new file that only its owner can ever read."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(secret)


def sweep(root: Path) -> None:
    """Remove the shared-memory folders that killed supervisors of this user left behind."""
    for folder in root.glob("gsl-*-h*"):
        with contextlib.suppress(OSError):
            state = folder.lstat()
            is_own = stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and (folder / _LOCK).is_file()
            if is_own and re.fullmatch(r"gsl-[a-z0-9-]+-h\d+", folder.name):
                _remove_dead(folder)


def _remove_dead(folder: Path) -> bool:
    """Remove a folder unless somebody holds its lock. Returns whether it is gone."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(folder / _LOCK, os.O_RDWR)
        try:
            if not try_lock(descriptor):
                return False
        finally:
            os.close(descriptor)
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def free_ports(address: str, count: int) -> list[int]:
    """Free ports of an address. All are held until the last one is found, so that they differ."""
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(count):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            listener = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            listener.bind((address, 0))
            ports.append(int(listener.getsockname()[1]))
        return ports


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resolve(names: Sequence[str]) -> tuple[str, ...]:
    """Private IP addresses of hosts, given by name or address. Raises LaunchError for a public address."""
    return tuple(_resolve(name) for name in names)


def host_addresses(pipeline: Pipeline, given: str) -> tuple[str, ...]:
    """Addresses of all hosts: those in `given`, 'a,b', else those of launch.addresses."""
    if given:
        return resolve([name.strip() for name in given.split(",")])
    return tuple(getattr(pipeline.launch, "addresses", ()))


def _look_up(name: str) -> list[tuple[Any, ...]]:
    """Waits for a name that is not known yet: in a cluster, a host gets its name when it starts."""
    deadline = time.monotonic() + RESOLVE_SECONDS
    while True:
        try:
            return list(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
        except OSError as err:
            if time.monotonic() >= deadline:
                raise LaunchError(
                    f"host '{name}': must have an address within {RESOLVE_SECONDS:g} s ({err}). Give --addresses"
                ) from None
        time.sleep(1.0)


def _resolve(name: str) -> str:
    entries = _look_up(name)
    addresses = [str(entry[4][0]) for entry in sorted(entries, key=lambda entry: entry[0] != socket.AF_INET)]
    # A machine's own name is often in /etc/hosts as 127.0.1.1, which the others cannot reach.
    outward = [a for a in addresses if not a.startswith("127.") and a != "::1"]
    for address in outward or addresses:
        with contextlib.suppress(LaunchError):
            check_private(address)
            return address
    check_private(addresses[0])
    return addresses[0]


def own_address(peer: str) -> str:
    """This machine's address on the network towards a peer: that of a datagram socket, whose connect sends nothing."""
    with socket.socket(socket.AF_INET6 if ":" in peer else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((peer, 9))
        except OSError as err:
            raise LaunchError(f"host {peer}: must be reachable ({err})") from None
        address = str(probe.getsockname()[0])
    check_private(address)
    return address


_ADDRESS_OF_INTERFACE = 0x8915  # SIOCGIFADDR of Linux


def interface_of(address: str) -> str | None:
    """Name of this machine's network interface with an IPv4 address; None when it cannot be found.

    By itself gloo would use the interface that the machine's own name resolves to, which often cannot reach the others.
    """
    if not sys.platform.startswith("linux") or ":" in address:
        return None
    import fcntl

    if address.startswith("127."):
        return "lo"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):
                answer = fcntl.ioctl(probe.fileno(), _ADDRESS_OF_INTERFACE, struct.pack("256s", name.encode()[:15]))
                if socket.inet_ntoa(answer[20:24]) == address:
                    return name
    return None
