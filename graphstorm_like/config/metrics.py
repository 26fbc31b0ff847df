"""`task.metrics:` numbers that say how good predictions are, and which way each is better.

classes             accuracy, top_k, macro_f1, micro_f1, weighted_f1, f_beta, macro_precision, macro_recall
few of one class    average_precision, roc_auc, precision_at_k, precision_at_recall, recall_at_precision
probabilities       calibration_error
numbers             rmse, mse, mae, r2
links               mrr, hits, ndcg, amri
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from graphstorm_like.config.base import KeyedError, PositiveFloat, PositiveInt
from graphstorm_like.config.choice import Choice, members_of
from graphstorm_like.config.short_form import ShortForm

Measured = Literal["classes", "class sets", "numbers", "ranks"]


class MetricConfig(Choice, tag="type"):
    """A number that says how good predictions are."""

    measures: ClassVar[Measured]
    """What is predicted: probabilities of classes, of which a row has one; numbers; or the rank of the true answer
    among candidates."""
    measures_sets: ClassVar[bool] = False
    """Whether it also measures probabilities of classes of which a row has any number."""
    higher_is_better: ClassVar[bool] = True

    type: str

    @property
    def name(self) -> str:
        """Its name in the results, and for `select_by`."""
        return self.type


class MetricsOf(ShortForm):
    """A metric of what is measured."""

    family = MetricConfig

    def __init__(self, measured: Measured) -> None:
        self.measured = measured

    def fits(self, member: Any) -> bool:
        """See ShortForm."""
        fits: bool = member.measures_sets if self.measured == "class sets" else member.measures == self.measured
        return fits

    def settings(self, written: str) -> dict[str, Any]:
        """See ShortForm: with the metric's first setting behind an @."""
        tag, _, setting = written.partition("@")
        self.check_name(tag)
        return {"type": tag} | (_first_setting(tag, setting) if "@" in written else {})

    def check(self, value: Any) -> Any:
        """See ShortForm."""
        if not isinstance(value, str | dict | MetricConfig):
            raise ValueError("must be the name of a metric, or a mapping with the key 'type'")
        return super().check(value)


def _first_setting(tag: str, value: str) -> dict[str, int]:
    members = members_of(MetricConfig) or {}
    own = members[tag].__annotations__  # before those that several metrics share
    settings = [name for name in members[tag].model_fields if name != "type" and name in own]
    if not settings:
        raise ValueError(f"must be {tag!r}, which has no settings")
    if not value.isdecimal():
        raise ValueError(f"must have a whole number for {settings[0]} behind the @")
    return {settings[0]: int(value)}


def check_metrics(config: Any) -> Any:
    """Validator of a section with `metrics` and `select_by`: names once each, and the one that selects among them."""
    names = [metric.name for metric in config.metrics]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise KeyedError("metrics", f"must name each metric once (got {twice!r} twice)")
    if not any(selects(config, metric) for metric in config.metrics):
        origin = "" if "select_by" in config.model_fields_set else ", the default"
        listed = " or ".join(map(repr, names))
        raise KeyedError("select_by", f"must be one of task.metrics, {listed} (got {config.select_by!r}{origin})")
    return config


def selected_metric(config: Any) -> MetricConfig:
    """The metric that `select_by` names."""
    metrics: list[MetricConfig] = config.metrics
    return next(metric for metric in metrics if selects(config, metric))


def selects(config: Any, metric: MetricConfig) -> bool:
    """Whether `select_by` of a task is a metric, or that of a part of its rows, as 'mrr/item:similar:item'."""
    is_part: bool = config.select_by.startswith(f"{metric.name}/") and config.scores_parts
    return is_part or metric.name == config.select_by


class AccuracyConfig(MetricConfig):
    """The share of rows whose likeliest class is the right one."""

    measures: ClassVar[Measured] = "classes"

    type: Literal["accuracy"]


class AmriConfig(MetricConfig):
    """Adjusted mean rank index: 1 where all true answers come first, 0 by chance, below 0 for worse; however many
    candidates there are."""

    measures: ClassVar[Measured] = "ranks"

    type: Literal["amri"]


class OfClassConfig(MetricConfig):
    """A metric that may be of one class alone."""

    of_class: str | None = None
    """The class whose number it is, by its name: of two classes that which is looked for; null: the mean over
    classes. It may stand several times in a list, of other classes."""

    @property
    def name(self) -> str:
        """roc_auc, or roc_auc:<class>"""
        return self.type if self.of_class is None else f"{self.type}:{self.of_class}"


class AtLeastConfig(OfClassConfig):
    """The best precision at any threshold of the probability whose recall is at least `least`, or the best recall whose
    precision is; 0 where no threshold has that. Of each class against the rest, the mean over classes, or of one."""

    measures: ClassVar[Measured] = "classes"
    measures_sets: ClassVar[bool] = True

    type: Literal["precision_at_recall", "recall_at_precision"]
    """Which of both."""
    least: Annotated[float, Field(gt=0.0, le=1.0)]
    """What the other one must be at least."""
    thresholds: Annotated[int, Field(ge=10, le=10_000)] = 200
    """Probabilities are told apart at this many points from 0 to 1: counts at each add up over ranks, scores would
    have to be collected."""

    @property
    def name(self) -> str:
        """recall_at_precision@0.9, or recall_at_precision@0.9:<class>"""
        return super().name.replace(self.type, f"{self.type}@{self.least:g}", 1)


class AveragePrecisionConfig(OfClassConfig):
    """Average precision of each class against the rest, the mean over classes, or of one class."""

    measures: ClassVar[Measured] = "classes"
    measures_sets: ClassVar[bool] = True

    type: Literal["average_precision"]
    thresholds: Annotated[int, Field(ge=10, le=10_000)] = 200
    """Probabilities are told apart at this many points from 0 to 1: counts at each add up over ranks, scores would
    have to be collected."""


