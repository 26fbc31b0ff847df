"""`task.pairs`: what the score of a pair reads of the graph between its two ends.

common_neighbors   both ends have neighbours in common
sketches           the same within two steps, for dense graphs
text_neighbors     sources with similar texts link to this target
popularity         some targets are linked far more often than others
sum                several of these
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from graphstorm_like.config.base import Accepts, KeyedError, PositiveFloat, PositiveInt
from graphstorm_like.config.choice import Choice, json_choices, members_of

SUM = "sum"


class PairTermConfig(Choice, tag="type"):
    """Facts about two nodes together, which their vectors cannot know of each other."""

    type: str

    @property
    def compares_source_texts(self) -> bool:
        """Whether it reads the texts of sources, whatever the model reads."""
        return False

    @property
    def reads_all_relations(self) -> bool:
        """Whether it follows edges of all relations, and not those alone that the task is about."""
        return False


def _several(value: Any) -> Any:
    return {"type": SUM, "terms": value} if isinstance(value, list) else value


PairTermField = Annotated[PairTermConfig, BeforeValidator(_several), Accepts(type="array", items={"type": "object"})]
"""One term, or a list of several."""


class CommonNeighborsConfig(PairTermConfig):
    """Common neighbours, weighed by the pair of relations that lead to them; each counts 1 / its degree."""

    type: Literal["common_neighbors"]
    kinds: PositiveInt = 16
    """So many pairs of relations: those that connect the ends of most training edges."""
    most_neighbors: PositiveInt = 1000
    """Nodes with more neighbours are passed by: they say little, and cost most of the time."""
    lr_factor: PositiveFloat = 10.0
    """Times `train.lr`, at which its weights learn: a few numbers from 0 on, which else hardly move in a few epochs."""

    @property
    def reads_all_relations(self) -> bool:
        """See PairTermConfig."""
        return True


class PopularityTermConfig(PairTermConfig):
    """How many training edges lead to the target, whatever the source is; beside drawn negatives, for those of the
    batch are popular themselves."""

    type: Literal["popularity"]
    lr_factor: PositiveFloat = 10.0
    """Times `train.lr`, at which its weights learn: a few numbers from 0 on, which else hardly move in a few epochs."""


class SketchesConfig(PairTermConfig):
    """How many nodes are near both ends, within one and two steps, by hashes of their surroundings (BUDDY, Chamberlain
    et al., ICLR 2023): where common neighbours are too many to be counted."""

    type: Literal["sketches"]
    hashes: Annotated[int, Field(ge=16)] = 128
    """Smallest hashes of a surrounding (minhash), 4 bytes each: the error of an overlap falls with the root of their
    number."""
    registers: Literal[64, 128, 256, 512, 1024] = 256
    """By which sizes are counted (HyperLogLog), 1 byte each: 256 give sizes to 6.5 %, 1024 to 3.3 %."""
    width: PositiveInt = 16
    """Of the network's hidden layer."""

    @property
    def reads_all_relations(self) -> bool:
        """See PairTermConfig."""
        return True


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


class TextNeighborsConfig(PairTermConfig):
    """Votes of the sources with the most similar texts for the targets of their training edges. Texts are compared by
    their words (TF-IDF); nodes of the source type must have texts."""

    type: Literal["text_neighbors"]
    k: PositiveInt = 50
    """Sources that vote, at most: of those that have training edges."""
    most_texts: PositiveInt = 10_000
    """Words in more texts than this are left out: they say little, and cost most of the time."""
    lr_factor: PositiveFloat = 10.0
    """Times `train.lr`, at which its weights learn: a few numbers from 0 on, which else hardly move in a few epochs."""

    @property
    def compares_source_texts(self) -> bool:
        """See PairTermConfig."""
        return True
