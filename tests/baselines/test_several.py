"""Simple models where there are several of something: classes a row, relations, tasks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from gconstruct import build_graph
from graphstorm_like.baselines.contests import links
from graphstorm_like.baselines.labels.base import LABELS
from graphstorm_like.baselines.labels.kinds.several_classes import SeveralClasses
from graphstorm_like.baselines.links.base import LINKS, LinkBaseline
from graphstorm_like.baselines.links.relation import Relation, Scorer
from graphstorm_like.baselines.links.rules import OtherRelations, Pairs
from graphstorm_like.baselines.links.shared import Shared
from graphstorm_like.baselines.run import run_baselines
from graphstorm_like.baselines.table import THIS_RUN, Comparison
from graphstorm_like.baselines.union import UnionGraph
from graphstorm_like.cli.main import app
from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.errors import ConfigError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.graphs import shop_pipeline

from ..tasks.test_multi_label import tagged
from .test_baselines import SmallGraph, alone, on_test

pytest.importorskip("sklearn")
QUIET = Reporter(quiet=True)
SIMILAR = ("item", "similar", "item")

# ------------------------------------------------------------------------------------------- several classes a row


def of_classes(rows: list[list[int]]) -> SeveralClasses:
    labels = np.array(rows, dtype=np.uint8)
    return SeveralClasses(SimpleNamespace(classes=["c"] * labels.shape[1]), labels)  # type: ignore[arg-type]


def test_shares_of_several_classes() -> None:
    kind = of_classes([[1, 1, 0], [1, 0, 0], [1, 1, 0], [1, 0, 0]])
    ((name, shares),) = kind.constants()
    assert (name, shares.tolist()) == ("share of each class", [1.0, 0.5, 0.0])
    # Two votes, both for the first class and one for the second; and nobody's vote: the shares of all.
    voted = kind.from_votes(np.array([[2.0, 1.0, 0.0, 2.0], [0.0, 0.0, 0.0, 0.0]], dtype=np.float32))
    np.testing.assert_allclose(voted, [[1.0, 0.5, 0.0], [1.0, 0.5, 0.0]])
    far = kind.from_votes(np.array([[0.0, 0.0, 4.0, 4.0]], dtype=np.float32))
    np.testing.assert_allclose(far, [[0.001 / 4.001, 0.0005 / 4.001, 4 / 4.001]], rtol=1e-4)
    assert kind.unfit() is None
    assert of_classes([[1, 0], [1, 0]]).unfit() == "no class is that of some training rows and not of others"


def test_a_model_for_each_class_that_is_told_apart() -> None:
    """Classes that all rows have, or none, keep their share."""
    kind = of_classes([[1, 1, 0], [0, 1, 0]] * 20)
    rows = np.array([[1.0], [-1.0]] * 20)
    fitted = [*kind.machines(rows), *kind.regressions(rows)]
    for _, predict in fitted:
        shares = predict(np.array([[2.0], [-2.0]]))
        assert shares[0, 0] > 0.5 > shares[1, 0]
        np.testing.assert_allclose(shares[0, 0], 1.0 - shares[1, 0], atol=1e-3)
        assert shares[:, 1:].tolist() == [[1.0, 0.0], [1.0, 0.0]]
    options = {"max_leaf_nodes": 7, "min_samples_leaf": 1}
    some = kind.boosted(rows[::2], slice(None, None, 2), options)  # all alike: nothing can be learnt
    assert some(rows[:1]).tolist() == [[0.5, 1.0, 0.0]]
    assert kind.boosted(rows, slice(None), options)(rows[:2]).round().tolist() == [[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
    assert [name for name, _ in fitted[:4]] == ["C 0.1", "C 0.3", "C 1", "C 3"]


def test_several_classes_of_nodes(tmp_path: Path) -> None:
    metrics = ["micro_f1", "average_precision"]
    task = {"type": "node_multi_label", "node_type": "item", "label": "tags", "metrics": metrics, "threshold": 0.3}
    pipeline = build_pipeline(tagged(tmp_path, task)).with_absolute_paths(tmp_path)
    build_graph(pipeline.graph)
    found = alone(pipeline)
    assert {outcome.name for outcome in found.outcomes} == {model.name for model in LABELS}
    f1 = on_test(found, "micro_f1")
    graph = LocalGraph(Path(str(pipeline.graph.path)))
    labels = graph.label("item", "tags")
    train, test = (labels[graph.label_rows("item", "tags", split)] for split in ("train", "test"))
    chosen = np.tile(train.mean(axis=0) > 0.3, (len(test), 1))
    assert f1["majority"] == pytest.approx(2 * (chosen & (test == 1)).sum() / (chosen.sum() + (test == 1).sum()))
    assert f1["TF-IDF, linear"] > f1["majority"] + 0.1  # the words tell the kind
    assert f1["features, boosted trees"] > f1["majority"] + 0.03  # the price tells what is cheap
    assert f1["neighbour vote"] > f1["majority"] + 0.05
    assert f1["label propagation"] > f1["majority"] + 0.05
    precision = on_test(found, "average_precision")
    assert precision["TF-IDF and neighbours, linear"] > precision["majority"] + 0.2


def test_several_classes_of_edges(tmp_path: Path) -> None:
    task = {"type": "edge_multi_label", "edge_type": "item:similar:item", "label": "tags"}
    pipeline = build_pipeline(tagged(tmp_path, task)).with_absolute_paths(tmp_path)
    build_graph(pipeline.graph)
    f1 = on_test(alone(pipeline), "micro_f1")
    assert f1["features, linear"] > f1["majority"] + 0.05  # up: the target's price is above the source's
    assert f1["neighbour vote"] > 0.5


# -------------------------------------------------------------------------------------------------------- relations


def test_links_of_several_relations(shop_config: Callable[..., Pipeline]) -> None:
    """Each relation and end by itself, then the task's own means."""
    settings = {"edge_type": None, "edge_types": "all", "ends": "both", "select_by": "mrr/macro"}
    pipeline = shop_config("link_prediction", task=settings)
    found = alone(pipeline)
    graph = LocalGraph(Path(str(pipeline.graph.path)))
    ends = graph.edges(SIMILAR)
    popular = []
    for source, target in (ends, ends[::-1]):
        counts = np.bincount(target[graph.edge_rows(SIMILAR, "train")], minlength=240)
        inverse = []
        for edge in graph.edge_rows(SIMILAR, "test"):
            others = np.ones(240, dtype=bool)
            others[target[source == source[edge]]] = False
            others[source[edge]] = False
            mine = counts[target[edge]]
            inverse.append(1 / (1 + (counts[others] > mine).sum() + 0.5 * (counts[others] == mine).sum()))
        popular.append(inverse)
    (popularity,) = [outcome for outcome in found.outcomes if outcome.name == "popularity"]
    scores = popularity.scores["test"]
    assert scores["mrr/item:similar:item"] == scores["mrr/targets"] == pytest.approx(np.mean(popular[0]))
    assert scores["mrr/item:similar^-1:item"] == scores["mrr/sources"] == pytest.approx(np.mean(popular[1]))
    assert scores["mrr"] == scores["mrr/micro"] == pytest.approx(np.mean(np.concatenate(popular)))
    assert scores["mrr/macro"] == pytest.approx(np.mean([np.mean(popular[0]), np.mean(popular[1])]))
    mrr = on_test(found, "mrr/macro")
    assert set(mrr) == {model.name for model in LINKS}
    assert mrr["common neighbours"] > 2 * mrr["popularity"]
    lines = list(found.lines())
    assert lines[0].split()[:5] == ["test", "mrr", "hits@1", "hits@10", "mrr/macro"]
    below = lines[lines.index("") + 1 :]
    assert below[0].startswith("mrr of ")
    assert [line.split()[0] for line in below[1:7]] == [
        "micro", "macro", "targets", "sources", "item:similar:item", "item:similar^-1:item",
    ]  # fmt: skip


