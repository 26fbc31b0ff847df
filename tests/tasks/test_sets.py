"""Labels of sets: readouts against plain loops, members, that only members are read, a label that is learnt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from gconstruct import build_graph
from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.deploy.pack import pack
from graphstorm_like.errors import ConfigError, GslError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.models.readout import Readout
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.batch import StreamPosition
from graphstorm_like.sampling.seeds import RankSlice
from graphstorm_like.sampling.sets import Members, SetSeeder, SetTargets
from graphstorm_like.tasks import build_task
from graphstorm_like.tasks.sets import SetLabelTask
from tests.deploy.conftest import Packed
from tests.serve.test_engine import answers_of, only

SETS = torch.tensor([0, 2, 0, 2, 2])
HOW = ["mean", "sum", "max", "attention"]


@pytest.mark.parametrize("how", HOW)
def test_readouts_are_those_of_plain_loops(how: str) -> None:
    """Set 1 is empty."""
    draw = torch.Generator().manual_seed(0)
    rows = torch.randn(5, 3, generator=draw, dtype=torch.float64, requires_grad=True)
    readout = Readout(how, 3).double()
    read = readout(rows, SETS, 3)
    for number, at in ((0, [0, 2]), (2, [1, 3, 4])):
        own = rows[at]
        expected = {"mean": own.mean(0), "sum": own.sum(0), "max": own.amax(0)}.get(how)
        if readout.gate is not None:
            expected = (readout.gate(own).softmax(0) * own).sum(0)
        assert expected is not None
        torch.testing.assert_close(read[number], expected, atol=1e-6, rtol=1e-6)
    assert not read[1].any()
    order = torch.tensor([3, 0, 4, 2, 1])
    torch.testing.assert_close(readout(rows[order], SETS[order], 3), read)
    if how != "attention":  # whose softmax is in float32
        assert torch.autograd.gradcheck(lambda leaf: readout(leaf, SETS, 3), (rows,))


def _kinds(dear: Any) -> list[str]:
    has = [("dear", dear.any()), ("cheap", not dear.all())]
    return [kind for kind, is_there in has if is_there]


def made(folder: Path, **task: Any) -> Pipeline:
    """300 baskets of 1 to 9 of 120 items. A basket is dear when its dearest item is; `most` is the highest price in it,
    `has` says which kinds of items it has. Its own number says nothing."""
    rng = np.random.default_rng(0)
    dear = rng.random(120) < 0.12
    baskets = [rng.choice(120, rng.integers(1, 10), replace=False) for _ in range(300)]
    tables = folder / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    noise = rng.normal(size=120)
    item = {"id": [f"i{i}" for i in range(120)], "price": dear + 0.1 * noise, "noise": noise}
    pq.write_table(pa.table(item), tables / "item.parquet")
    names = [f"b{b}" for b in range(300)]
    kinds = ["dear" if dear[basket].any() else "cheap" for basket in baskets]
    price = dear + 0.1 * noise
    basket_columns = {"id": names, "kind": kinds, "size": rng.normal(size=300)}
    basket_columns["most"] = [price[basket].max() for basket in baskets]
    basket_columns["has"] = [_kinds(dear[basket]) for basket in baskets]
    pq.write_table(pa.table(basket_columns), tables / "basket.parquet")
    ends = [(f"i{i}", names[b]) for b, basket in enumerate(baskets) for i in basket]
    pq.write_table(pa.table({"s": [s for s, _ in ends], "t": [t for _, t in ends]}), tables / "in.parquet")
    split = {"train": 0.5, "valid": 0.2, "test": 0.3}
    label = {
        "kind": {"column": "kind", "split": split},
        "most": {"column": "most", "kind": "number", "split": split},
        "has": {"column": "has", "kind": "classes", "split": split},
    }
    nodes = {
        "item": {"files": "item.parquet", "id": "id", "features": {"price": "price", "noise": "noise"}},
        "basket": {"files": "basket.parquet", "id": "id", "features": {"size": "size"}, "labels": label},
    }
    edge = {"source": "item", "relation": "in", "target": "basket", "files": "in.parquet"}
    chosen = {"type": "set_classification", "node_type": "basket", "label": "kind", "members": "item:in:basket"}
    data = {
        "output": str(folder / "run"),
        "graph": {"base": str(tables), "nodes": nodes, "edges": [edge | {"source_id": "s", "target_id": "t"}]},
        "model": {"gnn": {"type": "none", "layers": 0, "hidden": 8}},
        "task": chosen | {"readout": "max"} | task,
        "train": {"epochs": 20, "batch_size": 50, "lr": 0.03, "evaluate_every": 10},
    }
    return build_pipeline(data).with_absolute_paths(folder)


@pytest.fixture(scope="module")
def baskets(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    pipeline = made(tmp_path_factory.mktemp("baskets"))
    build_graph(pipeline.graph)
    return pipeline


def test_members_of_sets(baskets: Pipeline) -> None:
    assert baskets.graph.path is not None
    graph = LocalGraph(baskets.graph.path)
    members = Members.read(graph, ("item", "in", "basket"), "basket")
    source, target = graph.edges(("item", "in", "basket"))
    ids, sets = members.of(np.array([7, 3, 7]))
    for number, basket in enumerate((7, 3, 7)):
        assert sorted(ids[sets == number].tolist()) == sorted(source[target == basket].tolist())
    assert [len(part) for part in members.of(np.zeros(0, dtype=np.int64))] == [0, 0]


def test_ranks_share_sets_and_large_ones_are_drawn(baskets: Pipeline) -> None:
    assert baskets.graph.path is not None
    task = build_task(baskets.task, LocalGraph(baskets.graph.path), 8)
    assert isinstance(task, SetLabelTask)
    vectors = torch.randn(120, 8, generator=torch.Generator().manual_seed(0))
    rows = task.rows("train")[:11]

    def total(size: int) -> float:
        found = 0.0
        for rank in range(size):
            batch = task.seeder(0, RankSlice(rank, size))(rows, StreamPosition(0, 0))
            found += task.loss({"item": vectors[batch.seeds["item"]]}, batch)[0].item() * batch.weight
        return found

    assert total(3) == pytest.approx(total(1), rel=1e-5)
    few = SetSeeder("item", task.members, task.labels, 2, 0)
    drawn = []
    for epoch in (0, 0, 1):
        targets = few(rows, StreamPosition(epoch, 0)).targets
        assert isinstance(targets, SetTargets)
        assert int(targets.sets.bincount().max()) == 2
        drawn.append(targets.members.tolist())
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("readout", ["max", "attention"])
@pytest.mark.known_answer("tasks/set_classification")
def test_a_set_is_known_by_its_members(baskets: Pipeline, tmp_path: Path, readout: str) -> None:
    """From training to predictions, which are a row a set."""
    changed = baskets.model_dump(mode="json", exclude_unset=True)
    changed["task"]["readout"] = readout
    changed |= {"output": str(tmp_path / "run"), "cache": str(tmp_path / "cache"), "report": False}
    pipeline = build_pipeline(changed)
    run_pipeline(pipeline, ["train", "evaluate", "infer"], reporter=Reporter(quiet=True))
    predictions = pq.read_table(tmp_path / "run/infer/predictions").to_pydict()
    assert len(predictions["id"]) == 300
    rows = [row for row, split in enumerate(predictions["split"]) if split == "test"]
    right = [predictions["prediction"][row] == predictions["label"][row] for row in rows]
    assert np.mean(right) > 0.95


@pytest.mark.known_answer("tasks/set_regression", "tasks/set_multi_label")
@pytest.mark.parametrize(
    ("task", "least"),
    [
        ({"type": "set_regression", "label": "most", "readout": "max"}, {"r2": 0.9}),
        ({"type": "set_multi_label", "label": "has", "readout": "max"}, {"micro_f1": 0.95}),
    ],
)
def test_numbers_and_several_classes_of_sets(
    baskets: Pipeline, tmp_path: Path, task: dict[str, Any], least: dict[str, float]
) -> None:
    """Known by how the baskets were made; linear models of the basket's own number find nothing."""
    changed = baskets.model_dump(mode="json", exclude_unset=True)
    changed["task"] = {"node_type": "basket", "members": "item:in:basket", **task}
    changed |= {"output": str(tmp_path / "run"), "cache": str(tmp_path / "cache"), "report": False}
    pipeline = build_pipeline(changed)
    run_pipeline(pipeline, ["train", "evaluate", "infer"], reporter=Reporter(quiet=True))
    scores = read_scores(pipeline)["test"]
    assert {name: scores[name] > value for name, value in least.items()} == dict.fromkeys(least, True), scores
    assert pq.read_table(tmp_path / "run/infer/predictions").num_rows == 300


