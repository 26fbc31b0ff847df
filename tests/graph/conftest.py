"""The shop in several partitions, and another graph with a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gconstruct.partition import partition_graph
from graphstorm_like.graph.remote.part import RemotePart
from graphstorm_like.graph.remote.server import GraphServer

from ..gconstruct.partitioning import random_graph
from .serving import client, close, serving


@pytest.fixture(scope="module")
def parted(shop: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The shop in one and in three partitions."""
    folder = tmp_path_factory.mktemp("parted") / "three"
    partition_graph(shop[1], folder, 3)
    return {1: shop[1], 3: folder}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph in two partitions."""
    where = tmp_path_factory.mktemp("graphs")
    partition_graph(random_graph(where / "tables", 5, items=60), where / "in-2", 2, seed=1)
    return where / "in-2"


@pytest.fixture
def server(folder: Path, tmp_path: Path) -> Iterator[GraphServer]:
    with serving(folder, 0, tmp_path) as made:
        yield made


@pytest.fixture
def part(folder: Path, server: GraphServer) -> Iterator[RemotePart]:
    made = client(folder, server.address)
    yield made
    close([made])
