"""`gsl doctor --hosts`: a process on each host measures network, matrix products, disk and clock, and the first host
says which one is slow. It starts and finds the others as a job does, over the same addresses and interface.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.device import set_threads
from graphstorm_like.errors import LaunchError
from graphstorm_like.graph.remote.cluster import check_private
from graphstorm_like.launch.host import free_ports, interface_of
from graphstorm_like.launch.prepare import print_line
from graphstorm_like.launch.process import GSL
from graphstorm_like.launch.processes import ProcessPlan
from graphstorm_like.launch.show.table import table
from graphstorm_like.launch.supervisor import listening, run_processes
from graphstorm_like.ranks import torch_group
from graphstorm_like.ranks.group import Group

LOOPBACK = "127.0.0.1"
SLOW = 1.5
"""A host is named that is so many times slower than the median of the others."""
CLOCK_SECONDS = 1.0
"""Clocks that are further apart are named: logs would mislead."""
_PINGS, _CHUNK, _CHUNKS = 100, 8 << 20, 8
_MATRIX, _MATMUL_SECONDS = 1024, 1.0
_DISK_BLOCK, _DISK_BLOCKS = 4 << 20, 32
_TIMEOUT = 120.0


@dataclass(frozen=True)
class HostNumbers:
    """What one host measured for itself."""

    host: int
    address: str
    gflops: float
    disk: float
    """MB/s, written to the output folder and forced to disk."""


@dataclass(frozen=True)
class PairNumbers:
    """What one host measured towards another. microseconds: of a message one way; rate: MB/s that it sends; offset:
    seconds by which the other's clock is ahead."""

    source: int
    target: int
    microseconds: float
    rate: float
    offset: float


@dataclass(frozen=True)
class Comparison:
    """All numbers of all hosts."""

    hosts: Sequence[HostNumbers]
    pairs: Sequence[PairNumbers]

    def lines(self) -> Iterator[str]:
        """For people."""
        offsets = self.offsets()
        rows = []
        for one in self.hosts:
            offset = f"{1000.0 * offsets[one.host]:.1f}"
            rows.append([str(one.host), one.address, f"{one.gflops:.0f}", f"{one.disk:,.0f}", offset])
        yield from table(["host", "address", "matmul GFLOP/s", "disk write MB/s", "clock ahead ms"], rows)
        rows = [
            [f"{pair.source} to {pair.target}", f"{pair.microseconds:.0f}", f"{pair.rate:,.0f}"] for pair in self.pairs
        ]
        if rows:
            yield ""
            yield from table(["network", "latency us", "MB/s"], rows)
        yield ""
        found = list(self.slow())
        yield from found or [f"no host is more than {SLOW:g} times slower than the others"]

    def offsets(self) -> dict[int, float]:
        """Seconds by which each host's clock is ahead of the first one's."""
        return {0: 0.0, **{pair.target: pair.offset for pair in self.pairs if pair.source == 0}}

    def slow(self) -> Iterator[str]:
        """A line for each host and measure by which it is slow."""
        network = {one.host: self._of_network(one.host) for one in self.hosts}
        measures = {
            "matmul, GFLOP/s": {one.host: one.gflops for one in self.hosts},
            "disk write, MB/s": {one.host: one.disk for one in self.hosts},
            "network, MB/s": {host: rate for host, (rate, _) in network.items() if len(self.hosts) > 2},
            "network, messages/s": {host: 1e6 / us for host, (_, us) in network.items() if len(self.hosts) > 2},
        }
        for what, by_host in measures.items():
            for host, value in by_host.items():
                others = [other for number, other in by_host.items() if number != host]
                if others and value * SLOW < statistics.median(others):
                    yield f"slow: host {host}: {what}: {value:,.0f}, the others {statistics.median(others):,.0f}"
        for host, offset in self.offsets().items():
            if abs(offset) > CLOCK_SECONDS:
                yield f"clock: host {host} is {offset:+.1f} s beside host 0. Set its time (NTP): logs would mislead"

    def _of_network(self, host: int) -> tuple[float, float]:
        """Medians of rate and latency over a host's pairs: of a slow host all are slow, of the others at
        most half."""
        own = [pair for pair in self.pairs if host in (pair.source, pair.target)]
        if not own:
            return 0.0, 0.0
        return statistics.median_high(p.rate for p in own), statistics.median_low(p.microseconds for p in own)

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "hosts": [asdict(one) for one in self.hosts],
            "pairs": [asdict(pair) for pair in self.pairs],
            "slow": list(self.slow()),
        }


def measure_here(pipeline: Pipeline, index: int, addresses: Sequence[str]) -> Comparison | None:
    """This host's part; the first host gets the comparison. All hosts call it, within launch.timeout_seconds. Raises
    LaunchError."""
    launch = pipeline.launch
    addresses = tuple(addresses) or (LOOPBACK,) * launch.hosts
    if len(addresses) != launch.hosts or not 0 <= index < launch.hosts:
        raise LaunchError(
            f"hosts: must be an address for each of launch.hosts, {launch.hosts} (got {len(addresses)}), and --index "
            f"one of these (got {index})"
        )
    for address in addresses:
        check_private(address)
    if launch.port is None:
        raise LaunchError("launch.port: must be set, so that the hosts find each other")
    os.environ |= _environment(index, addresses, launch.port)
    group = torch_group.start(min(launch.timeout_seconds, _TIMEOUT), "cpu")
    try:
        set_threads(launch.threads)
        group.barrier("the start of measuring")
        own = HostNumbers(index, addresses[index], _matmul(), _disk(Path(pipeline.output)))
        pairs = [asdict(pair) for pair in _pairs(group)]
        told = [json.loads(text) for text in group.collect(json.dumps([asdict(own), pairs]), "what hosts measured")]
        group.barrier("the end of measuring")
    finally:
        torch_group.stop()
    if index:
        return None
    every = [PairNumbers(**pair) for _, of_host in told for pair in of_host]
    return Comparison([HostNumbers(**one) for one, _ in told], sorted(every, key=lambda p: (p.source, p.target)))


