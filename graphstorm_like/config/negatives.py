"""`task.negatives`: how the wrong targets are drawn.

uniform                     all nodes of the type alike; the default
popularity                  frequent targets more often: recommendations
own_partition               drawn where the rank's rows are: several hosts
hard                        listed in a table of yours
mined_text                  targets with similar words
mined_resource_allocation   targets with common neighbours
mined_page_rank             targets that a walk from the source reaches
mined_model                 targets that the model itself ranks high
mix                         several kinds, from an epoch on each
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from graphstorm_like.config.base import EdgeType, KeyedError, NonNegativeFloat, PositiveInt, Strict
from graphstorm_like.config.choice import Choice, json_choices, members_of
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.problems import Problem, below


class NegativesConfig(Choice, tag="type", default="uniform"):
    """Where wrong targets come from. Known true targets among them are masked, not punished."""

    chances_known: ClassVar[bool] = True
    """Whether it is known how often each node is drawn, which `popularity_correction` needs."""

    type: str

    @property
    def asks_model(self) -> bool:
        """Whether the model in training ranks targets for them."""
        return False

    def check(self, graph: GraphConfig, edge_types: Iterable[EdgeType]) -> Iterator[Problem]:
        """What a graph lacks for negatives of these relations; paths begin at `negatives`."""
        relations = list(edge_types)
        if self.self_negative and relations and all(source != target for source, _, target in relations):
            yield ("self_negative",), "must be false where no relation has both ends of one node type (got true)"

    in_batch: bool = True
    """Besides those that are drawn, the other edges' targets; with several relations, those of any relation into the
    same node type."""
    popularity_correction: bool = False
    """Subtract from each score the log of how often its target is drawn (Yi et al., RecSys 2019): without it, in-batch
    negatives teach a model to mark down what is popular. Changes nothing where all nodes are drawn alike. The default
    of graph_pretraining is true."""
    queue: Annotated[int, Field(ge=0)] = 0
    """Besides, this many candidates of the steps before, by the vectors that they had then (pre-batch negatives of
    SimKGC, Wang et al., ACL 2022): many negatives without computing them again, and without gradients into them."""
    self_negative: bool = False
    """Besides, each source as a wrong target of its own, where both ends are of one node type (SimKGC): for ends whose
    texts are alike."""

    @model_validator(mode="after")
    def _correction_knows_all(self) -> NegativesConfig:
        if self.popularity_correction and not self.chances_known:
            raise KeyedError("popularity_correction", "must be false: nobody knows how often such negatives are drawn")
        if self.popularity_correction and (self.queue or self.self_negative):
            raise KeyedError("popularity_correction", "must be false with queue or self_negative (got true): it does "
                                                      "not know how often those come")  # fmt: skip
        return self


class HardNegativesConfig(NegativesConfig):
    """Wrong targets that the table of edges gives: `graph.edges[].hard_negatives`. The edges of a batch share them."""

    chances_known: ClassVar[bool] = False

    type: Literal["hard"]
    per_edge: PositiveInt = 1
    """This many are drawn of each edge's; nodes drawn uniformly take the place of those that an edge lacks."""
    uniform: Annotated[int, Field(ge=0)] = 0
    """This many targets drawn uniformly besides, shared by the batch."""

    def check(self, graph: GraphConfig, edge_types: Iterable[EdgeType]) -> Iterator[Problem]:
        """One of the relations must have hard negatives."""
        edge_types = list(edge_types)
        yield from super().check(graph, edge_types)
        edges = [edge for edge_type in edge_types if (edge := graph.edge(edge_type)) is not None]
        if edges and not any(edge.hard_negatives for edge in edges):
            number = graph.edges.index(edges[0])
            yield ("type",), f"must have a column to take them from. Add graph.edges[{number}].hard_negatives"


class MinedNegativesConfig(NegativesConfig):
    """Wrong targets that look right: for each source with training edges the best-scored targets that no training edge
    leads to. The edges of a batch share what is drawn for each. A true target that nobody has told may be among them:
    `skip` and `below` guard against that."""

    chances_known: ClassVar[bool] = False

    per_edge: PositiveInt = 1
    """This many are drawn for each edge from its source's list; nodes drawn uniformly where the list has fewer."""
    uniform: Annotated[int, Field(ge=0)] = 0
    """This many targets drawn uniformly besides, shared by the batch."""
    candidates: PositiveInt = 50
    """Length of a source's list."""
    skip: Annotated[int, Field(ge=0)] = 0
    """This many of the best are left out of the list: the likeliest to be true."""
    below: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Only what scores less than this times the best training target of the source (Moreira et al., NV-Retriever,
    2024: 0.95); sources whose training targets score nothing then get no list."""


class MinedModelConfig(MinedNegativesConfig):
    """By the model that is in training, with the vectors and the head that it has at each refresh (Xiong et al., ANCE,
    ICLR 2021)."""

    type: Literal["mined_model"]
    refresh_steps: PositiveInt = 500
    """Lists are made anew after so many optimizer steps, from vectors of all nodes; sampler processes then start
    anew."""

    @property
    def asks_model(self) -> bool:
        """See NegativesConfig."""
        return True


class MinedPageRankConfig(MinedNegativesConfig):
    """By personalised PageRank: where a walk from the source through the training graph is, which goes back with the
    chance `restart` after each step."""

    type: Literal["mined_page_rank"]
    restart: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.15
    """The alpha of HeaRT (Li et al., NeurIPS 2023): .15."""
    steps: PositiveInt = 3
    """The walk ends after so many steps at most."""
    most_neighbors: PositiveInt = 1000
    """Walks do not go on from nodes with more neighbours."""


class MinedResourceAllocationConfig(MinedNegativesConfig):
    """By common neighbours in the training graph, each in proportion to 1 / its degree (resource allocation, Zhou
    et al. 2009)."""

    type: Literal["mined_resource_allocation"]
    most_neighbors: PositiveInt = 1000
    """Nodes with more neighbours are passed by: they say little, and cost most of the time."""


class MinedTextConfig(MinedNegativesConfig):
    """By words: cosine of the TF-IDF rows of both ends' texts."""

    type: Literal["mined_text"]
    most_texts: PositiveInt = 1000
    """Words in more texts than this are left out: they say little, and cost most of the time."""


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


class OwnPartitionNegativesConfig(NegativesConfig):
    """Nodes drawn evenly within each partition of the graph, as many of each, so that every host computes the vectors
    of its own nodes alone and reads none of their rows from others. With one partition the same as uniform."""

    type: Literal["own_partition"]
    count: PositiveInt = 256
    """This many targets are drawn in all, shared by the batch."""


class PopularityNegativesConfig(NegativesConfig):
    """Nodes that many training edges lead to are drawn more often: in proportion to degree ** exponent (Mikolov et al.
    2013). Nodes without a training edge are never drawn. Pairs well with popularity_correction."""

    type: Literal["popularity"]
    count: PositiveInt = 256
    """This many targets are drawn, shared by the batch."""
    exponent: NonNegativeFloat = 0.75
    """1: as often as edges lead to them; 0: all that have an edge alike."""


class UniformNegativesConfig(NegativesConfig):
    """All nodes of the target type are drawn alike."""

    type: Literal["uniform"] = "uniform"
    uniform: Annotated[int, Field(ge=0)] = 0
    """This many targets drawn uniformly, shared by the batch."""

    @model_validator(mode="after")
    def _some(self) -> UniformNegativesConfig:
        if not self.in_batch and self.uniform == 0:
            raise ValueError("must have in_batch: true or uniform > 0: without negatives there is nothing to learn")
        return self
