"""The processes of a job, over torch.distributed: gloo for numbers and CPU tensors, NCCL for CUDA tensors.

`start` joins the group that the launcher's environment describes; `group()` and `cluster()` return this process's group
and cluster. Every wait has a timeout, whose error names the rank and what it waited for.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import queue
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor

from graphstorm_like.errors import ConfigError, LaunchError, LostRankError
from graphstorm_like.files import path_inside
from graphstorm_like.graph.remote.cluster import EXACT, Cluster
from graphstorm_like.ranks.group import SINGLE_PROCESS, Group

LONG_SECONDS = 7 * 86_400.0
"""Timeout for work that one process of a host does for all: the supervisor ends the job when that process dies."""

SEEN_SECONDS = 3.0
"""How long a host looks for a file of another one before it takes its output folder for its own."""

TRY_SECONDS = 2.0
"""Timeout of one attempt to reach rank 0."""

_group: Group = SINGLE_PROCESS
_cluster: Cluster | None = None


def group() -> Group:
    """The group of this process."""
    return _group


def cluster() -> Cluster | None:
    """This process's place in its job; None: no launcher started it."""
    return _cluster


def start(
    timeout_seconds: float,
    device: str = "auto",
    output: Path | None = None,
    wire: str = EXACT,
    hot_rows_mb: float = 0.0,
) -> Group:
    """Join the group that the environment describes (RANK, WORLD_SIZE, MASTER_ADDR ..., as torchrun sets them).

    device: as in `train.device`; ConfigError when this host's trainers would have to share GPUs. output: the folder of
    results, which all hosts share unless each finds its own there; None: they share it. wire, hot_rows_mb: see Cluster.
    """
    global _group, _cluster
    _cluster = Cluster.from_environment(timeout_seconds)
    if _cluster is not None:
        _cluster = dataclasses.replace(_cluster, wire=wire, hot_rows_mb=hot_rows_mb)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1:
        cuda = device != "cpu" and torch.cuda.is_available()
        if cuda:
            check_gpus(int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count())
        joined = TorchGroup(timeout_seconds, _cluster, cuda)
        if output is not None:
            joined.find_output(output)
        _group = joined
    return _group


def check_gpus(trainers: int, gpus: int) -> None:
    """Raises ConfigError unless each trainer of a machine has its own GPU: NCCL does not allow two ranks on one, and
    its own error message does not say so.
    """
    if trainers > gpus:
        raise ConfigError(
            f"launch.trainers: must be at most the GPUs of the machine, {gpus} (got {trainers} trainers on it). Start "
            f"fewer, or set train.device: cpu"
        )


def stop() -> None:
    """Leave the group."""
    global _group, _cluster
    if isinstance(_group, TorchGroup):
        dist.destroy_process_group()
    _group, _cluster = SINGLE_PROCESS, None


