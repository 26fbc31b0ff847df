"""`task.pairs.type: sum`"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from graphstorm_like.config.base import KeyedError
from graphstorm_like.config.choice import json_choices, members_of
from graphstorm_like.config.pair_terms.base import SUM, PairTermConfig


class _SingleTerm:
    """Annotation of a field: a term that is no sum."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_not_a_sum, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        tags = [tag for tag in members_of(PairTermConfig) or {} if tag != SUM]
        return handler(json_choices(PairTermConfig, tags))


def _not_a_sum(value: Any) -> Any:
    if isinstance(value, dict) and value.get("type") == SUM:
        raise KeyedError("type", f"must be a term of its own (got '{SUM}')")
    return value


class SumConfig(PairTermConfig):
    """Several terms, each with weights of its own. `pairs: [a, b]` is short for it."""

    type: Literal["sum"]
    terms: Annotated[list[Annotated[PairTermConfig, _SingleTerm()]], Field(min_length=1)]
    """What is added up."""

    @property
    def compares_source_texts(self) -> bool:
        """See PairTermConfig."""
        return any(term.compares_source_texts for term in self.terms)

    @property
    def reads_all_relations(self) -> bool:
        """See PairTermConfig."""
        return any(term.reads_all_relations for term in self.terms)
