"""Regular expressions by which SageMaker takes losses and scores from the lines of the log."""

from __future__ import annotations

import re
from collections.abc import Mapping

from graphstorm_like.config.pipeline import Pipeline

MOST = 40
"""Metrics of a training job, by SageMaker's limits."""
_NUMBER = r"(-?[0-9][0-9.e+-]*)"


def metric_definitions(pipeline: Pipeline, further: Mapping[str, str]) -> list[dict[str, str]]:
    """Name and regular expression of each: loss of an epoch, loss of a step as far as progress is shown, scores of the
    validation in training, scores of evaluate, and `further` ones."""
    found = {
        "train:loss": rf"epoch [0-9]+/[0-9]+: loss {_NUMBER} \[",
        "train:step_loss": rf"epoch [0-9]+/[0-9]+: [0-9]+ % .*loss {_NUMBER},",
    }
    for name in metric_names(pipeline):
        score = rf"(?:.*, )?{re.escape(name)} {_NUMBER}"
        found[f"valid:{name}"] = rf"epoch [0-9]+/[0-9]+: loss .*\], valid {score}"
        found[f"test:{name}"] = rf"^(?:\[t0\] )?test: {score}"
    found |= further
    return [{"Name": name, "Regex": regex} for name, regex in found.items()][:MOST]


def metric_names(pipeline: Pipeline) -> list[str]:
    """The names of the task's metrics, as they stand in the log."""
    return [metric.name for metric in getattr(pipeline.task, "metrics", ())]
