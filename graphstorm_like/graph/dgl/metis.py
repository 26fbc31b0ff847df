"""METIS, from DGL 1.1.3's C++ library: assigns each node to a partition.

Karypis & Kumar, "A Fast and High Quality Multilevel Scheme for Partitioning Irregular Graphs", SISC 20(1), 1998.
Arrays in, an array out: no object of dgl leaves this module. METIS runs in its own process: it reads uninitialised
memory (the same call gave another result in 1 of 10 runs in one process), prints, and does not free its memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.errors import LaunchError, MissingExtraError
from graphstorm_like.forking import child_environment

Ints = npt.NDArray[np.int64]


def require_dgl() -> None:
    """Raises MissingExtraError when dgl is not installed. Imports nothing."""
    if find_spec("dgl") is None:
        raise MissingExtraError("graph.partitions.method: metis", "dgl", "dgl")


def metis_assignment(indptr: Ints, indices: Ints, classes: Ints, count: int) -> Ints:
    """Partition [N], 0..count-1, of each node, with few edges between partitions.

    indptr [N+1] and indices [E]: CSR of a symmetric graph without self-loops and parallel edges. classes [N]: every
    class is spread over the partitions evenly, as far as METIS can (3 % off, more for classes of a few nodes). The
    same arrays give the same answer (on glibc). Raises MissingExtraError without dgl, LaunchError when it fails.
    """
    nodes = len(indptr) - 1
    if count == 1 or nodes == 0:  # METIS divides by zero
        return np.zeros(nodes, dtype=np.int64)
    require_dgl()
    # An error message quotes what the process printed.
    command = [sys.executable, "-m", __name__, str(nodes), str(len(indices)), str(count)]
    pipe = subprocess.PIPE
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, env=_environment(), stdin=pipe, stdout=pipe, stderr=log) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            try:
                for array in (indptr, indices, classes):
                    process.stdin.write(np.ascontiguousarray(array, dtype=np.int64).data)
                process.stdin.close()
            except BrokenPipeError:
                pass
            answer = process.stdout.read()
            status = process.wait()
        except BaseException:
            process.kill()
            raise
        if status != 0 or len(answer) != 8 * nodes:
            log.seek(0)
            lines = log.read().decode(errors="replace").strip().splitlines() or ["nothing"]
            raise LaunchError(
                f"graph.partitions: METIS must give each of {nodes:,} nodes one of {count} partitions (its process "
                f"ended with status {status} and said: {lines[-1]}). Choose a smaller count, or method: random"
            )
    return np.frombuffer(answer, dtype=np.int64)


def _environment() -> dict[str, str]:
    """Fills new memory with zeros, small blocks included, so that METIS's uninitialised reads always give the same."""
    tunables = [*filter(None, [os.environ.get("GLIBC_TUNABLES")]), "glibc.malloc.tcache_count=0"]
    return {
        **child_environment(),
        "DGLBACKEND": "pytorch",  # else the import writes ~/.dgl/config.json
        "GLIBC_TUNABLES": ":".join(tunables),
        "MALLOC_PERTURB_": "255",
    }


def _receive(stream: IO[bytes], length: int) -> Ints:
    array = np.empty(length, dtype=np.int64)
    view, filled = array.view(np.uint8).data, 0
    while filled < len(view):
        count = stream.readinto(view[filled:])  # type: ignore[attr-defined]
        if not count:
            raise EOFError("the arrays ended early")
        filled += count
    return array


def _work(nodes: int, edges: int, count: int) -> None:
    """Runs in the child process: arrays from stdin, the answer to stdout, everything that DGL prints to stderr."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    indptr, indices, classes = (_receive(sys.stdin.buffer, length) for length in (nodes + 1, edges, nodes))
    import dgl
    import torch

    csr: tuple[Any, ...] = (torch.from_numpy(indptr), torch.from_numpy(indices), torch.empty(0, dtype=torch.int64))
    graph = dgl.graph(("csr", csr), num_nodes=nodes)
    # DGL's METIS takes int64 ids only. It also makes the graph symmetric, which this one is already.
    partitions = dgl.metis_partition_assignment(graph, count, balance_ntypes=torch.from_numpy(classes))
    if partitions is None:
        raise SystemExit("METIS gave no partitions")
    with answer:
        answer.write(partitions.numpy().astype(np.int64).data)


if __name__ == "__main__":
    _work(*map(int, sys.argv[1:]))
