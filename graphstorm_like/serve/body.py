"""A question as it comes over HTTP."""

# Annotations are not postponed here: FastAPI reads them.
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

MAX_IDS, MAX_ROWS = 10_000, 10_000
"""Ids or pairs in a question; rows that it brings."""
KINDS = ("predict", "embed", "neighbors", "links")


class Body(BaseModel):
    """A question. Nodes are known ones (ids), or new ones that come with it (nodes, and edges that link them)."""

    model_config = ConfigDict(extra="forbid")

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
