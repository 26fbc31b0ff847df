"""Whether the executors see the folder that the driver sees."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from gconstruct.engines.spark.cluster import Cluster, Pair
from graphstorm_like.errors import DataError

_PROBES = 2
"""Tasks per core, so that all executors are likely to be asked"""


def check_shared(cluster: Cluster, folder: Path, graph_path: str) -> None:
    """Raises DataError when an executor does not see what the driver writes into `folder`, or the other way round."""
    token = f"shared-{uuid.uuid4().hex}"
    (folder / token).touch()
    probes = cluster.over(_PROBES * cluster.parallelism, partial(_probe, str(folder), token))
    try:
        blind = sorted({host for host, sees in cluster.collect(probes) if not sees})
        if not blind and not any((folder / f"{token}-{n}").exists() for n in range(_PROBES * cluster.parallelism)):
            blind = ["the driver"]
    finally:
        for path in folder.glob(f"{token}*"):
            path.unlink()
    if blind:
        raise DataError(
            f"{graph_path}: graph.path must be on a file system that Spark's driver and all executors share, e.g. EFS, "
            f"FSx or NFS (got one that {', '.join(blind[:3])} does not see). Set graph.path to a shared folder or to a "
            "URL such as s3://..., or graph.spark.master to local[*]"
        )


def _probe(folder: str, token: str, number: int, _: Iterator[Pair]) -> Iterator[Pair]:
    """(number,) -> the host, and whether it sees the driver's file. It leaves one of its own."""
    sees = os.path.exists(os.path.join(folder, token))
    if sees:
        Path(folder, f"{token}-{number}").touch()
    yield (number,), (socket.gethostname(), sees)