class ThreeRelations(SmallGraph):
    """Of e what f has the other way round, and some of g; an edge of e is hidden."""

    edges_by_type = {
        ("n", "e", "n"): ([0, 1, 2, 3], [1, 2, 3, 0]),
        ("n", "f", "n"): ([1, 2, 0], [0, 1, 3]),
        ("n", "g", "n"): ([0, 3, 3], [1, 0, 0]),
    }
    hidden = {("n", "e", "n"): [3], ("n", "f", "n"): [], ("n", "g", "n"): []}

    def __init__(self) -> None:
        super().__init__()
        self.manifest.nodes["n"].count = 4
        self.manifest.original_edge_types = lambda: list(self.edges_by_type)


def test_rules_of_other_relations() -> None:
    """Two of f's three pairs, swapped, are e's; of g's two one is. Five pairs are added to each."""
    shared = Shared(UnionGraph(ThreeRelations()))  # type: ignore[arg-type]
    relation = Relation(SimpleNamespace(), ("n", "e", "n"), np.array([0, 1, 2]), shared)  # type: ignore[arg-type]
    confidence = Pairs(shared, "n", "n").confidence(relation.edge_type)
    np.testing.assert_allclose(confidence, [0, 0, 1 / 7, 0, 2 / 8, 0])  # e, f, g, then their inverses
    model, three = OtherRelations(), np.array([3])
    assert model.lacks(relation) is None
    np.testing.assert_allclose(model.scorer(relation, "best rule")(three), [[0.25, 0, 0, 0]])
    np.testing.assert_allclose(model.scorer(relation, "all rules")(three), [[1 - 0.75 * 6 / 7, 0, 0, 0]], rtol=1e-6)
    inverse = Relation(SimpleNamespace(), ("n", "e^-1", "n"), np.array([0, 1, 2]), shared)  # type: ignore[arg-type]
    np.testing.assert_allclose(model.scorer(inverse, "best rule")(np.array([0])), [[0, 0, 0, 2 / 8]])
    apart = {("a", "e", "b"): ([0], [0])}
    graph = SimpleNamespace(edges=lambda *_: (np.array([0]), np.array([0])), hidden_rows=lambda _: np.array([], int))
    types = SimpleNamespace(count=1)
    graph.manifest = SimpleNamespace(node=lambda _: types, original_edge_types=lambda: list(apart))
    alone_there = Relation(
        SimpleNamespace(), ("a", "e", "b"), np.array([0]), Shared(SimpleNamespace(graph=graph))  # type: ignore[arg-type]
    )  # fmt: skip
    assert model.lacks(alone_there) == "no other relation has edges between the same nodes"