def _environment(index: int, addresses: Sequence[str], port: int) -> dict[str, str]:
    """As a trainer has it, one a host."""
    told = {
        "RANK": str(index),
        "WORLD_SIZE": str(len(addresses)),
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "1",
        "MASTER_ADDR": addresses[0],
        "MASTER_PORT": str(port),
    }
    interface = interface_of(addresses[index])
    if interface is not None and "GLOO_SOCKET_IFNAME" not in os.environ:
        told["GLOO_SOCKET_IFNAME"] = interface
    return told


def _matmul() -> float:
    """GFLOP/s of float32 products, with the threads of a trainer."""
    one = torch.rand(_MATRIX, _MATRIX)
    one @ one
    count, started = 0, time.perf_counter()
    while (seconds := time.perf_counter() - started) < _MATMUL_SECONDS:
        one @ one
        count += 1
    return 2.0 * _MATRIX**3 * count / seconds / 1e9


def _disk(folder: Path) -> float:
    """MB/s of a file that is written to a folder and forced to disk. Raises LaunchError."""
    path, block = folder / f".gsl-doctor-{os.getpid()}", os.urandom(_DISK_BLOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        with path.open("wb", buffering=0) as file:
            for _ in range(_DISK_BLOCKS):
                file.write(block)
            os.fsync(file.fileno())
        return _DISK_BLOCK * _DISK_BLOCKS / (time.perf_counter() - started) / 1e6
    except OSError as err:
        raise LaunchError(f"{folder}: must be a folder that can be written to ({err})") from None
    finally:
        path.unlink(missing_ok=True)


def _pairs(group: Group) -> Iterator[PairNumbers]:
    """Each pair in turn, so that no two share a wire: what this host measured as the first of a pair."""
    for source in range(group.size):
        for target in range(group.size):
            if source == target:
                continue
            group.barrier(f"hosts {source} and {target}")
            if group.rank == source:
                microseconds, offset = _ping(target)
                yield PairNumbers(source, target, microseconds, _send(target), offset)
            elif group.rank == target:
                _answer(source)


def _ping(target: int) -> tuple[float, float]:
    """(microseconds one way, seconds that the other's clock is ahead); the clock by the fastest answer."""
    answer, trips = torch.zeros(1, dtype=torch.float64), []
    for _ in range(_PINGS):
        sent, started = time.time(), time.perf_counter()
        dist.send(answer, target)
        dist.recv(answer, target)
        trip = time.perf_counter() - started
        trips.append((trip, float(answer[0]) - (sent + trip / 2)))
    return 1e6 * statistics.median(trip for trip, _ in trips) / 2, min(trips)[1]


def _send(target: int) -> float:
    """MB/s."""
    chunk, answer = torch.zeros(_CHUNK, dtype=torch.uint8), torch.zeros(1)
    started = time.perf_counter()
    for _ in range(_CHUNKS):
        dist.send(chunk, target)
    dist.recv(answer, target)
    return _CHUNK * _CHUNKS / (time.perf_counter() - started) / 1e6


def _answer(source: int) -> None:
    """The other side of `_ping` and `_send`."""
    moment, chunk = torch.zeros(1, dtype=torch.float64), torch.zeros(_CHUNK, dtype=torch.uint8)
    for _ in range(_PINGS):
        dist.recv(moment, source)
        moment[0] = time.time()
        dist.send(moment, source)
    for _ in range(_CHUNKS):
        dist.recv(chunk, source)
    dist.send(torch.zeros(1), source)


def measure_simulated(pipeline: Pipeline, yaml: Path, overrides: Sequence[str], flags: Sequence[str]) -> None:
    """The simulated hosts of this machine, a process each, under the supervisor. Raises LaunchError."""
    launch = pipeline.launch
    if not launch.simulates_hosts:
        raise LaunchError(
            f"gsl doctor --hosts: must run on each host for launch.on: {launch.on}. There: gsl doctor {yaml} --hosts "
            f"--index 0 (1, 2, ...) --addresses A,B, or within srun: gsl doctor {yaml} --hosts --hosts-from-slurm"
        )
    port = launch.port or free_ports(LOOPBACK, 1)[0]
    arguments = ["doctor", str(yaml), *overrides, f"launch.port={port}", "--hosts", *flags]
    plans = [
        ProcessPlan("trainer", host, host, 0, LOOPBACK, (*GSL, *arguments, "--index", str(host)), {})
        for host in range(launch.hosts)
    ]
    with listening() as stopping:
        failure = run_processes(plans, Path(pipeline.output) / "logs" / "doctor", _without_prefix, stopping)
    if failure is not None:
        raise failure.error()


def _without_prefix(line: str) -> None:
    """Only the first host has something to say."""
    print_line(line.removeprefix("[t0] "))
