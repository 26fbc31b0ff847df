"""A question as it comes over HTTP."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MAX_IDS, MAX_ROWS = 10_000, 10_000
"""Ids or pairs in a question; rows that it brings."""
MAX_BYTES = 8 << 20
"""Of a request's body."""
KINDS = ("predict", "embed", "neighbors", "links")


class Body(BaseModel):
    """A question. Nodes are known ones (ids), or new ones that come with it (nodes, and edges that link them)."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    node_type: str | None = Field(None, description="Type of the ids; by default that of the model's task.")
    ids: list[str | int] | None = Field(None, max_length=MAX_IDS, description="Known nodes.")
    pairs: list[tuple[str | int, str | int]] | None = Field(
        None, max_length=MAX_IDS, description="Sources and targets to score, for link prediction."
    )
    sets: list[list[str | int]] | None = Field(
        None, max_length=MAX_IDS, description="Members of sets, known nodes or new ones, for tasks on sets."
    )
    nodes: dict[str, list[dict[str, Any]]] | None = Field(
        None,
        description="New nodes by type: rows with the columns of the training's tables.",
        examples=[{"product": [{"sku": "new-1", "title": "red cotton scarf", "price": 12.5}]}],
    )
    edges: dict[str, list[dict[str, Any]]] | None = Field(
        None,
        description="New edges by 'source:relation:target': rows with the columns of the training's tables.",
        examples=[{"user:buys:product": [{"user_id": "u1", "sku": "new-1"}]}],
    )
    task: str | None = Field(None, description="Which of the model's tasks, where it has several.")
    edge_type: str | None = Field(
        None,
        description="Which relation, where the model ranks several: 'source:relation:target'; for its sources "
        "'target:relation^-1:source'.",
    )
    time: str | float | None = Field(
        None,
        description="As of which known nodes are seen, for models with model.time: ISO 8601, or a number where times "
        "are numbers. By default the model's own: model.time.at.",
    )
    k: int = Field(10, ge=1, le=1000, description="How many are listed of each.")

    def question(self, kind: str) -> dict[str, Any]:
        """For a worker."""
        return {"kind": kind, **self.model_dump()}

    def rows(self) -> int:
        """How many it brings, members of sets counted."""
        tables = [*(self.nodes or {}).values(), *(self.edges or {}).values()]
        return sum(map(len, tables)) + sum(map(len, self.sets or []))


Question = TypeVar("Question", bound=Body)


async def text_of(request: Any) -> str:
    """Return the body of a starlette request. HTTPException: 422 for what is not UTF-8."""
    from fastapi import HTTPException
    from starlette.requests import ClientDisconnect

    try:
        text: str = (await request.body()).decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise HTTPException(422, f"body: must be UTF-8 ({err.reason} at byte {err.start:,})") from None
    except ClientDisconnect:
        raise HTTPException(400, "body: must be whole (the client has gone)") from None
    return text


def parsed(text: str, form: type[Question]) -> Question:
    """Return the question in a JSON text. HTTPException: 422 with what is wrong. JSON is pydantic's: at most 200 deep,
    integers of at most 4,300 digits, no lone surrogates; of equal keys the last one counts, and NaN and Infinity are
    numbers, which are refused where they are used."""
    from fastapi import HTTPException

    try:
        return form.model_validate_json(text)
    except ValidationError as err:
        raise HTTPException(422, problems(err)) from None


def problems(err: ValidationError) -> Any:
    """What pydantic says, as plain JSON; without the input, which the client has."""
    return json.loads(err.json(include_url=False, include_context=False, include_input=False))


def to_json(content: Any) -> bytes:
    """Return JSON. Names in a client's question may have lone surrogates, which no UTF-8 holds: they stay escaped."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")
