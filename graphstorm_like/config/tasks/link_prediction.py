"""`task.type: link_prediction`"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from graphstorm_like.config.base import EdgeType, EdgeTypeField, KeyedError, Name, NonNegativeFloat, edge_name
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.config.inverses import inverse_of
from graphstorm_like.config.link_heads import DotHeadConfig, LinkHeadConfig
from graphstorm_like.config.link_losses import InfoNceConfig, LinkLossConfig
from graphstorm_like.config.metrics import MetricConfig, MetricsOf, check_metrics
from graphstorm_like.config.negatives import NegativesConfig, UniformNegativesConfig
from graphstorm_like.config.pair_terms import PairTermField
from graphstorm_like.config.problems import Path, Problem, below, check_original, check_split
from graphstorm_like.config.tasks.base import (
    ScoredEdgeInputs,
    TaskConfig,
    check_edge_weight,
    check_scored_inputs,
    check_selected_part,
)
from graphstorm_like.config.tasks.ranking import RANKING_METRICS, RankingConfig

ALL = "all"


def _list_or_all(value: Any) -> Any:
    """A single edge type must be in a list."""
    if value is not None and value != ALL and not isinstance(value, list):
        raise ValueError("must be 'all' or a list of edge types")
    return value


class LinkPredictionConfig(TaskConfig):
    """Predict the target of an edge of one type, or targets and sources of edges of several types: the facts of a
    knowledge graph."""

    ranks_links: ClassVar[bool] = True

    type: Literal["link_prediction"]
    edge_type: EdgeTypeField | None = None
    """The edge type that the task is about, 'source:relation:target'; one of graph.edges. Either this or
    `edge_types`."""
    edge_types: Annotated[
        Annotated[list[EdgeTypeField], Field(min_length=1)] | Literal["all"] | None, BeforeValidator(_list_or_all)
    ] = None
    """Several edge types, or all of graph.edges. Those with a split are scored, the others are learnt alone."""
    ends: Literal["targets", "both", "reciprocal"] = "targets"
    """With edge_types: the ends that are learnt and ranked. both: also the sources of (?, relation, target), by the
    same parameters. reciprocal: the sources as targets of the inverse relation, which has parameters of its own
    (Lacroix et al. 2018; Kazemi and Poole 2018)."""
    average: Literal["micro", "macro"] = "micro"
    """With edge_types: what the metrics' plain names, and so `select_by`, are. micro: the mean over all ranked ends;
    macro: the mean over relations of their means, so that each counts alike."""
    head: LinkHeadConfig = DotHeadConfig(type="dot")
    """How a pair of vectors is scored."""
    pairs: PairTermField | None = None
    """With edge_type: what is added to the score of a pair from the graph between its ends, beside any head; several
    in a list. The model must then have the whole graph in each process."""
    inputs: ScoredEdgeInputs | None = None
    """With edge_type: features and texts of the edge itself that scores read too, such as what a query said or what a
    purchase cost; wrong targets get those of the edge that they corrupt. Predictions are then of edges that are there:
    other pairs have no such inputs. Nothing that tells which target it is may be among them. null: none."""
    loss: LinkLossConfig = InfoNceConfig(type="info_nce")
    """How true edges are distinguished from wrong ones."""
    edge_weight: Name | None = None
    """A feature of edges, one number of at least 0 an edge (`normalize: none` or `min_max`): a training edge and its
    negatives count as much in the loss, and those of 0 not at all. Edges of types without the feature weigh 1.
    null: all weigh the same."""
    negatives: NegativesConfig = UniformNegativesConfig(type="uniform")
    """The wrong edges: how they are drawn."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """With edge_types: of the numbers of the vectors that the head reads, while training."""
    n3: NonNegativeFloat = 0.0
    """With edge_types: this times the sum of the cubed moduli of both ends' and the relation's numbers is added to an
    edge's loss (N3, Lacroix et al. 2018). For heads that are products of three factors: distmult, complex, best with
    `normalize: false`."""
    past_passes: bool = False
    """Whether validation and test edges pass messages once they are past, to seeds of a later time, as they will when
    the model is used. It takes `model.time` with `at: own` and `strict: true`. false: only training edges do."""
    ranking: RankingConfig = RankingConfig()
    metrics: Annotated[list[Annotated[MetricConfig, MetricsOf("ranks")]], Field(min_length=1)] = RANKING_METRICS
    """Names, or mappings with `type` and settings; `hits@10` is short for `{type: hits, k: 10}`."""
    select_by: str = "mrr"
    """The metric, one of `metrics`, whose validation number early stopping and the best checkpoint follow. With
    edge_types also that of one relation, `mrr/user:buys:item`, or another mean, `mrr/macro`."""

    _selectable = model_validator(mode="after")(check_metrics)

    @model_validator(mode="after")
    def _one_or_several(self) -> LinkPredictionConfig:
        if (self.edge_type is None) == (self.edge_types is None):
            got = "neither" if self.edge_type is None else "both"
            raise KeyedError("edge_type", f"must be given, or edge_types (got {got})")
        if self.edge_types is None:
            changed = [key for key in ("ends", "average", "dropout", "n3") if key in self.model_fields_set]
            defaults = {key: type(self).model_fields[key].default for key in changed}
            for key, default in defaults.items():
                if getattr(self, key) != default:
                    raise KeyedError(key, f"must be left out with edge_type (got {getattr(self, key)!r}). It is for "
                                          f"edge_types, of which there may be one")  # fmt: skip
        if self.pairs is not None and self.edge_types is not None:
            raise KeyedError("pairs", "must be left out with edge_types. It is for edge_type")
        if self.pairs is not None and (self.negatives.queue or self.negatives.self_negative):
            raise KeyedError("pairs", "must be left out with negatives.queue or negatives.self_negative")
        if self.inputs is not None:
            self._check_inputs_alone()
        if self.ends == "both" and not self.head.inverts:
            raise KeyedError("ends", f"must be 'targets' or 'reciprocal' with head.type: {self.head.type} (got 'both')")
        if self.n3 and not self.head.factorizes:
            raise KeyedError("n3", f"must be 0 with head.type: {self.head.type} (got {self.n3:g}). It needs a "
                                   f"head that multiplies three factors: distmult or complex")  # fmt: skip
        if self.ranking.candidates == "given" and self.ends != "targets":
            raise KeyedError("ends", f"must be 'targets' with ranking.candidates: given (got {self.ends!r})")
        return self

    def _check_inputs_alone(self) -> None:
        """What cannot be had where scores read the edge itself."""
        if self.edge_types is not None:
            raise KeyedError("inputs", "must be left out with edge_types. It is for edge_type")
        if self.negatives.self_negative:
            raise KeyedError("inputs", "must be left out with negatives.self_negative")
        if self.negatives.asks_model:
            raise KeyedError("inputs", "must be left out with negatives of type mined_model, whose lists are of "
                                       "sources, not of edges")  # fmt: skip

    @property
    def scores_parts(self) -> bool:
        """See TaskConfig."""
        return self.edge_types is not None

    @property
    def ranks_given(self) -> bool:
        """See TaskConfig."""
        return self.ranking.candidates == "given"

    @property
    def row_type(self) -> EdgeType | None:
        """See TaskConfig."""
        return self.edge_type

    def check_own_times(self, predicts: bool) -> Iterator[Problem]:
        """See TaskConfig. Candidates get a vector for each edge's point in time."""
        if self.ranking.candidates == "all":
            reason = "because each edge is ranked among vectors of its own point in time"
            message = f"must be a number with model.time.at: own, {reason}"
            yield ("task", "ranking", "candidates"), message
        if predicts and self.inputs is not None:
            reason = "because vectors of nodes would see what came after an edge"
            yield ("infer", "predictions"), f"must be false with task.inputs and model.time.at: own, {reason}"

    def weighed(self, edge_types: Sequence[EdgeType]) -> list[tuple[str, tuple[EdgeType, ...]]]:
        """See TaskConfig."""
        return [] if self.edge_weight is None else [(self.edge_weight, self.relations(edge_types))]

    def to_apply(self) -> TaskConfig:
        """See TaskConfig."""
        return self.model_copy(update={"edge_weight": None})

    def scored_inputs(self) -> tuple[EdgeType, ScoredEdgeInputs] | None:
        """See TaskConfig."""
        if self.inputs is None or self.edge_type is None:
            return None
        return self.edge_type, self.inputs

    @property
    def reads_linked_edges(self) -> bool:
        """See TaskConfig."""
        return self.inputs is not None

    @property
    def reads_pairs(self) -> bool:
        """See TaskConfig."""
        return self.pairs is not None

    @property
    def reads_all_relations(self) -> bool:
        """See TaskConfig."""
        return self.pairs is not None and self.pairs.reads_all_relations

    @property
    def compared_texts(self) -> tuple[str, ...]:
        """See TaskConfig."""
        if self.edge_type is None or self.pairs is None or not self.pairs.compares_source_texts:
            return ()
        return (self.edge_type[0],)

    @property
    def asks_relations(self) -> bool:
        """See TaskConfig."""
        return self.edge_types is not None

    def relations(self, edge_types: Sequence[EdgeType]) -> tuple[EdgeType, ...]:
        """See TaskConfig."""
        if self.edge_type is not None:
            return (self.edge_type,)
        return tuple(self.edge_types if isinstance(self.edge_types, list) else edge_types)

    def ranked_relations(self, edge_types: Sequence[EdgeType]) -> tuple[EdgeType, ...]:
        """See TaskConfig."""
        relations = self.relations(edge_types)
        return relations if self.ends == "targets" else (*relations, *map(inverse_of, relations))

    @property
    def shows_past(self) -> bool:
        """See TaskConfig."""
        return self.past_passes

    def hidden_edges(self, has_split: Mapping[EdgeType, bool]) -> dict[EdgeType, str | None]:
        """See TaskConfig."""
        return {} if self.past_passes else self.learnt_edges(has_split)

    def learnt_edges(self, has_split: Mapping[EdgeType, bool]) -> dict[EdgeType, str | None]:
        """See TaskConfig."""
        if self.edge_type is not None:
            return {self.edge_type: None}
        return {e: None for e in self.relations(list(has_split)) if has_split.get(e)}

    def check(self, graph: GraphConfig) -> Iterator[Problem]:
        """See TaskConfig."""
        if self.edge_type is not None:
            yield from self._check_one(graph, self.edge_type)
        else:
            yield from self._check_several(graph)
        relations = self.relations([edge.edge_type for edge in graph.edges])
        means = ("micro", "macro") if self.ends == "targets" else ("micro", "macro", "targets", "sources")
        ranked = self.ranked_relations([edge.edge_type for edge in graph.edges])
        yield from check_selected_part(self.select_by, graph, ranked, means)
        yield from check_edge_weight(self.edge_weight, graph, relations)
        yield from below(("negatives",), self.negatives.check(graph, relations))
        yield from below(("ranking",), self.ranking.check(graph, relations))

    def _check_one(self, graph: GraphConfig, edge_type: EdgeType) -> Iterator[Problem]:
        at = ("edge_type",)
        yield from check_original(graph, edge_type, at)
        edge = graph.edge(edge_type)
        if edge is not None and edge.split is None:
            # The edges of a folder that is there already have no entry to add it to.
            fix = f". Add {graph.edge_key(graph.edges.index(edge))}.split" if edge.has_table else ""
            yield at, f"must be an edge type with a split (got '{edge_name(edge_type)}'){fix}"
        elif edge is not None:
            key = f"{graph.edge_key(graph.edges.index(edge))}.split"
            yield from check_split(at, "an edge type", key, edge.split, ("train", "test"))
        if edge is not None and self.inputs is not None:
            yield from check_scored_inputs(self.inputs, edge)

    def _check_several(self, graph: GraphConfig) -> Iterator[Problem]:
        listed = self.edge_types if isinstance(self.edge_types, list) else []
        for i, edge_type in enumerate(listed):
            at: Path = ("edge_types", i)
            yield from check_original(graph, edge_type, at)
            if edge_type in listed[:i]:
                yield at, f"must stand in the list once (got '{edge_name(edge_type)}' again)"
        known = [edge for edge in graph.edges if not listed or edge.edge_type in listed]
        if known and all(edge.split is None for edge in known):
            key = graph.edge_key(graph.edges.index(known[0]))
            fix = f". Add {key}.split" if known[0].has_table else ""
            yield ("edge_types",), f"must have an edge type with a split at least (got none){fix}"
        for edge in known:
            key = f"{graph.edge_key(graph.edges.index(edge))}.split"
            yield from check_split(("edge_types",), "edge types", key, edge.split, ("train", "test"))

    def check_validation(self, graph: GraphConfig) -> Iterator[Problem]:
        """See TaskConfig."""
        listed = self.edge_types if isinstance(self.edge_types, list) else []
        chosen = listed if self.edge_type is None else [self.edge_type]
        at: Path = ("edge_types",) if self.edge_type is None else ("edge_type",)
        what = "edge types" if self.edge_type is None else "an edge type"
        for number, edge in enumerate(graph.edges):
            if not chosen or edge.edge_type in chosen:
                yield from check_split(at, what, f"{graph.edge_key(number)}.split", edge.split, ("valid",))
