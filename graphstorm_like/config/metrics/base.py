"""What every metric has in its configuration, and the short forms: `accuracy` for `{type: accuracy}`, `hits@10` for
`{type: hits, k: 10}`: after the @ comes the metric's first setting, a whole number."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, cast

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from graphstorm_like.config.base import HintedError, KeyedError
from graphstorm_like.config.choice import Choice, json_choices, members_of
from graphstorm_like.errors import did_you_mean

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


class MetricsOf:
    """Annotation of a field: a metric of what is measured, in its short form or as a mapping."""

    def __init__(self, measured: Measured) -> None:
        self.measured = measured

    def names(self) -> list[str]:
        """Tags of the metrics that fit."""
        members = members_of(MetricConfig) or {}
        return [tag for tag, member in members.items() if self._fits(cast(type[MetricConfig], member))]

    def _fits(self, member: type[MetricConfig]) -> bool:
        return member.measures_sets if self.measured == "class sets" else member.measures == self.measured

    def check(self, value: Any) -> Any:
        """The long form of a metric that fits; ValueError lists those that do."""
        if isinstance(value, MetricConfig):
            return value
        if isinstance(value, str):
            tag, _, setting = value.partition("@")
            if tag not in self.names():
                raise HintedError(f"must be {self._listed()}", did_you_mean(tag, self.names()))
            return {"type": tag} | (_first_setting(tag, setting) if "@" in value else {})
        if not isinstance(value, dict):
            raise ValueError("must be the name of a metric, or a mapping with the key 'type'")
        written_tag = value.get("type")
        if isinstance(written_tag, str) and written_tag not in self.names():
            hint = did_you_mean(written_tag, self.names())
            raise KeyedError("type", f"must be {self._listed()} (got {written_tag!r}).{hint}")
        return value

    def _listed(self) -> str:
        *names, last = map(repr, self.names())
        return f"{', '.join(names)} or {last}" if names else last

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string"}, handler(json_choices(MetricConfig, self.names()))]}


def _first_setting(tag: str, value: str) -> dict[str, int]:
    members = members_of(MetricConfig) or {}
    settings = [name for name in members[tag].model_fields if name != "type"]
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
    if config.select_by not in names:
        origin = "" if "select_by" in config.model_fields_set else ", the default"
        listed = " or ".join(map(repr, names))
        raise KeyedError("select_by", f"must be one of task.metrics, {listed} (got {config.select_by!r}{origin})")
    return config


def selected_metric(config: Any) -> MetricConfig:
    """The metric that `select_by` names."""
    metrics: list[MetricConfig] = config.metrics
    return next(metric for metric in metrics if metric.name == config.select_by)
