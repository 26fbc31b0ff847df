"""A run whose output, cache or graph is behind a URL: pull what is there, work locally, keep the store equal."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import DataError, StoreError
from graphstorm_like.graph.schema import MANIFEST, read_manifest
from graphstorm_like.launch.mirrored.places import Places, localised, places_of, stays_in_store
from graphstorm_like.launch.mirrored.units import cache_units, graph_unit, loose_unit, run_units
from graphstorm_like.launch.state import DONE_FILE, FINGERPRINT_FILE, MAIN_FILES, free_name
from graphstorm_like.mirror.fetch import entries_come_from, local_copy, published_at
from graphstorm_like.mirror.lock import locked
from graphstorm_like.mirror.manifest import RECORDS, read_publication, read_record
from graphstorm_like.mirror.publish import Target
from graphstorm_like.mirror.pull import Wanted, everything, forget, pull, pull_missing
from graphstorm_like.mirror.transfer import Store
from graphstorm_like.mirror.watch import Unit, Watcher
from graphstorm_like.progress import Reporter

LOCK_WAIT_SECONDS = 600.0
"""How long a graph folder that another job publishes is waited for."""


class Mirror:
    """The stores of a pipeline, and what of them is where on this machine."""

    def __init__(self, pipeline: Pipeline, reporter: Reporter, host: int = 0, apart: bool = False) -> None:
        """host: of several machines; apart: each has an output folder of its own, which the first one publishes."""
        self.pipeline, self.local, self.reporter = pipeline, localised(pipeline, host), reporter
        self.places: Places = places_of(pipeline, host)
        self.host, self.apart = host, apart
        self.output = None if self.places.output is None else Store(self.places.output.url)
        self.cache = None if self.places.cache is None else Store(self.places.cache.url)
        self.graph = None if self.places.graph is None else Store(self.places.graph.url)

    @property
    def folder(self) -> Path:
        """The local output folder."""
        return Path(self.local.output)

    # ------------------------------------------------------------------------------------------------------- pulling

    def pull(self, graph_data: bool, run: bool = True, exported: bool = False) -> None:
        """Bring what is there and needed: the graph, whose rows only if it is still current and they are needed
        (graph_data); of the run trainings with their resume points, scores, the report, and of exported tables only
        what tells whether they are up to date, or (exported) all. Entries of the cache come when they are asked for."""
        for place in self.places.known:
            local_copy(place.url)
        with self.reporter.step("fetching what the store has"):
            self._pull_graph(graph_data)
            if self.output is not None and run:
                self._pull_run(self.output, exported)
        cache, url = Path(self.local.cache), self._cache_url()
        if url is not None:
            entries_come_from(cache, url)

    def _cache_url(self) -> str | None:
        return self.pipeline.cache.rstrip("/") if Path(self.local.cache) != Path(self.pipeline.cache) else None

    def graph_target(self) -> Target | None:
        """Where the graph is published; None: it is local."""
        folder = Path(self.local.graph.path or "")
        if self.graph is not None:
            return Target(self.graph, owned=False)
        if self.output is not None and folder.is_relative_to(self.folder):
            return Target(self.output, folder.relative_to(self.folder).as_posix())
        return None

    def _pull_graph(self, data: bool) -> None:
        target, folder = self.graph_target(), Path(self.local.graph.path or "")
        if target is None:
            return
        found = published_at(target.store, target.folder)
        if found is None:
            forget(folder)
            return
        pull(target, folder, is_small, publication=found)
        if data and self._graph_is_current(folder):
            pull(target, folder, self._own_partition(folder) if self.apart else everything, publication=found)

    def _own_partition(self, folder: Path) -> Wanted:
        """Small files, and those of this host's partition where each host has one."""
        partitions = read_manifest(folder).partitions
        if len(partitions) <= self.host or len(partitions) == 1:
            return everything
        own = f"{partitions[self.host].folder}/"
        return lambda name: is_small(name) or name.startswith(own)

    def _graph_is_current(self, folder: Path) -> bool:
        """Whether it will be read, and not made again."""
        from gconstruct import fingerprint

        graph = self.local.graph
        if graph.is_built:
            return True
        try:
            return read_manifest(folder).fingerprint == fingerprint(graph)
        except DataError:  # its tables are not here: it is taken as it is
            return True

    def _pull_run(self, store: Store, exported: bool) -> None:
        """The last training as a whole, for it may be the one that this configuration goes on with, or be set aside for
        it; of those that were set aside before only what names them, unless this configuration is theirs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        aside = [name for name in store.folders() if _is_aside(name)]
        for name in aside:
            self._pull_training(store, name, {FINGERPRINT_FILE, DONE_FILE}.__contains__)
        self._pull_training(store, "train", everything)
        for name in aside:
            if self._is_wanted_again(self.folder / name):
                self._pull_training(store, name, everything)
        pull(Target(store, "evaluate"), self.folder / "evaluate")
        facts = {DONE_FILE, MAIN_FILES["infer"]}.__contains__
        pull(Target(store, "infer"), self.folder / "infer", everything if exported else facts)
        pull_missing(Target(store), self.folder)  # reports and logs: what is not here would be taken for removed

    def _pull_training(self, store: Store, name: str, wanted: Wanted) -> None:
        """Hosts with folders of their own must begin with the same, which is what all of them can see."""
        target, folder = Target(store, name), self.folder / name
        published = read_publication(store, name)
        if published is None:
            forget(folder)
            return
        if name == "train" and folder.is_dir() and read_record(folder) is None:
            aside = free_name(folder)
            folder.rename(aside)
            self.reporter.line(f"{folder} is not of {target.url}, where another one is; it is now {aside.name}")
        pull(
            target, folder, wanted, publication=published, lenient=self._may_lack, exact=self.apart and name == "train"
        )

    def _is_wanted_again(self, folder: Path) -> bool:
        from graphstorm_like.launch.state import earlier_run

        try:
            return earlier_run(self.local) == folder
        except DataError:  # there is no graph yet, so nothing can be of it
            return False

    def _may_lack(self, name: str, err: StoreError) -> bool:
        """A damaged resume point is passed over for an older one."""
        if name.startswith("checkpoints/"):
            self.reporter.line(f"warning: {err}. Its resume point is passed over")
            return True
        return False

    # ---------------------------------------------------------------------------------------------------- publishing

    def units(self) -> Iterator[Unit]:
        """Everything that is published while the run goes on. The first host's output folder is as whole as those of
        the others, which send only what they have made for the cache."""
        if self.host > 0:
            yield from self._cache_units()
            return
        target = self.graph_target()
        if target is not None and not self.local.graph.is_built and not stays_in_store(self.pipeline):
            alone = partial(locked, self.graph, self.reporter.line, LOCK_WAIT_SECONDS) if self.graph else None
            folder = Path(self.local.graph.path or "")
            yield graph_unit(folder, target, alone) if alone is not None else graph_unit(folder, target)
        yield from self._cache_units()
        if self.output is not None:
            yield from run_units(self.folder, self.output)

    def _cache_units(self) -> Iterator[Unit]:
        cache, first = Path(self.local.cache), self.host == 0
        if self.cache is not None:
            yield from cache_units(cache, self.cache, "", shared=True, phases=first)
        elif self.output is not None and cache.is_relative_to(self.folder):
            prefix = f"{cache.relative_to(self.folder).as_posix()}/"
            yield from cache_units(cache, self.output, prefix, shared=not first, phases=first)

    def last_units(self) -> Iterator[Unit]:
        """The same, and what is published at the end only."""
        yield from self.units()
        if self.output is not None and self.host == 0:
            yield loose_unit(self.folder, self.output)

    def forget_renamed(self) -> None:
        """Remove trainings from the store that have another name here now."""
        if self.output is None or self.host > 0:
            return
        for name in filter(_is_aside, self.output.folders()):
            if not (self.folder / name).exists() and read_record(self.folder / name) is not None:
                self.output.remove(self.output.listing(name))

    def costs(self) -> str:
        """What the stores were asked for, in one line."""
        stores = [store for store in (self.output, self.cache, self.graph) if store is not None]
        requests = sum(sum(store.counts.requests.values()) for store in stores)
        sent, received = sum(s.counts.sent for s in stores), sum(s.counts.received for s in stores)
        return f"store: {requests:,} requests, {sent / 1e6:,.1f} MB sent, {received / 1e6:,.1f} MB received"


@contextmanager
def mirrored(
    pipeline: Pipeline,
    stages: Sequence[str],
    reporter: Reporter,
    fresh: bool = False,
    host: int = 0,
    apart: bool = False,
) -> Iterator[Pipeline]:
    """The pipeline with local folders, filled from its URLs, which are kept equal with them while the body runs.

    A pipeline without URLs passes unchanged. On leaving everything is published; StoreError when that cannot be done,
    and what is missing is then in the local folders. Also raises StoreError when another job holds the output. host,
    apart: as of Mirror; the first host holds the output and publishes it.
    """
    if not places_of(pipeline):
        yield pipeline
        return
    mirror = Mirror(pipeline, reporter, host, apart)
    with ExitStack() as stack:
        lock = stack.enter_context(locked(mirror.output, reporter.line)) if mirror.output and host == 0 else None
        if "construct" in stages and stays_in_store(pipeline):
            _construct_in_store(pipeline, reporter, fresh)
        _clear_views(mirror)
        mirror.pull(graph_data=list(stages) != ["construct"])
        watcher = Watcher(
            mirror.units,
            reporter.line,
            allowed=lambda: None if lock is None else lock.check(),
            md5_etags=lambda: lock is not None and lock.md5_etags,
        )
        watcher.start()
        try:
            yield mirror.local
        except BaseException:
            watcher.stop()
            _publish_rest(watcher, mirror, reporter)
            raise
        watcher.stop()
        watcher.units = mirror.last_units
        try:
            watcher.look()
            mirror.forget_renamed()
        except StoreError as err:
            raise StoreError(
                f"{err}. The results are in {mirror.folder}; the same command publishes them when the store answers"
            ) from err
        reporter.line(mirror.costs())


def publish_loose(pipeline: Pipeline, say: Callable[[str], None]) -> None:
    """Publish what has been written at the top of an output behind a URL since its run has ended, such as the report.
    A store that is away, or that another job holds, costs a warning: the results are there, and the files here."""
    place = places_of(pipeline).output
    if place is None:
        return
    store = Store(place.url)
    try:
        with locked(store, say) as lock:
            unit = loose_unit(place.local, store)
            Watcher(lambda: [unit], lambda _: None, lock.check, lambda: lock.md5_etags).look()
    except StoreError as err:
        say(f"warning: {err}. Not published: the report in {place.local}")


def _publish_rest(watcher: Watcher, mirror: Mirror, reporter: Reporter) -> None:
    """After an error or a signal: the last resume point. The cause must not be hidden by trouble of the store."""
    try:
        watcher.units = mirror.last_units
        watcher.look()
    except (StoreError, OSError) as err:
        reporter.line(f"warning: {err}. What could not be published is in {mirror.folder}")


def _construct_in_store(pipeline: Pipeline, reporter: Reporter, fresh: bool) -> None:
    """By an engine whose processes write to the URL."""
    from gconstruct import build_graph

    build_graph(pipeline.graph, progress=reporter.line, follow=reporter.follow(), force=fresh)


def _clear_views(mirror: Mirror) -> None:
    """What killed runs have left."""
    for folder in (mirror.folder, Path(mirror.local.cache), Path(mirror.local.graph.path or "").parent):
        for view in (folder / RECORDS).glob("view-*"):
            shutil.rmtree(view, ignore_errors=True)


def is_small(name: str) -> bool:
    """The small files of a graph folder."""
    return name == MANIFEST or not name.endswith((".arrow", ".html"))


def _is_aside(name: str) -> bool:
    stem, dot, number = name.partition(".")
    return stem == "train" and bool(dot) and number.isdigit()
