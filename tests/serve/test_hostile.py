"""Questions that are wrong in every way: each fails alone, with an error that names what is wrong, and nobody else."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphstorm_like.serve import pool as pool_module
from graphstorm_like.serve.answers import Answers
from graphstorm_like.serve.pool import AnswerError, Limits, Pool
from graphstorm_like.serve.worker import FAILED, REFUSED, Settings, _reply, read_message, serve, write_message
from tests.deploy.conftest import Packed

from .test_engine import answers_of

ITEM = {"id": "new", "title": "novel", "price": 1.0, "colour": "red"}


@pytest.fixture(scope="module")
def opened(packed: Packed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answers]:
    answers = answers_of(packed, tmp_path_factory.mktemp("known"))
    yield answers
    answers.engine.applied.close()


def items(*changes: dict[str, Any]) -> dict[str, Any]:
    rows = [ITEM | {"id": f"n{i}"} | changed for i, changed in enumerate(changes)]
    return {"nodes": {"item": rows}}


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def replied(answers: Answers, *questions: dict[str, Any]) -> list[dict[str, Any]]:
    """What a worker writes to the server."""
    asked, told = io.BytesIO(), io.BytesIO()
    write_message(asked, [{"kind": "predict", **question} for question in questions])
    asked.seek(0)
    serve(answers, asked, told)
    told.seek(0)
    replies: list[dict[str, Any]] = read_message(told)
    return replies


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"ids": ["\ud800"]}, "ids: must be ids"),
        (items({}, {"price": "x"}), "nodes.item row 2: column 'price' must hold numbers, or lists of numbers (got"),
        (items({"price": 2**64}), "nodes.item row 1: column 'price' must hold whole numbers of at most 64 bits"),
        (items({"price": deep(100)}), "nodes.item row 1: column 'price' must hold numbers, or lists of numbers"),
        (items({"title": {"a": 1}}), "nodes.item row 1: column 'title' must hold strings"),
        (items({}, {"title": "\udfff"}), "nodes.item row 2: column 'title' must hold text without lone surrogates"),
        (items({"id": "\ud800"}), "nodes.item row 1: column 'id' must hold text without lone surrogates"),
        (items({}, {"id": None}), "nodes.item row 2: column 'id' must hold ids"),
        (items({"price": float("inf")}), "nodes.item row 1: column 'price' must be finite"),
        (items({}, {"price": float("nan")}), "nodes.item row 2: column 'price' must be a number (got NaN)"),
        ({"nodes": {"item": [{"id": "n", "title": "a", "prise": 1, "colour": "red"}]}}, "Did you mean 'prise'?"),
        ({"nodes": {"item": []}}, "nodes.item: must have at least one row"),
        ({"nodes": {"\ud800": [ITEM]}}, "unknown node type"),
    ],
)  # fmt: skip
def test_mistakes_are_refused_by_row_and_column(opened: Answers, question: dict[str, Any], message: str) -> None:
    honest, wrong = replied(opened, items({}), question)
    assert "ok" in honest
    assert wrong["kind"] == REFUSED
    assert message in wrong["error"]


def test_columns_that_the_model_does_not_read_are_left_out(opened: Answers) -> None:
    plain, more = replied(opened, items({}), items({"\ud800": deep(300), "kind": 5, "split": {}}))
    assert more["ok"] == plain["ok"]


texts = st.text(st.characters(codec=None), max_size=6)
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | texts
values = st.recursive(scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(texts, v, max_size=3), max_leaves=8)
columns = st.sampled_from(["id", "title", "price", "colour", "source", "target", "kind", "split"]) | texts
rows = st.lists(st.dictionaries(columns, values, max_size=5).map(lambda row: ITEM | row), max_size=3)
nodes = st.dictionaries(st.sampled_from(["item", "user"]) | texts, rows, max_size=2)
edges = st.dictionaries(st.sampled_from(["user:buys:item", "item:similar:item"]) | texts, rows, max_size=2)
ids = st.lists(texts | st.integers(), max_size=3)
questions = st.fixed_dictionaries(
    {"kind": st.sampled_from(["predict", "embed", "neighbors", "links"])},
    optional={
        "nodes": nodes,
        "edges": edges,
        "ids": ids,
        "pairs": st.lists(st.tuples(texts | st.integers(), texts), max_size=2),
        "sets": st.lists(ids, max_size=2),
        "node_type": st.sampled_from(["item", "user"]) | texts,
        "task": texts,
        "edge_type": texts,
        "time": texts | st.floats(),
        "k": st.integers(1, 1000),
    },
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(questions, st.booleans())
def test_whatever_is_asked_only_the_question_itself_fails(
    opened: Answers, question: dict[str, Any], is_first: bool
) -> None:
    honest = {"kind": "predict", **items({})}
    ((alone),) = replied(opened, honest)
    both = [question, honest] if is_first else [honest, question]
    replies = replied(opened, *both)
    mine, other = replies if not is_first else reversed(replies)
    assert mine["ok"]["predictions"][0]["prediction"] == alone["ok"]["predictions"][0]["prediction"]
    assert mine["ok"]["predictions"][0]["probability"] == pytest.approx(alone["ok"]["predictions"][0]["probability"])
    assert "ok" in other or other["kind"] == REFUSED, other


@pytest.mark.parametrize("error", [ValueError("a bug"), RecursionError(), MemoryError(), BaseException("a panic")])
def test_our_own_errors_have_an_incident_in_the_log(
    opened: Answers, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], error: BaseException
) -> None:
    """And where what a batch shares fails, only the question at fault does."""
    encoded = opened.engine._text_vectors

    def failing(requests: Any) -> Any:
        if any("n1" in request.ids["item"].to_pylist() for request in requests):
            raise error
        return encoded(requests)

    monkeypatch.setattr(opened.engine, "_text_vectors", failing)
    first, bad, last = replied(opened, items({}), items({}, {}), items({}))
    assert "ok" in first
    assert "ok" in last
    assert bad["kind"] == FAILED
    incident = bad["error"].split("incident ")[1].rstrip(")")
    logged = capfd.readouterr().err
    assert f"incident {incident}" in logged
    assert type(error).__name__ in logged


def test_an_answer_that_json_cannot_hold_is_an_error_of_its_question() -> None:
    assert json.loads(_reply({"score": float("nan")}))["kind"] == FAILED
    assert json.loads(_reply({"id": "\ud800"})) == {"ok": {"id": "\ud800"}}


WORKER = """
import json, os, signal, sys, time
def write(content):
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    sys.stdout.buffer.write(len(data).to_bytes(8, "little") + data); sys.stdout.buffer.flush()
write({"ready": {}})
while True:
    head = sys.stdin.buffer.read(8)
    if len(head) < 8: break
    batch = json.loads(sys.stdin.buffer.read(int.from_bytes(head, "little")))
    asked = [question["ask"] for question in batch]
    if "crash" in asked: os.abort()
    if "kill" in asked: os.kill(os.getpid(), signal.SIGKILL)
    if "hang" in asked: time.sleep(1000)
    if "short" in asked: write([]); continue
    if "garbage" in asked: write(b"no json"); continue
    if "odd" in asked: write([7] * len(asked)); continue
    time.sleep(0.02)
    write([{"ok": {"answer": one}} for one in asked])
