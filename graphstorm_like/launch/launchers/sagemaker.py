"""Submits jobs to Amazon SageMaker. What its containers do is in `graphstorm_like.container`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec

from graphstorm_like.config.launchers.sagemaker import SageMakerLaunchConfig
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import LaunchError
from graphstorm_like.launch.aws.order import Order, time_stamp
from graphstorm_like.launch.aws.plan import SCORING, plan_launch
from graphstorm_like.launch.launchers.base import LAUNCHERS, Extra, Launcher, Source
from graphstorm_like.launch.prepare import print_line
from graphstorm_like.launch.state import STAGES


@LAUNCHERS.register(SageMakerLaunchConfig)
class SageMakerLauncher(Launcher):
    """See module."""

    takes_urls = True
    waits = False
    extras = (Extra("aws", "boto3", "jobs on Amazon SageMaker"),)

    def run(self, pipeline: Pipeline, stages: Sequence[str] = STAGES, fresh: bool = False, quiet: bool = False) -> None:
        """Always raises a LaunchError that says what to do: `gsl run` does not wait for a job elsewhere."""
        raise LaunchError("launch.on: sagemaker jobs must be submitted. Run: gsl launch PIPELINE --on sagemaker")

    def submit(self, pipeline: Pipeline, source: Source, fresh: bool = False, quiet: bool = False) -> str:
        """Copy, submit and, with launch.wait, follow. Returns what to do next. Raises LaunchError, also for a job that
        is waited for and fails."""
        from graphstorm_like.launch.aws.client import Aws, follow, log_command, name_of, submit

        config: SageMakerLaunchConfig = self.config
        say = (lambda _: None) if quiet else print_line
        stamp = time_stamp(datetime.now(UTC))
        aws, model = Aws(config), None
        if config.job in SCORING and config.model is None:
            model = aws.last_model(Order(pipeline, (), stamp))
        plan = plan_launch(pipeline, source.yaml, source.overrides, stamp, fresh, quiet, model)
        lines = []
        for call, answer in submit(plan, aws, say):
            started = name_of(call, answer)
            if started is None:
                continue
            job, name = started
            lines.append(f"{call[0]}: {name}")
            if job.logs is not None:
                lines.append(f"log:     {log_command(job, name, aws.region)}")
            if config.wait:
                say(lines[-1])
                follow(aws, job, name, say)
        return "\n".join([*lines, f"results: {plan.order.url()}"])

    def request(self, pipeline: Pipeline, source: Source, fresh: bool = False, quiet: bool = False) -> str:
        """The requests as JSON. Nothing is read but the configuration and, with launch.upload, names of files."""
        plan = plan_launch(pipeline, source.yaml, source.overrides, time_stamp(datetime.now(UTC)), fresh, quiet)
        return plan.text()

    def checks(self) -> Iterator[str]:
        """Whether this machine can submit."""
        yield f"SageMaker: {'boto3 is installed' if find_spec('boto3') else 'needs the extra aws'}"
