"""SageMaker's contract: POST /invocations, and what a batch transform may ask before (GET /execution-parameters).

JSON: one question. JSON lines: a question a line. CSV: an id a line, of known nodes, or for links and edges a pair; no
header. Each is answered by a line in its place, with the ids in it: JSON, or of CSV also CSV, where the client wants
that. A line that cannot be answered refuses the whole request, and is named.
"""

# Annotations are not postponed here: FastAPI reads them, and its classes are imported within functions.
import asyncio
import csv
import io
import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from graphstorm_like.errors import ConfigError, GslError
from graphstorm_like.serve.body import KINDS, Body, parsed, problems, text_of, to_json
from graphstorm_like.serve.pool import Pool

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
TYPES = {JSON: JSON, LINES: LINES, "application/x-ndjson": LINES, CSV: CSV}
ANSWERS = {JSON: (JSON, CSV), LINES: (LINES,), CSV: (LINES, CSV)}
"""By the type of a body, those that its answer may have; the first is the default. An answer to one question in CSV has
a header, those to lines have none. Questions in JSON lines may each have several rows, which are no line of CSV."""
TABLES = ("predictions", "embeddings", "neighbors", "links")
"""Keys of the rows of an answer."""
CSV_ROWS = 1000
"""Lines of CSV that make one question."""
ENDS = ("source", "target")
PAYLOAD_MB = 6
"""What a transform job is told to send in a request, unless it has been told otherwise."""
MOST_AT_ONCE = 100 // 8
"""Requests: SageMaker refuses jobs that send more than 100 MB at once, and a request may have 8."""

Ask = Callable[[str, Body], Awaitable[Any]]
"""(kind, body) -> a response."""


class Invocation(Body):
    """A question with its kind. Fields that are not part of one, as in a file of other purposes, are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

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
    from fastapi import HTTPException, Request
    from fastapi.responses import JSONResponse

    async def invocations(request: Request) -> Any:
        try:
            given, wanted = negotiated(request.headers.get("content-type"), request.headers.get("accept"))
        except MediaTypeError as err:
            raise HTTPException(err.status, str(err)) from None
        text = await text_of(request)
        if given == JSON:
            question = parsed(text, Invocation)
            answer = await ask(question.kind, question.body())
            return _as_table(answer) if wanted == CSV and answer.status_code == 200 else answer
        parts = _of_json(text) if given == LINES else _of_csv(text, _ranks_links(pool))
        try:
            return await _answered(parts, ask, max(1, min(pool.limits.batch, pool.limits.queue // 2)), wanted)
        except LineError as err:
            raise HTTPException(422, err.detail) from None

    async def execution_parameters() -> Any:
        at_once = min(max(pool.limits.workers, 1), MOST_AT_ONCE)
        facts = {"MaxConcurrentTransforms": at_once, "BatchStrategy": "MULTI_RECORD"}
        return JSONResponse({**facts, "MaxPayloadInMB": PAYLOAD_MB})

    about = "A question with its kind (default: predict) as JSON, one a line, or known ids as CSV."
    app.post("/invocations", summary=about)(invocations)
    app.get("/execution-parameters", summary="What a batch transform of SageMaker should send.")(execution_parameters)


class MediaTypeError(GslError):
    """A content type that is not read, or none that is wanted can be written. status: of HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def negotiated(content_type: str | None, accept: str | None) -> tuple[str, str]:
    """Return the type of a body, and that of its answer: what `accept` weighs highest (q), the first of ANSWERS where
    it leaves the choice. Raises MediaTypeError."""
    stated = (content_type or JSON).split(";")[0].strip().lower()
    if stated not in TYPES:
        raise MediaTypeError(f"content-type: must be {JSON}, {LINES} or {CSV} (got {stated})", 415)
    given = TYPES[stated]
    weights = _weights(accept or "*/*")
    offered = ANSWERS[given]
    best = max(offered, key=lambda kind: _weight(kind, weights))
    if _weight(best, weights) <= 0:
        raise MediaTypeError(f"accept: must be {' or '.join(offered)} for {stated} (got {accept})", 406)
    return given, best