def test_sets_are_served(baskets: Pipeline, tmp_path: Path) -> None:
    """By the ids of known ones, and by their members, new nodes among them. Packing reads the saved configuration of
    the run again."""
    changed = baskets.model_dump(mode="json", exclude_unset=True)
    changed |= {"output": str(tmp_path / "run"), "cache": str(tmp_path / "cache"), "report": False}
    changed["train"] |= {"epochs": 1, "evaluate_every": None}
    changed["task"]["readout"] = "mean"
    changed["infer"] = {"attacks": [{"type": "fgm"}]}
    pipeline = build_pipeline(changed)
    run_pipeline(pipeline, ["train", "infer"], reporter=Reporter(quiet=True))
    answers = answers_of(Packed(pipeline, pack(pipeline.output, tmp_path / "model")), tmp_path)
    predicted = {row["id"]: row for row in pq.read_table(tmp_path / "run/infer/predictions").to_pylist()}
    known = only(answers, kind="predict", ids=["b7", "b0"])["predictions"]
    assert [row["id"] for row in known] == ["b7", "b0"]
    ends = pq.read_table(Path(str(pipeline.graph.base)) / "in.parquet").to_pydict()
    members = {b: [s for s, t in zip(ends["s"], ends["t"], strict=True) if t == b] for b in ("b7", "b0")}
    given = only(answers, kind="predict", sets=list(members.values()))["predictions"]
    assert [row["members"] for row in given] == list(members.values())
    for one, other in zip(known, given, strict=True):
        wanted = predicted[one["id"]]
        assert one["prediction"] == other["prediction"] == wanted["prediction"]
        for row in (one, other):
            assert dict(row["probabilities"]) == pytest.approx(dict(wanted["probabilities"]), abs=1e-6)
    # A member that is named again counts once, as it does in a set of the graph with two edges to it.
    named_again = [[*members["b7"], members["b7"][0], members["b7"][0]]]
    repeated = only(answers, kind="predict", sets=named_again)["predictions"][0]
    assert repeated["members"] == named_again[0]
    assert dict(repeated["probabilities"]) == pytest.approx(dict(given[0]["probabilities"]), abs=1e-6)
    # A new member that is like a known one makes no difference; one that is dear does.
    items = pq.read_table(Path(str(pipeline.graph.base)) / "item.parquet").to_pylist()
    twin = next(item for item in items if item["id"] == members["b7"][0])
    new = [twin | {"id": "new"}, {"id": "dear", "price": 9.0, "noise": 0.0}]
    sets = [["new", *members["b7"][1:]], ["new", "dear"]]
    brought = only(answers, kind="predict", sets=sets, nodes={"item": new})["predictions"]
    assert dict(brought[0]["probabilities"]) == pytest.approx(dict(given[0]["probabilities"]), abs=1e-6)
    assert dict(brought[1]["probabilities"]) != pytest.approx(dict(given[0]["probabilities"]), abs=1e-3)
    for question, message in (
        ({"sets": [["i1"], []]}, r"sets: must be lists of ids with at least one each \(got an empty one\)"),
        ({"sets": [["i1", "nobody"]]}, r"sets: .*nobody"),
        ({"sets": [["i1"]], "ids": ["b0"]}, r"ids: must be left out with sets"),
        ({"ids": ["b0"], "nodes": {"item": new}}, r"sets: must list the members"),
    ):
        with pytest.raises(GslError, match=message):
            only(answers, kind="predict", **question)
    answers.engine.applied.close()


def test_what_sets_need(baskets: Pipeline) -> None:
    data = baskets.model_dump(mode="json", exclude_unset=True)

    def changed(**task: Any) -> Pipeline:
        return build_pipeline(data | {"task": data["task"] | task})

    with pytest.raises(ConfigError, match=r"task\.members"):
        changed(members="item:of:basket")
    with pytest.raises(ConfigError, match=r"task\.members: must have 'item' at one end and another"):
        changed(node_type="item", members="basket:in:basket")
    timed = json.loads(json.dumps(data)) | {"model": data["model"] | {"gnn": {"type": "sage"}, "time": {"at": "own"}}}
    for name in ("item", "basket"):
        timed["graph"]["nodes"][name]["time"] = "at"
    with pytest.raises(ConfigError, match=r"model\.time\.at: must be end .* sets are read off members"):
        build_pipeline(timed)
    with pytest.raises(ConfigError, match=r"strategy"):
        build_pipeline(data | {"train": {"strategy": "glem"}})
    assert changed(readout="mean").task.node_types([]) == ("item",)
