"""`graph.spark`: where `graph.engine: spark` runs, and with which options."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from graphstorm_like.config.base import Strict

OptionName = Annotated[str, Field(pattern=r"^spark\.")]


class SparkConfig(Strict):
    """Spark of `graph.engine: spark`. A session that is there already, e.g. of a notebook, is used as it is."""

    master: str | None = None
    """Where executors run, e.g. local[4], yarn, spark://host:7077, k8s://...; default: what spark-submit says, else
    local[*], all cores of this machine."""
    options: dict[OptionName, str | int | float | bool] = {}
    """Options of Spark by name, e.g. spark.executor.memory: 8g. They count for a session that is made here."""
