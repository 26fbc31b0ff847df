"""`task:` what is predicted, how it is scored, and which number selects the model."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from graphstorm_like.config.base import Accepts, EdgeTypeField, KeyedError, Name, PositiveFloat, PositiveInt, Strict

ClassMetric = Literal["accuracy", "macro_f1"]
NumberMetric = Literal["rmse", "mae", "r2"]


def _select_by_is_measured(config: Any) -> Any:
    if config.select_by not in config.metrics:
        given = "" if "select_by" in config.model_fields_set else ", the default"
        known = " or ".join(map(repr, config.metrics))
        raise KeyedError("select_by", f"must be one of task.metrics, {known} (got {config.select_by!r}{given})")
    return config


# The four tasks about labels are pairs of these parts; `type` stands first in each, as in the YAML.


class NodeLabelConfig(Strict):
    """The label is one of the nodes of one type."""

    type: str
    node_type: Name
    label: Name
    head_layers: Annotated[int, Field(ge=1, le=4)] = 1
    """1: a linear head; more: an MLP."""


class ScoredEdgeInputs(Strict):
    """What the head reads of the edges themselves; default: all their features and texts.

    The label must not be among them, nor what gives it away.
    """

    features: list[Name] | None = None
    text: list[Name] | None = None


class EdgeLabelConfig(Strict):
    """The label is one of the edges of one type, read off both ends' vectors, and off the edge itself with `inputs`."""

    type: str
    edge_type: EdgeTypeField
    label: Name
    head_layers: Annotated[int, Field(ge=1, le=4)] = 2
    """Layers of the head on [h_s, h_t, h_s * h_t]; 1: linear."""
    inputs: ScoredEdgeInputs | None = None
    """Features and texts of the scored edges that the head reads too; where language models learn, from these texts
    as well. null: none. (`model.edge_inputs` is about messages.)"""
    exclude_target_edges: bool = True
    """A training batch's edges and their reverses are no messages in it; the label's validation and test edges never
    are, so that what is scored was no message either. false: every edge is a message, in training and in scoring."""


class ClassLabelConfig(Strict):
    """The label is a class."""

    class_weights: Literal["none", "balanced"] = "none"
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    metrics: Annotated[list[ClassMetric], Field(min_length=1)] = ["accuracy", "macro_f1"]
    select_by: ClassMetric = "accuracy"
    """The validation number that early stopping and the best checkpoint follow."""

    _selectable = model_validator(mode="after")(_select_by_is_measured)


class NumberLabelConfig(Strict):
    """The label is a number."""

    loss: Literal["mse", "huber"] = "mse"
    """On labels standardised by the training rows' mean and deviation; huber is linear beyond one deviation."""
    metrics: Annotated[list[NumberMetric], Field(min_length=1)] = ["rmse", "mae", "r2"]
    """In the label's own units."""
    select_by: NumberMetric = "rmse"
    """The validation number that early stopping and the best checkpoint follow: lowest rmse or mae, highest r2."""

    _selectable = model_validator(mode="after")(_select_by_is_measured)


class NodeClassificationConfig(ClassLabelConfig, NodeLabelConfig):
    """Predict a class of each node of one type."""

    type: Literal["node_classification"]


class NodeRegressionConfig(NumberLabelConfig, NodeLabelConfig):
    """Predict a number for each node of one type."""

    type: Literal["node_regression"]


class EdgeClassificationConfig(ClassLabelConfig, EdgeLabelConfig):
    """Predict a class of each edge of one type."""

    type: Literal["edge_classification"]


class EdgeRegressionConfig(NumberLabelConfig, EdgeLabelConfig):
    """Predict a number for each edge of one type."""

    type: Literal["edge_regression"]


class DotHeadConfig(Strict):
    """score(s, t) = <h_s, h_t>: symmetric, unless `directed`."""

    type: Literal["dot"]
    directed: bool = False
    """Map sources and targets by a matrix each first, so that s -> t and t -> s may differ."""
    normalize: bool = True
    """Scale both ends to length 1 (cosine); pairs well with info_nce."""


class DistMultHeadConfig(Strict):
    """score(s, r, t) = <h_s, w_r, h_t> (Yang et al. 2015)."""

    type: Literal["distmult"]
    normalize: bool = True


HeadConfig = Annotated[DotHeadConfig | DistMultHeadConfig, Field(discriminator="type")]


