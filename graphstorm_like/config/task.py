"""`task:` what is predicted, how it is scored, and which number selects the model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from graphstorm_like.config.base import EdgeTypeField, KeyedError, Name, PositiveFloat, PositiveInt, Strict

NodeMetric = Literal["accuracy", "macro_f1"]


class NodeClassificationConfig(Strict):
    """Predict a class of each node of one type."""

    type: Literal["node_classification"]
    node_type: Name
    label: Name
    head_layers: Annotated[int, Field(ge=1, le=4)] = 1
    """1: a linear classifier; more: an MLP."""
    class_weights: Literal["none", "balanced"] = "none"
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    metrics: Annotated[list[NodeMetric], Field(min_length=1)] = ["accuracy", "macro_f1"]
    select_by: NodeMetric = "accuracy"
    """The validation number that early stopping and the best checkpoint follow."""

    @model_validator(mode="after")
    def _selectable(self) -> NodeClassificationConfig:
        if self.select_by not in self.metrics:
            given = "" if "select_by" in self.model_fields_set else ", the default"
            raise KeyedError(
                "select_by",
                f"must be one of task.metrics, {' or '.join(map(repr, self.metrics))} (got {self.select_by!r}{given})",
            )
        return self


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


TaskConfig = Annotated[NodeClassificationConfig | LinkPredictionConfig, Field(discriminator="type")]
