"""Which URLs a pipeline has, and the local folders in which it works instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.mirror.fetch import folder_for, is_url, user_cache


@dataclass(frozen=True, slots=True)
class Place:
    """A URL and its local folder."""

    url: str
    local: Path


@dataclass(frozen=True)
class Places:
    """The URLs of a pipeline; None: that one is local. graph, cache: None as well when they lie below the output."""

    output: Place | None
    cache: Place | None
    graph: Place | None
    known: tuple[Place, ...] = ()
    """Graph folders that are only read: graph.like, graph.add_to."""

    def __bool__(self) -> bool:
        return any((self.output, self.cache, self.graph, *self.known))


def places_of(pipeline: Pipeline, host: int = 0) -> Places:
    """The URLs of a pipeline whose paths are absolute. host: of several, each of which has folders of its own, even if
    they share a file system."""
    output = _place(pipeline, pipeline.output, "", host)
    cache = _place(pipeline, pipeline.cache, "cache", host)
    graph = _place(pipeline, pipeline.graph.path or "", "graph", host)
    known = [getattr(pipeline.graph, key) for key in ("like", "add_to")]
    read = [Place(url, folder_for(url, user_cache() / "copies")) for url in known if url is not None and is_url(url)]
    return Places(output, _apart(cache, output), _apart(graph, output), tuple(read))


def localised(pipeline: Pipeline, host: int = 0) -> Pipeline:
    """The same pipeline, with local folders in place of its URLs. host: see `places_of`."""
    places = places_of(pipeline, host)
    if not places:
        return pipeline
    output = pipeline.output if places.output is None else str(places.output.local)
    changed = {
        "output": output,
        "cache": _local(pipeline.cache, places.cache, places.output),
        "work": None,
        "graph": pipeline.graph.model_copy(
            update={
                "path": _local(pipeline.graph.path or "", places.graph, places.output),
                **{key: str(place.local) for place in places.known for key in _keys(pipeline, place)},
            }
        ),
    }
    return pipeline.model_copy(update=changed)


def shown(pipeline: Pipeline) -> Callable[[Path], str]:
    """A function from a local folder or file to its URL, where it has one, else to its path."""
    places = places_of(pipeline)

    def place_of(path: Path) -> str:
        for place in (places.graph, places.cache, places.output):
            if place is not None and path.is_relative_to(place.local):
                inside = path.relative_to(place.local).as_posix()
                return place.url if inside == "." else f"{place.url}/{inside}"
        return str(path)

    return place_of


def stays_in_store(pipeline: Pipeline) -> bool:
    """Whether construction writes to the URL itself, as Spark does, and nothing is made here."""
    from gconstruct.engines import writes_urls

    graph = pipeline.graph
    return not graph.is_built and graph.path is not None and is_url(graph.path) and writes_urls(graph)


def _place(pipeline: Pipeline, url: str, name: str, host: int) -> Place | None:
    if not is_url(url):
        return None
    root = user_cache() / "work" if pipeline.work is None else Path(pipeline.work)
    root = root / f"host-{host}" if host else root
    return Place(url.rstrip("/"), folder_for(url, root) if pipeline.work is None else root / name)


def _apart(place: Place | None, output: Place | None) -> Place | None:
    """A place that does not lie below the output."""
    if place is None or output is None or not place.url.startswith(f"{output.url}/"):
        return place
    return None


def _local(path: str, place: Place | None, output: Place | None) -> str:
    if place is not None:
        return str(place.local)
    if output is not None and is_url(path):
        return str(output.local / path.rstrip("/").removeprefix(f"{output.url}/"))
    return path


def _keys(pipeline: Pipeline, place: Place) -> list[str]:
    return [key for key in ("like", "add_to") if (getattr(pipeline.graph, key) or "").rstrip("/") == place.url]