"""


@pytest.fixture
def ask_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], tuple[list[Any], int]]:
    """Asks a pool of two workers without a model at once; gives the answers, and how many workers died."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER)

    async def start(self: Pool, file: Path) -> Any:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(sys.executable, str(script), stdin=pipe, stdout=pipe)

    monkeypatch.setattr(Pool, "_start_process", start)
    monkeypatch.setattr(pool_module, "MIN_PATIENCE_SECONDS", 0.5)

    async def asked(questions: list[str]) -> tuple[list[Any], int]:
        deaths: list[int] = []
        observed = pool_module.Observed(death=lambda: deaths.append(1))
        settings = Settings(model="", graph="", work=str(tmp_path))
        made = Pool(settings, Limits(workers=2, batch=8, seconds=20), observed)
        monkeypatch.setattr(made, "_patience", 0.5)
        await made.start()
        try:
            waiting = [made.ask({"ask": question}) for question in questions]
            answers = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 25)
            after = await asyncio.wait_for(made.ask({"ask": "after"}), 20)
            assert after == {"answer": "after"}
        finally:
            await made.stop()
        return answers, len(deaths)

    return lambda questions: asyncio.run(asked(questions))


@pytest.mark.parametrize(("killer", "deaths"), [("crash", 2), ("kill", 3), ("short", 2), ("garbage", 2), ("odd", 2)])
def test_a_question_that_ends_workers_costs_only_itself(ask_all: Any, killer: str, deaths: int) -> None:
    questions = ["a", "b", killer, "c", "d"]
    answers, died = ask_all(questions)
    for question, answer in zip(questions, answers, strict=True):
        if question == killer:
            assert isinstance(answer, AnswerError)
            assert "ended its worker" in str(answer)
        else:
            assert answer == {"answer": question}
    assert died <= deaths


