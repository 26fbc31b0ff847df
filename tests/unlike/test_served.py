"""`gsl serve` on graphs that have little in common: what the endpoint answers is what `gsl apply` writes, of known
nodes and edges, and of new ones that come with the question, as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graphstorm_like.config.search import ExactSearchConfig
from graphstorm_like.deploy.model import Model
from graphstorm_like.deploy.pack import pack
from graphstorm_like.errors import GslError
from graphstorm_like.serve.answers import Answers, Question
from graphstorm_like.serve.body import Body
from graphstorm_like.serve.engine import Engine
from graphstorm_like.tasks import EdgeLabelTask, LinkPrediction, NodeLabelTask
from tests.unlike.conftest import Case

NEW, LINKED, MOST_RELATIONS = 3, 6, 5
"""New nodes; new edges by edge type; edge types of which there are new ones"""
LABELS = ("label", "split")
SERVED = (
    "odd_types", "numbers", "structure", "many_relations", "tiny", "wide", "texts", "cycle", "parquet_files",
    "parallel_labels", "links_within", "outliers",
)  # fmt: skip
"""The others bring nothing that these have not."""


@pytest.fixture
def served(case: Case, tmp_path: Path) -> Iterator[Answers]:
    """Of the packed model, over the graph of the run."""
    model = Model.load(pack(case.pipeline("run").output, tmp_path / "model"))
    graph = str(case.pipeline("run").graph.path)
    with model.open(graph, unknown="mean", sweep=True) as applied:
        (tmp_path / "known").mkdir()
        engine = Engine(model, applied, unknown="mean")
        answers = Answers(engine, tmp_path / "known", ExactSearchConfig(type="exact"))
        answers.prepare()
        yield answers


def asked(answers: Answers, kind: str, **question: Any) -> dict[str, Any]:
    """As over HTTP: the question and the answer are JSON."""
    body = Body.model_validate_json(json.dumps(question))
    (answer,) = answers.answer_all([Question(**body.question(kind))])
    if isinstance(answer, GslError):
        raise answer
    told: dict[str, Any] = json.loads(json.dumps(answer, allow_nan=False))
    return told


def same_rows(mine: list[dict[str, Any]], wanted: pa.Table) -> None:
    """All that the endpoint says, beside the columns that `gsl apply` writes."""
    rows = wanted.to_pylist()
    assert len(mine) == len(rows)
    for one, other in zip(mine, rows, strict=True):
        for name in {"id", "source", "target", "parallel", "rank"} & {*one, *other}:
            assert one[name] == other[name], name
        if isinstance(other["prediction"], float):
            assert one["prediction"] == pytest.approx(other["prediction"], rel=1e-4, abs=1e-4)
            continue
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-4)
        tie = math.isclose(*sorted(other["probabilities"].values())[-2:], abs_tol=2e-4)
        assert tie or one["prediction"] == other["prediction"]


def same_links(mine: list[dict[str, Any]], wanted: pa.Table) -> None:
    """The same targets with the same scores, but for the order of near ties."""
    by_source: dict[Any, list[tuple[Any, float]]] = {}
    for row in wanted.to_pylist():
        by_source.setdefault(row["source"], []).append((row["target"], row["score"]))
    assert [answer["source"] for answer in mine] == list(by_source)
    for answer in mine:
        found = [(target["id"], target["score"]) for target in answer["targets"]]
        expected = by_source[answer["source"]]
        assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=1e-4)
        last = expected[-1][1] + 2e-4
        assert {i for i, score in found if score > last} == {i for i, score in expected if score > last}


# ------------------------------------------------------------------------------------------------- new rows


def table_of(case: Case, section: dict[str, Any]) -> pa.Table:
    """The rows of a type."""
    named = section["files"]
    files = sorted((case.folder / "tables").glob(named if isinstance(named, str) else named[0]))
    return pa.concat_tables([pq.read_table(file) for file in files])


def rows_of(table: pa.Table, count: int) -> list[dict[str, Any]]:
    kept = [name for name in table.column_names if name not in LABELS]
    return table.select(kept).slice(0, count).to_pylist()


def new_ids(known: list[Any]) -> list[Any]:
    """Of the type that the others are of."""
    if isinstance(known[0], int):
        return [i for i in range(100_000, 100_000 + 4 * NEW) if i not in known][:NEW]
    return [f"new {i}, 新" for i in range(NEW)]


def brought(case: Case, task: Any) -> dict[str, Any]:
    """A question's new rows: nodes like the first ones, edges like the first ones of some types, each second one with
    a new end. Of a task on edges edges alone, between known nodes."""
    graph, edges_only = case.data["graph"], isinstance(task, EdgeLabelTask)
    edges: dict[str, Any] = {}
    if edges_only:
        name = ":".join(task.edge_type)
        section = next(e for e in graph["edges"] if f"{e['source']}:{e['relation']}:{e['target']}" == name)
        return {"edges": {name: rows_of(table_of(case, section), LINKED)}}
    node_type = task.node_types[0]
    section, ids = graph["nodes"][node_type], new_ids(case.unlike.ids[node_type])
    key = section["id"]
    nodes = [row | {key: name} for row, name in zip(rows_of(table_of(case, section), NEW), ids, strict=True)]
    for edge in graph["edges"]:
        ends = [end for end in ("source", "target") if edge[end] == node_type]
        table = table_of(case, edge)
        if not ends or not len(table) or len(edges) == MOST_RELATIONS:
            continue
        rows = rows_of(table, LINKED)
        for i, row in enumerate(rows[::2]):
            row[ends[i % len(ends)]] = ids[i % NEW]
        edges[f"{edge['source']}:{edge['relation']}:{edge['target']}"] = rows
    return {"nodes": {node_type: nodes}, "edges": edges}


def tables(case: Case, question: dict[str, Any]) -> dict[str, Any]:
    """The same rows for `Model.predict`, with the types that their tables have."""
    found: dict[str, Any] = {"nodes": {}, "edges": {}}
    graph = case.data["graph"]
    for name, rows in question.get("nodes", {}).items():
        found["nodes"][name] = _typed(rows, table_of(case, graph["nodes"][name]))
    for name, rows in question.get("edges", {}).items():
        edge = next(e for e in graph["edges"] if f"{e['source']}:{e['relation']}:{e['target']}" == name)
        found["edges"][tuple(name.split(":"))] = _typed(rows, table_of(case, edge))
    return found


def _typed(rows: list[dict[str, Any]], like: pa.Table) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=pa.schema([like.schema.field(name) for name in rows[0]]))


# ------------------------------------------------------------------------------------------------- what is answered


@pytest.mark.slow
@pytest.mark.parametrize("case", SERVED, indirect=True)
def test_the_endpoint_answers_as_apply_does(case: Case, served: Answers) -> None:
    engine, task = served.engine, served.engine.task
    applied, graph = engine.applied, str(case.pipeline("run").graph.path)
    question = brought(case, task)
    new, options = tables(case, question), {"attach": graph, "unknown": "mean"}
    if isinstance(task, LinkPrediction):
        ids = case.unlike.ids[task.edge_type[0]]
        same_links(asked(served, "links", ids=ids)["links"], applied.links(ids, 10))
        pairs = list(zip(ids[:5], ids[5:10], strict=True))
        scores = [row["score"] for row in asked(served, "predict", pairs=pairs)["predictions"]]
        assert scores == pytest.approx(applied.score_pairs(pairs)["score"].to_pylist(), abs=1e-4)
        answer = asked(served, "links", **question)
        assert answer["exact"]
        same_links(answer["links"], engine.model.links(new, None, 10, **options))
    elif isinstance(task, EdgeLabelTask):
        wanted = applied.predict()
        pairs = list(zip(wanted["source"].to_pylist(), wanted["target"].to_pylist(), strict=True))
        distinct = list(dict.fromkeys(pairs))
        same_rows(asked(served, "predict", pairs=distinct)["predictions"], applied.predict(pairs=distinct))
        answer, wanted = asked(served, "predict", **question)["predictions"], engine.model.predict(new, **options)
        assert len(answer) == len(wanted)
        found = sorted((row["source"], row["target"], *row["probabilities"].values()) for row in answer)
        expected = sorted((row["source"], row["target"], *row["probabilities"].values()) for row in wanted.to_pylist())
        assert [row[:2] for row in found] == [row[:2] for row in expected]
        np.testing.assert_allclose([row[2:] for row in found], [row[2:] for row in expected], atol=1e-4)
    else:
        assert isinstance(task, NodeLabelTask)
        ids = case.unlike.ids[task.node_type]
        same_rows(asked(served, "predict", ids=ids)["predictions"], applied.predict(ids))
        same_rows(asked(served, "predict", **question)["predictions"], engine.model.predict(new, **options))
        found = asked(served, "neighbors", ids=ids[:2], k=3)["neighbors"]
        assert [len(answer["nearest"]) for answer in found] == [min(3, len(ids) - 1)] * 2
    same_embeddings(case, served)


def same_embeddings(case: Case, served: Answers) -> None:
    """Of all types, those that the task does not predict, too."""
    for node_type, ids in case.unlike.ids.items():
        mine = asked(served, "embed", node_type=node_type, ids=ids[:20])["embeddings"]
        wanted = served.engine.applied.embed(node_type, ids[:20])
        assert [row["id"] for row in mine] == wanted["id"].to_pylist() == ids[:20]
        vectors = np.stack(wanted["embedding"].to_pylist())
        np.testing.assert_allclose([row["embedding"] for row in mine], vectors, atol=1e-4)
