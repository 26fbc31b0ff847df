"""Rows that a host keeps of others: the same results, bit for bit, with fewer bytes."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gconstruct.partition import partition_graph
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.errors import DataError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.remote import hot_rows
from graphstorm_like.graph.remote.graph import RemoteGraph
from graphstorm_like.graph.remote.hot_rows import choose, fill
from graphstorm_like.sampling.batch import StreamPosition, map_tensors
from graphstorm_like.sampling.loader import BatchPipeline
from graphstorm_like.sampling.seeds import SeedStream
from graphstorm_like.sampling.steps import FetchFeatures, GraphFeature, NodeSeeder, SampleNeighbors, Sources
from graphstorm_like.training.hot_rows import first_seeds, fixed_columns, needed_rows

from ..gconstruct.partitioning import random_graph
from .serving import clusters


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[Any]]]:
    where = tmp_path_factory.mktemp("hot")
    partition_graph(random_graph(where / "tables", 5, items=80), where / "graph", 3, seed=1)
    with clusters(where / "graph", where, 3) as found:
        yield where / "graph", found


def sources(graph: Any) -> Sources:
    return {"item": {name: GraphFeature(graph, "item", name) for name in ("size", "colour")}}


def batches(graph: Any) -> BatchPipeline:
    steps = [SampleNeighbors(graph, [FanoutByType(default=3)] * 2, seed=3), FetchFeatures(sources(graph))]
    return BatchPipeline(NodeSeeder("item", None), steps)


def content(graph: Any) -> list[bytes]:
    found: list[bytes] = []
    for step in range(4):
        batch = batches(graph).make(np.arange(step, 80, 5), StreamPosition(0, step))
        map_tensors(batch, lambda t: (found.append(t.numpy().tobytes()), t)[1])
    return found


def keep(graph: RemoteGraph, name: str, mb: float) -> dict[str, tuple[int, int]]:
    columns = fixed_columns(sources(graph))
    seeds = first_seeds(SeedStream(np.arange(80), 16, 3))
    kept = fill(graph, graph._cluster.shm, name, columns, needed_rows(graph, batches(graph), seeds, ["item"]), mb)
    graph.use_hot_rows(name, columns)
    return dict(kept.sizes)


def test_batches_are_the_same_and_cost_fewer_bytes(hosts: tuple[Path, list[Any]]) -> None:
    here = LocalGraph(hosts[0])
    everything = np.arange(80)
    for number, where in enumerate(hosts[1]):
        plain = RemoteGraph(hosts[0], (), None, where)
        wanted, whole = content(plain), here.gather("item", "colour", everything)
        bytes_without = plain.client.traffic[1]
        sizes = {}
        for mb in (0.0005, 1.0):
            kept = RemoteGraph(hosts[0], (), None, where)
            (sizes[mb], size) = keep(kept, f"test:{number}:{mb}", mb)["item"]
            assert size <= mb * 1e6
            before = kept.client.traffic[1]
            assert content(kept) == wanted
            assert kept.client.traffic[1] - before < bytes_without
            assert kept.gather("item", "colour", everything).tobytes() == whole.tobytes()
            copy = pickle.loads(pickle.dumps(kept))
            assert copy.gather("item", "colour", everything).tobytes() == whole.tobytes()
        assert 0 < sizes[0.0005] < sizes[1.0] <= 80


def test_what_is_kept_is_asked_of_nobody(hosts: tuple[Path, list[Any]]) -> None:
    graph = RemoteGraph(hosts[0], (), None, hosts[1][0])
    keep(graph, "test:quiet", 1.0)
    hot = graph._hot["item", "feature:size"].ids
    own = np.arange(*graph.starts("item")[:2])
    before = graph.client.traffic
    assert len(graph.gather("item", "size", np.concatenate([hot, own]))) == len(hot) + len(own)
    assert graph.client.traffic == before


def test_rounded_rows_are_kept_as_the_wire_rounds_them(hosts: tuple[Path, list[Any]]) -> None:
    """So that the number of kept rows changes no result."""
    here, everything = LocalGraph(hosts[0]), np.arange(80)
    for wire in ("float16", "int8"):
        where = dataclasses.replace(hosts[1][1], wire=wire)
        plain, kept = (RemoteGraph(hosts[0], (), None, where) for _ in range(2))
        keep(kept, f"test:{wire}", 1.0)
        rows = [graph.gather("item", "size", everything) for graph in (plain, kept)]
        assert rows[0].tobytes() == rows[1].tobytes()
        exact = here.gather("item", "size", everything)
        own = slice(*plain.starts("item")[1:3])
        assert rows[0][own].tobytes() == exact[own].tobytes()
        lost = np.abs(rows[0] - exact).max()
        assert lost < 0.01 * np.abs(exact).max()
        assert lost > 0 or wire == "int8"  # one number is its row's largest


def test_those_needed_most_for_their_size_are_chosen() -> None:
    needed = {
        "small": (np.array([3, 5, 9]), np.array([1, 4, 2])),
        "large": (np.array([0, 7]), np.array([30, 10])),
        "none": (np.array([], dtype=np.int64), np.array([], dtype=np.int64)),
    }
    row_bytes = {"small": 10, "large": 100}
    chosen = choose(needed, row_bytes, 120)  # worth a byte: .4 and .3, then .2, .1, .1
    assert {t: ids.tolist() for t, ids in chosen.items()} == {"small": [5, 9], "large": [0]}
    assert choose(needed, row_bytes, 9) == {}
    assert choose({}, {}, 100) == {}


def test_a_full_folder_leaves_nothing(hosts: tuple[Path, list[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    graph = RemoteGraph(hosts[0], (), None, hosts[1][2])
    before = sorted(hosts[1][2].shm.iterdir())
    made = hot_rows.create_rows

    def second_fails(folder: Path, name: str, *more: Any) -> Any:
        if name.endswith(":1"):
            raise DataError("no room")
        return made(folder, name, *more)

    monkeypatch.setattr(hot_rows, "create_rows", second_fails)
    with pytest.raises(DataError, match="no room"):
        keep(graph, "test:full", 1.0)
    assert sorted(hosts[1][2].shm.iterdir()) == before