class InfoNceConfig(Strict):
    """Softmax of the positive among all its candidates (van den Oord et al. 2018)."""

    type: Literal["info_nce"]
    temperature: PositiveFloat = 0.1


class CrossEntropyConfig(Strict):
    """Binary cross-entropy on every pair, positives and negatives weighted alike in sum."""

    type: Literal["cross_entropy"]


LinkLossConfig = Annotated[InfoNceConfig | CrossEntropyConfig, Field(discriminator="type")]


class NegativesConfig(Strict):
    """Where wrong targets come from. Known true targets among them are masked, not punished."""

    in_batch: bool = True
    """The other edges' targets."""
    uniform: Annotated[int, Field(ge=0)] = 0
    """This many targets drawn uniformly, shared by the batch."""
    popularity_correction: bool = False
    """Subtract from each score the log of how often its target is drawn (Yi et al., RecSys 2019): without it, in-batch
    negatives teach a model to mark down what is popular. Changes nothing without in_batch."""

    @model_validator(mode="after")
    def _some(self) -> NegativesConfig:
        if not self.in_batch and self.uniform == 0:
            raise ValueError("must have in_batch: true or uniform > 0: without negatives there is nothing to learn")
        return self


class RankingConfig(Strict):
    """How links are ranked: the true target among candidates, other true targets filtered out."""

    candidates: PositiveInt | Literal["all"] = "all"
    """all nodes of the target type, or this many drawn uniformly per edge."""
    hits: list[PositiveInt] = [1, 10]


class LinkPredictionConfig(Strict):
    """Predict the target of an edge of one type."""

    type: Literal["link_prediction"]
    edge_type: EdgeTypeField
    head: HeadConfig = DotHeadConfig(type="dot")
    loss: LinkLossConfig = InfoNceConfig(type="info_nce")
    negatives: NegativesConfig = NegativesConfig()
    ranking: RankingConfig = RankingConfig()
    select_by: Literal["mrr"] = "mrr"


class SharedNegativesConfig(NegativesConfig):
    """Where wrong targets come from: the batch's other edges of any relation into the same node type, and uniform ones.
    Known true targets of a relation are masked, not punished."""

    popularity_correction: bool = True
    """Subtract from each score the log of how often its target is drawn (Yi et al., RecSys 2019)."""


class SampledRankingConfig(RankingConfig):
    """How held-out edges are ranked: the true target among candidates, other true targets filtered out."""

    candidates: PositiveInt | Literal["all"] = 1000
    """all nodes of the target type, or this many drawn uniformly per edge."""


def _all_or_list(value: Any) -> Any:
    """'all' stands for None; a lone edge type is no list."""
    if isinstance(value, str) and value != "all":
        raise ValueError("must be 'all' or a list of edge types")
    return None if value == "all" else value


class GraphPretrainingConfig(Strict):
    """Tell true edges of many relations from wrong ones: what the language model learns of the graph by (GaLM, Xie et
    al., KDD 2023), before it serves other tasks. Some edges are held out to validate on and are no messages."""

    type: Literal["graph_pretraining"]
    edge_types: Annotated[
        Annotated[list[EdgeTypeField], Field(min_length=1)] | None, BeforeValidator(_all_or_list), Accepts(const="all")
    ] = None
    """The relations; 'all' (or null): every one of graph.edges. Reverse types bring nothing new and are not taken."""
    head: HeadConfig = DistMultHeadConfig(type="distmult")
    loss: LinkLossConfig = InfoNceConfig(type="info_nce")
    negatives: SharedNegativesConfig = SharedNegativesConfig()
    max_edges_per_relation: PositiveInt | None = None
    """An epoch takes at most this many edges of a relation, drawn anew each epoch, so that a large relation does not
    drown the small ones."""
    validation_edges: PositiveInt = 1000
    """At most this many edges of a relation, and at most 2 % of them, are held out. A relation with a split column
    holds out its validation and test edges instead."""
    ranking: SampledRankingConfig = SampledRankingConfig()
    select_by: Literal["mrr"] = "mrr"
    """The mean over relations."""


TaskConfig = Annotated[
    NodeClassificationConfig
    | NodeRegressionConfig
    | EdgeClassificationConfig
    | EdgeRegressionConfig
    | LinkPredictionConfig
    | GraphPretrainingConfig,
    Field(discriminator="type"),
]
