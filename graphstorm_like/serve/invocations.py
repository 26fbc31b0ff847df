"""SageMaker's contract: POST /invocations, and what a batch transform may ask before (GET /execution-parameters).

JSON: one question. JSON lines: a question a line. CSV: an id a line, of known nodes, or for links and edges a pair; no
header. Lines are answered by JSON lines in their order, with the ids in them. A line that cannot be answered refuses
the whole request, and is named.
"""

# Annotations are not postponed here: FastAPI reads them, and its classes are imported within functions.
import asyncio
import csv
import io
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from graphstorm_like.errors import ConfigError, GslError
from graphstorm_like.serve.body import KINDS, Body
from graphstorm_like.serve.pool import Pool

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
TYPES = {JSON: JSON, LINES: LINES, "application/x-ndjson": LINES, CSV: CSV}
CSV_ROWS = 1000
"""Lines of CSV that make one question."""
PAYLOAD_MB = 6
"""What a transform job is told to send at once."""

Ask = Callable[[str, Body], Awaitable[Any]]
"""(kind, body) -> a response."""


class Invocation(Body):
    """A question with its kind. Fields that are not part of one, as in a file of other purposes, are refused."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field("predict", pattern="|".join(f"^{kind}$" for kind in KINDS))

    def body(self) -> Body:
        """Without the kind."""
        return Body(**self.model_dump(exclude={"kind"}))


class LineError(GslError):
    """What is wrong with a line of a request. detail: a message, or a list of pydantic's."""

    def __init__(self, line: int, detail: Any) -> None:
        super().__init__(f"line {line}: {detail}")
        self.detail = f"line {line}: {detail}" if isinstance(detail, str) else [{"line": line, **one} for one in detail]


def add_invocations(app: Any, ask: Ask, pool: Pool) -> None:
    """Add the routes."""
    from fastapi import HTTPException, Request, Response
    from fastapi.responses import JSONResponse

    async def invocations(request: Request) -> Any:
        given = request.headers.get("content-type", JSON).split(";")[0].strip().lower()
        if given not in TYPES:
            raise HTTPException(415, f"content-type: must be {JSON}, {LINES} or {CSV} (got {given})")
        wanted = request.headers.get("accept", "*/*")
        offered = JSON if TYPES[given] == JSON else LINES
        if not _accepts(wanted, offered):
            raise HTTPException(406, f"accept: must be {offered} for {given} (got {wanted})")
        try:
            text = (await request.body()).decode("utf-8-sig")
        except UnicodeDecodeError as err:
            raise HTTPException(422, f"body: must be UTF-8 ({err})") from None
        if TYPES[given] == JSON:
            question = _parsed(text)
            return await ask(question.kind, question.body())
        try:
            if TYPES[given] == LINES:
                questions = [(number, _parsed_line(number, line)) for number, line in _lines(text)]
                return await _answered(questions, ask, pool, Response)
            return await _answered(list(_of_csv(text, pool)), ask, pool, Response, spread=True)
        except LineError as err:
            raise HTTPException(422, err.detail) from None

    def _parsed(text: str) -> Invocation:
        try:
            return Invocation.model_validate_json(text)
        except ValidationError as err:
            raise HTTPException(422, problems(err)) from None

    async def execution_parameters() -> Any:
        facts = {"MaxConcurrentTransforms": max(pool.limits.workers, 1), "BatchStrategy": "MULTI_RECORD"}
        return JSONResponse({**facts, "MaxPayloadInMB": PAYLOAD_MB})

    about = "A question with its kind (default: predict) as JSON, one a line, or known ids as CSV."
    app.post("/invocations", summary=about)(invocations)
    app.get("/execution-parameters", summary="What a batch transform of SageMaker should send.")(execution_parameters)


def problems(err: ValidationError) -> Any:
    """What pydantic says, as plain JSON."""
    return json.loads(err.json(include_url=False, include_context=False))


def _accepts(wanted: str, offered: str) -> bool:
    """Whether an Accept header allows a content type; who takes JSON takes lines of it."""
    kinds = {kind.split(";")[0].strip().lower() for kind in wanted.split(",")}
    return bool(kinds & {offered, JSON, "application/x-ndjson", "application/*", "*/*"})


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that hold something, with their numbers, from 1. Only the newline ends a line, as SageMaker splits files:
    texts may hold other separators."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line


def _parsed_line(number: int, line: str) -> Invocation:
    try:
        return Invocation.model_validate_json(line)
    except ValidationError as err:
        raise LineError(number, problems(err)) from None


def _of_csv(text: str, pool: Pool) -> Iterator[tuple[int, Invocation]]:
    """Questions about CSV_ROWS lines each, with the number of their first one."""
    try:
        rows = [(number, row) for number, row in enumerate(csv.reader(io.StringIO(text, newline="")), start=1) if row]
    except csv.Error as err:
        raise LineError(1, f"must be CSV ({err})") from None
    width = len(rows[0][1]) if rows else 1
    for number, row in rows:
        if len(row) != width or width > 2:
            raise LineError(number, f"must have an id, or a pair of ids, in all lines alike (got {len(row)} fields)")
    ranks_links = pool.facts.get("task", {}).get("type") == "link_prediction"
    for start in range(0, len(rows), CSV_ROWS):
        part = [row for _, row in rows[start : start + CSV_ROWS]]
        if width == 2:
            asked: dict[str, Any] = {"kind": "predict", "pairs": [(row[0], row[1]) for row in part]}
        else:
            asked = {"kind": "links" if ranks_links else "predict", "ids": [row[0] for row in part]}
        yield rows[start][0], Invocation.model_validate(asked)


async def _answered(
    questions: list[tuple[int, Invocation]], ask: Ask, pool: Pool, response: Any, spread: bool = False
) -> Any:
    """The answers as lines, in the order of the questions; in place of all of them the first one that is an error.
    spread: an answer has many lines. As many questions are asked at once as a worker takes together."""
    limit = asyncio.Semaphore(max(1, min(pool.limits.batch, pool.limits.queue // 2)))

    async def one(number: int, question: Invocation) -> Any:
        async with limit:
            return number, await ask(question.kind, question.body())

    tasks = [asyncio.create_task(one(*question)) for question in questions]
    lines: list[str] = []
    try:
        for task in tasks:
            number, answer = await task
            if answer.status_code != 200:
                return _named(number, answer, spread)
            body = bytes(answer.body).decode()
            lines += [json.dumps(row, ensure_ascii=False) for row in _rows_of(json.loads(body))] if spread else [body]
    finally:
        for task in tasks:
            task.cancel()
    return response("\n".join([*lines, ""]), media_type=LINES)


def _rows_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    rows = answer.get("predictions", answer.get("links"))
    if rows is None:
        raise ConfigError("CSV: must be answered by predictions or links")
    return list(rows)


def _named(number: int, answer: Any, spread: bool) -> Any:
    """An error with the line that it is about."""
    from fastapi.responses import JSONResponse

    message = json.loads(bytes(answer.body)).get("error")
    where = f"lines from {number}" if spread else f"line {number}"
    headers = {key: value for key, value in answer.headers.items() if key.lower() == "retry-after"}
    return JSONResponse({"error": f"{where}: {message}"}, answer.status_code, headers=headers)


__all__ = ["add_invocations"]
