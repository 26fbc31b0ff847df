"""Makes folders whole where hosts share no files: what one host has written is sent to those that lack it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import torch

from graphstorm_like.files import files_below, path_inside
from graphstorm_like.ranks.group import Group

PIECE_BYTES = 64 << 20


def make_whole(folder: Path, group: Group) -> None:
    """Bring the files below a folder that only some hosts have to the same folder of the others. All ranks call this;
    those that have no such folder make it."""
    what = f"bringing together {folder.name}"
    own = {name: (folder / name).stat().st_size for name in files_below(folder)} if group.leads_host else {}
    of_ranks = [json.loads(text) for text in group.collect(json.dumps(own), what)]
    of_hosts = {rank: of_ranks[rank] for rank in range(0, group.size, group.local_size)}
    for name in sorted({name for files in of_hosts.values() for name in files}):
        having = [rank for rank, files in of_hosts.items() if name in files]
        if len(having) < len(of_hosts):
            takes = group.leads_host and name not in own
            _send(path_inside(folder, name), of_hosts[having[0]][name], having[0], takes, group, what)


def _send(path: Path, size: int, source: int, takes: bool, group: Group, what: str) -> None:
    """Send a file of rank `source` to all; those that take it write it, and sync it."""
    if takes:
        path.parent.mkdir(parents=True, exist_ok=True)
    mode = "wb" if takes else "rb"
    with open(path if takes or group.rank == source else os.devnull, mode) as file:
        for start in range(0, size, PIECE_BYTES):
            count = min(PIECE_BYTES, size - start)
            piece = torch.zeros(count, dtype=torch.uint8)
            if group.rank == source:
                piece = torch.from_numpy(np.frombuffer(file.read(count), dtype=np.uint8).copy())
            group.broadcast(piece, source, what)
            if takes:
                file.write(piece.numpy().tobytes())
        if takes:
            file.flush()
            os.fsync(file.fileno())
