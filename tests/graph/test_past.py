"""Temporal samples: known answers, no edge from the future, and the same ones from one partition and from several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gconstruct import build_graph
from gconstruct.partition import partition_graph
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.train import FanoutByType
from graphstorm_like.errors import DataError
from graphstorm_like.graph.dgl.store import DglGraph
from graphstorm_like.graph.draws import NodeDraws
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.overlay import Overlay
from graphstorm_like.graph.past import DAY, Past, TimeBounds, ages, end, in_time_order, just_before
from graphstorm_like.graph.remote.graph import RemoteGraph
from graphstorm_like.graph.sample_past import TimedMessages, sample_past
from graphstorm_like.graph.schema import TIME_COLUMN, always
from graphstorm_like.graph.store import ExcludedEdges, Subgraph
from graphstorm_like.testing.times import START, timed_graph, write_timed_shop

from .serving import clusters

BUYS, BOUGHT = ("user", "buys", "item"), ("item", "buys_rev", "user")
ALL = FanoutByType(default=-1)
DRAWS = NodeDraws(1, BUYS)
INDPTR = np.array([0, 5, 5, 7])
"""Three targets: five edges, none, two."""
TIMES = np.array([1, 3, 3, 7, 9, 2, 8])
SOURCES = np.arange(10, 17)


def edges(target: int, bound: int, fanout: int = -1, times: Any = TIMES, **past: Any) -> list[int]:
    """Edges that are drawn for one target."""
    messages = TimedMessages.of(INDPTR, SOURCES, None, times)
    hop = sample_past(messages, np.array([target]), np.array([bound]), fanout, Past(**past), DRAWS)
    assert hop.sources.tolist() == SOURCES[hop.edge_ids].tolist()
    assert times is None or hop.times.tolist() == times[hop.edge_ids].tolist()
    return hop.edge_ids.tolist()


@pytest.mark.parametrize(
    ("bound", "past", "wanted"),
    [
        (0, {}, []),
        (1, {}, [0]),
        (3, {}, [0, 1, 2]),
        (3, {"strict": True}, [0]),
        (100, {}, [0, 1, 2, 3, 4]),
        # A window holds both of its ends: 9 - 6 = 3.
        (9, {"window": 6}, [1, 2, 3, 4]),
        (9, {"window": 6, "strict": True}, [1, 2, 3]),
        (9, {"window": 5}, [3, 4]),
        (2, {"window": 0.5}, []),
        (end(np.int64), {"window": 3}, []),
        (always(np.int64), {"window": 3}, []),
    ],
)
def test_what_is_past(bound: int, past: dict[str, Any], wanted: list[int]) -> None:
    assert edges(0, bound, **past) == wanted


@pytest.mark.parametrize(
    ("bound", "fanout", "past", "wanted"),
    [
        (8, 2, {}, [2, 3]),
        (8, 1, {}, [3]),
        (3, 1, {}, [2]),  # of equal times the one that stands last
        (8, 10, {}, [0, 1, 2, 3]),
        (8, -1, {}, [0, 1, 2, 3]),
        (9, 2, {"window": 2}, [3, 4]),
        (9, 2, {"window": 1}, [4]),
        (9, 1, {"strict": True}, [3]),
    ],
)
def test_the_latest(bound: int, fanout: int, past: dict[str, Any], wanted: list[int]) -> None:
    assert edges(0, bound, fanout, latest=True, **past) == wanted


def test_all_rows_at_once_are_each_alone() -> None:
    messages = TimedMessages.of(INDPTR, SOURCES, None, TIMES)
    targets, bounds = np.array([2, 0, 1, 0, 2]), np.array([2, 8, 9, 4, 1])
    for past in (Past(latest=True), Past(), Past(window=3)):
        hop = sample_past(messages, targets, bounds, 2, past, DRAWS)
        found = {
            row: part.tolist() for row, part in zip(hop.rows, np.split(hop.edge_ids, hop.offsets[1:-1]), strict=True)
        }
        for row in range(5):
            alone = sample_past(messages, targets[row : row + 1], bounds[row : row + 1], 2, past, DRAWS)
            assert found.get(row, []) == alone.edge_ids.tolist()


def test_types_without_times_are_always_there() -> None:
    assert edges(0, -5, times=None) == [0, 1, 2, 3, 4]
    assert edges(0, -5, times=None, latest=True, window=1, strict=True) == [0, 1, 2, 3, 4]
    assert len(edges(0, -5, fanout=2, times=None, latest=True)) == 2


def test_numbers_as_times() -> None:
    times = TIMES.astype(float)
    messages = TimedMessages.of(INDPTR, SOURCES, None, times)
    hop = sample_past(messages, np.array([0]), np.array([8.5]), -1, Past(window=1.5), DRAWS)
    assert hop.edge_ids.tolist() == [3]
    assert just_before(3.0, np.float64) < 3.0
    assert just_before(3, np.int64) == 2


def test_uniform_draws_differ_by_bound_and_cover_the_past() -> None:
    """Each pair of the four past edges comes as often as any other, over seeds; draws of two bounds differ."""
    messages = TimedMessages.of(INDPTR, SOURCES, None, TIMES)
    seen: Counter[tuple[int, ...]] = Counter()
    same = 0
    for seed in range(600):
        hop = sample_past(messages, np.array([0, 0]), np.array([7, 8]), 2, Past(), NodeDraws(seed, BUYS))
        first, second = map(tuple, hop.edge_ids.reshape(2, 2).tolist())
        seen[first] += 1
        same += first == second
    assert set(seen) == {(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)}
    assert min(seen.values()) > 70
    assert same < 200


def test_order_in_time() -> None:
    """Edges that stand right are not copied."""
    assert in_time_order(INDPTR, TIMES) is None
    assert in_time_order(np.array([0]), TIMES[:0]) is None
    mixed = np.array([7, 3, 1, 3, 9, 8, 2])
    order = in_time_order(INDPTR, mixed)
    assert order is not None
    assert order.tolist() == [2, 1, 3, 0, 4, 6, 5]
    messages = TimedMessages.of(INDPTR, SOURCES, np.arange(100, 107), mixed)
    assert messages.edge_rows is not None
    assert messages.edge_rows.tolist() == [102, 101, 103, 100, 104, 106, 105]
    assert messages.sources.tolist() == [12, 11, 13, 10, 14, 16, 15]


def test_ages() -> None:
    moments = np.array([0, DAY, always(np.int64), 5])
    assert ages(np.array([DAY * 3, DAY, DAY, end(np.int64)]), moments).tolist() == [3.0, 0.0, 0.0, 0.0]
    numbers = np.array([1.5, -np.inf])
    assert ages(np.array([4.0, 4.0]), numbers).tolist() == [2.5, 0.0]


# -------------------------------------------------------------------------------------------------------------- graphs


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """One graph in one partition and in three."""
    folder = tmp_path_factory.mktemp("timed")
    config = timed_graph(write_timed_shop(folder / "tables", items=30, users=12, purchases=300))
    build_graph(GraphConfig.model_validate({**config, "path": str(folder / "in-1")}))
    partition_graph(folder / "in-1", folder / "in-3", 3, seed=1)
    return {1: folder / "in-1", 3: folder / "in-3"}


def day(number: Any) -> Any:
    """Microseconds of a day of the shop."""
    return (START + number).astype("datetime64[us]").astype(np.int64)


def nodes_of(graph: LocalGraph, node_type: str, names: list[str]) -> np.ndarray:
    place = {name: i for i, name in enumerate(graph.ids(node_type).to_pylist())}
    return np.array([place[name] for name in names], dtype=np.int64)


def bounds_of_edges(graph: LocalGraph, made: Subgraph) -> Iterator[tuple[Any, Any, np.ndarray, np.ndarray, np.ndarray]]:
    """(layer, edge type, edge ids, bound of each, source and target positions) of every relation; the bounds of both
    ends of an edge are the same."""
    for layer, block in enumerate(made.blocks):
        for edge_type, relation in block.relations.items():
            at = np.repeat(relation.rows, np.diff(relation.offsets))
            of_target = made.input_bounds[edge_type[2]][at]
            assert of_target.tolist() == made.input_bounds[edge_type[0]][relation.sources].tolist()
            source = made.input_ids[edge_type[0]][relation.sources]
            target = made.input_ids[edge_type[2]][at]
            assert [x.tolist() for x in graph.edges(edge_type, relation.edge_ids)] == [source.tolist(), target.tolist()]
            yield layer, edge_type, relation, of_target, (source, target)


def messages(graph: LocalGraph, made: Subgraph) -> Counter[Any]:
    """(layer, edge type, bound, ids, number of the row in the table, age) of every edge."""
    found: Counter[Any] = Counter()
    for layer, edge_type, relation, bound, (source, target) in bounds_of_edges(graph, made):
        ids = graph.ids_of(edge_type[0], source).to_pylist(), graph.ids_of(edge_type[2], target).to_pylist()
        row = graph.gather(edge_type, "row", relation.edge_ids)[:, 0].tolist()
        each = zip(bound.tolist(), *ids, row, relation.ages.tolist(), strict=True)
        found.update((layer, edge_type, *edge) for edge in each)
    return found


def assert_no_future(graph: LocalGraph, made: Subgraph, window: float | None, strict: bool) -> None:
    """Neither edges nor nodes."""
    for _, edge_type, relation, bound, (source, target) in bounds_of_edges(graph, made):
        times = graph.begin_rows((edge_type, TIME_COLUMN), relation.edge_ids).wait()
        assert (times < bound if strict else times <= bound).all()
        assert window is None or (times >= bound - window).all()
        assert relation.ages.tolist() == ages(bound, times).tolist()
        items = source if edge_type == BOUGHT else target
        assert (graph.begin_rows(("item", TIME_COLUMN), items).wait() <= bound).all()


SEEDS = st.lists(st.tuples(st.integers(0, 29), st.integers(-5, 110)), min_size=1, max_size=12, unique=True)


@settings(max_examples=40, deadline=None)
@given(
    seeds=SEEDS,
    fanouts=st.lists(st.sampled_from([-1, 1, 2, 5]), min_size=1, max_size=3),
    latest=st.booleans(),
    strict=st.booleans(),
    window=st.sampled_from([None, 0.5, 10, 40]),
    excluded=st.booleans(),
)
def test_no_edge_from_the_future_wherever_the_graph_lies(
    folders: dict[int, Path],
    seeds: list[tuple[int, int]],
    fanouts: list[int],
    latest: bool,
    strict: bool,
    window: float | None,
    excluded: bool,
) -> None:
    """And the blocks of one partition are those of three: all of them where the latest or all are taken, for what is
    drawn goes by the numbers of nodes, which partitions change."""
    width = None if window is None else round(window * DAY)
    found = []
    for folder in folders.values():
        graph = LocalGraph(folder)
        ids = {"item": nodes_of(graph, "item", [f"i{i}" for i, _ in seeds])}
        of_seeds = {"item": day(np.array([at for _, at in seeds]))}
        bounds = TimeBounds(of_seeds, Past(latest, width, strict), {BUYS: Past(latest, None, strict)})
        exclude = graph.reverse_pairs(BUYS, *graph.edges(BUYS, np.arange(0, 300, 7))) if excluded else None
        layers = [FanoutByType(default=k) for k in fanouts]
        made = graph.sample(ids, layers, np.random.default_rng(0), exclude, bounds)
        assert_no_future(graph, made, None, strict)
        assert (made.input_ids["item"][: len(seeds)] == ids["item"]).all()
        assert (made.input_bounds["item"][: len(seeds)] == of_seeds["item"]).all()
        for node_type, of_type in made.input_ids.items():
            pairs = list(zip(of_type.tolist(), made.input_bounds[node_type].tolist(), strict=True))
            assert len(set(pairs)) == len(pairs)
        found.append(messages(graph, made))
    if (latest and not excluded) or (set(fanouts) == {-1} and not excluded):
        assert found[0] == found[1]


def test_windows_by_edge_type(folders: dict[int, Path]) -> None:
    graph = LocalGraph(folders[3])
    bounds = TimeBounds({"item": np.full(30, day(90))}, Past(), {BUYS: Past(window=10 * DAY)})
    made = graph.sample({"item": np.arange(30)}, [ALL, ALL], np.random.default_rng(0), None, bounds)
    oldest = {BUYS: 0.0, BOUGHT: 0.0}
    for _, edge_type, relation, *_ in bounds_of_edges(graph, made):
        oldest[edge_type] = max(oldest[edge_type], relation.ages.max())
    assert oldest[BUYS] == 10.0
    assert oldest[BOUGHT] > 60.0


def test_one_bound_for_all_is_the_graph_of_that_day(folders: dict[int, Path]) -> None:
    """With a bound at the end, a temporal sample of all neighbours holds what a plain one does, each node once."""
    for folder in folders.values():
        graph = LocalGraph(folder)
        seeds = {"item": np.arange(10), "user": np.arange(5)}
        late = TimeBounds({t: np.full(len(ids), end(np.int64)) for t, ids in seeds.items()})
        rng = np.random.default_rng
        timed, plain = graph.sample(seeds, [ALL, ALL], rng(0), None, late), graph.sample(seeds, [ALL, ALL], rng(0))
        for one, two in zip(timed.blocks, plain.blocks, strict=True):
            assert (one.num_src, one.num_dst) == (two.num_src, two.num_dst)
            for edge_type, relation in one.relations.items():
                assert sorted(relation.edge_ids.tolist()) == sorted(two.relations[edge_type].edge_ids.tolist())


def test_hidden_edges_stay_hidden(folders: dict[int, Path]) -> None:
    """Validation and test edges pass no messages, however late the bound."""
    graph = LocalGraph(folders[3], [BUYS])
    late = TimeBounds({"item": np.full(30, end(np.int64))}, Past(latest=True))
    made = graph.sample({"item": np.arange(30)}, [FanoutByType(default=3)] * 2, np.random.default_rng(0), None, late)
    hidden = {edge_type: set(graph.hidden_rows(edge_type).tolist()) for edge_type in (BUYS, BOUGHT)}
    for _, edge_type, relation, *_ in bounds_of_edges(graph, made):
        assert hidden[edge_type]
        assert not hidden[edge_type] & set(relation.edge_ids.tolist())
        times = graph.begin_rows((edge_type, TIME_COLUMN), relation.edge_ids).wait()
        assert times.max() < day(60)


def test_hosts_draw_what_one_machine_draws(folders: dict[int, Path], tmp_path: Path) -> None:
    with clusters(folders[3], tmp_path, 3) as known:
        here, every = LocalGraph(folders[3]), [RemoteGraph(folders[3], (), None, where) for where in known]
        seeds = {"item": np.arange(0, 30, 2), "user": np.arange(4)}
        of_seeds = {"item": day(np.arange(15) * 7), "user": day(np.array([20, 20, 50, 99]))}
        for past in (Past(), Past(latest=True, window=30 * DAY), Past(strict=True)):
            for exclude in (None, ExcludedEdges({BUYS: here.edges(BUYS, np.arange(0, 300, 3))})):
                layers, bounds = [FanoutByType(default=3), FanoutByType(default=2)], TimeBounds(of_seeds, past)
                one = here.sample(seeds, layers, np.random.default_rng(4), exclude, bounds)
                for there in every:
                    two = there.sample(seeds, layers, np.random.default_rng(4), exclude, bounds)
                    for node_type, ids in one.input_ids.items():
                        assert ids.tolist() == two.input_ids[node_type].tolist()
                        assert one.input_bounds[node_type].tolist() == two.input_bounds[node_type].tolist()
                    assert messages(here, one) == messages(here, two)
                    assert sum(messages(here, one).values()) > 20


def test_stores_without_times_are_told_of(folders: dict[int, Path]) -> None:
    assert not DglGraph.samples_by_time
    base = LocalGraph(folders[1])
    over = Overlay(base, {}, {}, base._numbering)
    with pytest.raises(DataError, match=r"model\.time needs a store whose partitions sample by time \(got Overlay\)"):
        over.sample({"item": np.arange(2)}, [ALL], np.random.default_rng(0), None, TimeBounds({"item": np.arange(2)}))
