"""Points in time of seeds: whose they are, and that ends of edges are seen as of their edge's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gconstruct import build_graph
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.negatives import UniformNegativesConfig
from graphstorm_like.config.temporal import TemporalConfig, microseconds
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.errors import DataError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.past import DAY, Past, ages
from graphstorm_like.graph.schema import TIME_COLUMN
from graphstorm_like.sampling.batch import EdgeTargets, MiniBatch, StreamPosition, link_parts
from graphstorm_like.sampling.clock import AGE, Clock
from graphstorm_like.sampling.links import LinkSeeder, number_nodes_in_time
from graphstorm_like.sampling.seeds import RankSlice
from graphstorm_like.sampling.steps import EdgeSeeder, NodeSeeder, SampleNeighbors
from graphstorm_like.testing.times import timed_graph, write_timed_shop

BUYS = ("user", "buys", "item")
START = StreamPosition(0, 0)


@pytest.fixture(scope="module", params=[True, False], ids=["moments", "numbers"])
def graph(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LocalGraph:
    folder = tmp_path_factory.mktemp("clock")
    tables = write_timed_shop(folder / "tables", items=30, users=12, purchases=300)
    build_graph(GraphConfig.model_validate(timed_graph(tables, request.param) | {"path": str(folder / "graph")}))
    return LocalGraph(folder / "graph")


def clock(graph: LocalGraph, own: Any = None, **time: Any) -> Clock:
    return Clock(TemporalConfig.model_validate({"at": "end" if own is None else "own", **time}), graph, own, 0)


def times(graph: LocalGraph, row_type: Any, ids: np.ndarray) -> list[Any]:
    return graph.begin_rows((row_type, TIME_COLUMN), ids).wait().tolist()


@pytest.mark.parametrize(
    ("duration", "wanted"),
    [("1d", DAY), ("1.5h", 5_400_000_000), ("2 w", 14 * DAY), ("10min", 600_000_000), (".5s", 500_000)],
)
def test_durations(duration: str, wanted: int) -> None:
    assert microseconds(duration) == wanted


def test_whose_time_counts(graph: LocalGraph) -> None:
    ids = np.arange(5)
    latest = max(graph.column((t, TIME_COLUMN)).max() for t in ("item", BUYS))
    assert clock(graph).of_nodes("item", ids).tolist() == [latest] * 5
    own = clock(graph, "item")
    assert own.of_nodes("item", ids).tolist() == times(graph, "item", ids)
    assert own.of_nodes("user", ids).tolist() == [latest] * 5
    of_edges = clock(graph, BUYS)
    assert of_edges.of_edges(BUYS, ids).tolist() == times(graph, BUYS, ids)  # type: ignore[union-attr]
    assert of_edges.of_nodes("item", ids).tolist() == [latest] * 5
    assert own.of_edges(BUYS, ids) is None


def test_the_latest_edges_are_there_at_the_end_of_time(graph: LocalGraph) -> None:
    """`strict` leaves out what is of a seed's own time, not what is of the graph's last moment."""
    latest = graph.column((BUYS, TIME_COLUMN)).max()
    assert clock(graph, strict=True).common > latest
    assert clock(graph, BUYS, strict=True).common > latest
    assert clock(graph).common == max(graph.column((t, TIME_COLUMN)).max() for t in ("item", BUYS))


def test_a_given_point_and_windows(graph: LocalGraph) -> None:
    moments = graph.column((BUYS, TIME_COLUMN)).dtype == np.int64
    at, window = ("1970-01-03", "2d") if moments else (2, 3.5)
    found = clock(graph, at=at, window=window, windows={"user:buys:item": None}, pick="latest", strict=True)
    assert found.of_nodes("user", np.arange(2)).tolist() == [2 * DAY if moments else 2.0] * 2
    bounds = found.bounds({"user": np.arange(2)}, {})
    assert bounds.of(BUYS) == Past(True, None, True)
    assert bounds.of(("item", "buys_rev", "user")) == Past(True, 2 * DAY if moments else 3.5, True)


def test_distinct_by_node_and_time() -> None:
    parts = [("a", np.array([3, 1, 3])), ("b", np.array([1, 1, 0])), ("a", np.array([1, 3, 3]))]
    at = [np.array([5, 2, 9]), np.array([5, 5, 9]), np.array([2, 5, 7])]
    seeds, seed_times, positions = number_nodes_in_time(parts, at)
    assert len(seeds["a"]) == 4
    assert len(seeds["b"]) == 2
    for (node_type, ids), of_part, where in zip(parts, at, positions, strict=True):
        assert seeds[node_type][where].tolist() == ids.tolist()
        assert seed_times[node_type][where].tolist() == of_part.tolist()
    plain = number_nodes_in_time(parts, [None, None, None])
    assert plain[0]["a"].tolist() == [1, 3]
    assert plain[1] == {}


def test_ends_of_edges_are_seen_as_of_their_edge(graph: LocalGraph) -> None:
    ids = np.arange(0, 300, 9)
    batch = EdgeSeeder(graph, BUYS, np.arange(300), clock=clock(graph, BUYS))(ids, START)
    assert isinstance(batch.targets, EdgeTargets)
    for node_type, at in (("user", batch.targets.sources), ("item", batch.targets.targets)):
        assert batch.seed_times[node_type][at].tolist() == times(graph, BUYS, ids)
    assert batch.seeds["user"][batch.targets.sources].tolist() == graph.edges(BUYS, ids)[0].tolist()


def candidates(graph: LocalGraph, share: RankSlice) -> tuple[list[Any], MiniBatch]:
    """(id, time) of the candidates of a rank's links, in order."""
    seeder = LinkSeeder(
        graph,
        {BUYS: np.arange(300)},
        UniformNegativesConfig(type="uniform", uniform=11),
        1,
        share,
        clock=clock(graph, BUYS),
    )
    batch = seeder(np.arange(5, 45), START)
    [pool] = batch.targets.pools.values()  # type: ignore[union-attr]
    ids, at = batch.seeds["item"][pool.mine].tolist(), batch.seed_times["item"][pool.mine].tolist()
    return list(zip(ids, at, strict=True)), batch


