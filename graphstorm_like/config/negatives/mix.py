"""`task.negatives.type: mix`"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from graphstorm_like.config.base import EdgeType, KeyedError, PositiveInt, Strict
from graphstorm_like.config.choice import json_choices, members_of
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.negatives.base import NegativesConfig
from graphstorm_like.config.problems import Problem, below

MIX = "mix"


class _SingleKind:
    """Annotation of a field: negatives that are no mix."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_not_a_mix, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        tags = [tag for tag in members_of(NegativesConfig) or {} if tag != MIX]
        return handler(json_choices(NegativesConfig, tags))


def _not_a_mix(value: Any) -> Any:
    if isinstance(value, dict) and value.get("type") == MIX:
        raise KeyedError("type", f"must be a kind of its own (got '{MIX}')")
    return value


class MixPartConfig(Strict):
    """One kind of negatives in a mix."""

    negatives: Annotated[NegativesConfig, _SingleKind()]
    """How they are drawn; how many, `share` says."""
    share: Annotated[float, Field(gt=0.0)]
    """Of the mix, in proportion to the shares of the others that take part in an epoch."""
    from_epoch: PositiveInt = 1
    """The first epoch that has some; 1 is the first of all."""
    full_epoch: PositiveInt | None = None
    """The share grows evenly from `from_epoch` to this epoch; None: it is whole at once."""

    @model_validator(mode="after")
    def _how_they_are_drawn_alone(self) -> MixPartConfig:
        for key, field in sorted(NegativesConfig.model_fields.items()):
            value = getattr(self.negatives, key)
            if key != "type" and value != field.default:
                raise KeyedError("negatives", f"must leave {key} to the mix (got {value!r})")
        if self.full_epoch is not None and self.full_epoch < self.from_epoch:
            raise KeyedError("full_epoch", f"must be at least from_epoch: {self.from_epoch} (got {self.full_epoch})")
        return self

    def weight(self, epoch: int) -> float:
        """The share in an epoch, which counts from 0."""
        number, full = epoch + 1, self.full_epoch or self.from_epoch
        if number < self.from_epoch:
            return 0.0
        return self.share * min(1.0, (number - self.from_epoch + 1) / (full - self.from_epoch + 1))


class MixNegativesConfig(NegativesConfig):
    """Several kinds of negatives, each with its share, and from an epoch on: easy ones first, hard ones later."""

    type: Literal["mix"]
    count: PositiveInt = 256
    """This many targets are drawn in all, shared by the batch."""
    parts: Annotated[list[MixPartConfig], Field(min_length=1)]
    """The kinds."""

    @property
    def asks_model(self) -> bool:
        """See NegativesConfig."""
        return any(part.negatives.asks_model for part in self.parts)

    @model_validator(mode="after")
    def _some_at_first(self) -> MixNegativesConfig:
        if all(part.from_epoch > 1 for part in self.parts):
            raise KeyedError("parts", "must have one with from_epoch: 1: without negatives there is nothing to learn")
        if self.popularity_correction and not all(part.negatives.chances_known for part in self.parts):
            raise KeyedError("popularity_correction", "must be false: nobody knows how often some of the parts' "
                                                      "negatives are drawn")  # fmt: skip
        return self

    def check(self, graph: GraphConfig, edge_types: Iterable[EdgeType]) -> Iterator[Problem]:
        """What the parts lack."""
        edge_types = list(edge_types)
        yield from super().check(graph, edge_types)
        for i, part in enumerate(self.parts):
            at: tuple[Any, ...] = ("parts", i, "negatives")
            yield from below(at, part.negatives.check(graph, edge_types))
