"""What every kind of negatives has in its configuration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from graphstorm_like.config.base import EdgeType, KeyedError
from graphstorm_like.config.choice import Choice
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.problems import Problem


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