class TorchGroup(Group):
    """See Group."""

    def __init__(self, timeout_seconds: float, where: Cluster | None, cuda: bool) -> None:
        self.rank, self.size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        self.local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        self.local_size = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        self.timeout_seconds = timeout_seconds
        if where is not None:
            self.host, self.hosts = where.host, where.hosts
        if cuda:
            torch.cuda.set_device(self.local_rank)
        # A host that has lost the others may notice one timeout later than they do: after a restart they wait for it
        # that much longer.
        is_restart = self.hosts > 1 and os.environ.get("GSL_ATTEMPT", "0") != "0"
        patience = timeout_seconds * (2 if is_restart else 1)
        with self._named("joining the group", patience):
            self._store = _meet(self.rank, self.size, patience)
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if cuda else "gloo",
                store=self._store,
                rank=self.rank,
                world_size=self.size,
                timeout=datetime.timedelta(seconds=timeout_seconds),
            )
        self._waits = 0

    @property
    def leads_output(self) -> bool:
        """See Group."""
        return self.leads_host if self.own_outputs else self.rank == 0

    def find_output(self, folder: Path) -> None:
        """Find out whether the hosts see the same output folder, or each has its own. Raises LaunchError when only some
        of them share one."""
        if self.hosts == 1:
            return
        what = "looking at the output folder"
        mark = folder / self.from_first(f".seen-{secrets.token_hex(8)}", what)
        if self.rank == 0:
            folder.mkdir(parents=True, exist_ok=True)
            mark.touch()
        self.barrier(what)
        seen_by = {host for host in self.collect(_seen_by(mark, self.host), what) if host}
        if self.rank == 0:
            mark.unlink(missing_ok=True)
        if len(seen_by) not in (1, self.hosts):
            raise LaunchError(
                f"{folder}: must be one folder that all hosts see, or one of each host's own (it is seen by hosts "
                f"{', '.join(sorted(seen_by))} of {self.hosts}). Mount it on all of them"
            )
        self.own_outputs = len(seen_by) == 1

    def share_files(self, folder: Path, names: Sequence[str], what: str) -> None:
        """See Group."""
        if not self.own_outputs:
            return
        own_sizes = {name: (folder / name).stat().st_size for name in names}
        for rank, written in enumerate(self.collect(json.dumps(own_sizes), what)):
            takes = self.leads_host and rank // self.local_size != self.host
            for name, size in json.loads(written).items():
                with self._named(what):
                    broadcast_file(path_inside(folder, name), size, rank, rank == self.rank, takes)

    @contextmanager
    def _named(self, what: str, seconds: float | None = None) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, ValueError, LaunchError) as err:
            reason = _plain_reason(err)
            raise LostRankError(
                f"rank {self.rank} of {self.size}, {what}: must hear from all ranks within "
                f"{seconds or self.timeout_seconds:g} s ({reason}). The log of the first process that failed says why"
            ) from err

    def total(self, values: npt.NDArray[np.float64], what: str) -> npt.NDArray[np.float64]:
        """See Group."""
        summed = torch.from_numpy(np.array(values, dtype=np.float64))
        with self._named(what):
            dist.all_reduce(summed)
        return summed.numpy()

    def barrier(self, what: str) -> None:
        """See Group."""
        self.total(np.zeros(1), what)

    def leader_first(self, what: str) -> None:
        """See Group. Waits at the rendezvous store, because collectives time out too soon."""
        self._waits += 1
        if not self.leads_host:
            self._wait_for_leader(what)

    def leader_done(self, what: str) -> None:
        """See Group."""
        if self.leads_host:
            self._store.set(self._key(), "1")
        for host in range(self.hosts):
            self._wait(self._key(host), what)

    def _key(self, host: int | None = None) -> str:
        return f"gsl/leader/{self._waits}/{self.host if host is None else host}"

    def _wait_for_leader(self, what: str) -> None:
        self._wait(self._key(), what)

    def _wait(self, key: str, what: str) -> None:
        deadline = time.monotonic() + LONG_SECONDS
        with self._named(what):
            while not self._store.check([key]):
                if time.monotonic() > deadline:
                    raise RuntimeError("it was never set")
                time.sleep(0.05)

    def collect(self, text: str, what: str) -> list[str]:
        """See Group. Sends bytes, because torch pickles objects."""
        sizes = np.zeros(self.size)
        raw = text.encode()
        sizes[self.rank] = len(raw)
        counts = self.total(sizes, what).astype(np.int64).tolist()
        with self._named(what):
            rows = torch.from_numpy(np.frombuffer(raw, dtype=np.uint8).copy())
            parts = torch.split(_gather(rows, counts), counts)
        return [part.numpy().tobytes().decode() for part in parts]

    def sum_(self, tensors: Sequence[Tensor], what: str) -> None:
        """See Group. In buckets of tensors of one type, so that small tensors share a message."""
        with self._named(what):
            for bucket in _buckets(tensors):
                flat = torch.cat([t.reshape(-1) for t in bucket])
                dist.all_reduce(flat)
                parts = torch.split(flat, [t.numel() for t in bucket])
                for tensor, part in zip(bucket, parts, strict=True):
                    tensor.copy_(part.view_as(tensor))

    def gather_rows(self, rows: Tensor, sizes: Sequence[int], what: str) -> Tensor:
        """See Group."""
        with self._named(what):
            gathered: Tensor = _GatherRows.apply(rows, tuple(sizes), self.rank)  # type: ignore[no-untyped-call]
            return gathered

    def gather(self, rows: Tensor, what: str) -> Tensor:
        """See Group."""
        counts = np.zeros(self.size)
        counts[self.rank] = len(rows)
        sizes = self.total(counts, what).astype(np.int64).tolist()
        with self._named(what):
            return _gather(rows, sizes)

    def exchange(self, rows: Tensor, sizes: Sequence[int], what: str) -> Tensor:
        """See Group."""
        table = np.zeros((self.size, self.size))
        table[self.rank] = sizes
        incoming = self.total(table.reshape(-1), what).reshape(self.size, self.size)[:, self.rank].astype(np.int64)
        out = rows.new_empty((int(incoming.sum()), *rows.shape[1:]))
        with self._named(what):
            dist.all_to_all_single(out, rows.contiguous(), incoming.tolist(), list(sizes))
        return out


