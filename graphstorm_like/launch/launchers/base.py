"""The base class of launchers. A launcher starts the processes of a job, here or elsewhere, and waits for them, or
submits the job to a scheduler.

One file per launcher, looked up by the class of its configuration; the worker processes are the same everywhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.launch.host import usable_cores
from graphstorm_like.launch.processes import ProcessPlan, plan_processes, sketch_job
from graphstorm_like.launch.state import STAGES
from graphstorm_like.registry import Registry


@dataclass(frozen=True, slots=True)
class Source:
    """The user's YAML and overrides, for launchers that start the same command elsewhere."""

    yaml: Path
    overrides: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Extra:
    """An optional dependency: its name in `pip install 'graphstorm-like[name]'`, the module it brings, its purpose."""

    name: str
    module: str
    purpose: str


class Launcher(ABC):
    """The launcher of one `launch:` section."""

    extras: tuple[Extra, ...] = ()
    """The optional dependencies that it needs, for `gsl doctor`."""
    takes_urls = False
    """Whether URLs of output, cache and graph are left to the launcher, which sends them on."""
    waits = True
    """Whether `submit` returns when all stages are done, and not when they are queued."""

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def run(self, pipeline: Pipeline, stages: Sequence[str] = STAGES, fresh: bool = False, quiet: bool = False) -> None:
        """`gsl run`: run stages until they are done. Raises LaunchError, or Stopped on Ctrl-C."""

    def submit(self, pipeline: Pipeline, source: Source, fresh: bool = False, quiet: bool = False) -> str | None:
        """`gsl launch`: run all stages, or submit them. Returns a message for the user, if there is one."""
        self.run(pipeline, fresh=fresh, quiet=quiet)
        return None

    def request(self, pipeline: Pipeline, source: Source, fresh: bool = False, quiet: bool = False) -> str:
        """`gsl launch --print`: what `submit` would run or submit; nothing is started."""
        return "\n".join(" ".join(plan.command) for plan in self.processes(pipeline, None))

    def processes(self, pipeline: Pipeline, manifest: GraphManifest | None) -> list[ProcessPlan]:
        """`gsl show plan`: the processes that would run, with placeholders for what is chosen at the start."""
        return plan_processes(pipeline, sketch_job(pipeline, usable_cores()), manifest)

    def checks(self) -> Iterator[str]:
        """`gsl doctor`: lines about what this machine offers this launcher."""
        return iter(())


LAUNCHERS: Registry[type[Launcher]] = Registry("launcher", "graphstorm_like.launch.launchers")