def _weights(accept: str) -> dict[str, float]:
    """By media range; the default is 1."""
    weights = {}
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weights[kind] = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                try:
                    weights[kind] = float(value)
                except ValueError:
                    weights[kind] = 0.0
    return weights


def _weight(kind: str, weights: Mapping[str, float]) -> float:
    """That of the most exact range. Who takes JSON takes lines of it."""
    names = [kind, *(["application/x-ndjson", JSON] if kind == LINES else [])]
    for name in (*names, f"{kind.split('/', maxsplit=1)[0]}/*", "*/*"):
        if name in weights:
            return weights[name]
    return 0.0


def _cells(row: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Names and texts of the cells of a row of an answer: a cell for each number of a vector, `embedding.0`, and each
    part of a structure, `probabilities.book`, as `infer.format: csv` has them."""
    if isinstance(row, dict | list):
        parts = row.items() if isinstance(row, dict) else enumerate(row)
        for key, value in parts:
            yield from _cells(value, f"{name}.{key}" if name else str(key))
    elif isinstance(row, str):
        yield name, row
    else:
        yield name, "" if row is None else json.dumps(row)


def _csv_line(cells: Iterable[str]) -> str:
    """Without its end."""
    file = io.StringIO()
    csv.writer(file, lineterminator="").writerow(list(cells))
    return file.getvalue()


def _as_table(answer: Any) -> Any:
    """A 200 answer to one question, a table with a header as `gsl infer` writes them."""
    from fastapi import Response

    content = json.loads(bytes(answer.body))
    rows = [dict(_cells(row)) for row in next(content[key] for key in TABLES if key in content)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [_csv_line(names)]
    for row in rows:
        lines.append(_csv_line(row.get(name, "") for name in names))
    return Response("\n".join([*lines, ""]).encode("utf-8", "backslashreplace"), media_type=CSV)


@dataclass(frozen=True)
class Part:
    """Lines of a request that make one question. fields: of CSV, those of each line; None: a line of JSON. ranks_links:
    whether CSV of single ids asks for links."""

    numbers: list[int]
    fields: list[list[str]] | None = None
    body: Invocation | None = None
    ranks_links: bool = False

    def question(self) -> Invocation:
        """What is asked."""
        if self.body is not None:
            return self.body
        rows = self.fields or []
        if len(rows[0]) == 2:
            asked: dict[str, Any] = {"kind": "predict", "pairs": [(row[0], row[1]) for row in rows]}
        else:
            asked = {"kind": "links" if self.ranks_links else "predict", "ids": [row[0] for row in rows]}
        return Invocation.model_validate(asked)

    def lines(self, answer: Any, wanted: str) -> Iterator[str]:
        """A line of JSON, or of CSV, a line. Parallel edges between a pair of ids share its line."""
        text = bytes(answer.body).decode()
        if self.fields is None:
            yield text
            return
        for rows in _of_pairs(json.loads(text)):
            row = rows[0] if len(rows) == 1 else {key: rows[0][key] for key in ENDS} | {"predictions": rows}
            if wanted == CSV:
                yield _csv_line(text for _, text in _cells(row))
            else:
                yield json.dumps(row, ensure_ascii=False)

    def halves(self) -> "tuple[Part, Part]":
        """The first and the second half of the lines of CSV."""
        assert self.fields is not None
        middle = len(self.numbers) // 2
        first = replace(self, numbers=self.numbers[:middle], fields=self.fields[:middle])
        return first, replace(self, numbers=self.numbers[middle:], fields=self.fields[middle:])


def _ranks_links(pool: Pool) -> bool:
    return bool(pool.facts.get("task", {}).get("type") == "link_prediction")


def _of_json(text: str) -> Iterator[Part | LineError]:
    """A question a line that holds something; at the end, the first one that is none. Lines are numbered from 1, and
    only the newline ends one, as SageMaker splits files: texts may hold other separators."""
    for number, line in enumerate(io.StringIO(text, newline="\n"), start=1):
        if not line.strip():
            continue
        try:
            yield Part([number], body=Invocation.model_validate_json(line))
        except ValidationError as err:
            yield LineError(number, problems(err))
            return


def _of_csv(text: str, ranks_links: bool) -> Iterator[Part | LineError]:
    """A question about CSV_ROWS lines each; at the end, the first line that is wrong."""
    reader = csv.reader(io.StringIO(text, newline=""))
    numbers: list[int] = []
    fields: list[list[str]] = []
    width, wrong = 0, None
    try:
        for row in reader:
            width = width or len(row)
            if row and (len(row) != width or width > 2):
                rule = f"must have an id, or a pair of ids, in all lines alike (got {len(row)} fields)"
                wrong = LineError(reader.line_num, rule)
                break
            if row:
                numbers.append(reader.line_num)
                fields.append(row)
            if len(numbers) == CSV_ROWS:
                yield Part(numbers, fields, ranks_links=ranks_links)
                numbers, fields = [], []
    except csv.Error as err:
        wrong = LineError(reader.line_num, f"must be CSV ({err})")
    if numbers:
        yield Part(numbers, fields, ranks_links=ranks_links)
    if wrong is not None:
        yield wrong


async def _answered(parts: Iterator[Part | LineError], ask: Ask, limit: int, wanted: str) -> Any:
    """The answers as lines, in the order of the questions; in place of all of them the first one that is an error.
    limit: how many are asked at once, which no more than are parsed. wanted: LINES or CSV."""
    from fastapi import Response

    asked: deque[tuple[Part | LineError, asyncio.Task[Any] | None]] = deque()
    lines: list[str] = []
    try:
        while True:
            while len(asked) < limit and (part := next(parts, None)) is not None:
                asked.append((part, None if isinstance(part, LineError) else asyncio.create_task(_ask(part, ask))))
            if not asked:
                return Response("\n".join([*lines, ""]).encode("utf-8", "backslashreplace"), media_type=wanted)
            part, task = asked[0]
            if isinstance(part, LineError):
                raise part
            assert task is not None, "a question's"
            answer = await task
            asked.popleft()
            if answer.status_code != 200:
                return await _named(part, answer, ask)
            lines.extend(part.lines(answer, wanted))
    finally:
        for _, task in asked:
            if task is not None:
                task.cancel()


async def _ask(part: Part, ask: Ask) -> Any:
    question = part.question()
    return await ask(question.kind, question.body())


def _of_pairs(answer: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The rows of an answer by what was asked: parallel edges, of which the first has the number 0, together."""
    rows = answer.get("predictions", answer.get("links"))
    if rows is None:
        raise ConfigError("CSV: must be answered by predictions or links")
    found: list[list[dict[str, Any]]] = []
    for row in rows:
        if row.get("parallel", 0) == 0:
            found.append([])
        found[-1].append(row)
    return found


async def _named(part: Part, answer: Any, ask: Ask) -> Any:
    """An error with the first line that it is about, found by halving where it is the fault of one of several."""
    from fastapi import Response
    from fastapi.responses import JSONResponse

    while len(part.numbers) > 1 and answer.status_code == 422:
        first, second = part.halves()
        of_first = await _ask(first, ask)
        part, answer = (second, await _ask(second, ask)) if of_first.status_code == 200 else (first, of_first)
    if answer.status_code == 200:
        return JSONResponse({"error": "the answer has changed while it was made. Ask again"}, 503)
    message = json.loads(bytes(answer.body)).get("error")
    numbers = part.numbers
    where = f"line {numbers[0]}" if len(numbers) == 1 else f"lines {numbers[0]} to {numbers[-1]}"
    headers = {key: value for key, value in answer.headers.items() if key.lower() == "retry-after"}
    content = to_json({"error": f"{where}: {message}"})
    return Response(content, answer.status_code, headers, media_type=JSON)


__all__ = ["add_invocations"]
