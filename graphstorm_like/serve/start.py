"""Checks what `gsl serve` is told, and starts the server."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from graphstorm_like.deploy.folder import open_model
from graphstorm_like.errors import ConfigError
from graphstorm_like.errors import unknown as unknown_name
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.mirror.fetch import is_url, local_copy
from graphstorm_like.search.run import search_config
from graphstorm_like.serve.app import run
from graphstorm_like.serve.pool import Limits
from graphstorm_like.serve.worker import Settings

POLICIES = ("refuse", "mean", "zero")


def start(
    model: Path,
    graph: str | Path | None,
    work: Path,
    *,
    search: Sequence[str] = (),
    host: str,
    port: int,
    workers: int | None,
    batch: int,
    queue: int,
    seconds: float,
    unknown: str,
    max_neighbours: int | None,
    cache: Path | None,
    plugins: bool,
    say: Callable[[str], None],
) -> None:
    """Serve until the process is stopped. graph: a folder, or a URL, of which a copy is kept in the user's cache.
    Raises ConfigError, DataError and StoreError before anything is loaded."""
    folder = open_model(model)
    if graph is None:
        raise ConfigError(
            "--graph: must be given: the graph folder whose nodes are known, e.g. that of the training. See "
            "docs/guide/serve.md"
        )
    if is_url(graph):
        say(f"fetching {graph}")
    graph = local_copy(graph)
    read_manifest(graph)
    if unknown not in POLICIES:
        raise ConfigError(unknown_name("--unknown", "policy", unknown, POLICIES))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = workers or cores
    settings = Settings(
        model=str(folder.path.absolute()),
        graph=str(graph.absolute()),
        work=str(work),
        search=search_config(search).model_dump(mode="json"),
        cache=None if cache is None else str(cache.absolute()),
        unknown=unknown,
        max_neighbours=max_neighbours,
        plugins=plugins,
        threads=max(1, cores // count),
    )
    say(f"loading {folder.path} with {count} workers; http://{host}:{port} when it is ready, its questions at /docs")
    run(settings, Limits(count, batch, queue, seconds), host, port, say)
