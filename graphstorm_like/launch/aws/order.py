"""What a launch asks of SageMaker, before any request is made: names, places in S3, and what the containers are told.

Below `launch.s3`/<run>, as jobs share it:
    pipeline/      the YAML, and the files of plug-ins
    tables/, known-graph/   with --upload
    secret/        of a job over several hosts
    construct/     graph/, of job: construct
    checkpoints/   run/, the output folder of the training job; SageMaker copies it while the job runs
    output/        <job>/output/model.tar.gz
    infer/         of job: infer
    transform/, apply/   <job>/, of these jobs: see scoring
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from graphstorm_like.config.launchers.sagemaker import SageMakerLaunchConfig
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import LaunchError

ROOT = "/opt/ml"
PROCESSING = f"{ROOT}/processing"
OWN = "gsl_"
"""Prefix of hyperparameters that are not overrides."""
HERE_ONLY = ("launch.wait", "launch.upload", "launch.job", "launch.stages")
"""Overrides that mean nothing to a container."""
_LONGEST = {"train": 2500, "processing": 256}
"""Characters of a hyperparameter, and of an argument of a processing job."""


@dataclass(frozen=True)
class Order:
    """The facts that all requests of a launch need."""

    pipeline: Pipeline
    overrides: tuple[str, ...]
    """For the container, 'key=value'."""
    stamp: str
    """Part of the jobs' names."""
    graph: str | None = None
    """URL of a graph folder that exists; None: the job constructs."""
    has_tables: bool = False
    """Whether tables were copied below tables/."""
    fresh: bool = False
    quiet: bool = False
    base: Any = None
    """Where a job's results go, when not directly below the run: an expression of SageMaker pipelines."""

    @property
    def config(self) -> SageMakerLaunchConfig:
        config = self.pipeline.launch
        assert isinstance(config, SageMakerLaunchConfig)
        return config

    @property
    def run(self) -> str:
        """Name of the run."""
        return self.config.run or slug(self.pipeline.name)

    def url(self, *parts: str) -> str:
        """A place below the run's folder in S3."""
        return "/".join([self.config.s3.rstrip("/"), self.run, *parts])

    def place(self, *parts: str) -> Any:
        """A place of results: below the run, or below the folder of an execution of a SageMaker pipeline."""
        return self.url(*parts) if self.base is None else joined(self.base, *parts)

    def job_name(self, what: str) -> str:
        """At most 63 characters, unique as far as the stamp is."""
        return f"{self.run[:30].rstrip('-')}-{what}-{self.stamp}"


def joined(base: Any, *parts: str) -> dict[str, Any]:
    """A place that SageMaker puts together when it runs a pipeline."""
    return {"Std:Join": {"On": "/", "Values": [*base, *parts]}}


def slug(name: str) -> str:
    """A name as SageMaker takes it: letters, digits and '-'."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:41].rstrip("-") or "run"


def time_stamp(now: datetime) -> str:
    """'20261126-093000-123': to the millisecond, so that two launches differ."""
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}"


def container_overrides(changes: Sequence[str], kind: str) -> tuple[str, ...]:
    """The overrides that a container gets: one for each key. Raises LaunchError for those that SageMaker cannot hand
    on: of the same key twice, too long, of several lines."""
    kept: dict[str, str] = {}
    for change in changes:
        key, mark, value = change.partition("=")
        if key in HERE_ONLY:
            continue
        longest = _LONGEST[kind] - (len(key) + 1 if kind == "processing" else 0)
        if not mark or len(value) > longest or "\n" in value or len(key) > 256:
            raise LaunchError(
                f"override {change[:80]!r}: must be key=value, of one line of at most {longest} characters, to travel "
                "with a job. Write it into the YAML"
            )
        for other in kept:
            if other != key and (other.startswith(f"{key}.") or key.startswith(f"{other}.")):
                raise LaunchError(
                    f"override {key}: must not be given together with {other}, because SageMaker keeps no order. Write "
                    "one of them into the YAML"
                )
        kept[key] = value
    if len(kept) > 90:
        raise LaunchError(f"overrides: must be at most 90 (got {len(kept)}). Write them into the YAML")
    return tuple(f"{key}={value}" for key, value in kept.items())
