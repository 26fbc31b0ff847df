"""`gsl run` and `gsl launch`: in this process when one is enough, else by the launcher that `launch.on` names."""

from __future__ import annotations

from collections.abc import Sequence

from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.graph.schema import GraphManifest
from graphstorm_like.launch.launchers import LAUNCHERS, Launcher, Source
from graphstorm_like.launch.mirrored.places import localised, places_of, stays_in_store
from graphstorm_like.launch.mirrored.session import mirrored
from graphstorm_like.launch.processes import ProcessPlan, plan_alone
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.launch.state import STAGES
from graphstorm_like.progress import Reporter
from graphstorm_like.training.stopping import stop_on_signals


def launch(pipeline: Pipeline, stages: Sequence[str] = STAGES, fresh: bool = False, quiet: bool = False) -> None:
    """Run stages as `launch.on` says, until they are done. Where output, cache or graph are URLs it works in local
    folders that are kept equal with the store. Raises LaunchError and StoreError, or Stopped on a signal."""
    with mirrored(pipeline, stages, Reporter(quiet), fresh) as local:
        remaining = _without_construct(pipeline, stages)
        if local.launch.in_process or list(stages) == ["construct"]:
            with stop_on_signals():
                run_pipeline(local, remaining, fresh=fresh, reporter=Reporter(quiet))
        else:
            launcher_of(local).run(local, remaining, fresh, quiet)


def _without_construct(pipeline: Pipeline, stages: Sequence[str]) -> list[str]:
    """The stages that are left when construction was done in the store itself."""
    if "construct" in stages and places_of(pipeline) and stays_in_store(pipeline):
        return [stage for stage in stages if stage != "construct"]
    return list(stages)


def submit(pipeline: Pipeline, source: Source, fresh: bool = False, quiet: bool = False) -> str | None:
    """`gsl launch`: run all stages, or submit them, as the launcher does. Returns a message for the user, if any."""
    launcher = launcher_of(pipeline)
    if places_of(pipeline) and launcher.waits:
        launch(pipeline, STAGES, fresh, quiet)
        return None
    return launcher.submit(pipeline if launcher.takes_urls else localised(pipeline), source, fresh, quiet)


def launcher_of(pipeline: Pipeline) -> Launcher:
    """The launcher that `launch.on` names."""
    return LAUNCHERS.of(pipeline.launch)(pipeline.launch)


def planned_processes(pipeline: Pipeline, yaml: str, manifest: GraphManifest | None) -> list[ProcessPlan]:
    """The processes that `gsl run` would start."""
    if pipeline.launch.in_process:
        return [plan_alone(pipeline, yaml)]
    return launcher_of(pipeline).processes(pipeline, manifest)
