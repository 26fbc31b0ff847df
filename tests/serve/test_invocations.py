"""What /invocations makes of lines, with known answers: lines in their places, the line of an error, memory."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("fastapi")
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient

from graphstorm_like.serve import invocations
from graphstorm_like.serve.body import Body
from graphstorm_like.serve.pool import Limits

Answer = Callable[[str, Body], tuple[int, Any]]


class Asked:
    """Asks `answer`, and counts: questions at the same time, and all of them."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.now, self.most, self.all = answer, 0, 0, 0

    async def __call__(self, kind: str, body: Body) -> JSONResponse:
        self.now, self.all = self.now + 1, self.all + 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        status, content = self.answer(kind, body)
        return JSONResponse(content, status)


def served(answer: Answer, task: str = "node_classification", workers: int = 1) -> tuple[Asked, TestClient]:
    """What is asked, and a client."""
    app, asked = FastAPI(), Asked(answer)
    pool: Any = SimpleNamespace(limits=Limits(workers=workers, batch=8), facts={"task": {"type": task}})
    invocations.add_invocations(app, asked, pool)
    return asked, TestClient(app)


def post(client: TestClient, text: str, content_type: str) -> tuple[int, list[Any]]:
    answer = client.post("/invocations", content=text.encode(), headers={"content-type": content_type})
    return answer.status_code, [json.loads(line) for line in answer.text.splitlines()]


def by_id(_kind: str, body: Body) -> tuple[int, Any]:
    """Each id is its prediction; 'bad' is not known."""
    wrong = [name for name in body.ids or () if str(name).startswith("bad")]
    if wrong:
        return 422, {"error": f"ids: must be known (got {wrong[0]})"}
    return 200, {"predictions": [{"id": name} for name in body.ids or ()]}


def test_no_more_lines_are_parsed_than_are_asked() -> None:
    """They are few at once, and the memory does not grow with their number but by the answers."""
    asked, client = served(lambda _kind, _body: (200, {}))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    status, lines = post(client, "{}\n" * 8_000, invocations.LINES)
    grown = (tracemalloc.get_traced_memory()[1] - before) / 1e6
    tracemalloc.stop()
    assert (status, len(lines), asked.all, asked.most) == (200, 8_000, 8_000, 8)
    assert grown < 6, f"{grown:.0f} MB"


@pytest.mark.parametrize("number", [1, 7, 1000, 1001, 2345])
def test_the_first_wrong_line_is_named(number: int) -> None:
    names = [f"n{i}" for i in range(2500)]
    names[number - 1], names[2400] = "bad-1", "bad-2"
    _, client = served(by_id)
    assert post(client, "\n".join(names), invocations.CSV) == (
        422,
        [{"error": f"line {number}: ids: must be known (got bad-1)"}],
    )
    lines = "\n\n".join(json.dumps({"ids": [name]}) for name in names)
    assert post(client, lines, invocations.LINES)[1] == [
        {"error": f"line {2 * number - 1}: ids: must be known (got bad-1)"}
    ]


def test_what_cannot_be_read_comes_after_what_cannot_be_answered() -> None:
    _, client = served(by_id)
    for text, content_type, said in (
        ('{"ids": ["bad"]}\n{', invocations.LINES, "line 1: ids"),
        ('{"ids": ["a"]}\n{', invocations.LINES, "'line': 2"),
        ("a\nbad\nb,c\n", invocations.CSV, "line 2: ids"),
        ("a\n\nb,c\n", invocations.CSV, "line 3: must have an id"),
    ):
        status, answer = post(client, text, content_type)
        assert (status, said in str(answer)) == (422, True), answer


def test_an_error_of_the_server_is_of_all_lines_that_were_asked() -> None:
    _, client = served(lambda _kind, _body: (504, {"error": "no answer"}))
    assert post(client, "a\nb\nc", invocations.CSV) == (504, [{"error": "lines 1 to 3: no answer"}])


def test_parallel_edges_share_the_line_of_their_pair() -> None:
    """So that a line of the answer stands for a line of the question, though a pair is asked twice."""

    def of_pairs(_kind: str, body: Body) -> tuple[int, Any]:
        rows = []
        for source, target in body.pairs or ():
            edges = 3 if target == "many" else 1
            rows += [{"source": source, "target": target, "parallel": i, "prediction": i} for i in range(edges)]
        return 200, {"predictions": rows}

    _, client = served(of_pairs, "edge_classification")
    status, lines = post(client, "a,one\na,many\na,many\nb,one\n", invocations.CSV)
    one = {"parallel": 0, "prediction": 0}
    assert status == 200
    assert [(line["source"], line["target"]) for line in lines] == [
        ("a", "one"), ("a", "many"), ("a", "many"), ("b", "one"),
    ]  # fmt: skip
    assert lines[0] == {"source": "a", "target": "one", **one}
    assert [row["prediction"] for row in lines[1]["predictions"]] == [0, 1, 2]


@pytest.mark.parametrize(("workers", "at_once"), [(0, 1), (4, 4), (96, 12)])
def test_a_transform_job_is_told_what_sagemaker_allows(workers: int, at_once: int) -> None:
    """Requests at once times the megabytes of each are 100 at most, and a job may choose 8."""
    _, client = served(by_id, workers=workers)
    told = client.get("/execution-parameters").json()
    assert told == {"MaxConcurrentTransforms": at_once, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}


@pytest.mark.parametrize(
    ("content_type", "accept", "wanted"),
    [
        (None, None, invocations.JSON),
        ("application/json; charset=utf-8", "text/csv", invocations.CSV),
        ("application/json", "text/*;q=0.5, */*;q=0.1", invocations.CSV),
        ("application/json", "text/csv;q=0.2, application/json", invocations.JSON),
        ("application/x-ndjson", "application/json", invocations.LINES),
        ("application/jsonlines", "text/csv", 406),
        ("text/csv", "text/csv", invocations.CSV),
        ("Text/CSV", "*/*", invocations.LINES),
        ("text/csv", "application/jsonlines;q=0, text/csv", invocations.CSV),
        ("text/csv", "text/csv;q=0, text/html", 406),
        ("text/csv", "text/csv;q=high", 406),
        ("text/plain", None, 415),
    ],
)
def test_media_types_are_negotiated(content_type: str | None, accept: str | None, wanted: Any) -> None:
    if isinstance(wanted, str):
        assert invocations.negotiated(content_type, accept)[1] == wanted
        return
    with pytest.raises(invocations.MediaTypeError) as refused:
        invocations.negotiated(content_type, accept)
    assert refused.value.status == wanted


def test_answers_as_csv() -> None:
    """The columns of `infer.format: csv`; with a header for a question, without one for lines in their places."""

    def answer(_kind: str, body: Body) -> tuple[int, Any]:
        shares = {"book": 0.25, "game": 0.75}
        return 200, {
            "predictions": [{"id": i, "prediction": 'a "b", c', "probabilities": shares} for i in body.ids or ()]
        }

    _, client = served(answer)
    line = ',"a ""b"", c",0.25,0.75'
    asked = {"headers": {"content-type": "text/csv", "accept": "text/csv"}}
    lines = client.post("/invocations", content="x\n7\n", **asked)  # type: ignore[arg-type]
    assert (lines.text, lines.headers["content-type"]) == (f"x{line}\n7{line}\n", "text/csv; charset=utf-8")
    table = client.post("/invocations", json={"ids": ["x", 7]}, headers={"accept": "text/csv"})
    assert table.text == f"id,prediction,probabilities.book,probabilities.game\nx{line}\n7{line}\n"
