"""What every feature has in its configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator

from graphstorm_like.config.base import Accepts, EdgeType
from graphstorm_like.config.choice import Choice, members_of


class FeatureConfig(Choice, tag="encode", default="numeric"):
    """Columns of a table -> numbers for each row. Without `encode` the column holds a number or a list of numbers."""

    of_columns: ClassVar[bool] = True
    """Whether it is made of a table's columns. False: of the graph, once its edges are there (see structure.py)."""

    of_texts: ClassVar[bool] = False
    """Whether it says which words a text has: simple models of texts read these by themselves."""

    source_keys: ClassVar[tuple[str, ...]] = ("column", "columns")
    """Keys that say where it is read: other tables with the same feature may have others."""

    encode: str

    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """How it is stored and sent. float16 and bfloat16 take half the space: float16 keeps 3 digits of numbers up to
    65,504, bfloat16 2 digits of any number."""

    def column_names(self) -> list[str]:
        """The columns of the table that it reads, in order."""
        named = [getattr(self, "column", None), *(getattr(self, "columns", None) or [])]
        return [name for name in named if name is not None]

    @classmethod
    def magnitude(cls, fitted: Mapping[str, Any]) -> float | None:
        """The root mean square of its numbers that are not 0, where the model is to divide by it; None: it is not, as
        of numbers that are near 1 already. fitted: what `graph.json` keeps of the feature"""
        return None

    def input_files(self) -> list[str]:
        """Files besides the table's that it reads, as `files` of a table names them."""
        return []

    def in_table(self, id_column: str | None) -> Self:
        """The same feature in a table with this column of ids; None: a table of edges. Raises ValueError when it
        cannot be in such a table."""
        return self

    def check_edges(
        self, node_type: str, edge_types: Sequence[EdgeType]
    ) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """(place, message) of what a graph with these original edge types lacks for it."""
        return iter(())


def made_by(fitted: Mapping[str, Any]) -> type[FeatureConfig]:
    """The kind of feature that fitted what `graph.json` keeps; FeatureConfig of those that it does not know."""
    kind = (members_of(FeatureConfig) or {}).get(str(fitted.get("encode")), FeatureConfig)
    return kind if issubclass(kind, FeatureConfig) else FeatureConfig


def _column_alone(value: Any) -> Any:
    if isinstance(value, str):
        return {"encode": "numeric", "column": value}
    if not isinstance(value, dict | FeatureConfig):
        raise ValueError("must be a column's name, or a mapping with the key 'column'")
    return value


FeatureField = Annotated[FeatureConfig, BeforeValidator(_column_alone), Accepts("string")]
"""Just the name of a column stands for a numeric feature."""
