"""Models of several tasks, one of them of links of several relations: questions name the task and the relation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphstorm_like.config import build_pipeline
from graphstorm_like.deploy.pack import pack
from graphstorm_like.errors import GslError
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.serve.answers import Answers
from graphstorm_like.testing.graphs import shop_pipeline, write_shop
from tests.deploy.conftest import BUYS, SIMILAR, Packed, read

from .test_engine import answers_of, only

TASKS = {
    "kind": {"type": "node_classification", "node_type": "item", "label": "kind"},
    "trend": {
        "type": "edge_classification",
        "edge_type": ":".join(SIMILAR),
        "label": "trend",
        "inputs": {"features": ["weight"]},
    },
    "links": {"type": "link_prediction", "edge_types": "all", "ends": "reciprocal", "ranking": {"candidates": 20}},
}


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    folder = tmp_path_factory.mktemp("several")
    data = shop_pipeline(write_shop(folder / "tables", items=40, users=10), folder / "run")
    data["task"] = {"type": "multi", "tasks": TASKS, "select_by": "kind.accuracy"}
    data["train"] |= {"epochs": 1, "track": {}}
    data["infer"] = {"top_k": 3}
    pipeline = build_pipeline(data).with_absolute_paths(folder)
    run_pipeline(pipeline, ["construct", "train", "infer"], reporter=Reporter(quiet=True))
    return Packed(pipeline, pack(pipeline.output, folder / "model"))


@pytest.fixture(scope="module")
def opened(several: Packed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answers]:
    answers = answers_of(several, tmp_path_factory.mktemp("known"))
    yield answers
    answers.engine.applied.close()


def inferred(several: Packed, task: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read(Path(several.pipeline.output) / "infer/predictions" / task).to_pylist()
    return rows


def test_each_task_answers_as_infer_wrote(opened: Answers, several: Packed) -> None:
    rows = inferred(several, "kind")[3:7]
    mine = only(opened, kind="predict", task="kind", ids=[row["id"] for row in rows])["predictions"]
    assert [row["prediction"] for row in mine] == [row["prediction"] for row in rows]
    rows = inferred(several, "trend")[5:9]
    pairs = [(row["source"], row["target"]) for row in rows]
    mine = only(opened, kind="predict", task="trend", pairs=pairs)["predictions"]
    assert [row["probabilities"] for row in mine] == [pytest.approx(row["probabilities"], abs=1e-5) for row in rows]


@pytest.mark.parametrize("relation", [":".join(BUYS), "item:similar:item", "item:buys^-1:user"])
def test_links_of_each_relation_are_those_of_infer(opened: Answers, several: Packed, relation: str) -> None:
    """The best targets, and of the inverse relation the best sources; and their scores as pairs."""
    of_sources = "^-1" in relation
    name = ":".join(BUYS) if of_sources else relation
    known, found = ("target", "source") if of_sources else ("source", "target")
    rows = [row for row in inferred(several, "links") if (row["relation"], row["sought"]) == (name, found)]
    asked = list(dict.fromkeys(row[known] for row in rows))[:4]
    question: dict[str, Any] = {"task": "links", "edge_type": relation}
    listed = only(opened, kind="links", ids=asked, k=3, **question)["links"]
    wanted = [(row[known], row[found], row["score"]) for row in rows if row[known] in asked]
    mine = [(one["source"], target["id"], target["score"]) for one in listed for target in one["targets"]]
    assert len(wanted) == 12
    assert [row[:2] for row in mine] == [row[:2] for row in wanted]
    np.testing.assert_allclose([row[2] for row in mine], [row[2] for row in wanted], atol=1e-5)
    pairs = [row[:2] for row in wanted]
    scored = only(opened, kind="predict", pairs=pairs, **question)["predictions"]
    np.testing.assert_allclose([row["score"] for row in scored], [row[2] for row in wanted], atol=1e-5)


def test_new_rows_belong_to_all_tasks(opened: Answers, several: Packed) -> None:
    """A new item has a kind, and its new edge a trend, from the edge's own weight; and users may buy it."""
    item = several.tables()["nodes"]["item"].slice(0, 1).to_pylist()[0]
    new = {key: value for key, value in item.items() if key in ("id", "title", "price", "colour")} | {"id": "new"}
    edge = {"source": "new", "target": item["id"], "weight": 0.1}
    rows = {"nodes": {"item": [new]}, "edges": {":".join(SIMILAR): [edge]}}
    (kind,) = only(opened, kind="predict", task="kind", **rows)["predictions"]
    (low,) = only(opened, kind="predict", task="trend", **rows)["predictions"]
    edge["weight"] = 5.0
    (high,) = only(opened, kind="predict", task="trend", **rows)["predictions"]
    assert kind["id"] == "new"
    assert low["probabilities"] != pytest.approx(high["probabilities"], abs=1e-6), "the edge's weight is read"
    listed = only(opened, kind="links", task="links", edge_type="item:buys^-1:user", k=4, **rows)["links"]
    assert [(row["source"], len(row["targets"])) for row in listed] == [("new", 4)]


def test_what_is_refused(opened: Answers) -> None:
    for message, question in (
        (r"task: must be one of the model's, kind, trend, links \(got none\)", {}),
        (r"task: must be one of the model's, .* \(got size\)", {"task": "size"}),
        (
            r"edge_type: must be one that the model ranks, user:buys:item, .* \(got none\)",
            {"task": "links", "pairs": []},
        ),
        (r"links: needs a model of link_prediction", {"kind": "links", "task": "kind"}),
    ):
        with pytest.raises(GslError, match=message):
            only(opened, **{"kind": "predict", "ids": ["item-0001"], **question})