class CalibrationErrorConfig(MetricConfig):
    """Expected calibration error (Guo et al. 2017): how far the probability of the likeliest class is from the share of
    rows where it is right, over rows of like probability. Lower is better."""

    measures: ClassVar[Measured] = "classes"
    higher_is_better: ClassVar[bool] = False

    type: Literal["calibration_error"]
    bins: Annotated[int, Field(ge=2, le=1000)] = 15
    """Ranges of equal width that probabilities are divided into."""


class F1Config(MetricConfig):
    """F1 of the likeliest class: the mean over classes (macro; classes that are neither labels nor predictions do not
    count), weighted by how often a class is the label (weighted), or of all rows together (micro; of one label a row
    that is the accuracy). Of several labels a row: F1 of the classes whose probability is above `task.threshold`."""

    measures: ClassVar[Measured] = "classes"
    measures_sets: ClassVar[bool] = True

    type: Literal["macro_f1", "micro_f1", "weighted_f1"]
    """How classes are averaged."""


class FBetaConfig(OfClassConfig):
    """F of the likeliest class, of several labels a row of those above `task.threshold`: (1 + b^2) P R / (b^2 P + R),
    in which recall counts b times as much as precision. The mean over classes, as with macro_f1, or of one class."""

    measures: ClassVar[Measured] = "classes"
    measures_sets: ClassVar[bool] = True

    type: Literal["f_beta"]
    beta: PositiveFloat
    """Above 1: what is missed counts more than what is wrongly found; 1: F1."""

    @property
    def name(self) -> str:
        """f_beta@2, or f_beta@2:<class>"""
        return super().name.replace(self.type, f"{self.type}@{self.beta:g}", 1)


class HitsConfig(MetricConfig):
    """The share of true answers among the first k."""

    measures: ClassVar[Measured] = "ranks"

    type: Literal["hits"]
    k: PositiveInt
    """How many."""

    @property
    def name(self) -> str:
        """hits@k"""
        return f"hits@{self.k}"


class MaeConfig(MetricConfig):
    """Mean absolute error."""

    measures: ClassVar[Measured] = "numbers"
    higher_is_better: ClassVar[bool] = False

    type: Literal["mae"]


class MrrConfig(MetricConfig):
    """Mean of 1 / rank."""

    measures: ClassVar[Measured] = "ranks"

    type: Literal["mrr"]


class MseConfig(MetricConfig):
    """Mean of the squared errors."""

    measures: ClassVar[Measured] = "numbers"
    higher_is_better: ClassVar[bool] = False

    type: Literal["mse"]


class NdcgConfig(MetricConfig):
    """Normalised discounted cumulative gain: mean of 1 / log2(1 + rank) of the true answers, one an edge."""

    measures: ClassVar[Measured] = "ranks"

    type: Literal["ndcg"]
    k: PositiveInt | None = None
    """Ranks beyond count 0; null: none does."""

    @property
    def name(self) -> str:
        """ndcg, or ndcg@k"""
        return "ndcg" if self.k is None else f"ndcg@{self.k}"


class PrecisionAtKConfig(OfClassConfig):
    """Of the k rows of the whole split with the highest probability of a class, the share that has it; the mean over
    classes, or of one: what a list of the k likeliest cases is worth."""

    measures: ClassVar[Measured] = "classes"
    measures_sets: ClassVar[bool] = True

    type: Literal["precision_at_k"]
    k: PositiveInt
    """How many rows; all where there are fewer."""
    thresholds: Annotated[int, Field(ge=10, le=10_000)] = 1000
    """Probabilities are told apart at this many points from 0 to 1; of the rows between two of them, among which the
    k-th is, each counts the same part."""

    @property
    def name(self) -> str:
        """precision_at_k@100, or precision_at_k@100:<class>"""
        return super().name.replace(self.type, f"{self.type}@{self.k}", 1)


class PrecisionRecallConfig(MetricConfig):
    """Of the likeliest class: the share of a class's predictions that are right (precision), or of its rows that are
    found (recall); the mean over classes, of which those that are neither labels nor predictions do not count."""

    measures: ClassVar[Measured] = "classes"

    type: Literal["macro_precision", "macro_recall"]
    """Which of both."""


class R2Config(MetricConfig):
    """1 - squared errors / squared distances of the labels from their mean. Of labels that are all equal it is 1 when
    every prediction is right, else 0."""

    measures: ClassVar[Measured] = "numbers"

    type: Literal["r2"]


class RmseConfig(MetricConfig):
    """Root of the mean squared error."""

    measures: ClassVar[Measured] = "numbers"
    higher_is_better: ClassVar[bool] = False

    type: Literal["rmse"]


class RocAucConfig(OfClassConfig):
    """Area under the ROC curve of each class against the rest, the mean over classes, or of one class."""

    measures: ClassVar[Measured] = "classes"
    measures_sets: ClassVar[bool] = True

    type: Literal["roc_auc"]
    thresholds: Annotated[int, Field(ge=10, le=10_000)] = 200
    """Probabilities are told apart at this many points from 0 to 1: counts at each add up over ranks, scores would
    have to be collected."""


class TopKConfig(MetricConfig):
    """The share of rows whose class is among the k likeliest: recall at k of one label a row. Precision at k is this
    divided by k."""

    measures: ClassVar[Measured] = "classes"

    type: Literal["top_k"]
    k: PositiveInt
    """How many."""

    @property
    def name(self) -> str:
        """top_k@k"""
        return f"top_k@{self.k}"