class OfSome(LinkBaseline):
    """Says something of one relation alone."""

    name, reads = "of some", "nothing"
    ways = ("way",)

    def lacks(self, relation: Relation) -> str | None:
        return None if relation.edge_type[1] == "r" else "not of this one"

    def scorer(self, relation: Relation, way: str) -> Scorer:
        return lambda sources: np.full((len(sources), 2), 7.0, dtype=np.float32)


def test_what_a_model_says_nothing_of_is_ranked_by_popularity_or_not_at_all() -> None:
    asked: list[Any] = []
    relations = [Relation.__new__(Relation), Relation.__new__(Relation)]
    for relation, name in zip(relations, ("r", "s"), strict=True):
        relation.edge_type, relation.shape = ("n", name, "n"), (2, 2)
        relation.targets = np.array([1])
    data: Any = SimpleNamespace(relations=relations, score=lambda scorer, split: asked.append(scorer) or {})
    plain, broken = OfSome().settings(data)
    assert plain.name == "way; says nothing of 1 of 2 relations"
    assert broken.name == "way, ties by popularity; says nothing of 1 of 2 relations"
    assert (plain.score("valid"), broken.score("valid")) == ({}, {})
    one = np.array([0])
    assert [asked[0](relation)(one).tolist() for relation in relations] == [[[7.0, 7.0]], [[0.0, 0.0]]]
    np.testing.assert_allclose(asked[1](relations[0])(one), [[1.0, 1.001]])
    np.testing.assert_allclose(asked[1](relations[1])(one), [[0.0, 0.001]])
    assert OfSome().unfit(SimpleNamespace(relations=relations[1:])) == "not of this one"  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------------ tasks

