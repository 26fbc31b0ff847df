"""METIS, as DGL 1.1.3 has it in its C++ library: which node goes into which partition.

Karypis & Kumar, "A Fast and High Quality Multilevel Scheme for Partitioning Irregular Graphs", SISC 20(1), 1998.
Arrays in, an array out: nothing of dgl leaves this module.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from graphstorm_like.errors import DataError, MissingExtraError


def import_dgl() -> Any:
    """The package dgl. Raises MissingExtraError when it, or what it needs, is not installed."""
    os.environ.setdefault("DGLBACKEND", "pytorch")  # else the import writes ~/.dgl/config.json and says so
    try:
        return importlib.import_module("dgl")
    except ImportError as err:
        missing = err.name if isinstance(err, ModuleNotFoundError) and err.name else "dgl"
        raise MissingExtraError("graph.partitions.method: metis", missing, "dgl") from err


def metis_assignment(
    indptr: npt.NDArray[np.int64], indices: npt.NDArray[np.int64], classes: npt.NDArray[np.int64], count: int
) -> npt.NDArray[np.int64]:
    """Partition [N], 0..count-1, of each node, with few edges between partitions.

    indptr [N+1] and indices [E]: CSR of a symmetric graph without self-loops and parallel edges. classes [N]: every
    class is spread over the partitions evenly, as far as METIS can (3 % off, more for classes of a few nodes).
    Memory besides the arrays: about 16 bytes an edge and 8 a node and class.
    """
    nodes = len(indptr) - 1
    if count == 1 or nodes == 0:  # METIS divides by zero
        return np.zeros(nodes, dtype=np.int64)
    dgl = import_dgl()
    import torch

    # int64: DGL's METIS takes no other ids.
    csr = [torch.from_numpy(np.ascontiguousarray(a, dtype=np.int64)) for a in (indptr, indices)]
    with _silence():
        graph = dgl.graph(("csr", (*csr, torch.empty(0, dtype=torch.int64))), num_nodes=nodes)
        found = dgl.metis_partition_assignment(graph, count, balance_ntypes=torch.from_numpy(classes))
    if found is None:
        raise DataError(
            f"graph.partitions: METIS must give each of {nodes:,} nodes one of {count} partitions (got nothing). "
            "Choose a smaller count, or method: random"
        )
    assignment: npt.NDArray[np.int64] = found.numpy()
    return assignment


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """DGL prints from Python, and its C++ library writes to the descriptors: neither is meant for our users."""
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.ExitStack() as undo, open(os.devnull, "w", encoding="utf-8") as nothing:
        undo.enter_context(contextlib.redirect_stdout(io.StringIO()))
        for descriptor in (1, 2):
            saved = os.dup(descriptor)
            undo.callback(os.close, saved)
            undo.callback(os.dup2, saved, descriptor)
            os.dup2(nothing.fileno(), descriptor)
        yield
