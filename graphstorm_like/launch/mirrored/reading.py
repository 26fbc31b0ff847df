"""Folders that commands only look at, wherever they are: named by a pipeline's YAML, a path or a URL."""

from __future__ import annotations

from collections.abc import Sequence

from graphstorm_like.config.load import load_pipeline
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import DataError
from graphstorm_like.files import exclusive
from graphstorm_like.launch.mirrored.places import localised, places_of
from graphstorm_like.launch.mirrored.session import Mirror, is_small
from graphstorm_like.mirror.fetch import is_url, local_copy
from graphstorm_like.mirror.pull import everything
from graphstorm_like.progress import Reporter


def graph_folder(place: str, overrides: Sequence[str] = (), data: bool = True) -> str:
    """The local graph folder of a pipeline's YAML, a graph folder or its URL. data: whether its rows are needed.

    Of a URL it is a copy, of which only what has changed is fetched again.
    """
    if place.endswith((".yaml", ".yml")) and not is_url(place):
        pipeline = load_pipeline(place, overrides)
        return str(for_reading(pipeline, Reporter(), graph_data=data, run=False).graph.path)
    return str(local_copy(place, everything if data else is_small))


def for_reading(
    pipeline: Pipeline, reporter: Reporter, graph_data: bool = True, run: bool = True, exported: bool = False
) -> Pipeline:
    """The pipeline with local folders, filled from its URLs; nothing is locked or published there. Folders that a run
    on this machine works in stay as they are. exported: whether the tables that infer has written are needed."""
    if not places_of(pipeline):
        return pipeline
    mirror = Mirror(pipeline, reporter)
    try:
        with exclusive(mirror.folder / ".gsl.lock", "running in this output folder"):
            mirror.pull(graph_data, run, exported)
    except DataError:
        reporter.line(f"{mirror.folder}: a run on this machine works there; it is read as it is")
    return localised(pipeline)