TASKS = {
    "kind": {"type": "node_classification", "node_type": "item", "label": "kind"},
    "gap": {"type": "edge_regression", "edge_type": "item:similar:item", "label": "gap"},
    "links": {"type": "link_prediction", "edge_type": "item:similar:item"},
}


def of_tasks(shop: tuple[Path, Path], folder: Path, task: dict[str, Any]) -> dict[str, Any]:
    data = shop_pipeline(shop[0], folder / "run")
    data["graph"]["path"] = str(shop[1])
    return {**data, "task": task}


def test_a_table_for_each_of_several_tasks(
    shop: tuple[Path, Path],
    shop_config: Callable[..., Pipeline],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """By the names that the scores of the run have."""
    monkeypatch.setattr(links, "MOST_NODES", 200)
    data = of_tasks(shop, tmp_path, {"type": "multi", "tasks": TASKS, "select_by": "kind.accuracy"})
    found = run_baselines(build_pipeline(data).with_absolute_paths(tmp_path), QUIET)
    assert list(found.by_task) == ["kind", "gap"]
    assert found.without == {"links": "there must be at most 200 nodes a type (got 240)"}
    by_itself = alone(shop_config("edge_regression"))
    for outcome, part in zip(by_itself.outcomes, found.by_task["gap"].outcomes, strict=True):
        assert (outcome.why_not, outcome.setting) == (part.why_not, part.setting)
        assert part.scores.get("test", {}) == {f"gap.{k}": v for k, v in outcome.scores.get("test", {}).items()}
    assert found.by_task["gap"].select_by == "gap.rmse"


def test_the_verb_with_several_tasks(shop: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two = {name: TASKS[name] for name in ("links", "gap")}
    data = of_tasks(shop, tmp_path, {"type": "multi", "tasks": two, "select_by": "gap.rmse"})
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    evaluated = tmp_path / "run" / "evaluate" / "metrics.json"
    evaluated.parent.mkdir(parents=True)
    evaluated.write_text(json.dumps({"test": {"links.mrr": 0.125, "mean": 0.5}}), encoding="utf-8")
    shown = CliRunner().invoke(app, ["baseline", str(path)])
    assert shown.exit_code == 0, shown.output
    lines = shown.output.splitlines()
    assert lines[0] == "task links"
    assert lines[1].split()[:4] == ["test", "links.mrr", "links.hits@1", "links.hits@10"]
    own, _ = [line for line in lines if line.startswith(THIS_RUN)]
    assert own.split()[-3:] == ["0.1250", "-", "-"]
    assert lines[lines.index("") + 1] == "task gap"
    assert "label propagation: not applicable, the label is one of edges" in lines
    answer = json.loads(CliRunner().invoke(app, ["baseline", str(path), "--json"]).output)
    assert answer["tasks"]["links"]["model"] == {"test": {"links.mrr": 0.125}}
    assert set(answer["tasks"]) == {"links", "gap"}


def test_tasks_that_have_none(shop: tuple[Path, Path], tmp_path: Path) -> None:
    data = of_tasks(shop, tmp_path, {"type": "feature_reconstruction", "of_types": ["item"]})
    data["train"]["evaluate_every"] = None
    with pytest.raises(ConfigError, match=r"got none\)\. there are no simple models of task.type: feature_"):
        run_baselines(build_pipeline(data).with_absolute_paths(tmp_path), QUIET)


def test_many_relations_are_shown_in_part() -> None:
    from graphstorm_like.baselines.outcome import Outcome

    scores = {"mrr": 0.5, **{f"mrr/a:r{number}:b": 0.25 for number in range(40)}}
    lines = list(Comparison([Outcome("popularity", {"test": scores}, "any")], None, "mrr", True).lines())
    assert lines[2:5] == ["", "mrr of   popularity", "a:r0:b       0.2500"]
    assert "10 more: --json" in lines