def test_ranks_see_candidates_as_of_the_same_times(graph: LocalGraph) -> None:
    whole, batch = candidates(graph, RankSlice(0, 1))
    parts = [candidates(graph, RankSlice(rank, 3))[0] for rank in range(3)]
    assert sorted(whole) == sorted(parts[0] + parts[1] + parts[2])
    [links] = link_parts(batch.targets)
    rows = np.arange(5, 45)
    source, target = graph.edges(BUYS, rows)
    assert batch.seeds["user"][links.sources].tolist() == source.tolist()
    assert batch.seed_times["user"][links.sources].tolist() == times(graph, BUYS, rows)
    assert whole[:40] == list(zip(target.tolist(), times(graph, BUYS, rows), strict=True))
    assert {at for _, at in whole[40:]} <= set(times(graph, BUYS, rows))


def test_batches_have_the_ages_of_nodes(graph: LocalGraph) -> None:
    sampling = SampleNeighbors(graph, [FanoutByType(default=3)] * 2, 0, clock=clock(graph))
    batch = sampling(NodeSeeder("user", None)(np.arange(6), START))
    items = batch.input_ids["item"].numpy()
    assert len(items) > 10
    of_items = graph.begin_rows(("item", TIME_COLUMN), items).wait()
    latest = np.full(len(items), clock(graph).common, of_items.dtype)
    assert batch.features["item"][AGE].tolist() == ages(latest, of_items).tolist()
    assert "user" not in batch.features


def test_graphs_without_times_are_refused(tmp_path: Path) -> None:
    tables = write_timed_shop(tmp_path / "tables", items=30, users=12, purchases=50)
    data = timed_graph(tables) | {"path": str(tmp_path / "graph")}
    del data["nodes"]["item"]["time"], data["edges"][0]["time"]
    build_graph(GraphConfig.model_validate(data))
    with pytest.raises(DataError, match=r"must have times of one kind for model\.time \(got none\)"):
        clock(LocalGraph(tmp_path / "graph"))