def _seen_by(mark: Path, host: int) -> str:
    """The host's number if it sees a file; '' if it does not. A shared file system may need a moment to show it."""
    deadline = time.monotonic() + SEEN_SECONDS
    while not mark.exists():
        if time.monotonic() > deadline:
            return ""
        time.sleep(0.1)
    return str(host)


def broadcast_file(path: Path, size: int, source: int, sends: bool, takes: bool) -> None:
    """Send a file of rank `source` to all; those that take it write it, and sync it. In pieces of 64 MB."""
    with ExitStack() as stack:
        file: IO[bytes] | None = None
        if sends:
            file = stack.enter_context(open(path, "rb"))
        elif takes:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(open(path, "wb"))
        for start in range(0, size, BUCKET_BYTES):
            piece = torch.empty(min(BUCKET_BYTES, size - start), dtype=torch.uint8)
            if sends and file is not None:
                piece = torch.frombuffer(bytearray(file.read(len(piece))), dtype=torch.uint8)
            dist.broadcast(piece, source)
            if takes and file is not None:
                file.write(piece.numpy().tobytes())
        if takes and file is not None:
            file.flush()
            os.fsync(file.fileno())


def _wait_for_listener(address: str, port: int, seconds: float) -> None:
    """Until rank 0 listens. LaunchError when it does not in time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            # The kernel retries at ever longer intervals, too: an attempt is short.
            timeout = min(max(deadline - time.monotonic(), 0.1), TRY_SECONDS)
            with socket.create_connection((address, port), timeout=timeout) as connection:
                if connection.getsockname() != connection.getpeername():
                    return
                # Nobody listens, and the kernel chose the same port for us: TCP connected to itself.
                raise ConnectionRefusedError("nobody listens")
        except OSError as err:
            if time.monotonic() >= deadline:
                raise LaunchError(
                    f"rank 0 at {address}:{port}: must be reachable within {seconds:.3g} s ({err}). Are its host and "
                    f"the network up?"
                ) from None
            time.sleep(0.05)


def _meet(rank: int, size: int, seconds: float) -> Any:
    """The rendezvous store. Rank 0 listens at its host's address only; torch would listen at all addresses."""
    store = dist.TCPStore  # type: ignore[attr-defined]
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    timeout = datetime.timedelta(seconds=seconds)
    if rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":  # torchrun's agent listens there
        listener = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
        return store(address, port, size, True, timeout, master_listen_fd=listener.detach())
    started = time.monotonic()
    # torch itself retries at ever longer intervals, and would notice late that a network is back.
    _wait_for_listener(address, port, seconds)
    seconds_left = max(seconds - (time.monotonic() - started), 1.0)
    # torch has no timeout for a peer that accepts the connection and sends nothing: a frozen rank 0, or a stranger.
    results: queue.Queue[Any] = queue.Queue()

    def join() -> None:
        try:
            results.put(store(address, port, size, False, datetime.timedelta(seconds=seconds_left)))
        except RuntimeError as err:
            results.put(err)

    threading.Thread(target=join, daemon=True, name="rendezvous").start()
    try:
        answer = results.get(timeout=seconds_left + 1.0)
    except queue.Empty:
        raise RuntimeError(f"rank 0 at {address}:{port} accepts connections, but does not answer") from None
    if isinstance(answer, RuntimeError):
        raise answer
    return answer


BUCKET_BYTES = 64 << 20


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Consecutive tensors of one type and device, at most BUCKET_BYTES together (a larger one alone)."""
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        own = tensor.numel() * tensor.element_size()
        fits_type = bucket and bucket[0].dtype == tensor.dtype and bucket[0].device == tensor.device
        if bucket and (not fits_type or size + own > BUCKET_BYTES):
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += own
    if bucket:
        yield bucket


def _gather(rows: Tensor, sizes: Sequence[int]) -> Tensor:
    """The rows of all ranks, concatenated. The collective needs equal sizes: rows are padded, and cut afterwards."""
    most = max(sizes)
    padded = rows.new_zeros((most, *rows.shape[1:]))
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


class _GatherRows(torch.autograd.Function):
    """Backward: the gradients of this rank's rows, summed over all ranks."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, sizes: tuple[int, ...], rank: int) -> Tensor:
        ctx.sizes, ctx.rank = sizes, rank
        return _gather(rows, sizes)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        whole = gradients[0].contiguous().clone()
        dist.all_reduce(whole)
        start = sum(ctx.sizes[: ctx.rank])
        return whole[start : start + ctx.sizes[ctx.rank]], None, None


def _plain_reason(err: Exception) -> str:
    """The first sentence of an error, without gloo's source line before it and its advice after it."""
    text = re.sub(r"^\[\S+:\d+\] ", "", str(err).splitlines()[0])
    return text.split(". ")[0][:300]
