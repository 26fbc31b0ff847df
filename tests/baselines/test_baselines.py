"""Simple models: known answers on small graphs, and that every graph gets a number or a reason."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from gconstruct import build_graph
from graphstorm_like.baselines import packages
from graphstorm_like.baselines.labels import trees
from graphstorm_like.baselines.labels.base import LABELS
from graphstorm_like.baselines.labels.features import _standardised
from graphstorm_like.baselines.labels.votes import NeighbourVote, edge_votes
from graphstorm_like.baselines.links.base import LINKS
from graphstorm_like.baselines.links.neighbours import CommonNeighbours, ThreeSteps
from graphstorm_like.baselines.links.relation import Relation
from graphstorm_like.baselines.links.shared import Shared
from graphstorm_like.baselines.outcome import Setting, chosen
from graphstorm_like.baselines.run import run_baselines
from graphstorm_like.baselines.table import Comparison
from graphstorm_like.baselines.union import UnionGraph
from graphstorm_like.cli.main import app
from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.errors import DataError, MissingExtraError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.graphs import shop_pipeline, write_shop
from graphstorm_like.testing.times import timed_pipeline, write_timed_shop
from graphstorm_like.testing.unlike import UNLIKE, write_unlike

pytest.importorskip("sklearn")
QUIET = Reporter(quiet=True)
MANY = ("wide", "many_relations")
"""Graphs that take many seconds."""


def alone(pipeline: Pipeline) -> Comparison:
    """Of a pipeline of one task."""
    return run_baselines(pipeline, QUIET).only


def on_test(comparison: Comparison, metric: str) -> dict[str, float]:
    """Test scores by name, of the simple models that apply."""
    return {o.name: o.scores["test"][metric] for o in comparison.outcomes if o.why_not is None}


def test_classes_of_nodes(shop_config: Callable[..., Pipeline]) -> None:
    pipeline = shop_config()
    found = alone(pipeline)
    accuracy = on_test(found, "accuracy")
    graph = LocalGraph(Path(str(pipeline.graph.path)))
    labels = graph.label("item", "kind")
    rows = {split: graph.label_rows("item", "kind", split) for split in ("train", "test")}
    frequent = np.bincount(labels[rows["train"]]).argmax()
    assert accuracy["majority"] == pytest.approx((labels[rows["test"]] == frequent).mean())
    assert accuracy["TF-IDF, linear"] == 1.0  # the words of a class are its own
    assert accuracy["neighbour vote"] > 0.9  # similar items are of one class
    assert accuracy["label propagation"] > 0.9
    assert accuracy["features, linear"] < 0.6  # price and colour say nothing
    assert set(accuracy) == {baseline.name for baseline in LABELS}


def test_words_are_for_models_of_texts(shop: tuple[Path, Path], tmp_path: Path) -> None:
    """Features alone are the same beside words of the texts, which another simple model reads."""
    scores = []
    for name, more in (("plain", {}), ("words", {"words": {"column": "title", "encode": "words", "min_rows": 1}})):
        data = shop_pipeline(shop[0], tmp_path / name)
        data["graph"]["nodes"]["item"]["features"] |= more
        pipeline = build_pipeline(data).with_absolute_paths(tmp_path)
        build_graph(pipeline.graph)
        scores.append(on_test(alone(pipeline), "accuracy"))
    assert scores[0] == scores[1]


def test_words_of_other_columns_are_features(tmp_path: Path) -> None:
    """A text that says nothing, and the words of a column that is no text of the model."""
    count = 90
    kind = [f"k{number % 3}" for number in range(count)]
    columns = {
        "id": [f"n{number}" for number in range(count)],
        "noise": [f"x{number % 7} y{number % 5}" for number in range(count)],
        "title": [f"{k} word" for k in kind],
        "kind": kind,
        "split": [("train", "valid", "test")[number // 3 % 3] for number in range(count)],
    }
    pq.write_table(pa.table(columns), tmp_path / "node.parquet")
    # Each has an owner of its own: no node has edges to two training rows.
    pq.write_table(pa.table({"source": columns["id"], "target": columns["id"]}), tmp_path / "owns.parquet")
    node = {
        "files": "node.parquet",
        "id": "id",
        "text": {"noise": {"columns": "noise"}},
        "features": {"words": {"column": "title", "encode": "words"}},
        "labels": {"kind": {"column": "kind", "split": {"column": "split"}}},
    }
    edge = {"source": "node", "relation": "owned", "target": "owner", "files": "owns.parquet"}
    data = {
        "output": str(tmp_path / "run"),
        "graph": {"base": str(tmp_path), "nodes": {"node": node, "owner": None}, "edges": [edge]},
        "model": {"inputs": {"node": {"text": []}}},
        "task": {"type": "node_classification", "node_type": "node", "label": "kind"},
    }
    pipeline = build_pipeline(data).with_absolute_paths(tmp_path)
    build_graph(pipeline.graph)
    accuracy = on_test(alone(pipeline), "accuracy")
    assert accuracy["features, linear"] == 1.0
    assert accuracy["TF-IDF, linear"] < 0.7
    assert "TF-IDF and neighbours, linear" in accuracy


def test_numbers_of_nodes_and_labels_of_edges(shop_config: Callable[..., Pipeline]) -> None:
    ratings = on_test(alone(shop_config("node_regression")), "rmse")
    assert ratings["TF-IDF, linear"] < 0.4 * ratings["majority"]
    assert ratings["label propagation"] < 0.8 * ratings["majority"]
    gaps = alone(shop_config("edge_regression"))
    rmse = on_test(gaps, "rmse")
    assert rmse["features, linear"] < 0.3 * rmse["majority"]  # the gap is that of the prices of both ends
    reasons = {o.name: o.why_not for o in gaps.outcomes if o.why_not is not None}
    assert reasons["label propagation"] == "the label is one of edges"


def test_columns_of_categories_stay_sparse_for_the_same_linear_model() -> None:
    """Without a mean of 0, which the intercept makes up for; filled columns far from 0 get it."""
    import scipy.sparse as sp
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    of_words = (rng.random((400, 30)) < 0.05).astype(np.float32)
    rows = np.concatenate([of_words, rng.normal(2000.0, 5.0, size=(400, 2)).astype(np.float32)], axis=1)
    label = (rows[:, 0] + rows[:, 1] + 0.1 * (rows[:, 30] - 2000.0) + rng.normal(size=400) > 0.0).astype(int)
    train = slice(0, 300)
    made = _standardised(sp.csr_matrix(rows), train)
    assert sp.issparse(made)
    assert made[:, 2:].nnz == np.count_nonzero(of_words)
    dense = StandardScaler().fit(rows[train]).transform(rows)
    exact: dict[str, Any] = {"C": 0.1, "tol": 1e-8, "max_iter": 2000}
    found = [
        LogisticRegression(**exact).fit(of[train], label[train]).predict_proba(of[300:])
        for of in (made.astype(np.float64), dense.astype(np.float64))
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)
    assert not sp.issparse(_standardised(sp.csr_matrix(rows[:, 30:]), train))


def test_trees_of_many_rows_are_of_some_of_them(
    shop_config: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    """4 numbers a row, 3 classes."""
    monkeypatch.setattr(trees, "MOST_CELLS", 4 * 3 * 50)
    monkeypatch.setattr(LABELS, "_models", [baseline for baseline in LABELS if "trees" in baseline.name])
    pipeline = shop_config()
    graph = LocalGraph(Path(str(pipeline.graph.path)))
    count = len(graph.label_rows("item", "kind", "train"))
    (outcome,) = alone(pipeline).outcomes
    assert 100 < count <= 150
    assert outcome.setting.endswith(f" leaves, of {-(-count // 3)} of {count} rows")


def test_links(shop_config: Callable[..., Pipeline]) -> None:
    pipeline = shop_config("link_prediction")
    found = alone(pipeline)
    assert {outcome.name for outcome in found.outcomes} == {baseline.name for baseline in LINKS}
    mrr = on_test(found, "mrr")
    graph, edge_type = LocalGraph(Path(str(pipeline.graph.path))), ("item", "similar", "item")
    sources, targets = graph.edges(edge_type)
    counts = np.bincount(targets[graph.edge_rows(edge_type, "train")], minlength=240)
    inverse = []
    for edge in graph.edge_rows(edge_type, "test"):
        others = np.ones(240, dtype=bool)
        others[targets[sources == sources[edge]]] = False
        others[sources[edge]] = False
        mine = counts[targets[edge]]
        inverse.append(1 / (1 + (counts[others] > mine).sum() + 0.5 * (counts[others] == mine).sum()))
    assert mrr["popularity"] == pytest.approx(np.mean(inverse))
    assert mrr["common neighbours"] > 2 * mrr["popularity"]
    sampled = shop_config("link_prediction", task={"ranking": {"candidates": 20}})
    assert on_test(alone(sampled), "mrr")["common neighbours"] > mrr["common neighbours"]


def test_links_that_become_past_are_no_answers(tmp_path: Path) -> None:
    """A task may show its test edges to what is later than they are. Simple models do not look at times: for them these
    edges would be the answers."""
    data = timed_pipeline(write_timed_shop(tmp_path / "tables"), tmp_path / "run", at="own", strict=True)
    data["task"]["past_passes"] = True
    pipeline = build_pipeline(data).with_absolute_paths(tmp_path)
    build_graph(pipeline.graph)
    shown = on_test(alone(pipeline), "mrr")
    data["task"]["past_passes"] = False
    hidden = on_test(alone(build_pipeline(data).with_absolute_paths(tmp_path)), "mrr")
    assert shown == hidden
    assert max(shown.values()) < 0.5


# ------------------------------------------------------------------------------------------------ small graphs


class SmallGraph:
    """a - b - c in one type, and x with edges to a and c in another."""

    edges_by_type = {("n", "e", "n"): ([0, 1, 1, 0], [1, 2, 2, 2]), ("x", "f", "n"): ([0, 0], [0, 2])}
    hidden = {("n", "e", "n"): [3], ("x", "f", "n"): []}

    def __init__(self) -> None:
        edges = [SimpleNamespace(edge_type=t, count=len(e[0]), is_reverse=False) for t, e in self.edges_by_type.items()]
        nodes = {"n": SimpleNamespace(count=3), "x": SimpleNamespace(count=1)}
        self.manifest: Any = SimpleNamespace(nodes=nodes, edges=edges, node=nodes.__getitem__)

    def edges(self, edge_type: tuple[str, str, str], rows: Any = None) -> tuple[np.ndarray, np.ndarray]:
        ends = [np.array(end) for end in self.edges_by_type[edge_type]]
        return (ends[0], ends[1]) if rows is None else (ends[0][rows], ends[1][rows])

    def hidden_rows(self, edge_type: tuple[str, str, str]) -> np.ndarray:
        return np.array(self.hidden[edge_type], dtype=np.int64)


def test_the_union_of_all_relations() -> None:
    union = UnionGraph(SmallGraph())  # type: ignore[arg-type]
    want = np.array([[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]])  # parallel edges once, hidden ones never
    np.testing.assert_array_equal(union.adjacency.toarray(), want)
    np.testing.assert_allclose(union.walk.toarray(), want / 2)
    task = SimpleNamespace(graph=union.graph)
    relation = Relation(task, ("n", "e", "n"), np.array([0, 1, 2]), Shared(union))  # type: ignore[arg-type]
    scores = {way: CommonNeighbours().scorer(relation, way)(np.array([0])) for way in CommonNeighbours.ways}
    np.testing.assert_allclose(scores["count"], [[2, 0, 2]])  # over b and over x
    np.testing.assert_allclose(scores["by degree"], [[1, 0, 1]])
    np.testing.assert_allclose(ThreeSteps().scorer(relation, "chance")(np.array([0])), [[0, 0.5, 0]])


def test_a_vote_of_edges_leaves_out_their_own_label() -> None:
    ends = [("edge", None), ("n", np.array([0, 0, 1, 0])), ("n", np.array([5, 6, 5, 5]))]
    data = SimpleNamespace(
        ids=np.arange(4),
        part={"train": slice(0, 3)},
        kind=SimpleNamespace(votes=np.array([[1.0], [2.0], [4.0]])),
        places=ends,
    )
    votes = edge_votes(data)  # type: ignore[arg-type]
    np.testing.assert_allclose(votes, [[2 + 4, 2], [1, 1], [1, 1], [1 + 2 + 1 + 4, 4]])
    assert NeighbourVote.name == "neighbour vote"


def test_validation_chooses_and_test_is_scored_once() -> None:
    asked: list[tuple[str, str]] = []

    def setting(name: str, error: float) -> Setting:
        def score(split: str) -> dict[str, float]:
            asked.append((name, split))
            return {"rmse": error}

        return Setting(name, score)

    found = chosen("any", [setting("one", 2.0), setting("two", 1.0), setting("three", 3.0)], "rmse", False)
    assert (found.setting, found.scores["test"]) == ("two", {"rmse": 1.0})
    assert [name for name, split in asked if split == "test"] == ["two"]


# ------------------------------------------------------------------------------------------------ any graph, the verb


def _param(name: str) -> Any:
    return pytest.param(name, marks=pytest.mark.slow) if name in MANY else name


@pytest.mark.parametrize("name", [_param(name) for name in UNLIKE])
def test_any_graph_gets_numbers_or_reasons(name: str, tmp_path: Path) -> None:
    unlike = write_unlike(name, tmp_path / "tables")
    model = {**unlike.pipeline["model"], **({"text_encoder": {"name": "./lm"}} if unlike.reads_text else {})}
    data = {**unlike.pipeline, "model": model, "output": str(tmp_path / "run")}
    pipeline = build_pipeline(data).with_absolute_paths(tmp_path)
    build_graph(pipeline.graph)
    found = alone(pipeline)
    for outcome in found.outcomes:
        values = [value for scores in outcome.scores.values() for value in scores.values()]
        assert (outcome.why_not is not None) != (bool(values) and all(map(math.isfinite, values)))
    assert any(outcome.why_not is None for outcome in found.outcomes)


def test_the_verb(shop: tuple[Path, Path], shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    from graphstorm_like.testing.graphs import shop_pipeline

    data = shop_pipeline(shop[0], tmp_path / "run", "link_prediction")
    data["graph"]["path"] = str(shop[1])
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    shown = CliRunner().invoke(app, ["baseline", str(path)])
    assert shown.exit_code == 0, shown.output
    assert shown.output.startswith("test ")
    assert "this pipeline's model: not evaluated yet. Run: gsl run" in shown.output
    evaluated = tmp_path / "run" / "evaluate" / "metrics.json"
    evaluated.parent.mkdir(parents=True)
    scores = {"mrr": 0.125, "hits@1": 0.0625, "hits@10": 0.25}
    evaluated.write_text(json.dumps({"test": scores, "protocol": {}}), encoding="utf-8")
    shown = CliRunner().invoke(app, ["baseline", str(path)])
    assert re.search(r"this pipeline's model +0\.1250 +0\.0625 +0\.2500", shown.output)
    answer = json.loads(CliRunner().invoke(app, ["baseline", str(path), "--json"]).output)
    assert answer["model"] == {"test": scores}
    assert {"name", "setting", "seconds", "valid", "test"} <= set(answer["baselines"][0])


def test_settings_are_chosen_by_validation_rows(tmp_path: Path) -> None:
    data = shop_pipeline(write_shop(tmp_path / "tables"), tmp_path / "run")
    data["graph"]["nodes"]["item"]["labels"]["kind"]["split"] = {"train": 0.8, "valid": 0.0, "test": 0.2}
    data["train"]["evaluate_every"] = None
    pipeline = build_pipeline(data).with_absolute_paths(tmp_path)
    build_graph(pipeline.graph)
    with pytest.raises(DataError, match="kind"):
        run_baselines(pipeline, QUIET)


def test_what_is_missing(shop_config: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pipeline = shop_config()
    nowhere = pipeline.model_copy(update={"graph": pipeline.graph.model_copy(update={"path": str(tmp_path / "none")})})
    with pytest.raises(DataError, match="none"):
        run_baselines(nowhere, QUIET)
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'graphstorm-like\[baseline\]'"):
        run_baselines(pipeline, QUIET)
