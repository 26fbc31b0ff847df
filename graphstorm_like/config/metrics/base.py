"""What every metric has in its configuration, and the short forms: `accuracy` for `{type: accuracy}`, `hits@10` for
`{type: hits, k: 10}`: after the @ comes the metric's first setting, a whole number."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from graphstorm_like.config.base import KeyedError
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