def test_a_worker_that_hangs_is_replaced(ask_all: Any) -> None:
    answers, died = ask_all(["hang"])
    assert "took too long" in str(answers[0])
    assert died == 1


@pytest.fixture
def app(tmp_path: Path) -> Any:
    """The application over a pool that answers everything with {}, and is never started."""
    pytest.importorskip("fastapi")
    from graphstorm_like.serve.app import make_app

    made, pool = make_app(Settings(model="", graph="", work=str(tmp_path)), Limits())

    async def ask(question: dict[str, Any]) -> dict[str, Any]:
        if question["ids"] == ["bad"]:
            raise AnswerError("unknown type '\ud800'", REFUSED)
        return {}

    pool.ask = ask  # type: ignore[method-assign]
    return made


def called(app: Any, body: Iterator[bytes], headers: dict[str, str], path: str = "/predict") -> tuple[int, bytes, int]:
    """Status, body and how many bytes were read of a request."""
    read = 0
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        nonlocal read
        chunk = next(body, b"")
        read += len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": bool(chunk)}

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(key.encode(), value.encode()) for key, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": path, "headers": raw, "query_string": b"", "http_version": "1.1"}
    asyncio.run(app(scope, receive, send))
    content = b"".join(message.get("body", b"") for message in sent[1:])
    closes = (b"connection", b"close") in sent[0]["headers"]
    assert closes == (sent[0]["status"] == 413)
    return sent[0]["status"], content, read


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
@pytest.mark.parametrize("length", [None, "10", "-1", "none"])
def test_bodies_are_counted_as_they_come(app: Any, path: str, length: str | None) -> None:
    """Whatever the length that the client states, if any; and no more is read than the limit."""
    headers = {} if length is None else {"content-length": length}
    status, content, read = called(app, iter([b" " * (1 << 16)] * 10_000), headers, path)
    assert status == 413
    assert b"must be at most 8,388,608 bytes" in content
    assert read <= (8 << 20) + (1 << 16)
    status, _, _ = called(app, iter([b"{", b'"ids": ["a"]', b"}"]), headers, path)
    assert status == 200
    assert called(app, iter([]), {"content-length": "9" * 30}, path)[0] == 413


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"ids": ["\\ud800"]}', 422),
        (b'{"ids": ["bad"]}', 422),  # whose message cannot be UTF-8
        (b'{"time": NaN}', 422),
        (b'{"nodes": {"item": [{"price": Infinity}]}}', 200),  # refused by the worker, which names row and column
        (b'{"nodes": {"item": [{"price": ' + b"9" * 5000 + b"}]}}", 422),
        (b'{"nodes": {"item": [{"price": ' + b"[" * 1000 + b"]" * 1000 + b"}]}}", 422),
        (b"[" * 100_000, 422),
        (b'{"ids": ["\xff"]}', 422),
        (b'{"ids": ["a"], "ids": ["bad"]}', 422),  # of equal keys the last one counts
        (b"[]", 422),
        (b"", 422),
    ],
)
def test_bodies_that_are_no_question(app: Any, body: bytes, status: int) -> None:
    for path in ("/predict", "/invocations"):
        got, content, _ = called(app, iter([body]), {}, path)
        assert got == status, content
        assert got == 200 or json.loads(content)["error"]
