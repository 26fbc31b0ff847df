"""Hard negatives in training: those of the step's edges, and drawn nodes where an edge has fewer."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.config.negatives import HardNegativesConfig
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.sampling.batch import LinkTargets, StreamPosition
from graphstorm_like.sampling.links import LinkSeeder
from graphstorm_like.sampling.negatives.hard import EdgeIds, HardNegatives
from graphstorm_like.sampling.seeds import RankSlice
from graphstorm_like.sampling.true_targets import TrueTargets

E = ("user", "buys", "item")


class _Graph:
    """As much of a graph as is asked: edges 0 -> 1, 0 -> 2, 1 -> 2 with hard negatives."""

    folder = Path("graph")
    given = np.array([[3, 4, 5], [6, -1, -1], [-1, -1, -1]])

    def __init__(self, width: int = 3) -> None:
        self.hard = width

    @property
    def manifest(self) -> _Graph:
        return self

    def node(self, node_type: str) -> _Graph:
        return self

    def edge(self, edge_type: Any) -> _HasNegatives:
        return _HasNegatives(self.hard)

    count = 1000

    def edges(self, edge_type: Any) -> tuple[np.ndarray, np.ndarray]:
        return np.array([0, 0, 1]), np.array([1, 2, 2])

    def hard_negatives(self, edge_type: Any, edge_ids: np.ndarray) -> np.ndarray:
        return self.given[edge_ids]


class _HasNegatives:
    def __init__(self, hard_negatives: int) -> None:
        self.hard_negatives = hard_negatives


def drawn(per_edge: int, seed: int = 0, uniform: int = 0) -> np.ndarray:
    config = HardNegativesConfig(type="hard", per_edge=per_edge, uniform=uniform)
    known = {E: TrueTargets(np.array([0, 0, 1]), np.array([1, 2, 2]), 2)}
    negatives = HardNegatives(config, _Graph(), known)  # type: ignore[arg-type]
    step = {E: (np.array([1, 0, 0]), np.array([2, 1, 2]))}
    return negatives.draw("item", step, np.random.default_rng(seed))


@pytest.mark.known_answer("negatives/hard")
def test_each_edge_gets_its_own() -> None:
    for seed in range(20):
        of_last, of_first, of_second = drawn(2, seed).reshape(3, 2).tolist()
        assert set(of_first) < {3, 4, 5}
        assert len(set(of_first)) == 2
        assert of_second[0] == 6
        assert not {3, 4, 5, 6} & {*of_last, of_second[1]}  # of 1,000 nodes
    assert len(drawn(5)) == 15
    assert set(drawn(5).reshape(3, 5)[1, :3]) == {3, 4, 5}
    assert len(drawn(1, uniform=7)) == 10
    assert drawn(2, 3).tolist() == drawn(2, 3).tolist()
    assert len({drawn(1, seed).tolist()[1] for seed in range(30)}) == 3


def test_edges_are_found_by_their_ends() -> None:
    edges = EdgeIds.of(np.array([2, 0, 2, 0]), np.array([1, 3, 1, 0]), 5)
    assert edges.find(np.array([0, 2, 0]), np.array([0, 1, 3])).tolist() == [3, 0, 1]


def test_a_graph_without_them() -> None:
    with pytest.raises(DataError, match=r"must have hard negatives of an edge type that is learnt \(got none\)"):
        HardNegatives(HardNegativesConfig(type="hard"), _Graph(0), {E: TrueTargets(*_Graph().edges(E), 2)})  # type: ignore[arg-type]


def with_hard_negatives(shop_config: Callable[..., Pipeline], folder: Path) -> dict[str, Any]:
    """The shop, where the hard negatives of an edge are the item after its target and the one after that."""
    data = shop_config("link_prediction").model_dump(mode="json")
    data["task"]["negatives"] = {"type": "hard", "per_edge": 2}
    [edge] = [edge for edge in data["graph"]["edges"] if edge["relation"] == "similar"]
    path = Path(data["graph"]["base"]) / edge["files"][0]
    table = pq.read_table(path)
    numbers = [int(name.removeprefix("item-")) for name in table.column("target").to_pylist()]
    wrong = [[f"item-{(number + step) % 240:04d}" for step in (1, 2)] for number in numbers]
    pq.write_table(table.append_column("wrong", pa.array(wrong)), folder / "similar.parquet")
    edge.update(files=[str(folder / "similar.parquet")], hard_negatives={"column": "wrong", "count": 2})
    data["graph"]["path"] = str(folder / "graph")
    return data


def test_the_column_must_be_named(shop_config: Callable[..., Pipeline]) -> None:
    with pytest.raises(ConfigError, match=r"negatives.type: must have a column to take them from"):
        shop_config("link_prediction", task={"negatives": {"type": "hard"}})
    with pytest.raises(ConfigError, match="popularity_correction: must be false"):
        shop_config("link_prediction", task={"negatives": {"type": "hard", "popularity_correction": True}})


def test_training_on_the_shop(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    from gconstruct import build_graph
    from graphstorm_like.progress import Reporter
    from graphstorm_like.training.experiment import build_experiment

    pipeline = build_pipeline(with_hard_negatives(shop_config, tmp_path))
    build_graph(pipeline.graph)
    experiment = build_experiment(pipeline, Reporter(quiet=True))
    ids = experiment.task.rows("train")[:5]
    batch = experiment.learner.batches().make(ids, StreamPosition(0, 0))
    assert isinstance(batch.targets, LinkTargets)
    pool = batch.seeds["item"][batch.targets.pools["item"].mine].tolist()
    assert sorted(pool[5:]) == sorted((target + step) % 240 for target in pool[:5] for step in (1, 2))
    assert math.isfinite(experiment.learner.backward(batch)[0])
    graph = LocalGraph(tmp_path / "graph")
    similar = ("item", "similar", "item")
    train = {similar: graph.edge_rows(similar, "train")}
    both = []
    for share in (RankSlice(), RankSlice(0, 2), RankSlice(1, 2)):
        seeder = LinkSeeder(graph, train, HardNegativesConfig(type="hard"), 1, share)
        part = seeder(train[similar][:20], StreamPosition(0, 0))
        assert isinstance(part.targets, LinkTargets)
        both.append(part.seeds["item"][part.targets.pools["item"].mine].tolist())
    assert sorted(both[0]) == sorted(both[1] + both[2])


def test_edges_are_ranked_among_the_candidates_that_are_given(
    shop_config: Callable[..., Pipeline], tmp_path: Path
) -> None:
    """Two wrong targets each, of which those that are other true targets, or the source, do not compete; of edges
    without candidates every model is right."""
    from gconstruct import build_graph
    from graphstorm_like.progress import Reporter
    from graphstorm_like.reports.scores import Scorer
    from graphstorm_like.tasks import Evaluation
    from graphstorm_like.training.experiment import build_experiment

    data = with_hard_negatives(shop_config, tmp_path)
    table = pq.read_table(tmp_path / "similar.parquet")
    wrong = [None if row % 3 == 0 else given for row, given in enumerate(table.column("wrong").to_pylist())]
    pq.write_table(table.drop(["wrong"]).append_column("wrong", pa.array(wrong)), tmp_path / "similar.parquet")
    data["task"] |= {"negatives": {"uniform": 4}, "ranking": {"candidates": "given"}, "metrics": ["mrr", "hits@1"]}
    pipeline = build_pipeline(data)
    build_graph(pipeline.graph)
    experiment = build_experiment(pipeline, Reporter(quiet=True))
    task, graph = experiment.task, experiment.graph
    found = task.evaluate(experiment.embedder(), "test", Evaluation("layer_wise", (), 0))
    vectors = experiment.embedder().layer_wise(["item"])["item"]
    scores = task.queries(vectors) @ task.keys(vectors).T  # type: ignore[attr-defined]
    source, target = graph.edges(("item", "similar", "item"))
    known = set(zip(source.tolist(), target.tolist(), strict=True))
    ranks, empty = [], 0
    for row in task.rows("test").tolist():
        s, t = int(source[row]), int(target[row])
        given = graph.hard_negatives(("item", "similar", "item"), np.array([row]))[0].tolist()
        others = [c for c in given if c >= 0 and c != s and (s, c) not in known]
        empty += not others
        better = [float(scores[s, c] > scores[s, t]) + 0.5 * float(scores[s, c] == scores[s, t]) for c in others]
        ranks.append(1 + sum(better))
    assert 0 < empty < len(ranks)
    assert found["mrr"] == pytest.approx(float(np.mean(1 / np.array(ranks))), rel=1e-4)
    assert found["hits@1"] == pytest.approx(float(np.mean(np.array(ranks) <= 1)))
    assert task.protocol["candidates"] == "given"
    nothing = Scorer(pipeline.task, None, []).link_baselines(graph, [("item", "similar", "item")], task.protocol, 0)
    assert nothing == {}, "the report has no ranks by popularity, which know no table's candidates"


def test_given_candidates_must_be_there(shop_config: Callable[..., Pipeline]) -> None:
    with pytest.raises(ConfigError, match=r"candidates: must be all or a number, or graph.edges\[1\].hard_negatives"):
        shop_config("link_prediction", task={"ranking": {"candidates": "given"}})
    both = {"edge_type": None, "edge_types": "all", "ends": "both", "head": {"type": "distmult"}}
    with pytest.raises(ConfigError, match=r"ends: must be 'targets' with ranking.candidates: given"):
        shop_config("link_prediction", task={**both, "ranking": {"candidates": "given"}})
